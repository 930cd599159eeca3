"""Atoms: the conditions of a rule, each over one named field, in one canonical form.

Two atoms that mean the same are equal: words are normalised, sorted and stand once; expressions are normalised.
"""

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from kdsl.features import NUMBERS, TEXT_FIELDS
from kdsl.rules import expression
from kdsl.rules.errors import RuleError
from kdsl.text import normalise

WordsOp = Literal["any_of", "all_of", "none_of"]
WORDS_OPS: tuple[WordsOp, ...] = ("any_of", "all_of", "none_of")
EXPRESSION_OPS = ("matches", "not_matches")
COMPARISON_OPS = ("<", "<=", ">", ">=", "==")
MAX_WORD_CHARS = 100
MAX_WORDS = 200


@dataclass(frozen=True, slots=True)
class Words:
    """The field holds any, all or none of the words."""

    field: str
    op: WordsOp
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        _known(self.field, TEXT_FIELDS, "text field")
        _known(self.op, WORDS_OPS, "operator")
        if isinstance(self.words, str) or not isinstance(self.words, Iterable):
            raise RuleError(f"{self.field}.{self.op} takes a list of words, given {type(self.words).__name__}")
        given = tuple(self.words)
        if not given:
            raise RuleError(f"{self.field}.{self.op} names no word; write at least one, or take the condition out")
        if len(given) > MAX_WORDS:
            raise RuleError(f"{self.field}.{self.op} names {len(given):,} words; at most {MAX_WORDS} are allowed")
        words = tuple(sorted({canonical_word(word) for word in given}))
        object.__setattr__(self, "words", words)
        if len(words) == 1 and self.op == "all_of":  # the same condition, spelt once
            object.__setattr__(self, "op", "any_of")

    @property
    def negative(self) -> bool:
        """Whether it holds on a row without any text."""
        return self.op == "none_of"

    @property
    def size(self) -> int:
        """Words a reader has to take in."""
        return len(self.words)

    def to_dict(self) -> dict[str, Any]:
        """Plain data as in a rule file."""
        return {self.field: {self.op: list(self.words)}}


@dataclass(frozen=True, slots=True)
class Expression:
    """The field matches, or does not match, a bounded RE2 expression."""

    field: str
    pattern: str
    negative: bool = False

    def __post_init__(self) -> None:
        _known(self.field, TEXT_FIELDS, "text field")
        if not isinstance(self.pattern, str):
            raise RuleError(f"{self.field}.matches takes an expression, given {type(self.pattern).__name__}")
        object.__setattr__(self, "pattern", expression.canonical(self.pattern))

    @property
    def op(self) -> str:
        """Its name in a rule file."""
        return "not_matches" if self.negative else "matches"

    @property
    def size(self) -> int:
        """Words a reader has to take in."""
        return 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data as in a rule file."""
        return {self.field: {self.op: self.pattern}}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number compared with a constant; a number that an item does not have (NaN) compares as false."""

    field: str
    op: str
    value: float

    def __post_init__(self) -> None:
        _known(self.field, NUMBERS, "number")
        _known(self.op, COMPARISON_OPS, "operator")
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not math.isfinite(self.value):
            raise RuleError(f"{self.field} {self.op} takes a finite number, given {self.value!r:.40}")
        object.__setattr__(self, "value", float(self.value) + 0.0)  # no -0.0

    @property
    def negative(self) -> bool:
        """Whether it holds on a row without the number: never."""
        return False

    @property
    def size(self) -> int:
        """Words a reader has to take in."""
        return 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data as in a rule file."""
        return {self.field: {self.op: int(self.value) if self.value.is_integer() else self.value}}


Atom = Words | Expression | Comparison


def sort_key(atom: Atom) -> tuple[str, int, str, tuple[str, ...]]:
    """Order of atoms in a rule: by field, what must hold first, then operator and words."""
    if isinstance(atom, Words):
        detail = atom.words
    elif isinstance(atom, Expression):
        detail = (atom.pattern,)
    else:
        detail = (repr(atom.value),)
    return atom.field, int(atom.negative), atom.op, detail


def atom_of(field: str, op: str, value: Any) -> Atom:
    """The atom `{field: {op: value}}` of a rule file.

    Raises:
        RuleError: an unknown field or operator, or a value that it does not take.
    """
    if field in NUMBERS:
        return Comparison(field, op, value)
    _known(field, TEXT_FIELDS + NUMBERS, "field")
    if op in EXPRESSION_OPS:
        return Expression(field, value, negative=op == "not_matches")
    _known(op, WORDS_OPS + EXPRESSION_OPS, f"operator for text field {field}")
    return Words(field, op, value)  # type: ignore[arg-type]


def canonical_word(word: object) -> str:
    """A word as texts show it.

    Raises:
        RuleError: no text, empty, too long, or with control characters.
    """
    if not isinstance(word, str):
        raise RuleError(f"a word must be text, given {type(word).__name__}; put it in quotes")
    _not_too_long(word)
    if any(unicodedata.category(char) == "Cs" for char in word):
        raise RuleError(f"the word {word[:20]!r} holds half of a surrogate pair; type the character itself")
    plain = normalise(word)
    for _ in range(4):  # a few characters need a second pass until nothing changes
        if (again := normalise(plain)) == plain:
            break
        plain = again
    _not_too_long(plain)  # some characters become three
    if not plain:
        raise RuleError(f"the word {word[:20]!r} is empty once normalised; write a letter, digit or sign")
    if any(unicodedata.category(char) == "Cc" for char in plain):
        raise RuleError(f"the word {word[:20]!r} holds a control character; take it out")
    return plain


def _not_too_long(word: str) -> None:
    if len(word) > MAX_WORD_CHARS:
        raise RuleError(
            f"the word {word[:20]!r}... has {len(word):,} characters; at most {MAX_WORD_CHARS} are allowed: shorten it"
        )


def _known(value: object, allowed: Iterable[str], what: str) -> None:
    names = list(allowed)
    if isinstance(value, str) and value in names:
        return
    near = get_close_matches(value, names, 1) if isinstance(value, str) else []
    hint = f"did you mean {near[0]}? " if near else ""
    raise RuleError(f"{value!r:.60} is no {what}; {hint}allowed: {', '.join(names)}")


def as_dicts(atoms: Iterable[Atom]) -> list[Mapping[str, Any]]:
    """Atoms as plain data, in their order."""
    return [atom.to_dict() for atom in atoms]
