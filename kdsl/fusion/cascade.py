"""Whether a dear voter is worth asking: what its answer is expected to add, against what a budget allows.

The value of information (Howard 1966) of asking is how much likelier a right answer becomes. With p(y) what the other
voters believe and c(a | y) how often the dear voter answers a where y is right (counted on held-out examples, drawn to
its average where they are few),

    value = sum over a of  max over y of p(y) c(a | y)   -   max over y of p(y)

which is 0 where no answer of it would change theirs. It is high where their two best labels are near each other, and
only if the dear voter can tell those two apart.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kdsl.models.voter import LogProbs

DEAR = "large"
# Examples' worth of trust, a label, in that the dear voter errs there as it errs on average.
SMOOTHING = 10.0
# Votes are stored in single precision, and texts come again: their last digits must not decide who is asked.
DIGITS = 5
NEVER = 1.0  # no value is above
NOT_ASKED = -2  # beside -1, no answer


class Cascade(BaseModel):
    """When to ask the voter `DEAR`, fitted on held-out votes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(ge=0, le=1)
    """The budget: share of rows of which it is asked at most."""
    price: float = Field(ge=0, le=NEVER)
    """It is asked where its value is above."""
    answers: tuple[tuple[float, ...], ...]
    """How often it answers (column) on rows of a label (row); the last column is no answer."""
    shares: tuple[float, ...]
    """Of the labels among the examples, for rows on which the other voters are silent."""

    @property
    def asks_nobody(self) -> bool:
        """Whether no row can be worth the price."""
        return self.price >= NEVER

    def value(self, log_probs: LogProbs) -> NDArray[np.float64]:
        """How much likelier a right answer becomes by asking, (n,), from what the others say (n, labels)."""
        silent = np.asarray(np.isnan(log_probs).any(axis=1))
        believed = np.where(silent[:, None], np.array(self.shares), np.exp(log_probs))
        # Answer by answer and not by BLAS, whose last digit depends on the rows beside it.
        after = np.zeros(len(believed))
        for likely in np.array(self.answers).T:
            after += (believed * likely).max(axis=1)
        gain = np.maximum(after - np.where(silent, 0.0, believed.max(axis=1)), 0.0)
        return np.asarray(np.round(gain, DIGITS), dtype=np.float64)

    def asks(self, log_probs: LogProbs) -> NDArray[np.bool_]:
        """On which rows to ask, (n,), from what the others say (n, labels)."""
        return np.asarray(self.value(log_probs) > self.price)


def learn(log_probs: LogProbs, gold: NDArray[np.int64], said: NDArray[np.int64], *, share: float) -> Cascade:
    """The policy whose budget is met on these rows.

    Args:
        log_probs: what the others say of held-out rows, (n, labels).
        gold: label index (n,).
        said: what the dear voter answers there, label index (n,); -1: nothing; or `NOT_ASKED`.
        share: of rows to ask of; 0: of none.
    """
    labels = log_probs.shape[1]
    asked = said != NOT_ASKED
    policy = Cascade(
        share=share,
        price=0.0,
        answers=tuple(map(tuple, _answers(gold[asked], said[asked], labels).tolist())),
        shares=tuple(((np.bincount(gold, minlength=labels) + 1) / (len(gold) + labels)).tolist()),
    )
    return policy.model_copy(update={"price": price(policy.value(log_probs), share)})


def price(values: NDArray[np.float64], share: float) -> float:
    """The value above which at most this share of rows lies; rows of equal value are asked of together or not."""
    most = int(share * len(values) + 1e-9)
    if not most:
        return NEVER
    return float(np.sort(values)[::-1][most]) if most < len(values) else 0.0


def _answers(gold: NDArray[np.int64], said: NDArray[np.int64], labels: int) -> NDArray[np.float64]:
    """Answers (labels, labels + 1) by label, in shares; few examples are drawn to right and wrong as on average."""
    right, silent = (float(np.sum(side)) for side in (said == gold, said < 0))
    n = len(gold) + 2.0
    average = np.full((labels, labels + 1), max(n - right - 1 - silent, 0.0) / n / max(labels - 1, 1))
    average[np.arange(labels), np.arange(labels)] = (right + 1) / n
    average[:, labels] = silent / n
    average /= average.sum(axis=1, keepdims=True)
    counts = np.zeros((labels, labels + 1))
    np.add.at(counts, (gold, said), 1.0)  # -1 is the last column
    smoothed: NDArray[np.float64] = (counts + SMOOTHING * average) / (counts.sum(axis=1, keepdims=True) + SMOOTHING)
    return smoothed
