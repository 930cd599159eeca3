"""How words are found in fields that a release's rules do not name yet: decided by the texts of the lake."""

from typing import TYPE_CHECKING

from kdsl.arrow import items_of
from kdsl.features import TEXT_FIELDS, text_fields
from kdsl.rules.matching import Matching, decide
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROWS = 1_000  # by hash of the id; the share of letters that decides lies far from its threshold


def matching_of(rule: Rule, known: RuleSet, items: "DataFrame") -> dict[str, Matching]:
    """As the release finds words; in a field that it does not name, as learning would: by what the texts are."""
    from pyspark.sql import functions as F

    missing = [name for name in TEXT_FIELDS if name in rule.fields and name not in known.matching]
    if not missing:
        return dict(known.matching)
    some = items.orderBy(F.xxhash64("item_id"), "item_id").limit(ROWS)
    texts = [text_fields(item) for item in items_of(some.toArrow())]
    return {**known.matching, **{name: decide(row[name] for row in texts) for name in missing}}
