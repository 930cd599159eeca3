"""What a report tells, read from a release and from the lake."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from jobs import quality, report_rules, unlearned
from jobs.figures import Key
from jobs.lake import Lake
from jobs.options import Days
from kdsl import child, metrics, tally
from kdsl.kolmogorov import UNLIKE
from kdsl.manifest import Score
from kdsl.metrics import Confusion, Estimate
from kdsl.models import adapter
from kdsl.models.adapter import Progress
from kdsl.release import Release
from kdsl.report.content import Content, Night, TaskPart

if TYPE_CHECKING:
    from pyspark.sql import Row


def collect(lake: Lake, release: Release, days: Days) -> Content:
    """What the page tells: of the release, and of what it said on those days."""
    manifest, known = release.manifest, unlearned.learned(lake, release)
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in unlearned.counted(lake, known, unlearned.labelled(lake, release, days)):
        by_task[row["task"]].append(row)
    stored, fired = quality.stored(lake, release, days), report_rules.fired(lake, release, known, days)
    parts = tuple(_part(release, task, by_task[task], stored, fired) for task in manifest.voters)
    if any(part.asking for part in parts):
        seconds = dear_seconds(lake, release)
        parts = tuple(replace(part, dear_seconds=seconds) for part in parts)
    return Content(
        manifest.release_id, manifest.taxonomy, manifest.created_at, manifest.parent, parts, release.seesaw()
    )


def _part(
    release: Release, task: str, rows: "list[Row]", stored: Mapping[Key, Estimate], fired: "list[Row]"
) -> TaskPart:
    manifest, fusion, held = release.manifest, release.fusion(task), release.held_out(task)
    given = Counter[str]()
    cells = Counter[tuple[str | None, str | None, float]]()
    for row in sorted(rows, key=str):
        if row["label"] is not None:
            given[row["label"]] += row["count"]
        if row["gold"] is not None:
            cells[row["gold"], row["label"], row["weight"]] += row["count"]
    counts = np.bincount(held.gold, minlength=len(held.labels)).tolist()
    return TaskPart(
        name=task,
        labels=held.labels,
        voters=manifest.voters[task],
        uses=fusion.who,
        scores=_estimates(manifest.scores[task]),
        gains=_estimates(manifest.gains.get(task, {})),
        left_out=_estimates(manifest.left_out.get(task, {})),
        weights={name: fusion.weights[name] for name in fusion.speakers},
        idle=fusion.idle,
        called=manifest.called,
        confusion=metrics.from_cells(cells) if cells else _held_out(release, task),
        of_nights=bool(cells),
        drawn=cells,
        example_counts=dict(zip(held.labels, counts, strict=True)),
        night_counts=given,
        reliability=release.reliability(task),
        learned=_learned(release, task),
        asking=manifest.asking.get(task),
        rules=report_rules.notes(release, task, fired) if child.RULES in manifest.voters[task] else None,
        nights=tuple(_night(day, task, rows, stored) for day in sorted({row["event_date"] for row in rows})),
    )


def _learned(release: Release, task: str) -> dict[str, tuple[Progress, ...]]:
    folders = {voter: release.folder(task, voter) for voter in release.manifest.voters[task]}
    curves = {name: adapter.facts_of(at).curve for name, at in folders.items() if (at / adapter.FACTS).is_file()}
    return {voter: curve for voter, curve in curves.items() if curve}


def dear_seconds(lake: Lake, release: Release) -> float | None:
    """Seconds of a worker for an item that `large` was asked of, over all runs of the release."""
    from pyspark.sql import functions as F

    own = lake.df("runs").where(F.col("release_id") == release.manifest.release_id)
    counts = [F.sum(F.try_element_at("counts", F.lit(name))) for name in (tally.DEAR_MS, tally.DEAR_ITEMS)]
    ms, items = own.agg(*counts).collect()[0]
    return float(ms) / 1000 / items if items and ms is not None else None


def _held_out(release: Release, task: str) -> Confusion:
    known, labels = release.reference(task), release.taxonomy.task(task).label_names
    names = ([labels[at] if at >= 0 else None for at in side.tolist()] for side in (known.gold, known.label))
    return metrics.confusion(*names)


def _night(day: date, task: str, rows: "list[Row]", stored: Mapping[Key, Estimate]) -> Night:
    own = [row for row in rows if row["event_date"] == day]
    named = {key.metric: found for key, found in stored.items() if key[:2] == (day, task) and not key.label and found.n}
    likeness = {name: named[name].value for name in ("likeness", "input_likeness") if name in named}
    shifts = (key.label for key, found in stored.items() if key[:3] == (day, task, "input_shift") and found.n)
    return Night(
        day=day,
        rows=sum(row["count"] for row in own),
        abstained=sum(row["count"] for row in own if row["label"] is None and not row["failed"]),
        failed=sum(row["count"] for row in own if row["failed"]),
        measured=named.get("weighted_f1"),
        estimated=named.get("estimated_weighted_f1"),
        likeness=likeness.get("likeness"),
        input_likeness=likeness.get("input_likeness"),
        shifts=tuple(sorted(shifts)),
        reliable=min(likeness.values(), default=1.0) >= UNLIKE,
    )


def _estimates(scores: Mapping[str, Score]) -> dict[str, Estimate]:
    return {name: Estimate(score.value, score.low, score.high, score.n) for name, score in scores.items()}
