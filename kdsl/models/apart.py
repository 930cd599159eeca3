"""Learning a voter that is too dear for folds as an order that any process can carry out, on a GPU or beside others.

What comes back is small: what it said of its hold-out, and the files that a release keeps.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kdsl.dialogue import Item
from kdsl.learn import Heard, hear
from kdsl.models.lessons import Lesson
from kdsl.models.voter import Voter, give_up, kind
from kdsl.taxonomy import Task


@dataclass(frozen=True)
class Order:
    """One voter of one task to learn; `options` go to the fit of its kind, so do other tasks' lessons `beside` it."""

    voter: str
    task: Task
    items: Sequence[Item]
    gold: Sequence[str]
    groups: Sequence[str]
    folds: int
    seed: int
    options: Mapping[str, Any]
    beside: Sequence[Lesson] = ()


@dataclass(frozen=True)
class Done:
    """A voter that was learned: its votes on the hold-out, its files by name, and the seconds that it took.

    `seconds` are by the clock, `processor` those of all cores in this process, which others' work does not make longer.
    """

    heard: Heard
    files: Mapping[str, bytes]
    seconds: float
    processor: float

    def save(self, folder: Path) -> None:
        """Write the files as the voter itself would."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


Coming = Mapping[tuple[str, str], Callable[[], Done]]
"""By task and voter, what waits until it is learned."""
Start = Callable[[Sequence[Order]], Coming]


def learn(order: Order) -> Done:
    """Fit on four fifths of the examples, ask the last fifth, and fit for use: on all, unless the kind is told not to.

    Raises:
        ConfigError: see the fit of the kind.
    """
    begun, spent = time.monotonic(), time.process_time()
    made_by, known = kind(order.voter), {"seed": order.seed, **order.options}
    known |= {"beside": order.beside} if order.beside else {}
    parts = order.items, order.gold, order.groups
    met: list[Voter] = []
    heard = hear(
        made_by, order.task, order.items, order.gold, folds=order.folds, groups=order.groups, met=met.append, **known
    )
    again = made_by.again if met else None
    voter = again(met[0], order.task, *parts, **known) if again else made_by.fit(order.task, *parts, **known)
    with tempfile.TemporaryDirectory() as folder:
        voter.save(Path(folder))
        files = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
    for one in (*met, voter):  # another process may want the card, and this one lives on
        give_up(one)
    return Done(heard, files, time.monotonic() - begun, time.process_time() - spent)


def in_turn(orders: Sequence[Order]) -> Coming:
    """Each learned in this process, when it is waited for."""
    return {(order.task.name, order.voter): partial(learn, order) for order in orders}
