"""Where a word stands in a text: anywhere (`substring`), or between borders of words (`words`).

Scripts without spaces (Han, Kana, Thai, ...) have no borders, so their characters never ask for one: in a text of
both kinds "refund" needs its borders and 退款 does not.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

Matching = Literal["substring", "words"]
MATCHINGS: tuple[Matching, ...] = ("substring", "words")

UNSPACED_SHARE = 0.2  # of the letters of a field; a shop's Chinese texts lie above .8, English ones below .01
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x109F),  # Tibetan, Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # Kana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


def decide(texts: Iterable[str | None]) -> Matching:
    """`substring` where at least `UNSPACED_SHARE` of the letters belong to scripts without spaces, else `words`."""
    letters = unspaced = 0
    for text in texts:
        for char in text or "":
            if char.isalpha():
                letters += 1
                unspaced += is_unspaced(char)
    return "substring" if letters and unspaced >= UNSPACED_SHARE * letters else "words"


@lru_cache(maxsize=65_536)
def is_unspaced(char: str) -> bool:
    """Whether the character belongs to a script written without spaces."""
    code = ord(char)
    return any(low <= code <= high for low, high in _UNSPACED)


@lru_cache(maxsize=65_536)
def is_word_char(char: str) -> bool:
    """Whether the character would go on a word that stands beside it: letters, digits, marks, `_`."""
    inside = char.isalnum() or char == "_" or unicodedata.category(char).startswith("M")
    return inside and not is_unspaced(char)


def places(word: str, text: str, matching: Matching) -> Iterator[int]:
    """Start of every occurrence, overlapping ones among them, in code points."""
    start = text.find(word)
    while start >= 0:
        if matching == "substring" or _bordered(text, start, start + len(word)):
            yield start
        start = text.find(word, start + 1)


def occurs(word: str, text: str, matching: Matching) -> bool:
    """Whether the word stands in the text."""
    return next(places(word, text, matching), None) is not None


def _bordered(text: str, start: int, end: int) -> bool:
    left = start == 0 or not (is_word_char(text[start - 1]) and is_word_char(text[start]))
    return left and (end == len(text) or not (is_word_char(text[end - 1]) and is_word_char(text[end])))
