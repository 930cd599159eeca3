"""Weighted F1 estimated without gold against the truth, on batches redrawn with shifted label shares.

Half of the held-out examples are the reference, the other half is the night: a batch of half of it, drawn without
replacement with label shares tilted at random. Printed are how often the 95 % interval holds the measured weighted F1,
the interval's width against that of the bootstrap on gold, and the error against that of the mean confidence.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench import mire
from kdsl import estimate as estimates
from kdsl import metrics
from kdsl.config import ReaderSettings
from kdsl.estimate import Reference, estimate
from kdsl.folds import group_keys
from kdsl.fusion import held_out as votes
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.fusion.nested import reference, refit
from kdsl.learn import hear
from kdsl.models.voter import kind
from kdsl.ocr import Reader

BATCHES = 200
# Of the tilt of the shares: the smaller, the further they are from those of the examples.
CONCENTRATIONS = (5.0, 1.0)
SEED, FOLDS = 7, 4


def main() -> None:
    """Print a table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="*", type=Path, help="folders of releases")
    parser.add_argument("--mire", type=Path, help="folder with train.json and images/; rules and linear learn")
    parser.add_argument("--cache", type=Path, default=Path(".cache/bench"))
    args = parser.parse_args()
    figures = []
    print(f"{'held-out examples of':26} batch tilt  holds  width   error  naive    ms")
    for name, known in _references(args):
        for concentration in CONCENTRATIONS:
            holds, width, error, naive, size, ms = _validate(known, concentration)
            where = f"{name:26} {size:5d} {concentration:4.0f}"
            print(f"{where} {holds:6.3f} {width:6.2f} {error:7.4f} {naive:6.4f} {ms:5.0f}", flush=True)
            of = f"estimate: {name}, tilt {concentration:.0f}"
            figures.append(mire.figure(f"{of}: interval holds", holds, 0.95, 0.9 <= holds <= 0.99))
            figures.append(mire.figure(f"{of}: width over that on gold", width, 2.0, width <= 2))
            figures.append(mire.figure(f"{of}: error over that of mean confidence", error / naive, 1.0, error < naive))
    print(json.dumps(figures))


def _references(args: argparse.Namespace) -> Iterator[tuple[str, Reference]]:
    for folder in args.releases:
        for file in sorted((folder / "reference").glob("*.npz")):
            yield f"{folder.name}/{file.stem}", estimates.load(file)
    if args.mire:
        for task in ("intent", "scene"):
            held = _mire(args.mire, args.cache, task)
            yield f"mire/{task}", reference(held, refit(held, seed=SEED)[0])[0]


def _mire(folder: Path, cache: Path, name: str) -> HeldOut:
    file = cache / f"held_out-{name}.npz"
    if file.is_file():
        return votes.load(file)
    found = mire.records(folder)
    pictures, _ = mire.read(folder, mire.names(found, name), Reader(ReaderSettings(), threads=1), cache)
    items, gold = mire.examples(found, name, pictures)
    groups, task = group_keys(items), mire.task(name)
    held = held_out(task.label_names, [item.item_id for item in items], gold, groups, {})
    for voter in ("rules", "linear"):
        heard = hear(kind(voter), task, items, gold, folds=FOLDS, seed=SEED, groups=groups)
        held = held.with_voter(voter, heard.log_probs, heard.asked, heard.facts)
    held.save(file)
    return held


def _validate(known: Reference, concentration: float) -> tuple[float, float, float, float, int, float]:
    dice = np.random.default_rng(SEED)
    rows = []
    size = len(known.gold) // 4
    for number in range(BATCHES):
        order = dice.permutation(len(known.gold))
        before, pool = order[: len(order) // 2], order[len(order) // 2 :]
        tilt = dice.dirichlet(np.full(known.log_probs.shape[1], concentration))[known.gold[pool]] + 1e-9
        night = dice.choice(pool, size, replace=False, p=tilt / tilt.sum())
        gold, said = (
            [None if label < 0 else str(label) for label in side[night]] for side in (known.gold, known.label)
        )
        measured = metrics.estimate(metrics.confusion(gold, said), seed=number, resamples=300)
        half = Reference(known.gold[before], known.label[before], known.log_probs[before])
        begun = time.monotonic()
        found = estimate(half, known.log_probs[night], known.label[night], seed=number)
        ms = 1000 * (time.monotonic() - begun)
        sure = float(np.nanmean(np.exp(known.log_probs[night].max(axis=1))))
        holds = found.low <= measured.value <= found.high
        off = abs(found.value - measured.value), abs(sure - measured.value)
        rows.append((holds, found.high - found.low, measured.high - measured.low, *off, ms))
    holds, ours, golds, error, naive, ms = np.array(rows, dtype=np.float64).mean(axis=0).tolist()
    return holds, ours / golds, error, naive, size, ms


if __name__ == "__main__":
    main()
