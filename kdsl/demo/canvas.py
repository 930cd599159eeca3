"""A page of a made-up phone app: blocks flow down from the top; drawn with Pillow and the DejaVu fonts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from kdsl.errors import KdslError

Colour = tuple[int, int, int]
Family = Literal["DejaVuSans", "DejaVuSerif", "DejaVuSansMono"]

LIGHT = ((246, 246, 248), (255, 255, 255), (34, 34, 38), (128, 128, 136))
DARK = ((18, 18, 22), (36, 36, 42), (232, 232, 236), (150, 150, 160))
CREAM = ((250, 245, 235), (255, 252, 246), (60, 48, 40), (140, 126, 112))
ACCENTS: tuple[Colour, ...] = (
    (24, 104, 200),
    (200, 60, 40),
    (20, 130, 90),
    (120, 60, 170),
    (210, 120, 10),
    (30, 30, 30),
)
SWATCHES: tuple[Colour, ...] = (
    (190, 80, 70),
    (70, 120, 170),
    (90, 150, 100),
    (200, 160, 70),
    (130, 100, 160),
    (110, 110, 110),
)


@dataclass(frozen=True, slots=True)
class Theme:
    """How one made-up app looks; sizes in pixels."""

    width: int
    height: int
    ground: Colour
    card: Colour
    ink: Colour
    faint: Colour
    accent: Colour
    family: Family
    size: int
    radius: int
    filled_bar: bool
    phone_bar: bool

    @property
    def bright(self) -> Colour:
        """The accent as letters wear it: lighter on a dark ground."""
        return tint(self.accent, 80) if self.ground == DARK[0] else self.accent


def theme(dice: Random) -> Theme:
    """Draw a theme: 360 to 480 pixels wide, 1.3 to 2.1 times as tall, light, dark or cream."""
    width = dice.choice((360, 375, 390, 414, 440, 480))
    ground, card, ink, faint = dice.choices((LIGHT, DARK, CREAM), (6, 3, 2))[0]
    return Theme(
        width=width,
        height=int(width * dice.choice((1.3, 1.6, 1.78, 1.78, 2.0, 2.1))),
        ground=ground,
        card=card,
        ink=ink,
        faint=faint,
        accent=dice.choice(ACCENTS[:-1] if ground == DARK[0] else ACCENTS),
        family=dice.choices(("DejaVuSans", "DejaVuSerif", "DejaVuSansMono"), (8, 2, 1))[0],
        size=round(width / 27) + dice.choice((0, 0, 1)),
        radius=dice.choice((0, 4, 10)),
        filled_bar=dice.random() < 0.5,
        phone_bar=dice.random() < 0.7,
    )


class Page:
    """One page being made. `y` is where the next block starts; drawing happens in `image`."""

    def __init__(self, look: Theme) -> None:
        self.look = look
        self.left = round(look.width * 0.045)
        self.right = look.width - self.left
        self.y = 0
        self._strokes: list[Callable[[ImageDraw.ImageDraw], None]] = []

    def image(self) -> Image.Image:
        """The finished page, RGB."""
        image = Image.new("RGB", (self.look.width, self.look.height), self.look.ground)
        draw = ImageDraw.Draw(image)
        for stroke in self._strokes:
            stroke(draw)
        return image

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 1,
        bold: bool = False,
        fill: Colour | None = None,
        anchor: str = "la",
    ) -> None:
        """Write one line; `size` in units of the theme's letter size, `anchor` as in Pillow."""
        face = font(self.look.family, bold, round(self.look.size * size))
        colour = fill or self.look.ink
        self._strokes.append(lambda draw: draw.text((x, y), words, font=face, fill=colour, anchor=anchor))

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        *,
        fill: Colour | None,
        outline: Colour | None = None,
        radius: float | None = None,
    ) -> None:
        """A rectangle with the theme's corners."""
        corner = self.look.radius if radius is None else radius
        corner = min(corner, (x1 - x0) / 2, (y1 - y0) / 2)
        self._strokes.append(
            lambda draw: draw.rounded_rectangle((x0, y0, x1, y1), radius=corner, fill=fill, outline=outline)
        )

    def path(self, points: Sequence[tuple[float, float]], *, fill: Colour, width: int = 1) -> None:
        """A line through the points."""
        self._strokes.append(lambda draw: draw.line(points, fill=fill, width=width))

    def polygon(self, points: Sequence[tuple[float, float]], *, fill: Colour) -> None:
        """A filled shape."""
        self._strokes.append(lambda draw: draw.polygon(points, fill=fill))

    @contextmanager
    def block(self) -> Iterator[None]:
        """A card around the blocks made within."""
        at, top = len(self._strokes), self.y
        self.y += self.gap
        yield
        self.y += self.gap
        inset, bottom, look = self.left // 2, self.y, self.look
        self._strokes.insert(
            at,
            lambda draw: draw.rounded_rectangle((inset, top, look.width - inset, bottom), look.radius, fill=look.card),
        )
        self.y += self.gap

    @property
    def gap(self) -> int:
        """Space between blocks."""
        return self.look.size * 2 // 3

    @property
    def line(self) -> int:
        """Height of one line of text."""
        return round(self.look.size * 1.6)

    def head(self, title: str, clock: str, back: bool = True) -> None:
        """The phone's status line, where the theme shows it, and the app's bar with a title."""
        look = self.look
        bar = look.accent if look.filled_bar else look.card
        ink = (255, 255, 255) if look.filled_bar else look.ink
        high = round(look.size * (1.7 if look.phone_bar else 0))
        tall = round(look.size * 3)
        self.box(0, 0, look.width, high + tall, fill=bar, radius=0)
        if look.phone_bar:
            self.text(self.left, high / 2, clock, size=0.8, fill=ink, anchor="lm")
            self.box(self.right - 26, high / 2 - 5, self.right, high / 2 + 5, fill=None, outline=ink, radius=2)
            self.box(self.right - 24, high / 2 - 3, self.right - 10, high / 2 + 3, fill=ink, radius=0)
        middle = high + tall / 2
        if back:
            x, arm = self.left, look.size * 0.4
            self.path([(x + arm, middle - arm), (x, middle), (x + arm, middle + arm)], fill=ink, width=2)
        if title:
            self.text(look.width / 2, middle, title, size=1.2, bold=True, fill=ink, anchor="mm")
        self.y = high + tall + self.gap

    def say(
        self, words: str, *, size: float = 1, bold: bool = False, fill: Colour | None = None, centre: bool = False
    ) -> None:
        """A paragraph, wrapped to the page."""
        for row in wrap(words, font(self.look.family, bold, round(self.look.size * size)), self.right - self.left):
            x, anchor = (self.look.width / 2, "ma") if centre else (self.left, "la")
            self.text(x, self.y, row, size=size, bold=bold, fill=fill, anchor=anchor)
            self.y += round(self.line * size)

    def pair(self, name: str, value: str, *, bold: bool = False, fill: Colour | None = None) -> None:
        """A name at the left and a value at the right."""
        self.text(self.left, self.y, name, fill=None if bold else self.look.faint, bold=bold)
        self.text(self.right, self.y, value, bold=bold, fill=fill, anchor="ra")
        self.y += self.line

    def article(self, name: str, note: str, price: str, swatch: Colour) -> None:
        """A small picture of a thing with its name, a note and its price."""
        side = round(self.look.size * 3.6)
        self.box(self.left, self.y, self.left + side, self.y + side, fill=swatch)
        self.box(
            self.left + side * 0.3,
            self.y + side * 0.25,
            self.left + side * 0.7,
            self.y + side * 0.8,
            fill=tint(swatch, 50),
        )
        x = self.left + side + self.gap
        self.text(x, self.y, name, bold=True)
        self.text(x, self.y + self.line, note, size=0.85, fill=self.look.faint)
        self.text(self.right, self.y + side, price, anchor="rd")
        self.y += side + self.gap

    def buttons(self, names: Sequence[str]) -> None:
        """Buttons side by side at the right, the last one filled."""
        look, x = self.look, float(self.right)
        high = round(look.size * 2)
        for at, name in enumerate(reversed(names)):
            wide = font(look.family, False, look.size).getlength(name) + look.size * 1.4
            if x - wide < self.left / 2:
                break
            self.box(
                x - wide, self.y, x, self.y + high, fill=look.accent if at == 0 else look.card, outline=look.accent
            )
            ink = (255, 255, 255) if at == 0 else look.bright
            self.text(x - wide / 2, self.y + high / 2, name, size=0.95, fill=ink, anchor="mm")
            x -= wide + self.gap
        self.y += high + self.gap

    def wide_button(self, name: str) -> None:
        """One button over the whole width."""
        high = round(self.look.size * 2.6)
        self.box(self.left, self.y, self.right, self.y + high, fill=self.look.accent)
        self.text(self.look.width / 2, self.y + high / 2, name, size=1.1, bold=True, fill=(255, 255, 255), anchor="mm")
        self.y += high + self.gap

    def tabs(self, names: Sequence[str], chosen: int = 0) -> None:
        """Names side by side, one of them underlined."""
        step = (self.right - self.left) / len(names)
        for at, name in enumerate(names):
            x = self.left + step * (at + 0.5)
            self.text(x, self.y, name, bold=at == chosen, size=0.95, anchor="ma")
            if at == chosen:
                low = self.y + self.line
                self.path([(x - step / 3, low), (x + step / 3, low)], fill=self.look.accent, width=3)
        self.y += self.line + self.gap

    def foot(self, names: Sequence[str], chosen: int) -> None:
        """The app's tabs at the bottom of the page."""
        look = self.look
        top = look.height - round(look.size * 3)
        self.box(0, top, look.width, look.height, fill=look.card, radius=0)
        for at, name in enumerate(names):
            x = look.width * (at + 0.5) / len(names)
            ink = look.bright if at == chosen else look.faint
            self.box(x - 7, top + 5, x + 7, top + 19, fill=None, outline=ink, radius=4)
            self.text(x, look.height - 5, name, size=0.72, fill=ink, anchor="md")


def tint(colour: Colour, by: int) -> Colour:
    """The colour made lighter, or darker where `by` is negative."""
    red, green, blue = (max(0, min(255, value + by)) for value in colour)
    return red, green, blue


def wrap(words: str, face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break words into rows at most `width` pixels wide."""
    rows = [""]
    for word in words.split():
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and face.getlength(longer) > width:
            rows.append(word)
        else:
            rows[-1] = longer
    return rows


@cache
def font(family: Family, bold: bool, size: int) -> ImageFont.FreeTypeFont:
    """A DejaVu font, as matplotlib carries it.

    Raises:
        KdslError: matplotlib is not installed.
    """
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise KdslError(
            "demo: matplotlib is not installed, and the made-up shop draws with the DejaVu fonts it carries; "
            "install the extra: pip install 'kdsl-spark[demo]'."
        )
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{family}{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
