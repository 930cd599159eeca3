"""Codes of labels: each label answers to one token, so that one prefill scores all labels of a task.

Where a tokenizer keeps fewer strings whole than there are labels, some codes are several tokens (`kdsl.models.trie`).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

from kdsl.errors import ConfigError

LONGEST = 4  # characters of a code at most


@dataclass(frozen=True, slots=True)
class Code:
    """What stands in the prompt for one label, the token it is or begins with, and further tokens if it has any."""

    text: str
    token: int
    more: tuple[int, ...] = ()

    @property
    def path(self) -> tuple[int, ...]:
        """All its tokens."""
        return (self.token, *self.more)


def codes(tokenizer: Any, n: int) -> tuple[Code, ...]:
    """The first `n` codes of a tokenizer: capital letters, then pairs of them, digits, small letters, short words.

    Where it keeps fewer whole, as few of them as will do give way to codes that begin with them; none begins another.

    Raises:
        ConfigError: it keeps fewer than two whole, or splits what is put together of them otherwise.
    """
    found = whole(tokenizer, n)
    return found if len(found) == n else tuple(_grown(tokenizer, found, n))


def whole(tokenizer: Any, most: int) -> tuple[Code, ...]:
    """The first codes of a tokenizer that are one token each, in the order that `codes` tells; at most so many."""
    return tuple(islice(_whole(tokenizer, _candidates(tokenizer)), most))


def named(tokenizer: Any, texts: Sequence[str]) -> tuple[Code, ...]:
    """Codes of one token by their texts; fewer than texts where the tokenizer does not keep all of them whole."""
    return tuple(_whole(tokenizer, texts))


def _grown(tokenizer: Any, whole: Sequence[Code], n: int) -> list[Code]:
    """Codes of several tokens in place of the last ones, breadth first, until there are enough."""
    leaves, heads = list(whole), deque(reversed(whole))
    while len(leaves) < n and heads:
        head = heads.popleft()
        longer = [code for last in whole if (code := _joined(tokenizer, head, last))]
        if len(longer) > 1:
            leaves.remove(head)
            leaves += longer[: n - len(leaves)]
            heads.extend(reversed(longer))
    if len(leaves) < n:
        raise ConfigError(
            f"model: its tokenizer keeps {len(whole)} codes of letters and digits whole, which make {len(leaves)} "
            f"codes, and the task has {n} labels; split the task, or use a model with a larger vocabulary."
        )
    return leaves


def _joined(tokenizer: Any, head: Code, last: Code) -> Code | None:
    """The one code behind the other, if the tokenizer reads it so."""
    text, path = head.text + last.text, [*head.path, last.token]
    if tokenizer.encode(text, add_special_tokens=False) != path or tokenizer.decode(path).strip() != text:
        return None
    return Code(text, head.token, tuple(path[1:]))


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


def _whole(tokenizer: Any, texts: Iterable[str]) -> Iterator[Code]:
    """A code of each text that is one token, and not the token of an earlier one."""
    seen = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False)
        if len(ids) == 1 and ids[0] not in seen and tokenizer.decode(ids).strip() == text:
            seen.add(ids[0])
            yield Code(text, int(ids[0]))
