"""What of the items of some dates a release has yet to label, and what lies in `labels` without an item."""

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from jobs.items import TARGET
from jobs.lake import Lake
from kdsl.errors import ErrorCode
from kdsl.release import Release
from kdsl.unseen import MARK

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# A mount that was away, a voter that ran out of memory: another night may go better.
PASSING = (ErrorCode.IMAGE_MISSING.value, ErrorCode.VOTER_FAILED.value)
_PLACE = ["item_id", "task", "event_date"]


class Found(NamedTuple):
    """What there is to do on one date; `again` are pending once more, `orphans` are labels without an item."""

    event_date: date
    pending: int
    again: int
    orphans: int


def pending(lake: Lake, release_id: str, wanted: "DataFrame", days: "Column", table: str = "labels") -> "DataFrame":
    """The targets in `wanted` that this release has not labelled in `table`; `again`: its fault there may pass, or a
    picture that it was labelled without may be back.

    A row that is not `again` differs from whatever the table holds of it.
    """
    found = wanted.join(_stored(lake, release_id, days, table), _PLACE, "left")
    return found.where(_open(release_id)).select(*TARGET, _again(release_id).alias("again"))


def survey(
    lake: Lake, release: Release, wanted: "DataFrame", days: "Column", table: str = "labels", *, whole: bool = True
) -> list[Found]:
    """What is to do by date, in order; dates with nothing to do are left out.

    `whole`: `wanted` is all there is on those days, so that a label without a target has lost its item.
    """
    from pyspark.sql import functions as F

    there, release_id = F.col("input_hash").isNotNull(), release.manifest.release_id
    stored = _stored(lake, release_id, days & F.col("task").isin(list(release.manifest.voters)), table)
    found = wanted.join(stored, _PLACE, "full" if whole else "left")
    todo = there & _open(release_id)
    counts = F.count_if(todo), F.count_if(todo & _again(release_id)), F.count_if(~there)
    found_on = (Found(*row) for row in found.groupBy("event_date").agg(*counts).collect())
    return sorted(at for at in found_on if at.pending or at.orphans)


def _stored(lake: Lake, release_id: str, days: "Column", table: str) -> "DataFrame":
    from pyspark.sql import functions as F

    rows = lake.df(table).where(days)
    if table != "labels":  # there each release has a row of its own
        rows = rows.where(F.col("release_id") == release_id)
    passing = F.coalesce(F.col("error_code").isin(*PASSING), F.lit(False)) | F.contains("input_hash", F.lit(MARK))
    was = F.substring_index("input_hash", MARK, 1).alias("was")
    return rows.select(*_PLACE, was, F.col("release_id").alias("of"), passing.alias("passing"))


def _known(release_id: str) -> "Column":
    """Whether the table holds what this release says of this input; null where it holds nothing."""
    from pyspark.sql import functions as F

    return (F.col("of") == release_id) & (F.col("was") == F.col("input_hash"))


def _again(release_id: str) -> "Column":
    from pyspark.sql import functions as F

    return F.coalesce(_known(release_id), F.lit(False))


def _open(release_id: str) -> "Column":
    from pyspark.sql import functions as F

    return ~_again(release_id) | F.col("passing")
