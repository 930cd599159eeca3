"""A release over items and their stored votes: what it says of them without a model."""

from collections.abc import Callable
from itertools import groupby
from typing import Any

import pyarrow as pa

from kdsl.arrow import items_of
from kdsl.revote import Says, revoter
from udfs.placed import placed
from udfs.unquoted import Batches, unquoted

SAYS = pa.schema([("item_id", pa.string()), ("task", pa.string()), ("says", pa.string()), ("known", pa.bool_())])


def revote_batches(path: str, release_id: str) -> Callable[[Batches], Batches]:
    """A function for `mapInArrow` over items with `votes` map<digest, log-probabilities>: one row of `SAYS` an item.

    `known` is false where a model's vote is not stored.
    """

    @unquoted
    def revote(batches: Batches) -> Batches:
        release = revoter(placed(path), release_id)
        for batch in batches:
            items = items_of(batch)
            votes = [dict(row or ()) for row in batch.column("votes").to_pylist()]
            rows: list[dict[str, Any]] = []
            places = sorted(range(len(items)), key=lambda place: items[place].task)
            for task, group in groupby(places, key=lambda place: items[place].task):
                at = list(group)
                said: list[Says] = release.says(task, [items[i] for i in at], [votes[i] for i in at])
                for i, one in zip(at, said, strict=True):
                    rows.append({"item_id": items[i].item_id, "task": task, "says": one.label, "known": one.known})
            yield pa.RecordBatch.from_pylist(rows, schema=SAYS)

    return revote
