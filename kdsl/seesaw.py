"""The see-saw: does one adapter for all tasks cost what one a task does not? What was measured, and what it says.

`kdsl.seesaw_runs` measures it, for several seeds, since one run proves nothing.
"""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from kdsl.errors import ReleaseError
from kdsl.metrics import Estimate

FILE = "seesaw.json"
JOINT = "joint"
OF = ("gradient", "update")
# Student's t, 97.5 %, for 2, 3, ... seeds; more seeds than listed: the normal distribution is near enough.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True, slots=True)
class Look:
    """Held-out weighted F1 of one task at a step of one run; `adapter` is "joint" or the task's own name."""

    seed: int
    adapter: str
    task: str
    step: int
    score: float


@dataclass(frozen=True, slots=True)
class Conflict:
    """Cosine of two tasks' directions in one layer; below 0 what one task learns undoes the other.

    `of` is "gradient" (at a step of the joint run) or "update" (of the two one-task adapters, at the end).
    """

    seed: int
    of: str
    tasks: tuple[str, str]
    layer: str
    step: int
    cosine: float


@dataclass(frozen=True)
class SeeSaw:
    """Everything that was measured. Steps count what one task has seen, in the joint run too."""

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    looks: tuple[Look, ...]
    conflicts: tuple[Conflict, ...]
    voter: str = ""
    """Whose base model and settings were used."""
    with_rules: tuple[Look, ...] = ()
    """At the last step, each adapter pooled with rules (`kdsl.seesaw_rules`)."""
    alone: tuple[Look, ...] = ()
    """The same without the rules, calibrated alike."""

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """What was measured with seeds apart, as one."""
        first = parts[0]
        return cls(
            first.tasks,
            tuple(seed for part in parts for seed in part.seeds),
            tuple(look for part in parts for look in part.looks),
            tuple(one for part in parts for one in part.conflicts),
            first.voter,
            tuple(look for part in parts for look in part.with_rules),
            tuple(look for part in parts for look in part.alone),
        )

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of the looks, in order."""
        return tuple(sorted({look.step for look in self.looks}))

    def gain(self, task: str) -> Estimate:
        """Weighted F1 at the last step, own adapter less joint one: over seeds, see `interval`."""
        return self._difference((self.looks, task), (self.looks, JOINT), task)

    def rules_gain(self, task: str) -> Estimate:
        """The same, own adapter with rules beside it less own adapter alone, calibrated alike; needs `with_rules`."""
        return self._difference((self.with_rules, task), (self.alone, task), task)

    def whole_gain(self, task: str) -> Estimate:
        """The same, own adapter with rules beside it less joint adapter alone: what decoupling gives in all."""
        return self._difference((self.with_rules, task), (self.looks, JOINT), task)

    def _difference(self, one: tuple[Sequence[Look], str], other: tuple[Sequence[Look], str], task: str) -> Estimate:
        last = [
            {look.seed: look.score for look in looks if (look.adapter, look.task) == (adapter, task)}
            for looks, adapter in (one, other)
        ]
        return interval([last[0][seed] - last[1][seed] for seed in self.seeds])

    def curve(self, adapter: str, task: str) -> tuple[Estimate, ...]:
        """Held-out weighted F1 of a task at each of `steps`: over seeds, see `interval`."""
        looks = [look for look in self.looks if (look.adapter, look.task) == (adapter, task)]
        return tuple(interval([look.score for look in looks if look.step == step]) for step in self.steps)

    def with_rules_at_last(self, task: str) -> Estimate:
        """Held-out weighted F1 of a task's own adapter pooled with rules, at the last step; needs `with_rules`."""
        return interval([look.score for look in self.with_rules if (look.adapter, look.task) == (task, task)])

    def cosine(self, of: str, layer: str | None = None) -> Estimate:
        """The cosine, mean over tasks, steps and layers (or of one layer) of a seed: over seeds, see `interval`."""
        known = [one for one in self.conflicts if one.of == of and layer in (None, one.layer)]
        by_seed = [[one.cosine for one in known if one.seed == seed] for seed in self.seeds]
        return interval([statistics.fmean(found) for found in by_seed if found])

    def layers(self, of: str) -> tuple[str, ...]:
        """The layers whose cosine is known, in order."""
        return tuple(sorted({one.layer for one in self.conflicts if one.of == of}))

    def verdict(self) -> str:
        """One sentence: which tasks lose by sharing, or that no see-saw shows."""
        losing = [task for task in self.tasks if self.gain(task).low > 0]
        gaining = [task for task in self.tasks if self.gain(task).high < 0]
        if not losing:
            return (
                f"No see-saw shows: over {len(self.seeds)} seeds no task is surely better with an adapter of its own."
            )
        better = f", while {', '.join(gaining)} gains" if gaining else ""
        return f"Sharing one adapter costs {', '.join(losing)}{better}."

    def to_json(self) -> str:
        """All of it, and what it comes to."""
        told = {
            "verdict": self.verdict(),
            "gains": {task: asdict(self.gain(task)) for task in self.tasks},
            **{
                name: {task: asdict(of(task)) for task in self.tasks}
                for name, of in (("gains_by_rules", self.rules_gain), ("gains_in_all", self.whole_gain))
                if self.with_rules
            },
            "cosines": {of: asdict(self.cosine(of)) for of in OF if self.layers(of)},
        }
        return json.dumps(told | asdict(self), indent=1) + "\n"


def read(file: Path) -> SeeSaw:
    """What `SeeSaw.to_json` wrote.

    Raises:
        ReleaseError: it is missing or broken.
    """
    try:
        return TypeAdapter(SeeSaw).validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise ReleaseError(
            f"{file} holds no see-saw that can be read ({type(error).__name__}); measure again."
        ) from error


def interval(values: Sequence[float]) -> Estimate:
    """Mean of some seeds' values and its 95 % interval by Student's t; n is the seeds, one alone has no bounds."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Estimate(mean, -math.inf, math.inf, 1)
    t = _T[len(values) - 2] if len(values) - 2 < len(_T) else 1.96
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half, len(values))
