"""`batch_metrics`: each date's weighted F1 against gold that the release did not learn from, and what the run did."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple

from jobs import unfamiliar, unlabelled, unlearned
from jobs.items import among, within
from jobs.lake import Lake
from jobs.ledger import Run
from jobs.options import Days
from jobs.tables import BATCH_METRICS
from jobs.together import together
from jobs.unfamiliar import Likeness
from kdsl import metrics
from kdsl.kolmogorov import UNLIKE
from kdsl.metrics import Estimate
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ESTIMATED = "estimated_weighted_f1"
OF_QUALITY = ("weighted_f1", "f1", "rows", "abstain_rate", "error_rate")
NONE = Estimate(0.0, 0.0, 0.0, 0)


class Key(NamedTuple):
    """What a figure is of; `label` is empty for figures of a whole task."""

    event_date: date
    task: str
    metric: str
    label: str


def write(
    lake: Lake, release: Release, days: Days, run: Run, worked: Mapping[date, int], *, retried: Collection[date] = ()
) -> dict[tuple[date, str], str]:
    """Append the figures of each day that changed since they were written last; why an estimate is doubtful, if it is.

    Quality figures are computed anew from labels and gold, so gold that arrives later corrects them. Figures of work
    (seconds, cache hits) are written for the days on which this run labelled `worked[day]` items: a run works on many
    days at once, so each day gets its share by rows. Days in `retried`, on which it asked of nothing but rows with a
    passing fault once more, count only where an answer changed. Estimates are written for the days worked on, and for
    those that have labels and none yet: a run was killed before it measured, or `evaluate` labelled them.
    """
    labels = unlearned.labelled(lake, release, days).persist()
    try:
        if retried:
            changed = _changed(labels, retried, run)
            worked = {day: n for day, n in worked.items() if day not in retried or day in changed}
        (figures, before, likenesses), estimates = together(
            lambda: (
                _quality(lake, release, labels),
                stored(lake, release, days),
                unfamiliar.likenesses(lake, release, labels, worked) if worked else {},
            ),
            lambda: unlabelled.estimates(lake, release, labels, worked) if worked else {},
        )
        estimable = {(key.event_date, key.task) for key in figures if key.metric == "rows"}
        missing = {day for day, task in estimable if Key(day, task, ESTIMATED, "") not in before} - set(worked)
        if missing:
            likenesses |= unfamiliar.likenesses(lake, release, labels, missing)
            estimates |= unlabelled.estimates(lake, release, labels, missing)
    finally:
        labels.unpersist()
    total = sum(worked.values())
    for day, n in worked.items():
        share = n / total
        for stage, seconds in run.seconds.items():
            figures[Key(day, "all", "seconds", stage)] = _plain(seconds * share, n)
        for name in ("pictures_read", "pictures_cached"):
            if name in run.counts:
                figures[Key(day, "all", name, "")] = _plain(run.counts[name] * share, n)
    estimated, doubtful = _estimated(estimates, likenesses)
    figures |= estimated
    # Gold or labels that went away take their figures with them: a figure of no rows is none.
    figures |= {key: NONE for key in before if key not in figures and _goes(key, {*worked, *missing})}
    now = datetime.now(UTC)
    rows = [
        (run.run_id, *key[:4], e.value, e.low, e.high, e.n, release.manifest.release_id, now)
        for key, e in sorted(figures.items())
        if before.get(key) != e
    ]
    if rows:
        lake.append("batch_metrics", lake.spark.createDataFrame(rows, BATCH_METRICS.columns).coalesce(1))
    return doubtful


def _estimated(
    estimates: Mapping[tuple[date, str], tuple[Estimate, float]], likenesses: Mapping[tuple[date, str], Likeness]
) -> tuple[dict[Key, Estimate], dict[tuple[date, str], str]]:
    """The figures of nights without gold, and by day and task why an estimate cannot be relied on."""
    figures: dict[Key, Estimate] = {}
    doubtful: dict[tuple[date, str], str] = {}
    for (day, task), (found, likeness) in estimates.items():
        figures[Key(day, task, ESTIMATED, "")] = found
        figures[Key(day, task, "likeness", "")] = _plain(likeness, found.n)
        if likeness < UNLIKE:
            doubtful[day, task] = "scores unlike those of the examples"
    for (day, task), inputs in likenesses.items():
        figures[Key(day, task, "input_likeness", "")] = _plain(inputs.value, inputs.n)
        for shift in inputs.shifts if inputs.value < UNLIKE else ():
            if shift.likeness * len(inputs.shifts) < UNLIKE:
                figures[Key(day, task, "input_shift", shift.name)] = _plain(shift.tonight, inputs.n)
        if inputs.value < UNLIKE:
            doubtful[day, task] = f"items unlike the examples, most of all in {inputs.shifts[0]}"
    return figures, doubtful


def _changed(labels: "DataFrame", days: Collection[date], run: Run) -> set[date]:
    """Those of the days on which a label is of this run: one that says what was stored is not written again."""
    from pyspark.sql import functions as F

    own = labels.where(among(days) & (F.col("run_id") == run.run_id)).select("event_date").distinct()
    return {row["event_date"] for row in own.collect()}


def _goes(key: Key, worked: Collection[date]) -> bool:
    """Whether a stored figure that was not found again is none now."""
    return key.metric in OF_QUALITY or (key.metric == "input_shift" and key.event_date in worked)


def _quality(lake: Lake, release: Release, labels: "DataFrame") -> dict[Key, Estimate]:
    by_batch: dict[tuple[date, str], Counter[tuple[str | None, str | None, float]]] = defaultdict(Counter)
    rows: Counter[tuple[date, str]] = Counter()
    abstained: Counter[tuple[date, str]] = Counter()
    failed: Counter[tuple[date, str]] = Counter()
    for row in unlearned.counted(lake, release, labels):
        batch = (row["event_date"], row["task"])
        rows[batch] += row["count"]
        abstained[batch] += row["count"] * row["abstained"]
        failed[batch] += row["count"] * row["failed"]
        if row["gold"] is not None:
            by_batch[batch][row["gold"], row["label"], row["weight"]] += row["count"]
    figures: dict[Key, Estimate] = {}
    for (day, task), n in rows.items():
        figures[Key(day, task, "rows", "")] = _plain(n, n)
        figures[Key(day, task, "abstain_rate", "")] = _plain(abstained[day, task] / n, n)
        figures[Key(day, task, "error_rate", "")] = _plain(failed[day, task] / n, n)
    for (day, task), drawn in by_batch.items():
        cells = dict(sorted(drawn.items(), key=str))
        figures[Key(day, task, "weighted_f1", "")] = metrics.estimate_drawn(cells)
        matrix, rows_of = metrics.weighed(cells), metrics.from_cells(cells).counts.sum(axis=1)
        for label, f1, n in zip(matrix.labels, metrics.f1_by_label(matrix.counts), rows_of, strict=True):
            if label is not None and n:
                figures[Key(day, task, "f1", label)] = _plain(float(f1), int(n))
    return figures


def stored(lake: Lake, release: Release, days: Days) -> dict[Key, Estimate]:
    """The newest stored figure of each key, where it is this release's: one that labels again states itself again."""
    rows = lake.df("batch_metrics").where(within(days))
    figures = rows.select(*Key._fields, *Estimate.__match_args__, "release_id", "computed_at").collect()
    newest = {Key(*row[:4]): row for row in sorted(figures, key=lambda row: row["computed_at"])}
    return {key: Estimate(*row[4:8]) for key, row in newest.items() if row["release_id"] == release.manifest.release_id}


def _plain(value: float, n: int) -> Estimate:
    """A figure that is counted, not estimated: its interval is itself."""
    return Estimate(float(value), float(value), float(value), n)
