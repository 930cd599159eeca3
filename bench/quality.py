"""Weighted F1 on the visible records of the challenge: each voter alone, fused, and other ways to fuse.

With `--texts` the same table of Banking77 and Bitext: 13 examples a label, so that a fold of five learns from ten. With
`--large` the checkpoint of a text model stands in as `large` there, scored once as it is, without learning.

Voters are scored on out-of-fold predictions. What is fitted on those (the pool) is scored by folds of its own: no
row is judged by anything that it had a part in. Values and interval ends are means over the seeds. "As released" is the
pool or one part alone, whichever `fit` would choose. Seconds are of the processor; votes read from `--kept` took none.
"""

import argparse
import functools
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import mire, rule_data
from bench.fusions import systems
from kdsl import metrics
from kdsl.config import ReaderSettings
from kdsl.dialogue import Item, Turn
from kdsl.folds import group_keys
from kdsl.fusion import held_out as votes
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.learn import Heard, hear
from kdsl.metrics import Confusion, Estimate
from kdsl.models.mllm_settings import MllmSettings
from kdsl.models.mllm_voter import fit_of
from kdsl.models.voter import kind
from kdsl.ocr import Reader
from kdsl.taxonomy import Task

AIM = 0.80
PER_LABEL = 13
RESAMPLES = 1_000


def main() -> None:
    """Print the table and the figures."""
    options = mire.parser(__doc__)
    options.add_argument("--voters", nargs="+", default=["rules", "linear", "meaning"])
    options.add_argument("--tasks", nargs="+", default=["intent", "scene"])
    options.add_argument("--texts", nargs="+", choices=("banking77", "bitext"), help="these in place of the records")
    options.add_argument("--large", help="checkpoint of a model that scores the texts as the voter `large`")
    options.add_argument("--kept", type=Path, help="folder that keeps the held-out votes of this code, to fuse again")
    options.set_defaults(folds=5)
    args = options.parse_args()
    table: dict[str, dict[str, list[Confusion]]] = defaultdict(lambda: defaultdict(list))
    seconds: Counter[str] = Counter()
    for task, items, gold in _texts(args) if args.texts else _records(args):
        for seed in range(1, args.seeds + 1):
            held, took = _heard(task, items, gold, args, seed)
            seconds.update(took)
            begun = time.process_time()
            for system, said in systems(held, seed):
                seconds[system] += time.process_time() - begun
                guesses = [None if place < 0 else held.labels[place] for place in said]
                cells = metrics.confusion([held.labels[place] for place in held.gold], guesses)
                table[system][task.name].append(cells)
                print(f"{task.name:8} seed {seed} {system:24} {metrics.estimate(cells, seed=seed)}", flush=True)
                begun = time.process_time()
    names = args.texts or args.tasks
    print(f"\n{'':24} " + " ".join(f"{name:>28}" for name in (*names, "mean of the tasks")) + "  seconds a seed")
    overall = {}
    for system, by_task in table.items():
        drawn = {name: _drawn(matrices) for name, matrices in by_task.items()}
        dice = np.random.default_rng(0)  # the tasks' rows are drawn apart
        mixed = [np.concatenate([each[:1], dice.permutation(each[1:])]) for each in drawn.values()]
        cells = [*drawn.values(), np.mean(mixed, axis=0)]
        n = [by_task[name][0].n for name in by_task]
        shown = [_estimate(each, rows) for each, rows in zip(cells, [*n, sum(n)], strict=True)]
        overall[system] = shown[-1]
        print(f"{system:24} " + " ".join(f"{each!s:>28}" for each in shown) + f"{seconds[system] / args.seeds:16.0f}")
    released = overall["as released"].value
    if args.texts:  # there is no aim for these but to be no worse than the best part
        gain = released - max(overall[name].value for name in _voters(args))
        print(
            json.dumps(mire.figure(f"quality: {', '.join(names)}: as released less its best part", gain, 0, gain >= 0))
        )
        return
    print(json.dumps(mire.figure("quality: mean of tasks, as released", released, AIM, released >= AIM)))


def _records(args: argparse.Namespace) -> Iterator[tuple[Task, list[Item], list[str]]]:
    found = mire.records(args.mire)
    reader = Reader(ReaderSettings(), threads=2)
    for name in args.tasks:
        pictures, _ = mire.read(args.mire, mire.names(found, name), reader, args.cache)
        yield mire.task(name), *mire.examples(found, name, pictures)


def _texts(args: argparse.Namespace) -> Iterator[tuple[Task, list[Item], list[str]]]:
    for name in args.texts:
        data = rule_data.text_data(name, 1)
        counts: Counter[str] = Counter()
        items, gold = [], []
        for row, (text, label) in enumerate(zip(data.texts, data.gold, strict=True)):
            counts[label] += 1
            if counts[label] <= PER_LABEL:
                items.append(Item(f"{name}/{row}", "intent", (Turn("user", text),)))
                gold.append(label)
        yield data.task.model_copy(update={"name": name}), items, gold


def _voters(args: argparse.Namespace) -> list[str]:
    return [*args.voters, *(["large"] if args.large else [])]


def _heard(
    task: Task, items: Sequence[Item], gold: Sequence[str], args: argparse.Namespace, seed: int
) -> tuple[HeldOut, dict[str, float]]:
    """The held-out votes of all voters, and the seconds of the processor that those not kept took."""
    groups = group_keys(items)
    held, took = held_out(task.label_names, [item.item_id for item in items], gold, groups, {}), {}
    for name in _voters(args):
        file = args.kept / f"{task.name}-{name}-{args.folds}-{seed}.npz" if args.kept else None
        if file and file.is_file():
            alone = votes.load(file)
        else:
            begun = time.process_time()
            if name == "large":
                heard = _as_it_is(task, tuple(items), args.large)
            else:
                heard = hear(kind(name), task, items, gold, folds=args.folds, seed=seed, groups=groups)
            alone = held.only(()).with_voter(name, heard.log_probs, heard.asked, heard.facts)
            took[name] = time.process_time() - begun
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                alone.save(file)
        facts = alone.facts if len(alone.facts.row) else None
        held = held.with_voter(name, alone.said[name], alone.asked[name], facts)
    return held, took


@functools.cache
def _as_it_is(task: Task, items: tuple[Item, ...], checkpoint: str) -> Heard:
    """What a model that learned from none of the items says of them: the same for every seed."""
    model = MllmSettings(path=checkpoint, device="cpu", own_tokens=128, post_train=False)
    said = fit_of("large")(task, [], [], [], seed=0, large=model).log_probs(items)
    return Heard(said, np.ones(len(items), bool), None)


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
