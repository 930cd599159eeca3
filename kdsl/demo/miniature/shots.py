"""Made-up screenshots and photos of many apps, for training: a kind's blocks in a drawn look, then what phones do."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFilter

from kdsl.demo.canvas import font
from kdsl.demo.miniature.blocks import BLOCKS
from kdsl.demo.miniature.pen import Pen
from kdsl.demo.miniature.screens import Kind

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Band:
    """One block of a picture: its name, and its top and bottom as shares of the height."""

    name: str
    top: float
    low: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture, its kind, the title that stands on it ("" where there is none to read), and its blocks."""

    image: Image.Image
    kind: Kind
    title: str
    bands: tuple[Band, ...]

    def at(self, share: float) -> str:
        """The block at that share of the height; "" where the screen is empty."""
        return next((band.name for band in self.bands if band.top <= share < band.low), "")


def shot(dice: Random, kind: Kind) -> Shot:
    """Draw one picture of that kind."""
    plain = PHOTOS.get(kind.titles[0])
    if plain is not None:
        wide, tall = dice.choice(((240, 320), (320, 240), (260, 260), (240, 420)))
        image = Image.new("RGB", (wide, tall), _colour(dice))
        plain(image, dice)
        blurred = image.filter(ImageFilter.GaussianBlur(dice.uniform(0.2, 1.2)))
        return Shot(blurred, kind, "", (Band(kind.titles[0], 0, 1),))
    title = dice.choice(kind.titles)
    image, bands = _screen(dice, kind, title)
    wide, tall = image.size
    fate = dice.random()
    if fate < 0.2:
        top = dice.uniform(0.08, 0.45)
        low = min(1, top + dice.uniform(0.4, 0.6))
        left = tuple(Band(b.name, (b.top - top) / (low - top), (b.low - top) / (low - top)) for b in bands)
        return Shot(image.crop((0, round(tall * top), wide, round(tall * low))), kind, "", left)
    if fate < 0.3:
        ground = (dice.randrange(30, 110),) * 3
        image = image.rotate(dice.uniform(-4, 4), Image.Resampling.BICUBIC, expand=True, fillcolor=ground)
    elif fate < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(dice.uniform(0.3, 0.8)))
    return Shot(image, kind, title, bands)


def _screen(dice: Random, kind: Kind, title: str) -> tuple[Image.Image, tuple[Band, ...]]:
    wide = dice.randrange(220, 300)
    tall = round(wide * dice.uniform(1.25, 2.15))
    dark = dice.random() < 0.3
    base = dice.randrange(8, 40) if dark else dice.randrange(225, 252)
    warm = dice.randrange(-6, 7)
    ground, card = (base + warm, base, base - warm), (min(255, base + 16),) * 3
    ink = (230, 230, 232) if dark else (dice.randrange(60), dice.randrange(50), dice.randrange(60))
    image = Image.new("RGB", (wide, tall), ground)
    family = dice.choices(("DejaVuSans", "DejaVuSerif", "DejaVuSansMono"), (8, 2, 1))[0]
    pen = Pen(
        draw=ImageDraw.Draw(image),
        dice=dice,
        wide=wide,
        tall=tall,
        size=round(wide / dice.uniform(22, 29)),
        ground=ground,
        card=card,
        ink=ink,
        faint=(128 + warm, 130, 132),
        accent=_colour(dice, 20, 190),
        family=family,
        edge=round(wide * dice.uniform(0.03, 0.07)),
    )
    _head(pen, title)
    bands = [Band("head", 0, pen.y / tall)]
    late = {"foot", "input"}
    for name, share in sorted(kind.blocks, key=lambda block: block[0] in late):
        if dice.random() < share and (pen.y < tall or name in late):
            top = pen.y
            BLOCKS[name](pen, kind)
            bands.append(Band(name, 0.92, 1) if name in late else Band(name, top / tall, pen.y / tall))
    return image, tuple(sorted(bands, key=lambda band: band.name not in late))


def _head(pen: Pen, title: str) -> None:
    filled = pen.dice.random() < 0.5
    status = pen.row if pen.dice.random() < 0.7 else 0.0
    high = status + pen.row * pen.dice.uniform(1.6, 2.2)
    pen.box(0, 0, pen.wide, high, fill=pen.accent if filled else pen.card, r=0)
    ink = (255, 255, 255) if filled else pen.ink
    if status:
        pen.text(6, 3, f"{pen.dice.randrange(24)}:{pen.dice.randrange(60):02d}", big=0.8, fill=ink)
        pen.box(pen.wide - 22, 4, pen.wide - 6, 11, line=ink, r=1)
    middle = status + (high - status) / 2
    at, x = pen.dice.choice((("mm", pen.wide / 2), ("lm", pen.edge + pen.size * 1.5)))
    face = font(pen.family, True, round(pen.size * pen.dice.choice((1.1, 1.25, 1.4))))
    pen.draw.text((x, middle), title, font=face, fill=ink, anchor=at)
    if pen.dice.random() < 0.7:
        pen.text(6, middle, "<", fill=ink, at="lm")
    pen.y = high + pen.row * 0.6


