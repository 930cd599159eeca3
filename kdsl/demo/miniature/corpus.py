"""What the miniatures learn from: dialogues of any wish and pictures of any kind, drawn anew in every step.

Nothing here is of the made-up shop that the demo labels: other wishes in other words, other screens.
"""

from dataclasses import dataclass
from random import Random

from kdsl.demo.chance import dice
from kdsl.demo.miniature.blocks import BLOCKS
from kdsl.demo.miniature.screens import kinds
from kdsl.demo.miniature.shots import PHOTOS, Shot, shot
from kdsl.demo.miniature.talks import sentence, talk
from kdsl.demo.miniature.wishes import wishes
from kdsl.dialogue import Item

BLOCK_NAMES = ("", "head", *PHOTOS, *BLOCKS)  # "": an empty part of a screen


@dataclass(frozen=True, slots=True)
class Talks:
    """Dialogues, and the place of each one's wish among `wishes()`."""

    items: tuple[Item, ...]
    wishes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shots:
    """Pictures, and the place of each one's kind among `kinds()`."""

    shots: tuple[Shot, ...]
    kinds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """What one step learns from."""

    talks: Talks
    shots: Shots


def made(seed: int, step: int, rows: int, pictures: int) -> Made:
    """So many dialogues and pictures, a function of the seed and the step's number."""
    throw = dice(seed, "step", step)
    return Made(talks(throw, rows), shots(throw, pictures))


def talks(throw: Random, rows: int) -> Talks:
    """Dialogues of any wishes."""
    known = wishes()
    places = tuple(throw.randrange(len(known)) for _ in range(rows))
    items = tuple(Item(str(row), "talk", talk(throw, known[place]).turns) for row, place in enumerate(places))
    return Talks(items, places)


def shots(throw: Random, rows: int) -> Shots:
    """Pictures of any kinds."""
    known = kinds()
    places = tuple(throw.randrange(len(known)) for _ in range(rows))
    return Shots(tuple(shot(throw, known[place]) for place in places), places)


def blocks(one: Shot, rows: int) -> list[int]:
    """The block that fills each of so many equal rows of a picture, as places in `BLOCK_NAMES`."""
    return [BLOCK_NAMES.index(one.at((row + 0.5) / rows)) for row in range(rows)]


def texts(throw: Random, count: int) -> list[str]:
    """Text to learn a vocabulary from: dialogues, names, descriptions and titles."""
    found = [f"{name}: {wish.description}" for wish in wishes() for name in wish.names] * 3
    found += [
        f"{name}: {kind.description} {' '.join((*kind.titles, *kind.main, *kind.more))}"
        for kind in kinds()
        for name in kind.names
    ] * 3
    for _ in range(count):
        wish = throw.choice(wishes())
        found.append(sentence(throw, wish))
        found += [f"{turn.speaker}: {turn.text}" for turn in talk(throw, wish).turns]
    return found
