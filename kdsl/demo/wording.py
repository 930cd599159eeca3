"""Templates of made-up sentences: `[a|b]` is a choice, `{thing}` a slot, and some are kept for the nights alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from kdsl.demo.chance import rank

Part = Literal["history", "nights"]

NIGHTS_ONLY = 0.35  # share of the templates of each list that never occurs in the history
NEW = 0.3  # share of the nights' sentences made from those
_TOKEN = re.compile(r"\[([^\]]*)\]|\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a template that is filled from the dialogue's own values."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence cut into fixed text, choices and slots."""

    pieces: tuple["str | Slot | tuple[Template, ...]", ...]

    def say(self, dice: Random, values: Mapping[str, str]) -> str:
        """The sentence with its choices made and its slots filled."""
        words = []
        for piece in self.pieces:
            if isinstance(piece, str):
                words.append(piece)
            elif isinstance(piece, tuple):
                words.append(dice.choice(piece).say(dice, values))
            else:
                words.append(values[piece.name])
        return "".join(words)


@dataclass(frozen=True, slots=True)
class Wordings:
    """Ways to say one thing: those known to both parts of the shop, and those that only the nights have."""

    shared: tuple[Template, ...]
    late: tuple[Template, ...]

    def say(self, dice: Random, values: Mapping[str, str], part: Part) -> str:
        """One of the ways; in the nights some are new."""
        known = part == "history" or not self.late or dice.random() >= NEW
        way = dice.choice(self.shared if known else self.late)
        said = way.say(dice, values)
        return said[:1].upper() + said[1:] if isinstance(next(iter(way.pieces), ""), Slot) else said


def wordings(lines: Sequence[str]) -> Wordings:
    """Compile templates; which of them are kept for the nights follows from a hash of each."""
    compiled = [compile_template(line) for line in sorted(lines, key=rank)]
    cut = len(compiled) - int(NIGHTS_ONLY * len(compiled))
    return Wordings(tuple(compiled[:cut]), tuple(compiled[cut:]))


def compile_template(line: str) -> Template:
    """Cut one template into its pieces."""
    pieces: list[str | Slot | tuple[Template, ...]] = []
    at = 0
    for match in _TOKEN.finditer(line):
        if match.start() > at:
            pieces.append(line[at : match.start()])
        choice, slot = match.groups()
        pieces.append(Slot(slot) if slot else tuple(map(compile_template, choice.split("|"))))
        at = match.end()
    if at < len(line):
        pieces.append(line[at:])
    return Template(tuple(pieces))
