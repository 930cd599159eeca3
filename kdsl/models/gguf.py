"""A GGUF file as a checkpoint of safetensors, which is all that anything here loads.

    python -m kdsl.models.gguf FILE --into DIR      # the package `gguf` must be installed

A GGUF holds numbers and strings and no code; its quantised weights become float32.
"""

import argparse
from pathlib import Path

from kdsl.errors import ConfigError


def convert(file: Path, into: Path) -> Path:
    """Write the model and its tokenizer into `into`.

    Raises:
        ConfigError: there is no such file, or `gguf` is not installed.
    """
    from importlib.util import find_spec

    if not file.is_file():
        raise ConfigError(f"gguf: there is no file {file}; give the path of a .gguf file.")
    if find_spec("gguf") is None:
        raise ConfigError("gguf: transformers reads GGUF files with the package gguf; pip install --no-deps gguf.")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    plain = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    whole = type(read)(type(read.config)(**plain))
    whole.load_state_dict(read.state_dict())
    whole.save_pretrained(into)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True).save_pretrained(into)
    return into


def main() -> None:
    """Convert one file."""
    parser = argparse.ArgumentParser(description="write a GGUF file as a checkpoint of safetensors")
    parser.add_argument("file", type=Path)
    parser.add_argument("--into", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    print(convert(args.file, args.into))


if __name__ == "__main__":
    main()
