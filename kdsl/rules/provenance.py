"""Where a rule comes from, and what is known of how well it does."""

import math
from dataclasses import dataclass
from typing import Literal

State = Literal["learned", "edited", "pinned", "banned", "written"]
STATES: tuple[State, ...] = ("learned", "edited", "pinned", "banned", "written")
Source = Literal["search", "person", "taxonomy"]
SOURCES: tuple[Source, ...] = ("search", "person", "taxonomy")

Z = 1.959963984540054  # two-sided 95 %


def wilson_low(right: int, fired: int, z: float = Z) -> float:
    """Lower end of Wilson's score interval for a share; 0 where nothing fired.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    if fired <= 0:
        return 0.0
    share, zz = right / fired, z * z
    centre = share + zz / (2 * fired)
    spread = z * math.sqrt(share * (1 - share) / fired + zz / (4 * fired * fired))
    return max(0.0, (centre - spread) / (1 + zz / fired))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who or what made a rule: a run of the search, a person, or the words of the taxonomy."""

    source: Source = "person"
    run: str = ""  # the search's name (`kdsl.rules.record.run_id_of`), or who wrote the rule
    parent: str = ""  # id of the rule that it was made from
    proposer: str = ""
    budget: int = 0  # iterations spent when it was found
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Rows on which a rule fired and was right: seen and unseen by the search. Ids, never texts.

    `fired` and `right` count examples that a search that met the rule could see, `unseen_` ones those that were held
    out of such a search: with several folds a row may be both. A rule of a person's own counts all examples in both, an
    edited one as the learned rule that it was made from. Ids are of either kind.
    """

    fired: int = 0
    right: int = 0
    unseen_fired: int = 0
    unseen_right: int = 0
    examples: tuple[str, ...] = ()
    counter_examples: tuple[str, ...] = ()

    @property
    def support(self) -> int:
        """Rows of the label on which it fired where its search could see."""
        return self.right

    @property
    def precision(self) -> float:
        """Share right of the rows that its search could see; NaN where it never fired."""
        return self.right / self.fired if self.fired else math.nan

    @property
    def unseen_precision(self) -> float:
        """Share right of the rows held out of its search; NaN where it never fired."""
        return self.unseen_right / self.unseen_fired if self.unseen_fired else math.nan

    @property
    def bound(self) -> float:
        """Lower end of the 95 % Wilson interval of `unseen_precision`."""
        return wilson_low(self.unseen_right, self.unseen_fired)
