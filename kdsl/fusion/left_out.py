"""What each part adds to the pool: what the pool loses where the part is left out and the others are fitted anew.

The pool less a part alone tells who is strong; this tells who is missed. Of two voters that say the same neither is.
"""

from collections.abc import Sequence

from kdsl.fusion.answered import answers
from kdsl.fusion.held_out import HeldOut
from kdsl.metrics import Estimate
from kdsl.paired import less


def left_out(held: HeldOut, idle: Sequence[str] = (), *, seed: int) -> dict[str, Estimate]:
    """By voter with a say, held-out weighted F1 of the pool less that of the pool of the others.

    Nested and on the rows of `kdsl.fusion.nested.judge`: those of which every voter with a say was asked, answered by
    fusions that they had no part in; once, and not in repeats as there, since this decides nothing and a pool is fitted
    anew for each voter; intervals by paired bootstrap. Empty where there are not two voters with a say, or no such row.
    """
    names = [name for name in held.voters if name not in idle and held.asked[name].any()]
    heard = held.only(names)
    at = heard.complete
    if len(names) < 2 or not at.any():
        return {}
    whole = answers(heard, seed=seed).label[at]
    return {
        name: less(held.gold[at], [whole], [answers(heard.without([name]), seed=seed).label[at]], seed=seed)
        for name in names
    }
