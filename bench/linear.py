"""Weighted F1 of the linear voter on the visible records of the challenge: 4-fold, mean over seeds, with intervals.

Nothing is chosen here: the voter makes its choices by cross-validation inside each training part.
"""

import json
import time

from bench import mire
from kdsl.config import ReaderSettings
from kdsl.ocr import Reader

AIM = 0.74


def main() -> None:
    """Print a table and the figures."""
    args = mire.parser(__doc__).parse_args()
    found = mire.records(args.mire)
    reader = Reader(ReaderSettings(), threads=2)
    figures = []
    print(f"{'task':8} {'n':>4} {'weighted F1':>12} {'95 % interval':>16} {'by seed':>24} {'OCR s':>7} {'learn s':>8}")
    for name in ("intent", "scene"):
        pictures, reading = mire.read(args.mire, mire.names(found, name), reader, args.cache)
        items, gold = mire.examples(found, name, pictures)
        begun = time.monotonic()
        estimates = mire.score(mire.task(name), items, gold, args.folds, args.seeds)
        seconds = time.monotonic() - begun
        whole = mire.mean(estimates)
        seeds = " ".join(f"{estimate.value:.3f}" for estimate in estimates)
        interval = f"[{whole.low:.3f}, {whole.high:.3f}]"
        print(
            f"{name:8} {whole.n:4d} {whole.value:12.3f} {interval:>16} {seeds:>24} {reading:7.0f} {seconds:8.0f}",
            flush=True,
        )
        figures.append(mire.figure(f"linear: weighted F1 of {name}", whole.value, AIM, whole.value >= AIM))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
