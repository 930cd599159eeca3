"""What a page tells: plain data of a release and of the nights it labelled; every name in it may be hostile text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

from kdsl.manifest import Asking
from kdsl.metrics import Cells, Confusion, Estimate
from kdsl.models.adapter import Progress
from kdsl.models.reliability import Reliability
from kdsl.seesaw import SeeSaw


@dataclass(frozen=True)
class Night:
    """One date of one task; a figure that nobody could compute is None."""

    day: date
    rows: int
    abstained: int = 0
    failed: int = 0
    measured: Estimate | None = None
    """Weighted F1 against gold that the release did not learn from."""
    estimated: Estimate | None = None
    """Weighted F1 as estimated without gold."""
    likeness: float | None = None
    """Probability of scores so unlike the examples', if the items were of the same kind."""
    input_likeness: float | None = None
    """The same of what the items are made of."""
    shifts: tuple[str, ...] = ()
    """What differs, by name of `kdsl.inputs.FEATURES`."""
    reliable: bool = True


@dataclass(frozen=True)
class RuleNote:
    """One rule: its record on examples that its search did not see, and what it did on the nights."""

    rule_id: str
    label: str
    sentence: str
    state: str
    right: int
    fired: int
    bound: float
    """Lower end of the 95 % Wilson interval of its precision on unseen examples."""
    nights_fired: int = 0
    nights_agreed: int = 0
    """Items it fired on whose label is the rule's."""
    nights_decided: int = 0
    """Items on which it overruled the voters."""
    gold: int = 0
    """Items it fired on that have gold the release did not learn from, and how often it was right there."""
    gold_right: int = 0


@dataclass(frozen=True)
class TaskPart:
    """One task of the release."""

    name: str
    labels: tuple[str, ...]
    voters: tuple[str, ...]
    uses: str
    """`pool`, a voter, or in words who decides where (`kdsl.fusion.fusion.Fusion.who`)."""
    scores: Mapping[str, Estimate]
    """Voter, `pool` or `fused` -> held-out weighted F1 at `fit`."""
    gains: Mapping[str, Estimate]
    """Voter -> weighted F1 of the pool less the voter's, on the same rows."""
    weights: Mapping[str, float]
    """Of those with a say."""
    confusion: Confusion
    """Gold against what the release says, in items; of the nights where they have gold, else held-out examples."""
    of_nights: bool
    """Whether `confusion` is of the nights."""
    drawn: Cells = field(default_factory=dict)
    """The items of `confusion` with the weights that `sample` gave those it drew; empty where nothing was drawn."""
    example_counts: Mapping[str, int] = field(default_factory=dict)
    """Examples that the release learned from, by label."""
    night_counts: Mapping[str, int] = field(default_factory=dict)
    """Items of the nights, by label given."""
    left_out: Mapping[str, Estimate] = field(default_factory=dict)
    """Voter -> what the pool loses without it; empty in a release of an earlier version."""
    idle: tuple[str, ...] = ()
    """Voters without a say, scored on a hold-out of their own."""
    called: Mapping[str, str] = field(default_factory=dict)
    """Voter -> what its model is called, of those that are called something."""
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    learned: Mapping[str, tuple[Progress, ...]] = field(default_factory=dict)
    """Voter -> the looks at its post-training, of those that kept some."""
    asking: Asking | None = None
    """When the voter `large` is asked, and what other budgets would give; None where it is not beside others."""
    dear_seconds: float | None = None
    """Of a worker, for an item that it was asked of on the nights; None where it was asked of none."""
    rules: tuple[RuleNote, ...] | None = None
    """None where the task has no rules."""
    nights: tuple[Night, ...] = ()

    @property
    def cells(self) -> Cells:
        """The items of `confusion`, each with its weight in every score."""
        matrix = self.confusion
        places = zip(*np.nonzero(matrix.counts), strict=True)
        return self.drawn or {(matrix.labels[i], matrix.labels[j], 1.0): int(matrix.counts[i, j]) for i, j in places}


@dataclass(frozen=True)
class Content:
    """All that one page tells."""

    release_id: str
    taxonomy: str
    created_at: datetime
    parent: str
    tasks: tuple[TaskPart, ...]
    seesaw: SeeSaw | None = None
    """What tasks lose by sharing an adapter; None where it was not measured."""

    @property
    def days(self) -> tuple[date, ...]:
        """The nights that the release labelled, in order."""
        return tuple(sorted({night.day for task in self.tasks for night in task.nights}))
