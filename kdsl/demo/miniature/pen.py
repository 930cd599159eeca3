"""A made-up phone screen being drawn: where the next block goes, and the look that all blocks share."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from PIL import ImageDraw

from kdsl.demo.canvas import font

Colour = tuple[int, int, int]
One = TypeVar("One")


@dataclass
class Pen:
    """One screen being drawn: `y` is where the next block starts."""

    draw: ImageDraw.ImageDraw
    dice: Random
    wide: int
    tall: int
    size: int
    ground: Colour
    card: Colour
    ink: Colour
    faint: Colour
    accent: Colour
    family: Any
    edge: int
    y: float = 0.0

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        big: float = 1.0,
        bold: bool = False,
        fill: Colour | None = None,
        at: str = "la",
    ) -> None:
        """One line of text."""
        face = font(self.family, bold, max(6, round(self.size * big)))
        self.draw.text((x, y), words, font=face, fill=fill or self.ink, anchor=at)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        *,
        fill: Colour | None = None,
        line: Colour | None = None,
        r: float = 3,
    ) -> None:
        """A rounded box."""
        if x1 - x0 > 1 and y1 - y0 > 1:
            self.draw.rounded_rectangle((x0, y0, x1, y1), min(r, (x1 - x0) / 2, (y1 - y0) / 2), fill=fill, outline=line)

    @property
    def row(self) -> float:
        """Height of a line."""
        return self.size * 1.6

    @property
    def right(self) -> float:
        """Right edge of what is written."""
        return self.wide - self.edge

    def some(self, words: Sequence[One]) -> One:
        """One of them."""
        return self.dice.choice(words)

    def tone(self) -> Colour:
        """Any colour of a thing."""
        return (self.dice.randrange(40, 230), self.dice.randrange(40, 230), self.dice.randrange(40, 230))

    def sum(self) -> str:
        """A price or a number."""
        return f"{self.some(('$', '€', '£', ''))}{self.dice.randrange(2, 300)}.{self.some(('00', '20', '49', '95'))}"

    def when(self) -> str:
        """A day or time."""
        dice = self.dice
        return self.some(
            (
                f"{dice.randrange(1, 29)} May",
                f"{dice.randrange(24)}:{dice.randrange(60):02d}",
                f"{dice.randrange(1, 13)}/{dice.randrange(1, 29)}",
            )
        )


def lighter(colour: Colour, by: int) -> Colour:
    """The colour made lighter."""
    red, green, blue = (min(255, value + by) for value in colour)
    return red, green, blue
