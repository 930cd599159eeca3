"""The table `rule_edits`: what people did to rules, kept for every later fit."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from jobs import console
from jobs.lake import Lake
from jobs.tables import RULE_EDITS
from kdsl.rules import hands
from kdsl.rules.hands import Edit
from kdsl.rules.ruleset import RuleSet
from kdsl.taxonomy import Taxonomy


def by_hand(lake: Lake, taxonomy: Taxonomy) -> RuleSet:
    """The rules that people pinned, wrote, edited or banned, the last edit of a rule counting.

    Raises:
        RuleError: a row of the table cannot be read.
    """
    if not lake.has("rule_edits"):
        return RuleSet(taxonomy.name)
    rows = lake.df("rule_edits").orderBy("edited_at", "edit_id").select("action", "rule").collect()
    rules, left_out = hands.replay([(row["action"], row["rule"]) for row in rows], taxonomy)
    if left_out:
        console.say(f"  {left_out} rules in rule_edits are of no label of taxonomy {taxonomy.name!r} and are left out")
    return rules


def append(lake: Lake, edits: Sequence[Edit], who: str, why: str | None) -> None:
    """Note edits, in their order."""
    now, call = datetime.now(UTC), uuid.uuid4().hex[:12]
    rows = [
        (
            f"{call}-{number:05}",
            edit.rule.task,
            edit.action,
            edit.rule.rule_id,
            edit.rule_json(),
            edit.rule.provenance.parent or None,
            who,
            why,
            now,
        )
        for number, edit in enumerate(edits)
    ]
    lake.append("rule_edits", lake.spark.createDataFrame(rows, RULE_EDITS.columns).coalesce(1))
