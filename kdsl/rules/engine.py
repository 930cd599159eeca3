"""Evaluates all rules of a set over columns: one pass a field, then algebra on the rows that were met.

An engine is compiled where it is used; pickled, it travels as the JSON of its rules and is compiled on arrival.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.features import NUMBERS
from kdsl.rules import expression, parse
from kdsl.rules.algebra import Hits, Mask, Rows, keys_of, plan_of
from kdsl.rules.atom import Atom, Comparison, Expression, Words
from kdsl.rules.column import TextColumn, number_column, text_column
from kdsl.rules.errors import RuleError
from kdsl.rules.fired import Fired, Match, joined
from kdsl.rules.matching import Matching, places
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.scan import ExpressionFinder, WordFinder

CHUNK_ROWS = 262_144
MAX_PLACES = 20  # of one word in one text, when explained


class Engine:
    """The active rules of a set, of one task or of all, ready to run.

    `evaluate` takes a mapping of field to column: texts already normalised (Arrow strings or a sequence of
    `str | None`), numbers as floats. A null text is an empty one; a null number is NaN and compares as false.
    """

    def __init__(self, rules: RuleSet, task: str | None = None) -> None:
        self.rules: tuple[Rule, ...] = rules.active(task)
        self.rule_ids = tuple(rule.rule_id for rule in self.rules)
        self._source = (rules, task)
        self._scans = [_FieldScan(name, self.rules, rules.matching.get(name, "substring")) for name in self.text_fields]
        self._index = {key: at for at, key in enumerate(key for scan in self._scans for key in scan.keys)}
        self._first = np.cumsum([0, *(len(scan.keys) for scan in self._scans)])[:-1].tolist()
        self._plans = [plan_of(rule, self._index) for rule in self.rules]
        self._always = [number for number, plan in enumerate(self._plans) if not plan.groups]
        self._asking: dict[int, list[int]] = {}
        for number, plan in enumerate(self._plans):
            for pattern in plan.groups[0] if plan.groups else ():
                self._asking.setdefault(pattern, []).append(number)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self._source[0].to_json(), self._source[1])

    @property
    def text_fields(self) -> tuple[str, ...]:
        """Text fields that the rules read."""
        return tuple(sorted({n for rule in self.rules for n in rule.fields if n not in NUMBERS}))

    @property
    def number_fields(self) -> tuple[str, ...]:
        """Numbers that the rules read."""
        return tuple(sorted({n for rule in self.rules for n in rule.fields if n in NUMBERS}))

    def evaluate(self, columns: Mapping[str, Any]) -> Fired:
        """Which rules fired on which rows.

        Raises:
            RuleError: a column that the rules read is missing, or columns differ in length.
        """
        texts, numbers, n = self._columns(columns)
        parts = []
        for start in range(0, n, CHUNK_ROWS):
            stop = min(start + CHUNK_ROWS, n)
            parts.append(
                self._chunk(
                    {name: column.part(start, stop) for name, column in texts.items()},
                    {name: column[start:stop] for name, column in numbers.items()},
                    stop - start,
                )
            )
        return (
            joined(self.rule_ids, parts)
            if parts
            else Fired(self.rule_ids, np.zeros(1, np.int64), np.zeros(0, np.int32))
        )

    def explain(self, columns: Mapping[str, Any], fired: Fired, rows: Iterable[int] | None = None) -> list[list[Match]]:
        """The words and expressions of the rules that fired, with their places; one list a row asked for."""
        texts, _, n = self._columns(columns)
        matching = self._source[0].matching
        out = []
        for row in range(n) if rows is None else rows:
            seen: dict[str, str] = {}
            found: list[Match] = []
            for number in fired.numbers(row):
                rule = self.rules[number]
                for atom in rule.atoms:
                    if isinstance(atom, Comparison) or atom.negative:
                        continue
                    if atom.field not in seen:
                        seen[atom.field] = texts[atom.field].text(row)
                    found += _matches(rule.rule_id, atom, seen[atom.field], matching.get(atom.field, "substring"))
            out.append(found)
        return out

    def _columns(self, columns: Mapping[str, Any]) -> tuple[dict[str, TextColumn], dict[str, NDArray[np.float64]], int]:
        missing = sorted({*self.text_fields, *self.number_fields} - columns.keys())
        if missing:
            raise RuleError(f"the rules read the columns {', '.join(missing)}, which the batch lacks; add them")
        texts = {name: text_column(columns[name]) for name in self.text_fields}
        numbers = {name: number_column(columns[name]) for name in self.number_fields}
        lengths = {name: len(texts[name]) for name in texts} | {name: len(numbers[name]) for name in numbers}
        if len(set(lengths.values())) > 1:
            raise RuleError(f"the columns differ in length: {lengths}; pass one batch")
        n = next(iter(lengths.values()), None)
        if n is None:  # no rule, so no column was read
            n = len(columns[next(iter(columns))]) if columns else 0
        return texts, numbers, n

    def _chunk(self, texts: Mapping[str, TextColumn], numbers: Mapping[str, NDArray[np.float64]], n: int) -> Fired:
        patterns, rows = [], []
        for first, scan in zip(self._first, self._scans, strict=True):
            pattern, row = scan.find(texts[scan.field])
            patterns.append(pattern + first)
            rows.append(row)
        hits = Hits(_joined(patterns), _joined(rows), len(self._index), n)
        fired: list[tuple[int, Rows]] = []
        compared: dict[Comparison, Mask] = {}
        for number in self._possible(hits):
            held = self._plans[number].holds(hits, numbers, compared)
            if len(held):
                fired.append((number, held))
        return _sparse(self.rule_ids, fired, n)

    def _possible(self, hits: Hits) -> list[int]:
        """Rules of whose first group a pattern was met, and those without a group: a small batch asks few rules."""
        met = {number for pattern in hits.met.tolist() for number in self._asking.get(pattern, ())}
        return sorted(met.union(self._always))


class _FieldScan:
    """All words and expressions over one field; `keys` names the patterns whose numbers `find` gives."""

    def __init__(self, name: str, rules: Iterable[Rule], matching: Matching) -> None:
        atoms = [atom for rule in rules for atom in rule.atoms if atom.field == name]
        keys = {key for atom in atoms if not isinstance(atom, Comparison) for key in keys_of(atom)}
        words = sorted(what for _, kind, what in keys if kind == "word")
        patterns = sorted(what for _, kind, what in keys if kind == "expression")
        self.field = name
        self.keys = [(name, "word", word) for word in words] + [(name, "expression", what) for what in patterns]
        self._words = WordFinder(words, matching) if words else None
        self._expressions = ExpressionFinder(patterns) if patterns else None
        self._n_words = len(words)

    def find(self, column: TextColumn) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(pattern, row) of every match."""
        found = [finder.find(column) for finder in (self._words, self._expressions) if finder is not None]
        pattern = [found[0][0], *(pattern + self._n_words for pattern, _ in found[1:])]
        return _joined(pattern), _joined([row for _, row in found])


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _sparse(rule_ids: tuple[str, ...], fired: list[tuple[int, Rows]], n: int) -> Fired:
    every = _joined([rows for _, rows in fired])
    number = np.repeat(np.array([at for at, _ in fired], np.int32), [len(rows) for _, rows in fired])
    order = np.argsort(every, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(every, minlength=n))])
    return Fired(rule_ids, indptr.astype(np.int64), number[order])


def _matches(rule_id: str, atom: Atom, text: str, matching: Matching) -> list[Match]:
    if isinstance(atom, Expression):
        found = expression.compiled(atom.pattern).search(text)
        return [Match(rule_id, atom.field, atom.pattern, *found.span())] if found else []
    assert isinstance(atom, Words)  # noqa: S101 - comparisons match no text
    out = []
    for word in atom.words:
        for _, start in zip(range(MAX_PLACES), places(word, text, matching), strict=False):
            out.append(Match(rule_id, atom.field, word, start, start + len(word)))
    return out


def _arrived(text: str, task: str | None) -> Engine:
    return Engine(parse.from_json(text), task)
