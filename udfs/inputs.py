"""What items are made of, on executors: numbers that a night is compared with the examples by."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from kdsl.arrow import items_of
from kdsl.inputs import Inputs, load
from udfs.placed import placed
from udfs.unquoted import Batches, unquoted

FEATURED = pa.schema([("item_id", pa.string()), ("task", pa.string()), ("features", pa.list_(pa.float64()))])


def features_of(path: str) -> Callable[[Batches], Batches]:
    """A function for `mapInArrow` over items: one row of `FEATURED` an item of a task with a file in `path`/inputs."""

    @unquoted
    def featured(batches: Batches) -> Batches:
        folder = placed(path)
        for batch in batches:
            items = items_of(batch)
            for task in sorted({item.task for item in items}):
                own = [item for item in items if item.task == task]
                rows = _inputs(f"{folder}/inputs/{task}.npz").of(own)
                yield pa.RecordBatch.from_pydict(
                    {"item_id": [i.item_id for i in own], "task": [task] * len(own), "features": rows.tolist()},
                    schema=FEATURED,
                )

    return featured


@lru_cache(maxsize=8)
def _inputs(file: str) -> Inputs:
    return load(Path(file))
