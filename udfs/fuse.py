"""Two fusions over stored votes: what each release would say of an item, without a model."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from kdsl.fusion.fusion import Fusion

COMPARED = pa.schema(
    [("item_id", pa.string()), ("task", pa.string()), ("old", pa.string()), ("new", pa.string()), ("known", pa.bool_())]
)
Batches = Iterator[pa.RecordBatch]
Side = Mapping[str, tuple[Fusion, Mapping[str, str]]]
"""task -> a release's fusion, and voter -> the digest that its votes carry."""


def compare_batches(old: Side, new: Side) -> Callable[[Batches], Batches]:
    """A function for `mapInArrow` over (item_id, task, votes map<digest, log-probabilities>): rows of `COMPARED`.

    `known` is false where a vote of either release is not there; an item of which it is has no labels.
    """

    def compare(batches: Batches) -> Batches:
        for batch in batches:
            rows = batch.to_pylist()
            out: list[dict[str, Any]] = [{"item_id": r["item_id"], "task": r["task"], "known": False} for r in rows]
            for task in {row["task"] for row in rows} & old.keys() & new.keys():
                digests = {*old[task][1].values(), *new[task][1].values()}
                at = [i for i, row in enumerate(rows) if row["task"] == task and digests <= dict(row["votes"]).keys()]
                votes = [dict(rows[i]["votes"]) for i in at]
                for side, name in ((old, "old"), (new, "new")):
                    for i, label in zip(at, _labels(*side[task], votes), strict=True):
                        out[i] |= {name: label, "known": True}
            yield pa.RecordBatch.from_pylist(out, schema=COMPARED)

    return compare


def _labels(fusion: Fusion, digests: Mapping[str, str], votes: list[dict[str, list[float] | None]]) -> list[str | None]:
    if not votes:
        return []
    by_voter = [{voter: row[digests[voter]] for voter in fusion.voters} for row in votes]
    return [fusion.labels[label] if label >= 0 else None for label in fusion.of_stored(by_voter).label]
