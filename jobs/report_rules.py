"""What a report tells of rules: each with its evidence, how often it fired on the nights, and was right."""

from collections import defaultdict
from typing import TYPE_CHECKING

from jobs import unlearned
from jobs.items import within
from jobs.lake import Lake
from jobs.options import Days
from kdsl import child
from kdsl.release import Release
from kdsl.report.content import RuleNote
from kdsl.rules.rule import Rule
from kdsl.rules.sentence import sentence

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row


def fired(lake: Lake, release: Release, known: "DataFrame", days: Days) -> "list[Row]":
    """Rows (rule_id, task, label, gold, alone, count) of the rules that fired on those days.

    `gold` is null of items that the release learned from (`known`: see `unlearned.learned`).
    """
    from pyspark.sql import functions as F

    labels = lake.df("labels").where(within(days)).where(F.col("release_id") == release.manifest.release_id)
    each = labels.select("item_id", "task", "label", "decided_by", F.explode("rules_fired.rule_id").alias("rule_id"))
    alone = (F.col("decided_by") == F.col("rule_id")).alias("alone")
    gold = F.broadcast(unlearned.held_out(lake, known))
    return (
        each.join(gold, ["item_id", "task"], "left")
        .groupBy("rule_id", "task", "label", "gold", alone)
        .count()
        .collect()
    )


def notes(release: Release, task: str, of: "list[Row]") -> tuple[RuleNote, ...]:
    """The task's active rules; `of` is what `fired` gave."""
    by_rule: dict[str, list[Row]] = defaultdict(list)
    for row in of:
        if row["task"] == task:
            by_rule[row["rule_id"]].append(row)
    active = child.rules_of(release, task).active(task)
    return tuple(_note(rule, by_rule[rule.rule_id], release.taxonomy.language) for rule in active)


def _note(rule: Rule, rows: "list[Row]", language: str) -> RuleNote:
    def count(wanted: "list[Row]") -> int:
        return sum(row["count"] for row in wanted)

    return RuleNote(
        rule_id=rule.rule_id,
        label=rule.label,
        sentence=sentence(rule, language),
        state=rule.state,
        right=rule.evidence.unseen_right,
        fired=rule.evidence.unseen_fired,
        bound=rule.evidence.bound,
        nights_fired=count(rows),
        nights_agreed=count([row for row in rows if row["label"] == rule.label]),
        nights_decided=count([row for row in rows if row["alone"]]),
        gold=count([row for row in rows if row["gold"] is not None]),
        gold_right=count([row for row in rows if row["gold"] == rule.label]),
    )
