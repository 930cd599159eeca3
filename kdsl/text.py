"""The one normalisation of text: learning, rules and labelling all see the same characters."""

import re
import unicodedata

_DIGIT = re.compile(r"\d")
_SPACE = re.compile(r"\s+")


def normalise(text: str) -> str:
    """NFKC, case folded, every digit read as 0, runs of white space as one space, ends trimmed.

    Digits are order numbers, sums and dates: their values name a person or a day, their shape carries the meaning.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SPACE.sub(" ", _DIGIT.sub("0", folded)).strip()


def shown(text: str) -> str:
    """The text with a mark for each character that cannot be seen or would turn the words around it."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
