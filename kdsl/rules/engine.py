"""Evaluates all rules of a set over columns: one pass a field, then boolean algebra on bit columns.

An engine is compiled where it is used; pickled, it travels as the JSON of its rules and is compiled on arrival.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.features import NUMBERS
from kdsl.rules import expression, parse
from kdsl.rules.atom import Atom, Comparison, Expression, Words
from kdsl.rules.column import TextColumn, number_column, text_column
from kdsl.rules.errors import RuleError
from kdsl.rules.fired import Fired, Match, joined
from kdsl.rules.matching import Matching, places
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.scan import ExpressionFinder, WordFinder

CHUNK_ROWS = 65_536
CHUNK_BITS = 512_000_000  # patterns times rows of a chunk: 64 MB
MAX_PLACES = 20  # of one word in one text, when explained

Bits = NDArray[np.uint8]
_COMPARE: dict[str, Callable[[Any, float], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
}


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
        self._need = [self._needed(rule) for rule in self.rules]

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
        step = max(8, min(CHUNK_ROWS, CHUNK_BITS // max(1, len(self._index)) // 8 * 8))
        parts = []
        for start in range(0, n, step):
            stop = min(start + step, n)
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
        width = (n + 7) // 8
        bits = np.zeros((len(self._index), width), np.uint8)
        at = 0
        for scan in self._scans:
            scan.mark(texts[scan.field], bits[at : at + len(scan.keys)])
            at += len(scan.keys)
        hit = np.asarray(bits.any(axis=1), bool)
        fired: list[tuple[int, Bits]] = []
        compared: dict[Comparison, Bits] = {}
        for number, rule in enumerate(self.rules):
            if all(any(hit[i] for i in group) for group in self._need[number]):
                column = self._holds(rule, bits, hit, numbers, compared)
                if column is not None and column.any():
                    fired.append((number, column))
        return _sparse(self.rule_ids, fired, n)

    def _holds(
        self,
        rule: Rule,
        bits: Bits,
        hit: NDArray[np.bool_],
        numbers: Mapping[str, NDArray[np.float64]],
        compared: dict[Comparison, Bits],
    ) -> Bits | None:
        held: Bits | None = None
        for atom in rule.atoms:
            if isinstance(atom, Comparison):
                if atom not in compared:
                    compared[atom] = np.packbits(_COMPARE[atom.op](numbers[atom.field], atom.value))
                column = compared[atom]
            else:
                rows = [bits[i] for i in (self._index[key] for key in _keys(atom)) if hit[i] or not atom.negative]
                if atom.negative and not rows:
                    column = np.full(bits.shape[1], 255, np.uint8)
                elif isinstance(atom, Words) and atom.op == "all_of":
                    column = np.bitwise_and.reduce(rows)
                else:
                    column = rows[0] if len(rows) == 1 else np.bitwise_or.reduce(rows)
                    column = ~column if atom.negative else column
            held = column if held is None else held & column
        return held

    def _needed(self, rule: Rule) -> list[list[int]]:
        """Groups of patterns; where one group was met nowhere in a chunk the rule cannot have fired."""
        groups: list[list[int]] = []
        for atom in rule.atoms:
            if isinstance(atom, Comparison) or atom.negative:
                continue
            numbers = [self._index[key] for key in _keys(atom)]
            every = isinstance(atom, Words) and atom.op == "all_of"
            groups += [[number] for number in numbers] if every else [numbers]
        return groups


class _FieldScan:
    """All words and expressions over one field; `keys` names the bit columns that `mark` fills."""

    def __init__(self, name: str, rules: Iterable[Rule], matching: Matching) -> None:
        atoms = [atom for rule in rules for atom in rule.atoms if atom.field == name]
        keys = {key for atom in atoms if not isinstance(atom, Comparison) for key in _keys(atom)}
        words = sorted(what for _, kind, what in keys if kind == "word")
        patterns = sorted(what for _, kind, what in keys if kind == "expression")
        self.field = name
        self.keys = [(name, "word", word) for word in words] + [(name, "expression", what) for what in patterns]
        self._words = WordFinder(words, matching) if words else None
        self._expressions = ExpressionFinder(patterns) if patterns else None
        self._n_words = len(words)

    def mark(self, column: TextColumn, bits: Bits) -> None:
        if self._words is not None:
            _set_bits(bits[: self._n_words], *self._words.find(column))
        if self._expressions is not None:
            _set_bits(bits[self._n_words :], *self._expressions.find(column))


def _keys(atom: Atom) -> list[tuple[str, str, str]]:
    if isinstance(atom, Expression):
        return [(atom.field, "expression", atom.pattern)]
    assert isinstance(atom, Words)  # noqa: S101 - comparisons are asked of no text
    return [(atom.field, "word", word) for word in atom.words]


def _set_bits(bits: Bits, pattern: NDArray[np.int64], row: NDArray[np.int64]) -> None:
    np.bitwise_or.at(bits, (pattern, row >> 3), (128 >> (row & 7)).astype(np.uint8))


def _sparse(rule_ids: tuple[str, ...], fired: list[tuple[int, Bits]], n: int) -> Fired:
    rows, numbers = [], []
    for at, column in fired:
        row = np.flatnonzero(np.unpackbits(column, count=n))
        rows.append(row)
        numbers.append(np.full(len(row), at, np.int32))
    if not rows:
        return Fired(rule_ids, np.zeros(n + 1, np.int64), np.zeros(0, np.int32))
    every, number = np.concatenate(rows), np.concatenate(numbers)
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
