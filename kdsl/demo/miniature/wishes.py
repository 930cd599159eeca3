"""Made-up customers' wishes by kind: `# name; other name; ... :: description`, then one template a line.

Templates have the form of `kdsl.demo.wording`: `[a|b]` is a choice, `{thing}` a slot.
"""

from dataclasses import dataclass
from functools import cache
from random import Random

from kdsl.demo.miniature.wishes_goods import GOODS
from kdsl.demo.miniature.wishes_service import SERVICE
from kdsl.demo.wording import Template, compile_template

THINGS = (
    *("bicycle", "sofa", "jeans", "laptop", "drill", "candle", "pillow", "necklace", "guitar", "printer", "camera"),
    *("sneakers", "dress", "coat", "pan", "knife", "microwave", "bookshelf", "mattress", "drone", "watch", "helmet"),
    *("pram", "toy train", "perfume", "carpet", "mirror", "plant pot", "hoover", "fridge", "tyre", "notebook", "ring"),
    *("belt", "hat", "gloves", "swimsuit", "speaker", "monitor", "tablet", "charger", "ladder", "garden hose", "bag"),
)
VALUES: dict[str, tuple[str, ...]] = {
    "thing": THINGS,
    "colour": ("orange", "navy", "cream", "pink", "brown", "silver", "turquoise", "dark green", "gold"),
    "day": ("Sunday", "Monday", "May 4", "the first", "tomorrow", "Friday evening", "the 15th", "next month", "Easter"),
    "ago": ("days ago", "three weeks ago", "in March", "last Tuesday", "at the weekend", "a month back", "earlier"),
    "size": ("XS", "medium", "36", "40", "size 9", "XXL"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One kind of wish: its names, what it means, and ways to say it."""

    names: tuple[str, ...]
    description: str
    ways: tuple[Template, ...]

    def say(self, dice: Random) -> str:
        """One way to say it, slots filled."""
        return dice.choice(self.ways).say(dice, values(dice))


@cache
def wishes() -> tuple[Wish, ...]:
    """All wishes, in file order."""
    found: list[Wish] = []
    for part in (GOODS + SERVICE).split("\n# ")[1:]:
        head, *lines = part.strip().splitlines()
        names, _, description = head.partition(" :: ")
        ways = tuple(compile_template(line) for line in lines if line and not line.startswith("#"))
        found.append(Wish(tuple(name.strip() for name in names.split(";")), description, ways))
    return tuple(found)


def values(dice: Random) -> dict[str, str]:
    """What fills the slots of one sentence."""
    known = {name: dice.choice(ways) for name, ways in VALUES.items()}
    known["number"] = str(dice.randrange(2, 60))
    known["amount"] = f"{dice.choice(('$', '€', '£', ''))}{dice.randrange(3, 400)}{dice.choice(('', '.20', '.95'))}"
    known["code"] = f"{dice.choice(('', 'no. ', 'ref ', '#'))}{dice.randrange(1_000, 9_999_999)}"
    return known
