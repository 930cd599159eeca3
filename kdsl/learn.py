"""Out-of-fold predictions: what a kind of voter says of examples that it did not learn from."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kdsl.dialogue import Item
from kdsl.folds import assign, group_keys, hash_order
from kdsl.models.voter import Kind, LogProbs
from kdsl.taxonomy import Task


def out_of_fold(
    kind: Kind,
    task: Task,
    items: Sequence[Item],
    gold: Sequence[str],
    *,
    folds: int,
    seed: int,
    groups: Sequence[str] | None = None,
    **options: Any,
) -> LogProbs:
    """Log-probabilities (n, labels) of each item by a voter fitted on the other folds.

    Near-duplicates (`groups`, by default `group_keys(items)`) are never in two folds. The same items in another order
    give the same rows in that order. A fold whose other folds hold nothing is abstained from (NaN).

    Args:
        options: passed to `kind.fit`, for example `encoder`.
    """
    groups = group_keys(items) if groups is None else groups
    fold = assign([item.item_id for item in items], gold, groups, folds=folds, seed=seed)
    order = sorted(range(len(items)), key=lambda row: hash_order(items[row].item_id, seed))
    out = np.full((len(items), len(task.labels)), np.nan)
    for number in range(folds):
        held = [row for row in order if fold[row] == number]
        rest = [row for row in order if fold[row] != number]
        if not held or not rest:
            continue
        voter = kind.fit(
            task, [items[row] for row in rest], [gold[row] for row in rest], [groups[row] for row in rest],
            seed=seed, **options,
        )  # fmt: skip
        out[held] = voter.log_probs([items[row] for row in held])
    return out
