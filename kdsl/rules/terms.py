"""The words and character n-grams of a text column, and in which rows each stands."""

from collections.abc import Iterator
from functools import lru_cache

from kdsl.rules.examples import Examples
from kdsl.rules.matching import is_unspaced, is_word_char

MAX_GRAM = 4  # characters, in scripts without spaces
MAX_PHRASE = 3  # words, in scripts with them
_GAPS = (" ", "'", "’", "-")  # what may stand between the words of a phrase


def terms_of(text: str, matching: str) -> set[str]:
    """Terms of one text: phrases of 1 to 3 words, or n-grams of 1 to 4 letters and digits."""
    return set(_phrases(text)) if matching == "words" else set(_grams(text))


def term_masks(examples: Examples, name: str, least: int = 2) -> dict[str, int]:
    """Term to mask, terms of at least `least` rows; `examples` remembers the masks."""
    rows: dict[str, list[int]] = {}
    how = examples.matching[name]
    for row, text in enumerate(examples.texts[name]):
        for term in terms_of(text, how):
            rows.setdefault(term, []).append(row)
    masks = {}
    for term, found in sorted(rows.items()):
        if len(found) >= least:
            masks[term] = sum(1 << row for row in found)
            examples.remember(name, term, masks[term])
    return masks


def _phrases(text: str) -> Iterator[str]:
    tokens = _tokens(text)
    for at, (start, _) in enumerate(tokens):
        end = start
        for begin, stop in tokens[at : at + MAX_PHRASE]:
            if begin > start and text[end:begin] not in _GAPS:
                break
            end = stop
            yield text[start:end]


def _tokens(text: str) -> list[tuple[int, int]]:
    out, start = [], None
    for at, char in enumerate(text):
        if is_word_char(char):
            start = at if start is None else start
        elif start is not None:
            out.append((start, at))
            start = None
    return out if start is None else [*out, (start, len(text))]


def _grams(text: str) -> Iterator[str]:
    for run in _runs(text):
        for at in range(len(run)):
            for length in range(1, MAX_GRAM + 1):
                if at + length <= len(run):
                    yield run[at : at + length]


@lru_cache(maxsize=2_048)
def _runs(text: str) -> tuple[str, ...]:
    out, run = [], ""
    for char in text:
        if is_word_char(char) or is_unspaced(char):
            run += char
        elif run:
            out.append(run)
            run = ""
    return (*out, run) if run else tuple(out)
