"""Rule files and rule texts into rule sets, all faults in one error: rule, line and remedy of each."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from kdsl.features import NUMBERS, TEXT_FIELDS
from kdsl.rules import source
from kdsl.rules.atom import Atom, atom_of
from kdsl.rules.errors import RuleError, all_faults
from kdsl.rules.matching import MATCHINGS, Matching
from kdsl.rules.provenance import SOURCES, STATES, Evidence, Provenance
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import FORMAT, MAX_RULES, RuleSet
from kdsl.rules.source import Node
from kdsl.taxonomy import Taxonomy

_TOP = ("format", "taxonomy", "matching", "rules")
_RULE = ("id", "task", "label", "if", "state", "made_by", "evidence")
_DERIVED = ("precision", "unseen_precision", "at_least")
_COUNTS = ("fired", "right", "unseen_fired", "unseen_right")
MAX_IDS = 1_000
MAX_TEXT = 200  # characters of a name

T = TypeVar("T")


def load(path: str | Path, taxonomy: Taxonomy | None = None) -> RuleSet:
    """Read a rule file (YAML; JSON where the name ends in `.json`).

    Raises:
        RuleError: every fault of the file at once; with `taxonomy`, also labels and tasks that it does not have.
    """
    return _Parser(str(path), taxonomy).rule_set(source.read(Path(path)))


def from_yaml(text: str, taxonomy: Taxonomy | None = None, name: str = "rules") -> RuleSet:
    """As `load`, from a YAML text."""
    return _Parser(name, taxonomy).rule_set(source.from_yaml(text, name))


def from_json(text: str, taxonomy: Taxonomy | None = None, name: str = "rules") -> RuleSet:
    """As `load`, from a JSON text."""
    return _Parser(name, taxonomy).rule_set(source.from_json(text, name))


class _Parser:
    """Gathers faults while it reads; `where` is the place they belong to."""

    def __init__(self, name: str, taxonomy: Taxonomy | None) -> None:
        self.name = name
        self.taxonomy = taxonomy
        self.faults: list[str] = []
        self.where = ""

    def rule_set(self, root: Node) -> RuleSet:
        if not isinstance(root.value, dict):
            raise RuleError(f"{self.name} holds no mapping; write taxonomy: ..., rules: [...]")
        self._keys(root, _TOP, "the file")
        taxonomy = self._text(root, "taxonomy")
        if self.taxonomy is not None and taxonomy != self.taxonomy.name:
            self._fault(root, f"the rules are for taxonomy {taxonomy!r}, not {self.taxonomy.name!r}; name the other")
        if (version := root.value.get("format")) is not None and version.value != str(FORMAT):
            self._fault(version, f"format {version.value!r:.20} is unknown; this version reads {FORMAT}")
        matching = self._matching(root.value.get("matching"))
        rules = self._rules(root.value.get("rules"))
        if self.faults:
            raise all_faults(self.name, self.faults)
        return RuleSet(taxonomy, tuple(rules), matching)

    def _rules(self, node: Node | None) -> list[Rule]:
        if node is None or not isinstance(node.value, list):
            if node is not None:
                self._fault(node, "rules must be a list; begin each rule with `- `")
            return []
        if len(node.value) > MAX_RULES:
            self._fault(node, f"{len(node.value):,} rules; at most {MAX_RULES:,} are allowed: keep the best")
            return []
        rules: list[Rule] = []
        first: dict[str, str] = {}
        for number, entry in enumerate(node.value, 1):
            self.where = f"rule {number}"
            rule = self._rule(entry)
            if rule is None:
                continue
            if rule.rule_id in first:
                self._fault(entry, f"says the same as {first[rule.rule_id]}, spelt otherwise perhaps; keep one")
                continue
            first[rule.rule_id] = self.where + (f" on line {entry.line}" if entry.line else "")
            rules.append(rule)
        self.where = ""
        return rules

    def _rule(self, node: Node) -> Rule | None:
        if not isinstance(node.value, dict):
            self._fault(node, "is no mapping; write task, label and if")
            return None
        before = len(self.faults)
        if rule_id := self._optional(node, "id"):
            self.where += f" ({rule_id[:40]})"
        self._keys(node, _RULE, "the rule")
        task, label = self._text(node, "task"), self._text(node, "label")
        self._in_taxonomy(node, task, label)
        atoms = self._atoms(node)
        state = self._choice(node, "state", STATES, "written")
        provenance = self._provenance(node.value.get("made_by"))
        evidence = self._evidence(node.value.get("evidence"))
        if len(self.faults) > before:
            return None
        rule = self._try(node, lambda: Rule(task, label, tuple(atoms), state, provenance, evidence))
        if rule is not None and rule_id and rule_id != rule.rule_id:
            # Someone changed the conditions in the file: what was measured of the old rule says nothing of this one.
            made = Provenance(source="person", parent=rule_id)
            return Rule(task, label, rule.atoms, "edited" if state == "learned" else state, made)
        return rule

    def _atoms(self, node: Node) -> list[Atom]:
        listed = node.value.get("if")
        if listed is None or not isinstance(listed.value, list) or not listed.value:
            self._fault(node, "has no condition under `if`; write a list, as - last_user: {any_of: [refund]}")
            return []
        atoms: list[Atom] = []
        for entry in listed.value:
            if not isinstance(entry.value, dict) or len(entry.value) != 1:
                self._fault(entry, "a condition names one field, as last_user: {any_of: [refund]}")
                continue
            ((field, body),) = entry.value.items()
            if not isinstance(body.value, dict) or not body.value:
                self._fault(entry, f"{field!r:.40} has no operator; write as {field[:40]}: {{any_of: [refund]}}")
                continue
            for op, value in body.value.items():
                atom = self._try(value, lambda f=field, o=op, v=value: atom_of(f, o, _operand(f, o, v)))  # type: ignore[misc]
                if atom is not None:
                    atoms.append(atom)
            for op in body.repeated:
                self._fault(entry, f"{field}.{op} stands twice; keep one")
        return atoms

    def _matching(self, node: Node | None) -> dict[str, Matching]:
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self._fault(node, "matching must be a mapping of text field to substring or words")
            return {}
        self._keys(node, TEXT_FIELDS, "matching")
        return {name: self._choice(node, name, MATCHINGS, "substring") for name in node.value}

    def _provenance(self, node: Node | None) -> Provenance:
        if node is None:
            return Provenance()
        self._keys(node, ("source", "run", "parent", "proposer", "budget", "seed"), "made_by")
        return Provenance(
            source=self._choice(node, "source", SOURCES, "person"),
            run=self._optional(node, "run"),
            parent=self._optional(node, "parent"),
            proposer=self._optional(node, "proposer"),
            budget=self._count(node, "budget"),
            seed=self._count(node, "seed"),
        )

    def _evidence(self, node: Node | None) -> Evidence:
        if node is None:
            return Evidence()
        self._keys(node, (*_COUNTS, *_DERIVED, "examples", "counter_examples"), "evidence")
        counts = {name: self._count(node, name) for name in _COUNTS}
        for part, whole in (("right", "fired"), ("unseen_right", "unseen_fired")):
            if counts[part] > counts[whole]:
                self._fault(
                    node, f"evidence.{part} {counts[part]} is more than {whole} {counts[whole]}; mend the counts"
                )
        return Evidence(
            **counts, examples=self._ids(node, "examples"), counter_examples=self._ids(node, "counter_examples")
        )

    def _in_taxonomy(self, node: Node, task: str, label: str) -> None:
        if self.taxonomy is None or not task:
            return
        tasks = {known.name: known for known in self.taxonomy.tasks}
        if task not in tasks:
            self._fault(
                node, f"task {task!r:.60} is not in taxonomy {self.taxonomy.name!r}; its tasks: {', '.join(tasks)}"
            )
        elif label and label not in (names := tasks[task].label_names):
            near = get_close_matches(label, names, 3, 0.3) or names[:5]
            self._fault(node, f"label {label!r:.60} is not in task {task}; nearest: {', '.join(near)}")

    def _keys(self, node: Node, allowed: tuple[str, ...], what: str) -> None:
        if not isinstance(node.value, dict):
            self._fault(node, f"{what} must be a mapping")
            node.value = {}
            return
        for key in node.value:
            if key not in allowed:
                near = get_close_matches(key, allowed, 1)
                hint = f"did you mean {near[0]}? " if near else ""
                self._fault(node.value[key], f"{key!r:.40} is no key of {what}; {hint}allowed: {', '.join(allowed)}")
        for key in node.repeated:
            self._fault(node, f"{key!r:.40} stands twice in {what}; keep one")

    def _text(self, node: Node, key: str) -> str:
        value = self._optional(node, key)
        if not value:
            self._fault(node, f"{key} is missing; write {key}: ...")
        return value

    def _optional(self, node: Node, key: str) -> str:
        found = node.value.get(key)
        if found is None:
            return ""
        if not isinstance(found.value, str) or len(found.value) > MAX_TEXT:
            self._fault(found, f"{key} must be a text of at most {MAX_TEXT} characters")
            return ""
        return found.value

    def _choice(self, node: Node, key: str, allowed: tuple[Any, ...], default: Any) -> Any:
        found = node.value.get(key)
        if found is None:
            return default
        if found.value not in allowed:
            self._fault(found, f"{key} {found.value!r:.40} is unknown; allowed: {', '.join(allowed)}")
            return default
        return found.value

    def _count(self, node: Node, key: str) -> int:
        found = node.value.get(key)
        if found is None:
            return 0
        if not isinstance(found.value, str) or not found.value.isascii() or not found.value.isdigit():
            self._fault(found, f"{key} must be a whole number, 0 or more, given {found.value!r:.40}")
            return 0
        return int(found.value[:18])

    def _ids(self, node: Node, key: str) -> tuple[str, ...]:
        found = node.value.get(key)
        if found is None:
            return ()
        if not isinstance(found.value, list) or len(found.value) > MAX_IDS:
            self._fault(found, f"{key} must be a list of at most {MAX_IDS:,} ids")
            return ()
        return tuple(str(entry.value) for entry in found.value)

    def _try(self, node: Node, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except RuleError as error:
            self._fault(node, str(error))
            return None

    def _fault(self, node: Node, what: str) -> None:
        line = f"line {node.line}" if node.line else ""
        place = ", ".join(part for part in (line, self.where) if part)
        self.faults.append(f"{place}: {what}" if place else what)


def _operand(field: str, op: str, node: Node) -> Any:
    if field in NUMBERS:
        try:
            return float(node.value) if isinstance(node.value, str) else node.value
        except ValueError as error:
            raise RuleError(f"{field} {op} takes a number, given {node.value!r:.40}") from error
    if isinstance(node.value, list):
        return tuple(entry.value if isinstance(entry.value, str) else entry for entry in node.value)
    if isinstance(node.value, Mapping):
        raise RuleError(f"{field}.{op} takes words or an expression, given a mapping")
    return node.value
