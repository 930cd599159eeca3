"""A fitted fusion of one task: what a release saves and labelling applies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from kdsl.errors import ReleaseError
from kdsl.fusion.cascade import DEAR, Cascade
from kdsl.fusion.facts import Facts
from kdsl.fusion.override import Override, believed, overrule
from kdsl.fusion.pool import pool
from kdsl.models.calibrate import Calibration, clean
from kdsl.models.voter import LogProbs

POOL = "pool"


@dataclass(frozen=True)
class Fused:
    """One task's batch, fused: label index (-1: abstains), its score, and all labels' log-probabilities.

    The score is the label's probability, but the bound of a rule's precision where that rule overrules; there the
    log-probabilities are those of `kdsl.fusion.override.believed`.
    """

    label: NDArray[np.int64]
    score: NDArray[np.float64]
    log_probs: LogProbs
    calibrated: Mapping[str, LogProbs]
    """Voter -> its calibrated log-probabilities."""
    overruled_by: NDArray[np.int64]
    """Entry of the facts that overruled the pool on a row, -1 where none did."""
    asked: NDArray[np.bool_]
    """Whether the dear voter counts on a row; all true where no cascade spares it."""


class Fusion(BaseModel):
    """Calibrations and weights by voter, the pool's own calibration, and whose word counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...]
    calibrations: dict[str, Calibration]
    weights: dict[str, float]
    pool_calibration: Calibration = Calibration()
    uses: str = POOL
    """`pool`, or the voter that decides alone because no pool beat it; where it is silent the others' pool speaks."""
    idle: tuple[str, ...] = ()
    """Voters that are asked and have no say, since held-out answers are no better with them."""
    override: Override = Override()
    threshold: float | None = None
    """Below this probability the release abstains; None: it never does for doubt."""
    cascade: Cascade | None = None
    """When the dear voter is asked; None: of every row."""
    others: "Fusion | None" = None
    """What the others say without it, where there is a cascade."""

    @property
    def voters(self) -> tuple[str, ...]:
        """Names, in the order in which they are asked."""
        return tuple(self.weights)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Those of the voters that have a say."""
        return tuple(name for name in self.voters if name not in self.idle)

    @property
    def who(self) -> str:
        """Who decides: `pool` or a voter, or the two that do, where another one decides without the dear voter."""
        if self.cascade is None or self.others is None or self.others.uses == self.uses:
            return self.uses
        if self.cascade.asks_nobody:
            return self.others.uses
        return f"{self.uses}{elsewhere(self.others.uses)}"

    def asks(self, said: Mapping[str, LogProbs]) -> NDArray[np.bool_]:
        """Of which rows the dear voter is to be asked, (n,), from what the others said, (n, labels) each."""
        if self.cascade is None or self.others is None:
            return np.ones(len(next(iter(said.values()))), dtype=bool)
        return self.cascade.asks(self.others(said).log_probs)

    def judge(self, asked: bool) -> "Fusion":
        """The fusion that decides a row of which the dear voter was asked, or was not."""
        return self if asked or self.others is None else self.others

    def __call__(self, said: Mapping[str, LogProbs], facts: Facts | None = None) -> Fused:
        """Fuse raw log-probabilities (n, labels) by voter; ties go to the label that stands first.

        A row that a rule overrules has the bound of the rule's precision as its score. On a row of which the dear voter
        need not be asked its votes do not count, whether there are any or not.
        """
        whole = self._whole(said, facts)
        if self.cascade is None or self.others is None:
            return whole
        spared = self.others(said, facts)
        asked = self.asks(said)  # whatever rules say
        return Fused(
            label=np.where(asked, whole.label, spared.label),
            score=np.where(asked, whole.score, spared.score),
            log_probs=np.where(asked[:, None], whole.log_probs, spared.log_probs),
            calibrated=whole.calibrated,
            overruled_by=np.where(asked, whole.overruled_by, spared.overruled_by),
            asked=asked,
        )

    def _whole(self, said: Mapping[str, LogProbs], facts: Facts | None) -> Fused:
        raw = {name: clean(said[name]) for name in self.voters}
        calibrated = {name: self.calibrations[name](votes) for name, votes in raw.items()}
        log_probs = self.pool_calibration(pool({name: calibrated[name] for name in self.speakers}, self.weights))
        label = first_best(log_probs)
        if self.uses != POOL:
            alone = np.asarray(~np.isnan(raw[self.uses]).any(axis=1))
            log_probs = np.where(alone[:, None], calibrated[self.uses], log_probs)
            # Vector scaling may move the top; the part was measured, and is used, as it speaks itself.
            label = np.where(alone, first_best(raw[self.uses]), label)
        score = np.where(label < 0, np.nan, np.exp(np.take_along_axis(log_probs, label[:, None], axis=1)[:, 0]))
        overruled_by = np.full(len(label), -1, dtype=np.int64)
        if facts is not None and self.uses == POOL:
            overruled_by = overrule(self.override, facts, log_probs, label, score)
        if self.threshold is not None:
            label = np.where(score < self.threshold, -1, label)
        log_probs = believed(self.override, log_probs, np.where(overruled_by >= 0, label, -1))
        every = np.ones(len(label), dtype=bool)
        return Fused(label, np.minimum(score, 1.0), log_probs, calibrated, overruled_by, every)

    @property
    def may_overrule(self) -> bool:
        """Whether a rule may overrule it on any row, those that the dear voter is spared included."""
        return self.override.possible or (self.others is not None and self.others.may_overrule)

    def of_stored(self, votes: Sequence[Mapping[str, Sequence[float] | None]], facts: Facts | None = None) -> Fused:
        """Fuse votes as the table `votes` holds them, one mapping of voter to log-probabilities a row.

        A voter that is missing, or has None, abstains; so does one that the cascade asks and that is missing.
        """
        silent = [np.nan] * len(self.labels)
        shape = len(votes), len(self.labels)
        return self(
            {
                name: np.array([row.get(name) or silent for row in votes], dtype=np.float64).reshape(shape)
                for name in self.voters
            },
            facts,
        )

    def ruled(self, fused: Fused, label: NDArray[np.int64]) -> LogProbs:
        """Log-probabilities (n, labels) of rows fused without facts, as they are with them.

        Args:
            fused: what `of_stored` has of them.
            label: label index (n,) that a rule gave, -1 where none overruled.
        """
        asked = fused.asked
        out = believed(self.judge(True).override, fused.log_probs, np.where(asked, label, -1))
        return believed(self.judge(False).override, out, np.where(asked, -1, label))

    def save(self, file: Path) -> None:
        """Write JSON."""
        file.write_text(self.model_dump_json(indent=1), encoding="utf-8")


def elsewhere(others: str) -> str:
    """Said behind who decides where the dear voter is asked: that, and who does where it is not."""
    return f" where {DEAR} is asked, {others} elsewhere"


def equal(labels: Sequence[str], voters: Sequence[str]) -> Fusion:
    """A fusion that learned nothing: voters as they are, with equal weights."""
    return Fusion(
        labels=tuple(labels),
        calibrations={name: Calibration() for name in voters},
        weights=dict.fromkeys(voters, 1 / len(voters)),
    )


def load(file: Path, labels: Sequence[str], voters: Sequence[str]) -> Fusion:
    """Read what `Fusion.save` wrote.

    Raises:
        ReleaseError: the file is missing or broken, or made for other labels or voters.
    """
    try:
        fusion = Fusion.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ReleaseError(f"fusion in {file} cannot be read ({type(error).__name__}); run fit again.") from error
    if fusion.labels != tuple(labels) or not set(fusion.voters) <= set(voters):
        raise ReleaseError(f"fusion in {file} was made for other labels or voters; run fit again.")
    return fusion


def first_best(log_probs: LogProbs) -> NDArray[np.int64]:
    """Index of the best label (n,), the first of equals; -1 for a row of NaN."""
    silent = np.asarray(np.isnan(log_probs).any(axis=1))
    return np.where(silent, -1, np.where(silent[:, None], 0.0, log_probs).argmax(axis=1))
