"""A set of rules: no rule twice, one fingerprint whatever their order, and what changed between two sets."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from kdsl.rules.atom import as_dicts
from kdsl.rules.errors import RuleError, all_faults
from kdsl.rules.matching import MATCHINGS, Matching
from kdsl.rules.provenance import Provenance, State
from kdsl.rules.rule import Rule

FORMAT = 1
MAX_RULES = 10_000


@dataclass(frozen=True)
class RuleSet:
    """Rules of one taxonomy. `matching` says how words are found, per text field; a field not named: `substring`.

    Raises:
        RuleError: too many rules, or the same rule under two spellings.
    """

    taxonomy: str
    rules: tuple[Rule, ...] = ()
    matching: Mapping[str, Matching] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.rules) > MAX_RULES:
            raise RuleError(f"{len(self.rules):,} rules; at most {MAX_RULES:,} are allowed: keep the best")
        counts = Counter(rule.rule_id for rule in self.rules)
        twice = [rule_id for rule_id, count in counts.items() if count > 1]
        if twice:
            raise all_faults("the rule set", [f"rule {i} stands {counts[i]} times: keep one" for i in sorted(twice)])
        odd = sorted(name for name, how in self.matching.items() if how not in MATCHINGS)
        if odd:
            raise RuleError(f"matching.{odd[0]} is {self.matching[odd[0]]!r}; allowed: {', '.join(MATCHINGS)}")
        object.__setattr__(self, "rules", tuple(sorted(self.rules, key=lambda r: (r.task, r.label, r.rule_id))))
        object.__setattr__(self, "matching", dict(sorted(self.matching.items())))

    def __len__(self) -> int:
        return len(self.rules)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides which rows a rule fires on; banned rules take no part, nor does any order."""
        rules = sorted(
            json.dumps([r.task, r.label, as_dicts(r.atoms)], ensure_ascii=False, sort_keys=True)
            for r in self.rules
            if r.active
        )
        used = {name for r in self.rules if r.active for name in r.fields}
        matching = {name: how for name, how in self.matching.items() if name in used}
        canonical = json.dumps([FORMAT, rules, matching], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def active(self, task: str | None = None) -> tuple[Rule, ...]:
        """Rules that take part in labelling, of one task or of all."""
        return tuple(rule for rule in self.rules if rule.active and task in (None, rule.task))

    def get(self, rule_id: str) -> Rule:
        """The rule of that id.

        Raises:
            RuleError: there is none.
        """
        for rule in self.rules:
            if rule.rule_id == rule_id:
                return rule
        raise RuleError(f"rule {rule_id!r:.40} is not in the set of {len(self.rules)}; `rules list` shows the ids")

    def pin(self, rule_id: str) -> "RuleSet":
        """Keep the rule whatever is learned next."""
        return self._changed(rule_id, lambda rule: rule.with_state("pinned"))

    def ban(self, rule_id: str) -> "RuleSet":
        """Take the rule out, and keep its meaning so that it does not come back."""
        return self._changed(rule_id, lambda rule: rule.with_state("banned"))

    def edit(self, rule_id: str, new: Rule, who: str = "") -> "RuleSet":
        """Put `new` in the place of a rule, with the old id as its parent. Evidence does not carry over."""
        made = Provenance(source="person", run=who, parent=rule_id)
        return self._changed(rule_id, lambda _: Rule(new.task, new.label, new.atoms, "edited", made))

    def write(self, new: Rule, who: str = "") -> "RuleSet":
        """Add a rule written by a person."""
        written = Rule(new.task, new.label, new.atoms, "written", Provenance(source="person", run=who))
        return replace(self, rules=(*self.rules, written))

    def relearned(self, learned: "RuleSet") -> "RuleSet":
        """The result of a new search under the hands of people: pins, bans, edits and written rules stay."""
        by_hand: list[State] = ["pinned", "banned", "edited", "written"]
        kept = {rule.rule_id: rule for rule in self.rules if rule.state in by_hand}
        fresh = (rule for rule in learned.rules if rule.rule_id not in kept)
        return replace(learned, rules=(*kept.values(), *fresh))

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `kdsl.rules.parse` reads it back to an equal set."""
        return {
            "format": FORMAT,
            "taxonomy": self.taxonomy,
            "matching": dict(self.matching),
            "rules": [rule.to_dict() for rule in self.rules],
        }

    def to_json(self) -> str:
        """JSON, one line."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_yaml(self) -> str:
        """YAML for people."""
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        return str(yaml.dump(self.to_dict(), Dumper=dumper, allow_unicode=True, sort_keys=False, width=110))

    def _changed(self, rule_id: str, change: Callable[[Rule], Rule]) -> "RuleSet":
        self.get(rule_id)
        return replace(self, rules=tuple(change(r) if r.rule_id == rule_id else r for r in self.rules))


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed from one set to another: `changed` are pairs (old, new) of one meaning in another state."""

    added: tuple[Rule, ...]
    gone: tuple[Rule, ...]
    changed: tuple[tuple[Rule, Rule], ...]


def diff(old: RuleSet, new: RuleSet) -> Diff:
    """Rules added, gone, and in another state."""
    before = {rule.rule_id: rule for rule in old.rules}
    after = {rule.rule_id: rule for rule in new.rules}
    return Diff(
        added=tuple(rule for rule_id, rule in after.items() if rule_id not in before),
        gone=tuple(rule for rule_id, rule in before.items() if rule_id not in after),
        changed=tuple((before[i], rule) for i, rule in after.items() if i in before and before[i].state != rule.state),
    )
