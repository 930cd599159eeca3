"""What the templates of one intent are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lines:
    """Templates of one intent; see `kdsl.demo.wording` for their form.

    `say` states the wish, `vague` leaves it half open, so that another intent may fit as well, `again` repeats it after
    an agent misunderstood, `agent` is what an agent says about it.
    """

    say: tuple[str, ...]
    vague: tuple[str, ...]
    again: tuple[str, ...]
    agent: tuple[str, ...]
