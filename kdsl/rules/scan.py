"""One pass over a text column finds all words (Hyperscan) or all expressions (Hyperscan, confirmed by RE2).

A machine without Hyperscan finds the same, words by Aho-Corasick and expressions by RE2's own set, slower.

Both finders take their patterns as text and build the automata when they are made; they are not for pickling.
What they cost grows with the bytes read and the matches found, not with the number of patterns.
"""

from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.rules import expression
from kdsl.rules.column import Int, TextColumn
from kdsl.rules.matching import Matching, is_word_char

MAX_BYTES = 4_000_000  # of text a pass; bounds the list of matches
DFA_BYTES = 20_000  # of patterns; above it the automaton in its small form, some 2 times slower, 20 times smaller

WORD_BITS = 24  # of a packed match that name the word; a set of rules holds fewer

Hits = tuple[Int, Int]  # pattern and row, or pattern and end, side by side
Matches = Callable[[memoryview], Hits]  # a finder's words, and where each match ends
_ASCII_WORD = np.array([is_word_char(chr(code)) for code in range(128)])


class WordFinder:
    """Finds which words stand in which rows, substrings anywhere or whole words."""

    def __init__(self, words: Sequence[str], matching: Matching) -> None:
        encoded = [word.encode() for word in words]
        self._lengths = np.array([len(word) for word in encoded], np.int64)
        self._matches = _literals(encoded) or _automaton(encoded)
        self._whole = matching == "words"
        self._first = np.array([is_word_char(word[0]) for word in words], bool)
        self._last = np.array([is_word_char(word[-1]) for word in words], bool)

    def find(self, column: TextColumn) -> Hits:
        """(word, row) of every match; a pair stands as often as the word does in the row."""
        words, rows = [], []
        for first, part in column.parts(MAX_BYTES):
            word, row = self._find(part)
            words.append(word)
            rows.append(row + first)
        return _joined(words), _joined(rows)

    def _find(self, part: TextColumn) -> Hits:
        word, end = self._matches(part.data)
        start = end - self._lengths[word]
        row = np.searchsorted(part.offsets, start, "right") - 1
        keep = end <= part.offsets[row + 1]  # rows stand on end: a match over a border is none
        if self._whole and len(word):
            keep &= ~(self._first[word] & self._word_before(part, start, row))
            keep &= ~(self._last[word] & self._word_after(part, end, row))
        return word[keep], row[keep]

    def _word_before(self, part: TextColumn, start: Int, row: Int) -> NDArray[np.bool_]:
        inside = start > part.offsets[row]
        return _word_at(part.data, np.maximum(start - 1, 0), inside)

    def _word_after(self, part: TextColumn, end: Int, row: Int) -> NDArray[np.bool_]:
        inside = end < part.offsets[row + 1]
        return _word_at(part.data, np.minimum(end, max(len(part.data) - 1, 0)), inside)


def _literals(words: Sequence[bytes]) -> Matches | None:
    """By Hyperscan: for thousands of words some 2 times as fast as Aho-Corasick, for hundreds as fast."""
    try:
        import hyperscan
    except ImportError:  # no wheel for this machine
        return None
    database = hyperscan.Database()
    try:
        database.compile(words, ids=list(range(len(words))), flags=0, literal=True)
    except hyperscan.HyperscanError:
        return None

    def remember(word: int, start: int, end: int, flags: int, found: Any) -> None:  # noqa: ARG001
        found.append(end << WORD_BITS | word)

    def matches(data: memoryview) -> Hits:
        found: list[int] = []
        database.scan(bytes(data), match_event_handler=remember, context=found)
        packed = np.array(found, np.int64)
        return packed & ((1 << WORD_BITS) - 1), packed >> WORD_BITS

    return matches


