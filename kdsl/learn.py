"""Out-of-fold predictions: what a kind of voter says of examples that it did not learn from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.folds import assign, group_keys, hash_order
from kdsl.fusion.facts import Evidential, Facts, joined
from kdsl.models.voter import Kind, LogProbs, Voter, interrupted
from kdsl.taxonomy import Task

if TYPE_CHECKING:
    from kdsl.models.lessons import Lesson

HOLD_OUT = 5  # one of so many parts is held out of a kind that is fitted once


def splits(
    kind: Kind, ids: Sequence[str], gold: Sequence[str], groups: Sequence[str], *, folds: int, seed: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Rows to learn from and rows to ask, once a fold; once in all for a kind that is scored on a hold-out.

    Rows come in hash order. Every kind of the same `folds` and `seed` gets the same folds; a part without rows to learn
    from is left out, so its rows are asked of nobody.
    """
    fold = assign(ids, gold, groups, folds=HOLD_OUT if kind.hold_out else folds, seed=seed)
    order = sorted(range(len(ids)), key=lambda row: hash_order(ids[row], seed))
    for number in range(1 if kind.hold_out else folds):
        held = [row for row in order if fold[row] == number]
        rest = [row for row in order if fold[row] != number]
        if held and rest:
            yield rest, held


@dataclass(frozen=True)
class Heard:
    """What a kind of voter said of examples that it did not learn from.

    `log_probs` (n, labels) is NaN where it abstained and where nobody asked it; `asked` (n,) tells which. `facts` are
    the rules that fired, of a kind that has rules. `interrupted`: Ctrl-C ended it before every fold was asked.
    """

    log_probs: LogProbs
    asked: NDArray[np.bool_]
    facts: Facts | None
    interrupted: bool = False


def hear(
    kind: Kind,
    task: Task,
    items: Sequence[Item],
    gold: Sequence[str],
    *,
    folds: int,
    seed: int,
    groups: Sequence[str] | None = None,
    met: Callable[[Voter], None] = lambda _: None,
    beside: "Sequence[Lesson]" = (),
    **options: Any,
) -> Heard:
    """Ask a kind of voter of each item, fitted on the other folds.

    Near-duplicates (`groups`, by default `group_keys(items)`) are never in two folds. The same items in another order
    give the same rows in that order. After a fold whose search Ctrl-C ended no other is learned: nobody asks its rows.

    Args:
        met: gets each fold's voter.
        beside: lessons of other tasks, for a kind that learns these too; without the items that are asked.
        options: passed to `kind.fit`, for example `encoder`.
    """
    groups = group_keys(items) if groups is None else groups
    ids = [item.item_id for item in items]
    out = np.full((len(items), len(task.labels)), np.nan)
    asked = np.zeros(len(items), dtype=bool)
    facts: list[tuple[NDArray[np.int64], Facts]] = []
    stopped = False
    for rest, held in splits(kind, ids, gold, groups, folds=folds, seed=seed):
        unseen = {ids[row] for row in held}  # the gold that another task has for these tells of theirs
        more = {"beside": [lesson.without(unseen) for lesson in beside]} if beside else {}
        voter = kind.fit(
            task, [items[row] for row in rest], [gold[row] for row in rest], [groups[row] for row in rest],
            seed=seed, **more, **options,
        )  # fmt: skip
        met(voter)
        batch = [items[row] for row in held]
        out[held] = voter.log_probs(batch)
        asked[held] = True
        if isinstance(voter, Evidential):
            facts.append((np.array(held), voter.facts(batch)))
        if stopped := interrupted(voter):
            break
    return Heard(out, asked, joined(facts) if facts else None, stopped)


def out_of_fold(
    kind: Kind, task: Task, items: Sequence[Item], gold: Sequence[str], *, folds: int, seed: int, **options: Any
) -> LogProbs:
    """Log-probabilities (n, labels) as `hear` gets them."""
    return hear(kind, task, items, gold, folds=folds, seed=seed, **options).log_probs
