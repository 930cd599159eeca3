"""Weighted F1 on the visible records of the challenge: each voter alone, fused, and other ways to fuse.

Voters are scored on out-of-fold predictions. What is fitted on those (the pool) is scored by folds of its own: no
row is judged by anything that it had a part in. Values and interval ends are means over the seeds.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import mire
from bench.fusions import systems
from kdsl import metrics
from kdsl.config import ReaderSettings
from kdsl.dialogue import Item
from kdsl.folds import group_keys
from kdsl.fusion import held_out as votes
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.learn import hear
from kdsl.metrics import Confusion, Estimate
from kdsl.models.voter import kind
from kdsl.ocr import Reader
from kdsl.taxonomy import Task

AIM = 0.80
RESAMPLES = 1_000


def main() -> None:
    """Print the table and the figures."""
    options = mire.parser(__doc__)
    options.add_argument("--voters", nargs="+", default=["rules", "linear"])
    options.add_argument("--tasks", nargs="+", default=["intent", "scene"])
    options.add_argument("--kept", type=Path, help="folder that keeps the held-out votes of this code, to fuse again")
    options.set_defaults(folds=5)
    args = options.parse_args()
    found = mire.records(args.mire)
    reader = Reader(ReaderSettings(), threads=2)
    table: dict[str, dict[str, list[Confusion]]] = defaultdict(lambda: defaultdict(list))
    for name in args.tasks:
        pictures, _ = mire.read(args.mire, mire.names(found, name), reader, args.cache)
        items, gold = mire.examples(found, name, pictures)
        for seed in range(1, args.seeds + 1):
            begun = time.monotonic()
            held, took = _heard(mire.task(name), items, gold, args, seed)
            for system, said in systems(held, seed):
                guesses = [None if place < 0 else held.labels[place] for place in said]
                table[system][name].append(metrics.confusion([held.labels[place] for place in held.gold], guesses))
                print(f"{name:8} seed {seed} {system:24} {metrics.estimate(table[system][name][-1], seed=seed)}")
            print(f"{name:8} seed {seed} seconds {took} in all {time.monotonic() - begun:.0f}", flush=True)
    print(f"\n{'':24} " + " ".join(f"{name:>28}" for name in (*args.tasks, "mean of the tasks")))
    overall = {}
    for system, by_task in table.items():
        drawn = {name: _drawn(matrices) for name, matrices in by_task.items()}
        dice = np.random.default_rng(0)  # the tasks' rows are drawn apart
        mixed = [np.concatenate([each[:1], dice.permutation(each[1:])]) for each in drawn.values()]
        cells = [*drawn.values(), np.mean(mixed, axis=0)]
        n = [by_task[name][0].n for name in by_task]
        shown = [_estimate(each, rows) for each, rows in zip(cells, [*n, sum(n)], strict=True)]
        overall[system] = shown[-1]
        print(f"{system:24} " + " ".join(f"{each!s:>28}" for each in shown))
    best = max(overall, key=lambda system: overall[system].value)
    print(
        json.dumps(mire.figure(f"quality: mean of tasks, {best}", overall[best].value, AIM, overall[best].value >= AIM))
    )


def _heard(
    task: Task, items: Sequence[Item], gold: Sequence[str], args: argparse.Namespace, seed: int
) -> tuple[HeldOut, dict[str, int]]:
    """The held-out votes of all voters, and the seconds that those not kept took."""
    groups = group_keys(items)
    held, took = held_out(task.label_names, [item.item_id for item in items], gold, groups, {}), {}
    for name in args.voters:
        file = args.kept / f"{task.name}-{name}-{args.folds}-{seed}.npz" if args.kept else None
        if file and file.is_file():
            alone = votes.load(file)
        else:
            begun = time.monotonic()
            heard = hear(kind(name), task, items, gold, folds=args.folds, seed=seed, groups=groups)
            alone = held.only(()).with_voter(name, heard.log_probs, heard.asked, heard.facts)
            took[name] = round(time.monotonic() - begun)
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                alone.save(file)
        facts = alone.facts if len(alone.facts.row) else None
        held = held.with_voter(name, alone.said[name], alone.asked[name], facts)
    return held, took


def _drawn(matrices: Sequence[Confusion]) -> NDArray[np.float64]:
    """The value and then its bootstrap draws in order, means over the seeds: the same rows, so not independent."""
    rows = []
    for seed, matrix in enumerate(matrices):
        draws = metrics.weighted_f1_of(metrics.resample(matrix.counts, seed=seed, resamples=RESAMPLES))
        rows.append(np.concatenate([[float(metrics.weighted_f1_of(matrix.counts))], np.sort(draws)]))
    return np.mean(rows, axis=0)


def _estimate(drawn: NDArray[np.float64], n: int) -> Estimate:
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    return Estimate(float(drawn[0]), float(low), float(high), n)


if __name__ == "__main__":
    main()
