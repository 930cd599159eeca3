"""A rule: if all of its atoms hold then the label, for one task. Equality and hash are those of its meaning."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from kdsl.rules.atom import Atom, Words, as_dicts
from kdsl.rules.canonical import conjunction
from kdsl.rules.errors import RuleError
from kdsl.rules.provenance import STATES, Evidence, Provenance, State

MAX_ATOMS = 20


@dataclass(frozen=True)
class Rule:
    """*If* all `atoms` hold *then* `label`. State, provenance and evidence take no part in equality.

    Raises:
        RuleError: no atoms, too many, atoms that contradict each other, or an unknown state.
    """

    task: str
    label: str
    atoms: tuple[Atom, ...]
    state: State = field(default="written", compare=False)
    provenance: Provenance = field(default_factory=Provenance, compare=False)
    evidence: Evidence = field(default_factory=Evidence, compare=False)

    def __post_init__(self) -> None:
        if not self.atoms:
            raise RuleError("the rule has no condition under `if`; write at least one, as {last_user: {any_of: [...]}}")
        if len(self.atoms) > MAX_ATOMS:
            raise RuleError(f"the rule has {len(self.atoms):,} conditions; at most {MAX_ATOMS} are allowed: split it")
        if self.state not in STATES:
            raise RuleError(f"state {self.state!r:.40} is unknown; allowed: {', '.join(STATES)}")
        object.__setattr__(self, "atoms", conjunction(self.atoms))

    @cached_property
    def rule_id(self) -> str:
        """`r` and twelve hex digits of its meaning: the same rule has the same id wherever it is found."""
        meaning = {"task": self.task, "label": self.label, "if": as_dicts(self.atoms)}
        canonical = json.dumps(meaning, ensure_ascii=False, sort_keys=True)
        return "r" + hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def active(self) -> bool:
        """Whether it takes part in labelling: every state but `banned`."""
        return self.state != "banned"

    @property
    def size(self) -> int:
        """Words, expressions and comparisons a reader has to take in."""
        return sum(atom.size for atom in self.atoms)

    @property
    def fields(self) -> frozenset[str]:
        """The fields and numbers that it reads."""
        return frozenset(atom.field for atom in self.atoms)

    def with_state(self, state: State) -> "Rule":
        """The same rule in another state."""
        return replace(self, state=state)

    def to_dict(self) -> dict[str, Any]:
        """Plain data as in a rule file; `precision`, `unseen_precision` and `at_least` are there to be read."""
        out: dict[str, Any] = {
            "id": self.rule_id,
            "task": self.task,
            "label": self.label,
            "if": as_dicts(self.atoms),
            "state": self.state,
        }
        made = self.provenance
        out["made_by"] = {"source": made.source} | {
            name: value
            for name in ("run", "parent", "proposer", "budget", "seed")
            if (value := getattr(made, name)) not in ("", 0)
        }
        if self.evidence != Evidence():
            out["evidence"] = _evidence(self.evidence)
        return out


def vocabulary(rules: Iterable[Rule]) -> frozenset[tuple[str, str]]:
    """All (field, word) that the rules name."""
    return frozenset(
        (atom.field, word) for rule in rules for atom in rule.atoms if isinstance(atom, Words) for word in atom.words
    )


def _evidence(evidence: Evidence) -> dict[str, Any]:
    out: dict[str, Any] = {"fired": evidence.fired, "right": evidence.right}
    if evidence.fired:
        out["precision"] = round(evidence.precision, 3)
    out |= {"unseen_fired": evidence.unseen_fired, "unseen_right": evidence.unseen_right}
    if evidence.unseen_fired:
        out |= {"unseen_precision": round(evidence.unseen_precision, 3), "at_least": round(evidence.bound, 3)}
    if evidence.examples:
        out["examples"] = list(evidence.examples)
    if evidence.counter_examples:
        out["counter_examples"] = list(evidence.counter_examples)
    return out
