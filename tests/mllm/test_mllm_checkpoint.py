"""What must not be loaded is refused by name, before anything of it is opened, with the next step."""

import json
import shutil
import struct

import pytest
from transformers import AutoProcessor, AutoTokenizer

from kdsl.errors import ConfigError
from kdsl.models import checkpoint
from kdsl.models.device import GRANTED, device_of
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings


@pytest.fixture
def copy(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "model")
    return tmp_path / "model"


def _refused(folder, match):
    with pytest.raises(ConfigError, match=match):
        Scorer.load(ModelSettings(path=str(folder), device="cpu"))


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "sub/training_args.bin", "A.CKPT", "a.pth.tar", *(f"a{end}" for end in checkpoint.PICKLES)],
)
def test_a_pickle_is_refused(copy, name):
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_bytes(b"\x80\x04")
    _refused(copy, f"holds {name.split('/')[-1]}, a format that may run code.*keep only the safetensors")


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "tokenizer_config.json",
        "processor_config.json",
        "tokenizer.json",
        "chat_template.json",
        "video_preprocessor_config.json",
    ],
)
def test_auto_map_is_refused_wherever_it_stands(copy, name):
    data = json.loads((copy / name).read_text()) if (copy / name).exists() else {}
    data["nested"] = [{"auto_map": {"AutoModel": "evil.Evil"}}]
    (copy / name).write_text(json.dumps(data))
    (copy / "evil.py").write_text("raise SystemExit('ran')")
    _refused(copy, f"{name} in .* has auto_map.*use a checkpoint")


def test_a_wrong_path_and_an_unknown_hub_id_are_refused(tmp_path):
    _refused(tmp_path / "nowhere", "is no directory; give the folder")
    _refused("nobody/no-such-model", "neither a directory nor a checkpoint in the local hub cache.*copy it to a folder")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_weights_cut_off_are_refused(copy, share):
    file = copy / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    _refused(copy, "damaged or cut off.*copy it again")


def test_what_git_leaves_of_large_weights_has_no_fingerprint(copy):
    pointer = b"version https://git-lfs.example/spec/v1\noid sha256:4d7a\nsize 4437\n"
    (copy / "model.safetensors").write_bytes(pointer)
    with pytest.raises(ConfigError, match=r"damaged or cut off.*copy it again"):
        checkpoint.fingerprint(copy)


def test_a_checkpoint_without_some_weights_is_refused(copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    first = sorted(weights)[0]
    save_file(
        {name: value for name, value in weights.items() if name != first}, copy / "model.safetensors", {"format": "pt"}
    )
    _refused(copy, "half a checkpoint: 2 are missing.*copy it again")


def test_a_missing_shard_is_named(copy):
    (copy / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}})
    )
    _refused(copy, "lacks model-00001-of-00002.safetensors")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    _refused(copy, name)


def test_a_json_file_that_is_none_is_refused(copy):
    (copy / "extra.json").write_text("[" * 100_000)
    _refused(copy, "extra.json is no JSON; copy it again")
    with (copy / "extra.json").open("wb") as file:
        file.truncate(checkpoint.MOST + 1)
    _refused(copy, "extra.json is larger than 64,000,000 bytes")


def test_a_missing_image_processor_is_refused(copy):
    (copy / "processor_config.json").unlink()
    _refused(copy, "does not load as a processor|no image processor")


def test_a_tokenizer_in_place_of_a_processor_is_refused(copy, monkeypatch):
    """`AutoProcessor` of some checkpoints falls back to it, and says nothing."""
    known = AutoTokenizer.from_pretrained(copy)
    monkeypatch.setattr(AutoProcessor, "from_pretrained", lambda *_, **__: known)
    _refused(copy, "has a tokenizer and no image processor; copy preprocessor_config.json or processor_config.json of")


def test_an_adapter_is_no_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    _refused(tmp_path, "LoRA adapter and no model; give the folder of its base")


def test_what_loads_is_bounded_and_in_fp32_on_cpu(scorer):
    import torch

    assert scorer.loaded.model.dtype == torch.float32
    assert scorer.loaded.model.config._attn_implementation == "sdpa_grouped"
    assert scorer.loaded.image_processor.size["longest_edge"] == scorer.settings.max_pixels
    assert not scorer.loaded.model.training


def test_the_fingerprint_tells_weights_apart(copy, scorer):
    assert checkpoint.fingerprint(copy) == scorer.loaded.fingerprint
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    for name in weights:  # a fine-tune may leave the file's first and last tensors as they are
        changed = {**weights, name: weights[name] + 1}
        save_file(changed, copy / "model.safetensors", metadata={"format": "pt"})
        assert checkpoint.fingerprint(copy) != scorer.loaded.fingerprint


@pytest.mark.parametrize("header", ["[]", '{"a": {}}', '{"a": 3}', '{"a": {"data_offsets": ["x", 1]}}', "[" * 9_000])
def test_a_header_that_says_nothing_is_refused(copy, header):
    content = struct.pack("<Q", len(header)) + header.encode() + b"weights"
    (copy / "model.safetensors").write_bytes(content)
    _refused(copy, "is damaged or cut off at .* copy it again")


def test_a_gpu_that_was_granted_and_cannot_be_used_is_no_reason_to_take_the_cpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device_of("auto") == "cpu"
    monkeypatch.setenv(GRANTED, "0")
    with pytest.raises(ConfigError, match=r"Spark granted GPU 0 to this task, and torch \S+ can use none here"):
        device_of("auto")
    assert device_of("cpu") == "cpu"


def test_a_gpu_that_is_not_there_is_refused():
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is there")
    with pytest.raises(ConfigError, match="device: cuda given and no CUDA device"):
        device_of("cuda")
