"""The rules that matter most, each with its evidence."""

from kdsl.report.content import RuleNote, TaskPart
from kdsl.report.markup import Markup, joined, named, tag

MOST = 8


def rules(task: TaskPart) -> Markup:
    """Cards of the rules that overruled the voters, then of those that fit most labels, weighed by their record."""
    if task.rules is None:
        told = "No rules vote on this task."
        return joined(tag("h3", task.name), tag("p", told, class_="soft"))
    ordered = sorted(task.rules, key=lambda r: (-r.nights_decided, -r.nights_agreed * r.bound, -r.bound, r.rule_id))
    if not ordered:
        return joined(tag("h3", task.name), tag("p", "The search kept no rule.", class_="soft"))
    decided = sum(rule.nights_decided for rule in ordered)
    title = f"{task.name}: {len(ordered)} rules"
    title += f", {decided:,} items decided by a rule's word" if decided else ", none overruled the voters"
    return joined(
        tag("h3", title),
        tag("ul", *[_card(rule) for rule in ordered[:MOST]], class_="cards"),
        tag("p", f"The first {MOST} of {len(ordered)}; `rules list` shows all.", class_="soft")
        if len(ordered) > MOST
        else None,
    )


def _card(rule: RuleNote) -> Markup:
    record = (
        f"Unseen examples: right on {rule.right} of {rule.fired}, at least {rule.bound:.0%} of the time."
        if rule.fired
        else "No record on unseen examples."
    )
    nights = "Fired on no item of the nights."
    if rule.nights_fired:
        nights = f"Nights: fired on {rule.nights_fired:,} items, {rule.nights_agreed:,} of them labelled so"
        nights += f", {rule.nights_decided:,} by its word alone." if rule.nights_decided else "."
        if rule.gold:
            nights += f" Gold there: right on {rule.gold_right} of {rule.gold}."
    return tag(
        "li",
        tag("p", tag("b", named(rule.label)), " ", tag("span", f"{rule.rule_id}, {rule.state}", class_="soft")),
        tag("p", rule.sentence),
        tag("p", record, class_="soft"),
        tag("p", nights, class_="soft"),
    )
