"""One label in words that a support lead understands: who said what, who decided, and why."""

from collections.abc import Mapping
from typing import Any

from kdsl.fusion.cascade import DEAR
from kdsl.fusion.fusion import POOL, Fusion

NAMES = {
    "rules": "the rules",
    "linear": "the linear voter",
    "meaning": "the voter on meaning",
    "small": "the small model",
    "large": "the large model",
}


def explain(row: Mapping[str, Any], fusion: Fusion) -> list[str]:
    """Lines about a row of `labels` or `shadow_labels` (as a plain mapping) that a release with this fusion gave."""
    lines = [f"{row['item_id']} of {row['event_date']}, task {row['task']}: {_outcome(row, fusion)}"]
    if row["error_code"]:
        return lines
    asked = _asked(row, fusion)
    for vote in row["votes"] or ():
        counted = _counted(vote["voter"], row["decided_by"], fusion.judge(asked))
        said = "had nothing to say" if vote["abstained"] else f"said {vote['label']}, sure to {_percent(vote['score'])}"
        lines.append(f"  {_name(vote['voter'])} {said} ({counted})")
    if not asked:
        lines.append(f"  {_name(DEAR)} was not asked: it was not expected to change the answer")
    for rule in row["rules_fired"] or ():
        lines.append(f"  rule {rule['rule_id']} fired: {rule['sentence']}")
        for match in rule["matches"]:
            lines.append(f"    {match['words']!r} stands in {match['field']} at {match['start']} to {match['stop']}")
    return lines


def _counted(voter: str, decided_by: str | None, judge: Fusion) -> str:
    """What a vote counted for; weights count only where several voters decided together."""
    if decided_by in judge.weights:
        return "decided alone" if voter == decided_by else "has no say"
    return f"weight {judge.weights[voter]:.2f}" if voter in judge.speakers else "has no say"


def _asked(row: Mapping[str, Any], fusion: Fusion) -> bool:
    """Whether the dear voter was, of a row that has votes."""
    return fusion.cascade is None or any(vote["voter"] == DEAR for vote in row["votes"] or ())


def _outcome(row: Mapping[str, Any], fusion: Fusion) -> str:
    if row["error_code"]:
        return f"not labelled, because of the item itself: {row['error_code']}"
    if row["abstained"] and row["decided_by"] is None:
        return "not labelled: no voter had anything to say"
    judge = fusion.judge(_asked(row, fusion))
    if row["abstained"]:
        return f"not labelled: sure only to {_percent(row['score'])}, and {_percent(judge.threshold)} is asked for"
    return f"{row['label']}, sure to {_percent(row['score'])}; {_author(row, judge)} decided"


def _author(row: Mapping[str, Any], fusion: Fusion) -> str:
    by = str(row["decided_by"])
    if by == POOL:
        return "all voters together"
    if by not in fusion.weights:
        return f"rule {by}, which was right more often than the voters where it contradicted them,"
    if by == fusion.uses:
        return f"{_name(by)}, which did better alone than with the others on held-out examples,"
    return f"{_name(by)}, the only one that spoke,"


def _name(voter: str) -> str:
    return NAMES.get(voter, voter)


def _percent(score: float | None) -> str:
    return "unknown" if score is None else f"{score:.0%}"
