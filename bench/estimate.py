"""Weighted F1 estimated without gold against the truth, on batches redrawn with shifted label shares.

Of a release, and of the challenge's records, the fusion is fitted on one half of the held-out examples, which are also
the reference, and batches are drawn from the other half, half of it at a time, over a hundred splits, both ways round:
a half that happens to be easy is then the reference as often as the night. How many words of a batch are new is known
of the records and of texts, not of a release, which keeps none. With `--texts` a voter `linear` without an encoder
learns from 10 examples a label (20 of the made-up shop), `--draws` times from others; the reference is what it
says of these out of fold, and batches of 60 and 400 are drawn from 3,000 other rows. All are drawn without replacement,
their label shares tilted at random. Printed are how often the 95 % interval holds the measured weighted F1, its width
against that of the bootstrap on gold, and the error against that of the mean confidence (naive): the difference in
thousandths with a 95 % interval over releases, or splits, and batches of them. That interval is of these records alone;
how far confidence and accuracy of all of them may lie apart by chance is printed above it. At the end the error over
that of the mean confidence in all settings together.
"""

import argparse
import functools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import mire, mire_votes, rule_data
from bench.mire_votes import FOLDS, SEED
from kdsl import inputs, metrics, taxonomy
from kdsl.demo import shop
from kdsl.demo.wording import Part
from kdsl.dialogue import Item, Turn
from kdsl.estimate import Reference, estimate
from kdsl.folds import group_keys
from kdsl.fusion import held_out as votes
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.fusion.nested import reference, refit
from kdsl.inputs import Inputs, unknown
from kdsl.learn import hear
from kdsl.models.voter import kind
from kdsl.taxonomy import Task

BATCHES, SPLITS, DRAWS = 200, 100, 10
TEXTS = ("demo", "bitext", "banking77")
SHOP = Path(__file__).parents[1] / "conf" / "taxonomies" / "demo.yaml"
EXAMPLES, OTHERS = 20, 3_000  # a label of the made-up shop; rows that batches are drawn from
SIZES = (60, 400)
# Of the tilt of the shares: the smaller, the further they are from those of the examples.
CONCENTRATIONS = (5.0, 1.0)
RESAMPLES = 2_000

