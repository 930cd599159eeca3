"""What every voter is: it fits on few labelled items, and turns a batch of items into log-probabilities.

| array            | shape       | holds                                                              |
|------------------|-------------|--------------------------------------------------------------------|
| `log_probs(...)` | (n, labels) | float64 natural logs, rows sum to 1 in probability; a row all NaN: abstains |

`n` is `len(items)`, labels in the order of `labels`. A voter is fitted for one task. It is saved to and loaded from
a directory of npz, safetensors and JSON files: never pickle.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.fusion.facts import Facts
from kdsl.rules.fired import RuleFired
from kdsl.taxonomy import Task

LogProbs = NDArray[np.float64]


@runtime_checkable
class Voter(Protocol):
    """A fitted voter of one task."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's label names, in taxonomy order."""
        ...

    def log_probs(self, items: Sequence[Item]) -> LogProbs:
        """Log-probabilities, shape (len(items), len(labels)); the same for an item in any batch."""
        ...

    def save(self, folder: Path) -> None:
        """Write the voter into an empty directory."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A voter that can tell why: which of its rules fired on an item, and on which words."""

    @property
    def fingerprint(self) -> str:
        """Names its rules, whatever their order."""
        ...

    def explained(self, items: Sequence[Item], language: str) -> tuple[LogProbs, list[tuple[RuleFired, ...]]]:
        """What `log_probs` gives, and by item the rules that fired, said in that language; one evaluation for both."""
        ...

    def facts_of(self, fired: Sequence[Sequence[RuleFired]]) -> Facts:
        """The held-out records of the rules that `explained` said fired, by item."""
        ...


# fit(task, items, gold, groups, *, seed, **options) -> Voter: learn from labelled items. `groups` are the keys of
# near-duplicates, for inner folds; the result is the same for the same items in any order.
Fit = Callable[..., Voter]


@dataclass(frozen=True)
class Kind:
    """How one kind of voter is fitted and loaded.

    `options` are the fields of `FitSettings` that its fit takes. `hold_out` says that fitting is too dear for folds:
    the kind is scored by one fit on four fifths and asked of the last fifth only (groups whole, labels spread evenly).
    `again(first, task, items, ...)` then fits it on all examples, where it can make use of the fit on some.
    `looks` says that it needs `Picture.content`.
    `by_hand` says that its fit takes the rules of people.
    """

    name: str
    fit: Fit
    load: Callable[[Path, Task], Voter]
    options: tuple[str, ...] = ()
    hold_out: bool = False
    again: Fit | None = None
    looks: bool = False
    by_hand: bool = False


def interrupted(voter: Voter) -> bool:
    """Whether Ctrl-C ended the voter's learning early and it keeps the best so far; most kinds just stop."""
    return bool(getattr(voter, "interrupted", False))


def give_up(voter: Voter) -> None:
    """Let a voter that answers nothing any more give back at once what it holds of a GPU; most kinds hold nothing."""
    drop = getattr(voter, "drop", None)
    if drop is not None:
        drop()


def looked_at(voters: Mapping[str, Iterable[str]]) -> list[str]:
    """The tasks, given with the names of their voters, of which some voter looks at the files of pictures."""
    return [task for task, names in voters.items() if any(kind(name).looks for name in names)]


def must_teach(task: Task, items: Sequence[Item], gold: Sequence[str]) -> None:
    """Check that there is something to learn from.

    Raises:
        ConfigError: no item, or a gold label that is not the task's.
    """
    if not items:
        raise ConfigError(
            f"task {task.name!r} has no labelled items to learn from; ingest some with their labels, --split train."
        )
    foreign = sorted(set(gold) - set(task.label_names))
    if foreign:
        raise ConfigError(f"task {task.name!r} has no label {foreign[0]!r:.60}; mend the gold labels or the taxonomy.")


def kind(name: str) -> Kind:
    """The kind of voter of that name. To add a kind: one module, one line here.

    Raises:
        ConfigError: there is none of that name.
    """
    if name == "linear":
        from kdsl.models import linear

        return Kind("linear", linear.fit, linear.load, options=("encoder",))
    if name == "meaning":
        from kdsl.models import meaning

        return Kind("meaning", meaning.fit, meaning.load, options=("encoder",))
    if name == "rules":
        from kdsl.models import rule_fit, rule_voter

        return Kind("rules", rule_fit.fit, rule_voter.load, options=("rules_budget", "rules_model"), by_hand=True)
    if name in ("small", "large"):
        from kdsl.models import mllm_voter

        fit, again = mllm_voter.fit_of(name), mllm_voter.again_of(name)
        return Kind(name, fit, mllm_voter.load, options=(name,), hold_out=True, again=again, looks=True)
    raise ConfigError(f"fit.voters: {name!r} is no kind of voter; known: {', '.join(KINDS)}.")


KINDS = ("linear", "meaning", "rules", "small", "large")
