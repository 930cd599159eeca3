"""How a task is asked of a model: codes of its labels, their orders, and the tokens that all items share."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdsl.errors import ConfigError
from kdsl.models.checkpoint import Loaded
from kdsl.models.codes import Code, codes, orders
from kdsl.models.prompt import Prompter
from kdsl.models.trie import Trie
from kdsl.taxonomy import Task

LEAST = 64  # tokens that must be left for an item


@dataclass(frozen=True)
class Plan:
    """How one task is asked: its labels' codes, and per permutation the order of them and the shared tokens.

    `room` is what the shared tokens leave of the model's context; `trie` holds codes of which some have several tokens.
    """

    codes: tuple[Code, ...]
    orders: tuple[tuple[int, ...], ...]
    shared: tuple[tuple[int, ...], ...]
    room: int
    trie: Trie | None = None

    @property
    def tokens(self) -> tuple[int, ...]:
        """The codes' first tokens, or their only ones."""
        return tuple(code.token for code in self.codes)


def planned(
    task: Task, loaded: Loaded, prompter: Prompter, permutations: int, chosen: Sequence[Code] | None = None
) -> Plan:
    """The plan of a task, with so many assignments of codes to labels; the codes are the `chosen` or the first ones.

    Raises:
        ConfigError: too few codes, or the label list leaves no room for an item in the model's context.
    """
    n = len(task.labels)
    known = tuple(chosen or codes(loaded.tokenizer, n))
    assigned = orders(n, min(permutations, n))
    shared = tuple(prompter.shared(task, known, order) for order in assigned)
    room = loaded.context - max(map(len, shared))
    if room < LEAST:
        raise ConfigError(
            f"model: the labels of task {task.name!r} take {max(map(len, shared)):,} of its "
            f"{loaded.context:,} tokens, and an item needs {LEAST}. Set labels: named, fewer shots, or shorten "
            "the descriptions."
        )
    trie = Trie.of(known)
    return Plan(known, assigned, shared, room, trie if trie.deep else None)
