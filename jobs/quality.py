"""`batch_metrics`: each date's weighted F1 against gold that the release did not learn from, and what the run did."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from jobs import console, unfamiliar, unlabelled, unlearned
from jobs.figures import ESTIMATED, NONE, OF_ESTIMATE, OF_QUALITY, Key, estimated, foreign, measured, plain
from jobs.items import among, within
from jobs.lake import Lake
from jobs.ledger import Run
from jobs.options import Days
from jobs.tables import BATCH_METRICS
from jobs.together import together
from kdsl.metrics import Estimate
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write(
    lake: Lake, release: Release, days: Days, run: Run, worked: Mapping[date, int], *, retried: Collection[date] = ()
) -> dict[tuple[date, str], str]:
    """Append the figures of each day that changed since they were written last; why an estimate is doubtful, if it is.

    Quality figures are computed anew from labels and gold, so gold that arrives later corrects them. Figures of work
    (seconds, cache hits) are written for the days on which this run labelled `worked[day]` items: a run works on many
    days at once, so each day gets its share by rows. Days in `retried`, on which it asked of nothing but rows with a
    passing fault once more, count only where an answer changed. Estimates are written for the days worked on, and for
    those that have labels and none yet, or one of another number of rows: a run was killed before it measured,
    `evaluate` labelled them, items went away. What the release learned from takes no part in estimates.
    """
    labels = unlearned.labelled(lake, release, days).persist()
    # What is learned is known by heart: its words are none of them new, and its votes are surer than they would be.
    known = unlearned.learned(lake, release)
    others = unlearned.unknown(labels, known)
    try:
        if retried:
            changed = _changed(labels, retried, run)
            worked = {day: n for day, n in worked.items() if day not in retried or day in changed}
        (counted, before, likenesses), heard = together(
            lambda: (
                unlearned.counted(lake, known, labels),
                stored(lake, release, days),
                unfamiliar.likenesses(lake, release, others, worked) if worked else {},
            ),
            lambda: unlabelled.heard(lake, release, others, worked) if worked else {},
        )
        figures = measured(counted)
        if told := foreign(((row["task"], row["gold"], row["count"]) for row in counted), release.taxonomy):
            console.say(told)
        estimable = {(key.event_date, key.task) for key in figures if key.metric == "rows"}
        missing = {batch[0] for batch in estimable if _outdated(batch, figures, before)} - set(worked)
        if missing:
            likenesses |= unfamiliar.likenesses(lake, release, others, missing)
            heard |= unlabelled.heard(lake, release, others, missing)
    finally:
        labels.unpersist()
    total = sum(worked.values())
    for day, n in worked.items():
        share = n / total
        for stage, seconds in run.seconds.items():
            figures[Key(day, "all", "seconds", stage)] = plain(seconds * share, n)
        for name in ("pictures_read", "pictures_cached"):
            if name in run.counts:
                figures[Key(day, "all", name, "")] = plain(run.counts[name] * share, n)
    guessed, doubtful = estimated(unlabelled.estimates(release, heard, likenesses), likenesses)
    # That there is none is noted as well, of a day of learned items alone: else each run would look for it again.
    none = {Key(*batch, ESTIMATED, ""): NONE for batch in estimable if batch[0] in {*worked, *missing}}
    figures |= none | guessed
    # Gold or labels that went away take their figures with them: a figure of no rows is none.
    figures |= {key: NONE for key in before if key not in figures and _goes(key, {*worked, *missing}, estimable)}
    now = datetime.now(UTC)
    rows = [
        (run.run_id, *key[:4], e.value, e.low, e.high, e.n, release.manifest.release_id, now)
        for key, e in sorted(figures.items())
        if before.get(key) != e
    ]
    if rows:
        lake.append("batch_metrics", lake.spark.createDataFrame(rows, BATCH_METRICS.columns).coalesce(1))
    return doubtful


def _changed(labels: "DataFrame", days: Collection[date], run: Run) -> set[date]:
    """Those of the days on which a label is of this run: one that says what was stored is not written again."""
    from pyspark.sql import functions as F

    own = labels.where(among(days) & (F.col("run_id") == run.run_id)).select("event_date").distinct()
    return {row["event_date"] for row in own.collect()}


def _outdated(batch: tuple[date, str], figures: Mapping[Key, Estimate], before: Mapping[Key, Estimate]) -> bool:
    """Whether a day and task was never estimated, or when it had another number of rows."""
    rows = Key(*batch, "rows", "")
    return Key(*batch, ESTIMATED, "") not in before or figures[rows] != before.get(rows)


def _goes(key: Key, worked: Collection[date], labelled: Collection[tuple[date, str]]) -> bool:
    """Whether a stored figure that was not found again is none now; those of work stay."""
    again = key.event_date in worked or (key.event_date, key.task) not in labelled
    return key.metric in OF_QUALITY or (again and key.metric in OF_ESTIMATE)


def stored(lake: Lake, release: Release, days: Days) -> dict[Key, Estimate]:
    """The newest stored figure of each key, where it is this release's: one that labels again states itself again."""
    rows = lake.df("batch_metrics").where(within(days))
    figures = rows.select(*Key._fields, *Estimate.__match_args__, "release_id", "computed_at").collect()
    newest = {Key(*row[:4]): row for row in sorted(figures, key=lambda row: row["computed_at"])}
    return {key: Estimate(*row[4:8]) for key, row in newest.items() if row["release_id"] == release.manifest.release_id}
