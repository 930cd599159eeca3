"""Codes of labels: each label answers to one token, so that one prefill scores all labels of a task."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

from kdsl.errors import ConfigError

LONGEST = 4  # characters of a code at most


@dataclass(frozen=True, slots=True)
class Code:
    """What stands in the prompt for one label, and the one token it is."""

    text: str
    token: int


def codes(tokenizer: Any, n: int) -> tuple[Code, ...]:
    """The first `n` codes of a tokenizer: capital letters, then pairs of them, digits, small letters, short words.

    Raises:
        ConfigError: the tokenizer keeps fewer strings whole, or two of them are one token.
    """
    found: list[Code] = []
    seen: set[int] = set()
    for text in _candidates(tokenizer):
        if len(found) == n:
            break
        token = _whole(tokenizer, text)
        if token is not None and token not in seen:
            seen.add(token)
            found.append(Code(text, token))
    if len(found) < n:
        raise ConfigError(
            f"model: its tokenizer keeps {len(found)} codes of letters and digits whole and the task has {n} labels; "
            "split the task, or use a model with a larger vocabulary."
        )
    return tuple(found)


def orders(n: int, permutations: int) -> tuple[tuple[int, ...], ...]:
    """Which code each label gets, for every permutation: `orders[k][label]` is the place of its code.

    The shifts are spread evenly, so a bias for a place falls on other labels each time.

    Raises:
        ConfigError: more permutations than labels, or none.
    """
    if not 1 <= permutations <= n:
        raise ConfigError(f"permutations: {permutations} given; 1 to {n} go with {n} labels.")
    shifts = [k * n // permutations for k in range(permutations)]
    return tuple(tuple((label + shift) % n for label in range(n)) for shift in shifts)


def _candidates(tokenizer: Any) -> Iterator[str]:
    yield from ascii_uppercase
    yield from ("".join(pair) for pair in product(ascii_uppercase, repeat=2))
    yield from digits
    yield from ascii_lowercase
    known = tokenizer.get_vocab()
    short = (text for text in known if 2 <= len(text) <= LONGEST and text.isascii() and text.isalnum())
    yield from sorted(short, key=lambda text: (known[text], text))


def _whole(tokenizer: Any, text: str) -> int | None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    if len(ids) != 1 or ids[0] in _special(tokenizer):
        return None
    return int(ids[0]) if tokenizer.decode(ids).strip() == text else None


@cache
def _special(tokenizer: Any) -> frozenset[int]:
    return frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder)
