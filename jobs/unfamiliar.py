"""How like the examples the items of a night are, by what they are made of."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jobs.items import among, targets, units
from jobs.lake import Lake
from jobs.seen import seen
from jobs.unlearned import drawn
from kdsl.inputs import Inputs, Shift
from kdsl.release import Release
from udfs.inputs import FEATURED, features_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLED = 500  # items of a batch that are looked at, drawn by hash of the id


class Likeness(NamedTuple):
    """The probability of items so unlike the examples, what differs most, and how many items were looked at."""

    value: float
    shifts: list[Shift]
    n: int


def likenesses(
    lake: Lake, release: Release, labels: "DataFrame", days: Collection[date]
) -> dict[tuple[date, str], Likeness]:
    """By date and task of `labels` (see `jobs.unlearned.labelled`).

    Tasks of a release that holds nothing to compare with are left out.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    known = {task: found for task in release.manifest.voters if (found := release.inputs(task))}
    if not known:
        return {}
    given = labels.where(among(days) & F.col("error_code").isNull() & F.col("task").isin(list(known)))
    sample = drawn(given, SAMPLED).select("item_id", "task", "event_date", "label")
    wanted = targets(lake, units(release.taxonomy, known), among(days)).join(
        sample.drop("label"), ["item_id", "task", "event_date"], "left_semi"
    )
    wanted = wanted.persist()  # it is asked for several times, and each scan of a table costs a look into its log
    try:
        items = seen(lake, wanted, release.manifest.reader_version)
        featured = items.mapInArrow(features_of(str(release.path)), from_arrow_schema(FEATURED)).toArrow()
    finally:
        wanted.unpersist()
    features = {(row["item_id"], row["task"]): row["features"] for row in featured.to_pylist()}
    batches: dict[tuple[date, str], list[tuple[str | None, list[float]]]] = defaultdict(list)
    for row in sample.toArrow().to_pylist():
        if (key := (row["item_id"], row["task"])) in features:
            batches[row["event_date"], row["task"]].append((row["label"], features[key]))
    return {key: _likeness(release, known[key[1]], key[1], batches[key]) for key in sorted(batches)}


def _likeness(release: Release, known: Inputs, task: str, rows: list[tuple[str | None, list[float]]]) -> Likeness:
    place = {label: at for at, label in enumerate(release.taxonomy.task(task).label_names)}
    given = np.array([place.get(label or "", -1) for label, _ in rows], dtype=np.int64)
    value, shifts = known.compare(np.array([features for _, features in rows], dtype=np.float64), given)
    return Likeness(value, shifts, len(rows))
