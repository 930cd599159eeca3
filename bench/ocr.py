"""The reader's settings against rapidocr's defaults, picture by picture in turn, one thread each; and what it costs.

What it costs is the weighted F1 of the linear voter on the scenes, once with each reader's text, on the same folds.
"""

import json
import time
from typing import Any

from bench import mire
from kdsl.config import ReaderSettings
from kdsl.dialogue import Picture
from kdsl.ocr import Reader

AIM = 2.0


class Default(Reader):
    """Reads with rapidocr as it comes, but in one thread."""

    def __init__(self, settings: ReaderSettings) -> None:
        from rapidocr import RapidOCR

        super().__init__(settings)
        self.version = f"default-{self.version.split('/')[0]}"
        threads = "EngineConfig.onnxruntime.intra_op_num_threads"
        self._engine: Any = RapidOCR(params={"Global.log_level": "critical", threads: 1})


def main() -> None:
    """Print the two readers side by side and the figures."""
    options = mire.parser(__doc__)
    options.add_argument("--pictures", type=int, default=150, help="pictures of the sample, drawn by hash")
    options.add_argument("--timed", type=int, default=40, help="of these, read by both in turn against the clock")
    args = options.parse_args()
    found = mire.records(args.mire)
    sample = mire.names(found, "scene")[: args.pictures]
    readers: list[Reader] = [Default(ReaderSettings()), Reader(ReaderSettings())]
    seconds = _timed(args.mire, sample[: args.timed], readers)
    f1, chars = [], []
    for reader in readers:
        pictures, _ = mire.read(args.mire, sample, reader, args.cache)
        items, gold = mire.examples(found, "scene", pictures)
        f1.append(mire.mean(mire.score(mire.task("scene"), items, gold, args.folds, args.seeds)))
        chars.append(sum(len(line.text) for picture in pictures.values() for line in picture.lines))
    print(f"{'reader':10} {'s a picture':>12} {'characters':>11}  weighted F1 of scene")
    for name, took, read, estimate in zip(("default", "ours"), seconds, chars, f1, strict=True):
        print(f"{name:10} {took / args.timed:12.2f} {read:11d}  {estimate}")
    ratio = seconds[0] / seconds[1]
    equal = f1[1].value >= f1[0].low  # within the interval of the default, or above it
    print(f"default / ours {ratio:.2f} times on {args.timed} pictures")
    print(
        json.dumps(
            [
                mire.figure("ocr: seconds of the default / ours", ratio, AIM, ratio >= AIM),
                mire.figure("ocr: scene weighted F1, ours - default", f1[1].value - f1[0].value, 0.0, equal),
            ]
        )
    )


def _timed(folder: Any, sample: list[str], readers: list[Reader]) -> list[float]:
    """CPU seconds of each reader; they take turns, so that both meet the same neighbours on the machine."""
    seconds = [0.0] * len(readers)
    warm: list[Picture] = [reader.read((folder / "images" / sample[0]).read_bytes()) for reader in readers]
    assert all(picture.error_code is None for picture in warm)
    for name in sample:
        content = (folder / "images" / name).read_bytes()
        for place, reader in enumerate(readers):
            begun = time.process_time()
            reader.read(content)
            seconds[place] += time.process_time() - begun
    return seconds


if __name__ == "__main__":
    main()