def _colour(dice: Random, low: int = 40, high: int = 225) -> Colour:
    return (dice.randrange(low, high), dice.randrange(low, high), dice.randrange(low, high))


def _thing(image: Image.Image, dice: Random) -> None:
    """Something on a table or floor."""
    draw, (wide, tall) = ImageDraw.Draw(image), image.size
    if dice.random() < 0.5:
        for at in range(0, max(wide, tall), dice.randrange(18, 60)):
            line = (0, at, wide, at) if dice.random() < 0.7 else (at, 0, at, tall)
            draw.line(line, fill=_colour(dice), width=dice.randrange(1, 3))
    layer = Image.new("RGBA", image.size)
    on = ImageDraw.Draw(layer)
    for _ in range(dice.randrange(1, 4)):
        x, y = wide * dice.uniform(0.3, 0.7), tall * dice.uniform(0.3, 0.7)
        a, b = wide * dice.uniform(0.12, 0.34), tall * dice.uniform(0.1, 0.3)
        form = dice.randrange(3)
        if form == 0:
            on.rectangle((x - a, y - b, x + a, y + b), fill=_colour(dice))
            on.line((x - a, y - b, x + a * dice.uniform(-1, 1), y + b), fill=_colour(dice), width=2)
        elif form == 1:
            on.ellipse((x - a, y - b, x + a, y + b), fill=_colour(dice))
        else:
            points = [(x + dice.uniform(-a, a), y + dice.uniform(-b, b)) for _ in range(dice.randrange(4, 8))]
            on.polygon(points, fill=_colour(dice))
    layer = layer.rotate(dice.uniform(-40, 40), Image.Resampling.BICUBIC)
    image.paste(layer, (0, 0), layer)
    _grain(image, dice)


def _portrait(image: Image.Image, dice: Random) -> None:
    """A head and shoulders."""
    draw, (wide, tall) = ImageDraw.Draw(image), image.size
    skin = dice.choice(((236, 200, 170), (200, 150, 115), (140, 95, 65), (90, 60, 45)))
    x, y, r = wide * dice.uniform(0.4, 0.6), tall * dice.uniform(0.3, 0.45), wide * dice.uniform(0.14, 0.24)
    draw.ellipse((x - r * 2, y + r, x + r * 2, y + r * 6), fill=_colour(dice))
    draw.ellipse((x - r * 1.15, y - r * 1.5, x + r * 1.15, y + r), fill=_colour(dice, 10, 120))
    draw.ellipse((x - r, y - r * 1.1, x + r, y + r * 1.3), fill=skin)
    for side in (-0.4, 0.4):
        draw.ellipse((x + side * r - 2, y - 3, x + side * r + 2, y + 1), fill=(20, 20, 20))
    draw.line((x - r * 0.3, y + r * 0.7, x + r * 0.3, y + r * 0.7), fill=(120, 40, 40), width=2)
    _grain(image, dice)


def _paper(image: Image.Image, dice: Random) -> None:
    """A sheet with lines of print."""
    wide, tall = image.size
    sheet = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(sheet)
    left, top, right, low = wide * 0.12, tall * 0.08, wide * 0.88, tall * 0.92
    draw.rectangle((left, top, right, low), fill=(244, 242, 236))
    y = top + 14
    while y < low - 8:
        draw.line((left + 12, y, right - dice.uniform(12, wide * 0.4), y), fill=(70, 70, 74), width=2)
        y += dice.choice((7, 7, 7, 16))
    sheet = sheet.rotate(dice.uniform(-12, 12), Image.Resampling.BICUBIC)
    image.paste(sheet, (0, 0), sheet)
    _grain(image, dice)


def _grain(image: Image.Image, dice: Random) -> None:
    noise = Image.frombytes("L", image.size, dice.randbytes(image.width * image.height))
    image.paste(Image.blend(image, Image.merge("RGB", (noise, noise, noise)), dice.uniform(0.02, 0.08)))


PHOTOS: dict[str, Callable[[Image.Image, Random], None]] = {"photo": _thing, "portrait": _portrait, "paper": _paper}
