"""Weighted F1 of batches as estimated without gold, from the votes of the night."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.items import among
from jobs.lake import Lake
from jobs.unfamiliar import Likeness
from jobs.unlearned import drawn
from jobs.votes import KEY
from kdsl.estimate import drift, estimate
from kdsl.fusion.fusion import POOL
from kdsl.inputs import unknown
from kdsl.metrics import Estimate
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLED = 2_000  # items of a batch that are looked at, drawn by hash of the id

Batches = dict[tuple[date, str], list[dict[str, Any]]]


def heard(lake: Lake, release: Release, labels: "DataFrame", days: Collection[date]) -> Batches:
    """What was said of some items of each date and task of `labels` (see `jobs.unlearned.labelled`).

    By item item_id, task, event_date, label, decided_by, rows (of the whole batch) and votes (voter, log_probs).
    """
    from pyspark.sql import functions as F

    sample = drawn(labels.where(among(days)), SAMPLED)
    digests = [release.manifest.voter_digest(task, v) for task, names in release.manifest.voters.items() for v in names]
    said = lake.df("votes").where(among(days) & F.col("voter_digest").isin(digests)).dropDuplicates(list(KEY))
    found = (
        sample.join(said.drop("event_date"), ["item_id", "task", "input_hash"], "left")
        .groupBy("item_id", "task", "event_date", "label", "decided_by", "rows")
        .agg(F.collect_list(F.struct("voter", "log_probs")).alias("votes"))
        .toArrow()
    )
    batches: Batches = {}
    for row in found.sort_by("item_id").to_pylist():
        batches.setdefault((row["event_date"], row["task"]), []).append(row)
    return batches


def estimates(
    release: Release, batches: Batches, likenesses: Mapping[tuple[date, str], Likeness]
) -> dict[tuple[date, str], tuple[Estimate, float]]:
    """By date and task: estimated weighted F1, and the probability that scores are of the kind of the examples'.

    Items without a vote, which are those with a fault, count as wrong. A label by a rule's word is as likely to be
    right as such words are on held-out examples. The interval is for all items of the batch. Where no `likenesses`
    are known, words are taken to be no newer than those of the examples.
    """
    found = {}
    for key, rows in sorted(batches.items()):
        shifts = likenesses[key].shifts if key in likenesses else ()
        found[key] = _estimated(release, key[1], rows, unknown(shifts))
    return found


def _estimated(release: Release, task: str, rows: list[dict[str, Any]], new_words: float) -> tuple[Estimate, float]:
    fusion, reference = release.fusion(task), release.reference(task)
    by_row = [{vote["voter"]: vote["log_probs"] for vote in row["votes"]} for row in rows]
    place = {label: number for number, label in enumerate(fusion.labels)}
    label = np.array([place.get(row["label"], -1) for row in rows], dtype=np.int64)
    voters = {None, POOL, *fusion.voters}
    by_rule = np.where([row["decided_by"] in voters for row in rows], -1, label)
    log_probs = fusion.ruled(fusion.of_stored(by_row), by_rule)
    seed, total = release.manifest.settings.get("seed", 0), int(rows[0]["rows"])
    found = estimate(reference, log_probs, label, seed=seed, rows=total, unknown=new_words)
    return found, drift(reference, log_probs, label)
