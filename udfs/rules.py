"""Rules over Arrow batches of items: which fired where, for rules that no release holds yet."""

from collections.abc import Callable
from functools import lru_cache

import pyarrow as pa

from kdsl.arrow import items_of
from kdsl.models.rule_voter import columns_of
from kdsl.rules import parse
from kdsl.rules.engine import Engine
from udfs.unquoted import Batches, unquoted

FIRED = pa.schema([("item_id", pa.string()), ("task", pa.string()), ("rules", pa.list_(pa.string()))])


def fire_batches(rules: str) -> Callable[[Batches], Batches]:
    """A function for `mapInArrow` over items: one row of `FIRED` an item. `rules` is a set as JSON: text travels."""

    @unquoted
    def fire(batches: Batches) -> Batches:
        engine = _engine(rules)
        for batch in batches:
            fired = engine.evaluate(columns_of(items_of(batch)))
            columns = [batch.column(name).cast(pa.string()) for name in ("item_id", "task")] + [fired.to_arrow()]
            yield pa.RecordBatch.from_arrays(columns, schema=FIRED)

    return fire


@lru_cache(maxsize=4)
def _engine(rules: str) -> Engine:
    return Engine(parse.from_json(rules))
