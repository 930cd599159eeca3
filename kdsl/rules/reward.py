"""What a rule is worth to the search, measured on the rows that may judge it (`kdsl.rules.partial.judged_rows`)."""

from dataclasses import dataclass

from kdsl.rules.provenance import wilson_low

Z = 1.0  # of the bound inside the reward: a softer bound than the 95 % one that people are shown
WORD_COST = 0.01  # reward that one more word must bring


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of a partial rule on judged rows, and the reward made of them."""

    fired: int
    right: int
    fresh: int  # right, on positives that no earlier rule of the label covers
    reward: float


@dataclass(frozen=True, slots=True)
class Reward:
    """Wilson bound of judged precision, times the share of open positives that it covers, less its length.

    `positives` and `open_` are masks: rows of the label, and those of them not yet covered.
    """

    positives: int
    open_: int

    def __call__(self, fired: int, size: int) -> Score:
        """Score of a rule that fires on the judged rows `fired` (a mask) and has `size` words."""
        n = fired.bit_count()
        right = (fired & self.positives).bit_count()
        fresh = (fired & self.open_).bit_count()
        share = fresh / max(1, self.open_.bit_count())
        return Score(n, right, fresh, wilson_low(right, n, Z) * share - WORD_COST * size)