def _automaton(words: Sequence[bytes]) -> Matches:
    from ahocorasick_rs import BytesAhoCorasick, Implementation

    form = Implementation.DFA if sum(map(len, words)) <= DFA_BYTES else Implementation.ContiguousNFA
    automaton = BytesAhoCorasick(words, implementation=form)

    def matches(data: memoryview) -> Hits:
        found = automaton.find_matches_as_indexes(data, overlapping=True)
        flat = np.fromiter(chain.from_iterable(found), np.int64, 3 * len(found)).reshape(-1, 3)
        return flat[:, 0], flat[:, 2]

    return matches


class ExpressionFinder:
    """Finds which expressions match which rows."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._compiled = [expression.compiled(pattern) for pattern in patterns]
        fast = [i for i, pattern in enumerate(patterns) if "\\p" not in pattern and "\\P" not in pattern]
        self._database, fast = _hyperscan(patterns, fast)
        self._slow = sorted(set(range(len(patterns))) - set(fast))
        self._set = _re2_set([patterns[i] for i in self._slow]) if self._slow else None

    def find(self, column: TextColumn) -> Hits:
        """(expression, row) of every match, each pair once."""
        hits: list[tuple[int, int]] = []
        offsets = column.offsets.tolist()
        data = column.data
        for row, (start, end) in enumerate(pairwise(offsets)):
            if start == end:
                continue
            raw = bytes(data[start:end])
            if self._database is not None:
                maybe: list[int] = []
                self._database.scan(raw, _remember, context=maybe)
                if maybe:
                    text = raw.decode()
                    # Hyperscan and RE2 differ in corners (`$`, `\s`): RE2, which explains matches, has the last word.
                    hits.extend((i, row) for i in maybe if self._compiled[i].search(text) is not None)
            if self._set is not None:
                hits.extend((self._slow[i], row) for i in self._set.Match(raw.decode()) or ())
        flat = np.array(hits, np.int64).reshape(-1, 2)
        return flat[:, 0], flat[:, 1]


def _remember(pattern: int, start: int, end: int, flags: int, context: list[int]) -> None:  # noqa: ARG001
    context.append(pattern)


def _hyperscan(patterns: Sequence[str], wanted: list[int]) -> tuple[Any, list[int]]:
    """A database of those of the expressions that Hyperscan takes, and their numbers."""
    if not wanted:
        return None, []
    try:
        import hyperscan
    except ImportError:  # no wheel for this machine: RE2's own set finds the same, slower
        return None, []

    def build(numbers: list[int]) -> Any:
        database = hyperscan.Database()
        flags = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SINGLEMATCH
        database.compile([patterns[i].encode() for i in numbers], ids=numbers, flags=flags)
        return database

    try:
        return build(wanted), wanted
    except hyperscan.HyperscanError:
        taken = [i for i in wanted if _takes(build, i, hyperscan.HyperscanError)]
        return (build(taken), taken) if taken else (None, [])


def _takes(build: Any, number: int, refusal: type[Exception]) -> bool:
    try:
        build([number])
    except refusal:
        return False
    return True


def _re2_set(patterns: Sequence[str]) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = expression.MAX_MEMORY * max(8, len(patterns))
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found


def _word_at(data: memoryview, at: Int, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a word character covers byte `at`, where `inside`."""
    out = np.zeros(len(at), bool)
    if not len(data):
        return out
    bytes_ = np.frombuffer(data, np.uint8)[at]
    ascii_ = inside & (bytes_ < 0x80)
    out[ascii_] = _ASCII_WORD[bytes_[ascii_]]
    for i in np.flatnonzero(inside & (bytes_ >= 0x80)):
        out[i] = is_word_char(_char_at(data, int(at[i])))
    return out


def _char_at(data: memoryview, at: int) -> str:
    while data[at] & 0xC0 == 0x80:  # back to the first byte of the character
        at -= 1
    length = 2 if data[at] < 0xE0 else 3 if data[at] < 0xF0 else 4
    return bytes(data[at : at + length]).decode()


def _joined(parts: list[Int]) -> Int:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
