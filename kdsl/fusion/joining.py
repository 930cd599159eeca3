"""Whether voters that were asked of a hold-out alone get a say: only where answers are better with them there.

Every figure of a pool with such a voter comes from its hold-out, a fifth of the rows. One that adds nothing would cost
the others most of their evidence: which is the best part, how sure the pool may be, what a night without gold is
estimated from. It stays idle instead: its votes are shown and scored, and count for nothing.
"""

from kdsl.fusion.answered import REPEATS, answers
from kdsl.fusion.fit import Recipe
from kdsl.fusion.fusion import first_best
from kdsl.fusion.held_out import HeldOut
from kdsl.paired import less


def idle(held: HeldOut, *, seed: int, share: float = 1.0) -> tuple[str, ...]:
    """The voters that were asked of some rows only and with which the pool answers no better there (nested).

    They get a say together or not at all, and always where nobody was asked of every row, or one of them alone is
    better than the pool of the others. `share` is that of rows of which the dear voter may be asked.
    """
    some = tuple(name for name in held.voters if not held.asked[name].all())
    at = held.complete
    if not some or len(some) == len(held.voters) or not at.any():
        return ()
    turns = range(seed, seed + REPEATS)
    whole = [answers(held, Recipe(share=share), seed=turn).label[at] for turn in turns]
    rest = [answers(held.without(some), seed=turn).label[at] for turn in turns]
    gold, alone = held.gold[at], [[first_best(held.said[name])[at]] for name in some]
    better = any(less(gold, answered, rest, seed=seed).value > 0 for answered in (whole, *alone))
    return () if better else some