Rows = Sequence[tuple[Item, str]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """A reference, and what batches are drawn from; `made_of`: inputs of the former, features of the latter's rows."""

    before: Reference
    others: Reference
    made_of: tuple[Inputs, Floats] | None

    def new_words(self, chosen: NDArray[np.int64]) -> float:
        """By how much more of the words of those rows are new."""
        if self.made_of is None:
            return 0.0
        known, features = self.made_of
        return unknown(known.compare(features[chosen], self.others.label[chosen])[1])


@dataclass(frozen=True)
class Case:
    """References, each with what batches are drawn from, so many rows at a time."""

    name: str
    pairs: Sequence[Pair]
    size: int
    kin: int = 1
    """So many pairs in a row are of the same examples."""


@dataclass(frozen=True)
class Found:
    """Means over batches; `error` and `naive` are (releases, batches of each)."""

    holds: float
    width: float
    error: Floats
    naive: Floats
    ms: float

    def less(self, name: str) -> Floats:
        """Redrawn means (resamples,) of error less naive: releases, then batches of each.

        The same releases are drawn in all settings of one name.
        """
        further = self.error - self.naive
        releases, batches = further.shape
        dice = np.random.default_rng([SEED, *name.encode()])
        picked = dice.integers(releases, size=(RESAMPLES, releases, 1))
        found: Floats = further[picked, dice.integers(batches, size=(RESAMPLES, releases, batches))].mean(axis=(1, 2))
        return found


def main() -> None:
    """Print a table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="*", type=Path, help="folders of releases")
    parser.add_argument("--mire", type=Path, help="folder with train.json and images/; rules and linear learn")
    parser.add_argument("--texts", nargs="*", default=(), choices=TEXTS, help="data sets to learn a few examples of")
    parser.add_argument(
        "--draws", type=int, default=DRAWS, help="releases of each text data set, which share 200 batches"
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache/bench"))
    args = parser.parse_args()
    if args.draws < 1 or BATCHES % args.draws:
        parser.error(f"--draws: {args.draws} does not divide {BATCHES}")
    figures, shares, redrawn = [], [], []
    print(f"{'held-out examples of':26} batch tilt  holds  width   error  naive  error - naive, 1/1000    ms")
    for case in _cases(args):
        for concentration in CONCENTRATIONS:
            found = _validate(case, concentration)
            error, naive, less = float(found.error.mean()), float(found.naive.mean()), found.less(case.name)
            low, high = np.quantile(less, [0.025, 0.975]).tolist()
            where = f"{case.name:26} {case.size:5d} {concentration:4.0f} {found.holds:6.3f} {found.width:6.2f}"
            against = f"{1000 * (error - naive):+6.2f} [{1000 * low:+6.2f}, {1000 * high:+6.2f}]"
            print(f"{where} {error:7.4f} {naive:6.4f} {against} {found.ms:5.0f}", flush=True)
            of = f"estimate: {case.name}, n {case.size}, tilt {concentration:.0f}"
            figures.append(mire.figure(f"{of}: interval holds", found.holds, 0.95, 0.9 <= found.holds <= 0.99))
            figures.append(mire.figure(f"{of}: width over that on gold", found.width, 2.0, found.width <= 2))
            figures.append(mire.figure(f"{of}: error over that of mean confidence", error / naive, 1.0, error < naive))
            figures.append(mire.figure(f"{of}: error less that of mean confidence, at least", low, 0.0, low <= 0))
            shares.append(error / naive)
            redrawn.append(1 + less / naive)
    if shares:
        low, high = np.quantile(np.mean(redrawn, axis=0), [0.025, 0.975]).tolist()
        print(f"all {len(shares)}: error {np.mean(shares):.3f} [{low:.3f}, {high:.3f}] of that of the mean confidence")
        of = "estimate: all settings: error over that of mean confidence"
        figures.append(mire.figure(of, float(np.mean(shares)), 1.0, high < 1))
    print(json.dumps(figures))


def _cases(args: argparse.Namespace) -> Iterator[Case]:
    for folder in args.releases:
        for file in sorted((folder / "held_out").glob("*.npz")):
            yield _halved(f"{folder.name}/{file.stem}", votes.load(file))
    for name in args.texts:
        for size in SIZES:
            yield Case(name, [_texts(name, SEED + draw) for draw in range(args.draws)], size)
    if args.mire:
        for task in ("intent", "scene"):
            items, _ = mire_votes.examples(args.mire, args.cache, task)
            yield _halved(f"mire/{task}", mire_votes.held(args.mire, args.cache, task), items)


def _halved(name: str, held: HeldOut, items: Sequence[Item] = ()) -> Case:
    """One half is the release, which learns nothing of the other: no posterior there may owe its calibration to it."""
    dice, pairs, groups = np.random.default_rng(SEED), [], np.unique(held.groups, return_inverse=True)[1]
    surer = np.zeros(len(held.gold))
    for _ in range(SPLITS):
        first = (dice.permutation(groups.max() + 1) % 2 == 0)[groups]
        for ours in (first, ~first):
            taught, night = held.rows(ours), held.rows(~ours)
            fusion, _ = refit(taught, seed=SEED)
            said = fusion({voter: night.said[voter] for voter in fusion.voters}, night.facts)
            others = Reference(night.gold, said.label, said.log_probs)
            pairs.append(Pair(reference(taught, fusion)[0], others, _made_of(items, held, ours) if items else None))
            surer[~ours] += np.nan_to_num(np.exp(said.log_probs.max(axis=1))) - (said.label == night.gold)
    told = _over_records(surer / SPLITS, groups)
    print(f"{name}: confidence less accuracy of all rows in thousandths, over records {told}", flush=True)
    return Case(name, pairs, len(held.gold) // 4, kin=2)


def _made_of(items: Sequence[Item], held: HeldOut, ours: NDArray[np.bool_]) -> tuple[Inputs, Floats]:
    by_id = {item.item_id: item for item in items}
    taught, night = ([by_id[held.ids[at]] for at in np.flatnonzero(side)] for side in (ours, ~ours))
    known = inputs.learn(taught, held.gold[ours], [held.groups[at] for at in np.flatnonzero(ours)])
    return known, known.of(night)


def _over_records(each: Floats, groups: NDArray[np.int64]) -> str:
    """Mean of rows in thousandths with its 95 % interval over groups: as if other records had been drawn."""
    sums, sizes = np.bincount(groups, each), np.bincount(groups)
    picked = np.random.default_rng(SEED).integers(len(sums), size=(RESAMPLES, len(sums)))
    low, high = np.quantile(sums[picked].sum(axis=1) / sizes[picked].sum(axis=1), [0.025, 0.975])
    return f"{1000 * each.mean():+.1f} [{1000 * low:+.1f}, {1000 * high:+.1f}]"


@functools.cache
def _texts(name: str, seed: int) -> Pair:
    """The reference, and what the voter says of other rows."""
    task, learn, test = _shop(seed) if name == "demo" else _corpus(name, seed)
    items, gold = zip(*learn, strict=True)
    groups, linear = group_keys(items), kind("linear")
    heard = hear(linear, task, items, gold, folds=FOLDS, seed=seed, groups=groups, encoder="")
    held = held_out(task.label_names, [item.item_id for item in items], gold, groups, {"linear": heard.log_probs})
    fusion, _ = refit(held, seed=seed)
    voter = linear.fit(task, items, gold, groups, seed=seed, encoder="")
    others, theirs = zip(*test[:OTHERS], strict=True)
    fused = fusion({"linear": voter.log_probs(others)})
    place = {label: at for at, label in enumerate(task.label_names)}
    night = Reference(np.array([place[label] for label in theirs]), fused.label, fused.log_probs)
    known = inputs.learn(items, held.gold, groups)
    return Pair(reference(held, fusion)[0], night, (known, known.of(others)))


def _corpus(name: str, seed: int) -> tuple[Task, Rows, Rows]:
    data = rule_data.text_data(name, seed)
    rows = [
        (Item(f"{name}/{row}", "intent", (Turn("user", text),)), label)
        for row, (text, label) in enumerate(zip(data.texts, data.gold, strict=True))
    ]
    learn, test = data.splits[0]
    return data.task, [rows[row] for row in learn], [rows[row] for row in test]


def _shop(seed: int) -> tuple[Task, Rows, Rows]:
    """Dialogues without pictures: the history's, 20 an intent, and the nights' of another seed."""
    history, nights = _dialogues("history", seed), _dialogues("nights", 1000 + seed)
    count: Counter[str] = Counter()
    learn = []
    for item, label in history:
        count[label] += 1
        if count[label] <= EXAMPLES:
            learn.append((item, label))
    return taxonomy.load(SHOP).task("intent"), learn, nights


def _dialogues(part: Part, seed: int) -> Rows:
    rows = []
    for record in shop.dialogues(OTHERS, seed, part=part):
        turns = tuple(Turn(turn["speaker"], turn["text"]) for turn in record["turns"])
        if label := record.get("labels", {}).get("intent"):  # some lie outside of every label
            rows.append((Item(record["conversation_id"], "intent", turns), label))
    return rows


def _validate(case: Case, concentration: float) -> Found:
    dice = np.random.default_rng(SEED)
    rows = []
    for number in range(BATCHES):
        pair = case.pairs[number % len(case.pairs)]
        before, others = pair.before, pair.others
        tilt = dice.dirichlet(np.full(others.log_probs.shape[1], concentration))[others.gold] + 1e-9
        chosen = dice.choice(len(others.gold), case.size, replace=False, p=tilt / tilt.sum())
        night = _rows(others, chosen)
        gold, said = ([None if label < 0 else str(label) for label in side] for side in (night.gold, night.label))
        measured = metrics.estimate(metrics.confusion(gold, said), seed=number, resamples=300)
        begun = time.monotonic()
        found = estimate(before, night.log_probs, night.label, seed=number, unknown=pair.new_words(chosen))
        ms = 1000 * (time.monotonic() - begun)
        sure = float(np.nanmean(np.exp(night.log_probs.max(axis=1))))
        holds = found.low <= measured.value <= found.high
        off = abs(found.value - measured.value), abs(sure - measured.value)
        rows.append((holds, found.high - found.low, measured.high - measured.low, *off, ms))
    columns = np.array(rows, dtype=np.float64).T
    holds, ours, golds, _, _, ms = columns.mean(axis=1).tolist()
    # Batches in turn are of the pairs in turn; those of kin stand together.
    turns = columns[3:5].reshape(2, -1, len(case.pairs) // case.kin, case.kin)
    error, naive = turns.transpose(0, 2, 1, 3).reshape(2, len(case.pairs) // case.kin, -1)
    return Found(holds, ours / golds, error, naive, ms)


def _rows(of: Reference, chosen: NDArray[np.int64]) -> Reference:
    return Reference(of.gold[chosen], of.label[chosen], of.log_probs[chosen])


if __name__ == "__main__":
    main()
