"""The figures of a batch: weighted F1 and F1 by label, rates, and what nights without gold are estimated at."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from jobs.unfamiliar import Likeness
from kdsl import metrics
from kdsl.kolmogorov import UNLIKE
from kdsl.metrics import Estimate
from kdsl.taxonomy import Taxonomy

if TYPE_CHECKING:
    from pyspark.sql import Row

ESTIMATED = "estimated_weighted_f1"
OF_ESTIMATE = (ESTIMATED, "likeness", "input_likeness", "input_shift")
OF_QUALITY = ("weighted_f1", "f1", "rows", "abstain_rate", "error_rate")
NONE = Estimate(0.0, 0.0, 0.0, 0)


class Key(NamedTuple):
    """What a figure is of; `label` is empty for figures of a whole task."""

    event_date: date
    task: str
    metric: str
    label: str


def foreign(gold: Iterable[tuple[str, str | None, int]], taxonomy: Taxonomy) -> str:
    """What to say of gold (task, label, rows) whose label a release of that taxonomy does not know; "" of none."""
    known = {(task.name, label) for task in taxonomy.tasks for label in task.label_names}
    found: Counter[tuple[str, str]] = Counter()
    for task, label, rows in gold:
        if label is not None and (task, label) not in known:
            found[task, label] += rows
    if not found:
        return ""
    named = ", ".join(f"{task} {label}" for (task, label), _ in found.most_common(3))
    return (
        f"{found.total():,} gold labels are none of the release's labels ({len(found):,} others, as {named}) and count "
        "as wrong; correct them, or fit anew"
    )


def plain(value: float, n: int) -> Estimate:
    """A figure that is counted, not estimated: its interval is itself."""
    return Estimate(float(value), float(value), float(value), n)


def estimated(
    estimates: Mapping[tuple[date, str], tuple[Estimate, float]], likenesses: Mapping[tuple[date, str], Likeness]
) -> tuple[dict[Key, Estimate], dict[tuple[date, str], str]]:
    """The figures of nights without gold, and by day and task why an estimate cannot be relied on."""
    figures: dict[Key, Estimate] = {}
    doubtful: dict[tuple[date, str], str] = {}
    for (day, task), (found, likeness) in estimates.items():
        figures[Key(day, task, ESTIMATED, "")] = found
        figures[Key(day, task, "likeness", "")] = plain(likeness, found.n)
        if likeness < UNLIKE:
            doubtful[day, task] = "scores unlike those of the examples"
    for (day, task), inputs in likenesses.items():
        figures[Key(day, task, "input_likeness", "")] = plain(inputs.value, inputs.n)
        for shift in inputs.shifts if inputs.value < UNLIKE else ():
            if shift.likeness * len(inputs.shifts) < UNLIKE:
                figures[Key(day, task, "input_shift", shift.name)] = plain(shift.tonight, inputs.n)
        if inputs.value < UNLIKE:
            doubtful[day, task] = f"items unlike the examples, most of all in {inputs.shifts[0]}"
    return figures, doubtful


def measured(counted: "Iterable[Row]") -> dict[Key, Estimate]:
    """Quality by day and task, of rows as `unlearned.counted` gives them."""
    by_batch: dict[tuple[date, str], Counter[tuple[str | None, str | None, float]]] = defaultdict(Counter)
    rows: Counter[tuple[date, str]] = Counter()
    abstained: Counter[tuple[date, str]] = Counter()
    failed: Counter[tuple[date, str]] = Counter()
    for row in counted:
        batch = (row["event_date"], row["task"])
        rows[batch] += row["count"]
        abstained[batch] += row["count"] * row["abstained"]
        failed[batch] += row["count"] * row["failed"]
        if row["gold"] is not None:
            by_batch[batch][row["gold"], row["label"], row["weight"]] += row["count"]
    figures: dict[Key, Estimate] = {}
    for (day, task), n in rows.items():
        figures[Key(day, task, "rows", "")] = plain(n, n)
        figures[Key(day, task, "abstain_rate", "")] = plain(abstained[day, task] / n, n)
        figures[Key(day, task, "error_rate", "")] = plain(failed[day, task] / n, n)
    for (day, task), drawn in by_batch.items():
        cells = dict(sorted(drawn.items(), key=str))
        figures[Key(day, task, "weighted_f1", "")] = metrics.estimate_drawn(cells)
        for label, found in metrics.estimates_by_label(cells).items():
            figures[Key(day, task, "f1", label)] = found
    return figures
