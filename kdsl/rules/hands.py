"""What people did to rules, one edit after the other, and the rules by hand that it adds up to."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kdsl.rules import parse
from kdsl.rules.errors import RuleError
from kdsl.rules.provenance import Provenance, State
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.taxonomy import Taxonomy

Action = Literal["edit", "pin", "ban", "write"]
STATE_OF: dict[Action, State] = {"edit": "edited", "pin": "pinned", "ban": "banned", "write": "written"}
ACTION_OF: dict[State, Action] = {state: action for action, state in STATE_OF.items()}


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: `rule` is in the state that the action puts it in. What an edit replaces is banned by another edit."""

    action: Action
    rule: Rule

    def rule_json(self) -> str:
        """The rule as the lake keeps it."""
        return json.dumps(self.rule.to_dict(), ensure_ascii=False)


def pinned(rule: Rule) -> Edit:
    """Keep the rule whatever is learned next; takes back a ban."""
    return Edit("pin", rule.with_state("pinned"))


def banned(rule: Rule) -> Edit:
    """Take the rule out, and its meaning with it; takes back a pin."""
    return Edit("ban", rule.with_state("banned"))


def written(rule: Rule, who: str) -> Edit:
    """A rule of a person."""
    return Edit("write", Rule(rule.task, rule.label, rule.atoms, "written", Provenance(source="person", run=who)))


def taken_up(learned: Rule) -> Edit:
    """A rule that another search learned, kept as it is. Its provenance says so: what it saw is not known here."""
    return Edit("write", learned.with_state("written"))


def edited(old: Rule, new: Rule, who: str) -> tuple[Edit, Edit]:
    """`new` in the place of `old`, which does not come back.

    Raises:
        RuleError: they say the same, or are of two tasks.
    """
    if new == old:
        raise RuleError(f"rule {old.rule_id}: the new rule says the same; change a condition or the label")
    if new.task != old.task:
        raise RuleError(
            f"rule {old.rule_id} is of task {old.task}, the new one of {new.task}; ban it and write another"
        )
    made = Provenance(source="person", run=who, parent=old.rule_id)
    return banned(old), Edit("edit", Rule(new.task, new.label, new.atoms, "edited", made))


def replay(edits: Iterable[tuple[str, str]], taxonomy: Taxonomy) -> tuple[RuleSet, int]:
    """The rules by hand after edits (action, rule JSON) in their order, the last word on a rule counts; and how many
    rules are of no task or label of this taxonomy, and so left out.

    Raises:
        RuleError: an edit cannot be read.
    """
    last: dict[str, Rule] = {}
    for action, text in edits:
        rule = _rule(text, taxonomy.name)
        if action not in STATE_OF:
            raise RuleError(f"rule {rule.rule_id}: {action!r:.20} is no edit; known: {', '.join(STATE_OF)}")
        last.pop(rule.rule_id, None)
        last[rule.rule_id] = rule.with_state(STATE_OF[action])
    labels = {task.name: task.label_names for task in taxonomy.tasks}
    known = tuple(rule for rule in last.values() if rule.label in labels.get(rule.task, ()))
    return RuleSet(taxonomy.name, known), len(last) - len(known)


def changes(old: RuleSet, new: Iterable[Edit]) -> list[Edit]:
    """The edits that say something which `old` does not say yet."""
    states = {rule.rule_id: rule.state for rule in old.rules}
    return [edit for edit in new if states.get(edit.rule.rule_id) != edit.rule.state]


def of_file(rules: RuleSet, current: RuleSet, who: str) -> list[Edit]:
    """The edits that bring the rules by hand of a rule file, and learned ones that `current` lacks, as written.

    A rule whose conditions were changed in the file, in whatever state it is there, takes the place of the one whose id
    it carries, unless that one stands in the file too.
    """
    have = {rule.rule_id: rule for rule in current.rules}
    kept = {rule.rule_id for rule in rules.active()}
    edits: list[Edit] = []
    for rule in rules.rules:
        if rule.state == "learned":
            edits += [] if rule.rule_id in have else [taken_up(rule)]
            continue
        old = have.get(rule.provenance.parent) if rule.provenance.source == "person" else None
        if rule.active and old is not None and old.active and old.rule_id not in kept:
            edits += edited(old, rule, who)
        else:
            edits.append(Edit(ACTION_OF[rule.state], rule))
    return edits


def _rule(text: str, taxonomy: str) -> Rule:
    whole = f'{{"taxonomy": {json.dumps(taxonomy)}, "rules": [{text}]}}'
    return parse.from_json(whole, name="rule_edits").rules[0]
