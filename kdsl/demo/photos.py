"""Made-up photos of things that came: on a table or floor, with a flaw or none, mostly without any text."""

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

from PIL import Image, ImageDraw, ImageFilter

from kdsl.demo.canvas import Colour, font, tint
from kdsl.demo.facts import CARRIERS, Facts
from kdsl.demo.silhouettes import GARMENT

Draw = ImageDraw.ImageDraw
Spot = tuple[float, float, float]  # centre x, centre y and half the size, in pixels

GROUNDS: tuple[Colour, ...] = (
    (150, 112, 78),
    (196, 188, 176),
    (120, 124, 130),
    (214, 206, 190),
    (92, 84, 80),
    (168, 176, 164),
)
THINGS: tuple[Colour, ...] = (
    (178, 66, 60),
    (64, 104, 160),
    (82, 140, 96),
    (222, 216, 204),
    (60, 62, 70),
    (206, 160, 70),
)
CARTON: Colour = (186, 148, 104)


def photo(facts: Facts) -> Image.Image:
    """One photo, RGB, 360 to 640 pixels wide, upright or across."""
    dice = facts.dice
    wide, tall = dice.choice(((360, 480), (400, 534), (480, 640), (480, 360), (640, 480), (420, 420)))
    image = Image.new("RGB", (wide, tall))
    draw = ImageDraw.Draw(image)
    _ground(draw, wide, tall, dice)
    spot = (
        wide * dice.uniform(0.42, 0.58),
        tall * dice.uniform(0.42, 0.58),
        min(wide, tall) * dice.uniform(0.26, 0.38),
    )
    thing = Image.new("RGBA", (wide, tall))
    dice.choice(_THINGS)(ImageDraw.Draw(thing), spot, facts)
    thing = thing.rotate(dice.uniform(-24, 24), Image.Resampling.BICUBIC, center=spot[:2])
    shadow = Image.new("RGBA", (wide, tall), (0, 0, 0, 110))
    shadow.putalpha(thing.getchannel("A").point(lambda a: a * 2 // 5).filter(ImageFilter.GaussianBlur(7)))
    image.paste(shadow, (7, 9), shadow)
    image.paste(thing, (0, 0), thing)
    return _camera(image, dice)


def _ground(draw: Draw, wide: int, tall: int, dice: Random) -> None:
    """A wooden table, tiles, a carpet or a wall behind a table."""
    colour = dice.choice(GROUNDS)
    draw.rectangle((0, 0, wide, tall), fill=colour)
    kind = dice.randrange(4)
    if kind == 0:
        for y in range(0, tall, dice.choice((28, 44, 60))):
            draw.rectangle((0, y, wide, y + 26), fill=tint(colour, dice.randrange(-14, 14)))
            draw.line([(0, y), (wide, y)], fill=tint(colour, -40))
    elif kind == 1:
        step = dice.choice((70, 110))
        for at in range(0, max(wide, tall), step):
            draw.line([(at, 0), (at, tall)], fill=tint(colour, -30), width=3)
            draw.line([(0, at), (wide, at)], fill=tint(colour, -30), width=3)
    elif kind == 2:
        for _ in range(500):
            x, y = dice.randrange(wide), dice.randrange(tall)
            draw.line([(x, y), (x + 5, y + 3)], fill=tint(colour, dice.randrange(-30, 30)))
    else:
        draw.rectangle((0, 0, wide, tall * dice.uniform(0.25, 0.45)), fill=tint(colour, 45))


def _carton(draw: Draw, spot: Spot, facts: Facts) -> None:
    x, y, r = spot
    dice = facts.dice
    high = r * dice.uniform(0.6, 0.9)
    draw.polygon(
        [(x - r, y - high), (x - r * 0.7, y - high * 1.4), (x + r * 1.2, y - high * 1.4), (x + r, y - high)],
        fill=tint(CARTON, 26),
    )
    draw.polygon(
        [(x + r, y - high), (x + r * 1.2, y - high * 1.4), (x + r * 1.2, y + high * 0.6), (x + r, y + high)],
        fill=tint(CARTON, -30),
    )
    draw.rectangle((x - r, y - high, x + r, y + high), fill=CARTON)
    draw.rectangle((x - r * 0.12, y - high, x + r * 0.12, y + high), fill=tint(CARTON, 34))
    if dice.random() < 0.4:
        _label(draw, (x, y, r), facts)
    flaw = dice.random()
    if flaw < 0.45:
        _crack(draw, (x - r * 0.8, y - high), (x + r * 0.3, y + high * 0.7), colour=(50, 36, 24), dice=dice)
    elif flaw < 0.75:
        draw.polygon(
            [(x + r, y + high), (x + r * 0.3, y + high), (x + r * 0.55, y + high * 0.4), (x + r, y)], fill=(52, 38, 26)
        )
    elif flaw < 0.9:
        draw.ellipse((x - r * 0.9, y, x - r * 0.1, y + high * 0.95), fill=tint(CARTON, -45))


def _label(draw: Draw, spot: Spot, facts: Facts) -> None:
    """A shipping label: the only text that photos have."""
    x, y, r = spot
    draw.rectangle((x - r * 0.85, y - r * 0.4, x + r * 0.25, y + r * 0.45), fill=(240, 240, 236))
    rows = (facts.dice.choice(CARRIERS), facts.person, facts.address().split(", ")[1], facts.digits(10))
    for at, row in enumerate(rows):
        face = font("DejaVuSans", at == 0, max(10, round(r / 9)))
        draw.text((x - r * 0.8, y - r * 0.36 + at * r * 0.16), row, font=face, fill=(30, 30, 30))
    for at in range(26):
        left = x - r * 0.8 + at * r * 0.037
        draw.rectangle((left, y + r * 0.29, left + r * 0.012 * (1 + at % 3 % 2), y + r * 0.42), fill=(30, 30, 30))


def _slip(draw: Draw, spot: Spot, facts: Facts) -> None:
    """A delivery slip on paper, folded or stained; it reads like an order."""
    x, y, r = spot
    draw.rectangle((x - r * 0.85, y - r * 1.1, x + r * 0.85, y + r * 1.1), fill=(244, 243, 238))
    sums = facts.sums()
    rows = [facts.shop, facts.pick("Delivery note", "Packing slip", "Enclosed"), facts.order]
    rows += [f"{facts.article()[0]}  x{facts.dice.randrange(1, 4)}" for _ in range(facts.dice.randrange(1, 4))]
    rows += [f"{facts.pick('Total', 'Sum', 'Amount')} {sums.total}", facts.date()]
    for at, row in enumerate(rows):
        face = font("DejaVuSans", at == 0, max(11, round(r / 9)))
        draw.text((x - r * 0.75, y - r + at * r * 0.22), row, font=face, fill=(40, 40, 44))
    draw.line([(x - r * 0.85, y), (x + r * 0.85, y + r * 0.04)], fill=(214, 212, 204), width=3)
    if facts.chance(0.4):
        _blot(draw, (x + r * 0.4, y + r * 0.5, r * 0.3), (176, 150, 116), facts.dice)


def _shirt(draw: Draw, spot: Spot, facts: Facts) -> None:
    x, y, r = spot
    dice, colour = facts.dice, facts.dice.choice(THINGS)
    draw.polygon([(x + u * r, y + v * r) for u, v in GARMENT], fill=colour)
    draw.ellipse((x - r * 0.3, y - r * 1.14, x + r * 0.3, y - r * 0.78), fill=tint(colour, -50))
    for fold in (-0.3, 0.1, 0.4):
        draw.line([(x + fold * r, y - r * 0.4), (x + (fold - 0.06) * r, y + r * 0.95)], fill=tint(colour, -22), width=3)
    if dice.random() < 0.75:
        stain = dice.choice(((110, 70, 30), (70, 60, 50), (150, 40, 40)))
        _blot(
            draw,
            (x + dice.uniform(-0.3, 0.3) * r, y + dice.uniform(-0.3, 0.6) * r, r * dice.uniform(0.12, 0.25)),
            stain,
            dice,
        )


def _mug(draw: Draw, spot: Spot, facts: Facts) -> None:
    x, y, r = spot
    dice, colour = facts.dice, facts.dice.choice(THINGS)
    draw.arc(
        (x + r * 0.35, y - r * 0.45, x + r * 1.1, y + r * 0.4), -100, 100, fill=tint(colour, -18), width=round(r * 0.16)
    )
    draw.rounded_rectangle((x - r * 0.65, y - r * 0.75, x + r * 0.65, y + r * 0.85), radius=r * 0.16, fill=colour)
    draw.ellipse((x - r * 0.65, y - r * 0.95, x + r * 0.65, y - r * 0.55), fill=tint(colour, 30))
    draw.ellipse((x - r * 0.54, y - r * 0.89, x + r * 0.54, y - r * 0.6), fill=tint(colour, -60))
    if dice.random() < 0.75:
        _crack(draw, (x - r * 0.4, y - r * 0.7), (x + r * 0.3, y + r * 0.8), colour=tint(colour, -90), dice=dice)
        draw.polygon(
            [(x + r * 0.2, y - r * 0.95), (x + r * 0.66, y - r * 0.9), (x + r * 0.66, y - r * 0.3)], fill=(0, 0, 0, 0)
        )
        for _ in range(4):
            u, v = x + dice.uniform(-1.2, 1.2) * r, y + dice.uniform(0.9, 1.15) * r
            draw.polygon([(u, v), (u + r * 0.16, v + r * 0.05), (u + r * 0.05, v + r * 0.15)], fill=colour)


def _boot(draw: Draw, spot: Spot, facts: Facts) -> None:
    x, y, r = spot
    dice, colour = facts.dice, facts.dice.choice(THINGS)
    outline = [(-0.7, -1), (0.05, -1), (0.1, -0.1), (0.95, 0.25), (1.05, 0.62), (-0.75, 0.62)]
    draw.polygon([(x + u * r, y + v * r) for u, v in outline], fill=colour)
    draw.rectangle((x - r * 0.78, y + r * 0.6, x + r * 1.08, y + r * 0.8), fill=(40, 38, 36))
    for lace in range(5):
        v = y + r * (-0.85 + lace * 0.17)
        draw.line([(x - r * 0.3, v), (x + r * 0.06, v + r * 0.07)], fill=(230, 226, 216), width=4)
    if dice.random() < 0.7:
        draw.polygon(
            [(x + r * 0.3, y + r * 0.62), (x + r, y + r * 0.62), (x + r * 0.9, y + r * 0.5)], fill=(20, 16, 14)
        )
        _blot(draw, (x + r * 0.1, y + r * 0.2, r * 0.12), tint(colour, -50), dice)


def _device(draw: Draw, spot: Spot, facts: Facts) -> None:
    """A tablet or phone, its glass broken."""
    x, y, r = spot
    dice = facts.dice
    draw.rounded_rectangle((x - r * 0.55, y - r, x + r * 0.55, y + r), radius=r * 0.12, fill=(28, 28, 32))
    draw.rectangle(
        (x - r * 0.48, y - r * 0.86, x + r * 0.48, y + r * 0.86),
        fill=dice.choice(((8, 10, 14), (40, 60, 90), (190, 196, 204))),
    )
    hit = (x + dice.uniform(-0.3, 0.3) * r, y + dice.uniform(-0.6, 0.6) * r)
    if dice.random() < 0.8:
        for _ in range(9):
            angle, far = dice.uniform(0, 2 * pi), dice.uniform(0.3, 0.5) * r
            end = (hit[0] + far * cos(angle) * 0.8, hit[1] + far * sin(angle))
            _crack(draw, hit, end, colour=(226, 230, 236), dice=dice, width=1)


def _crack(
    draw: Draw, start: tuple[float, float], end: tuple[float, float], *, colour: Colour, dice: Random, width: int = 3
) -> None:
    points = [start]
    for step in (0.2, 0.4, 0.6, 0.8):
        jag = abs(end[0] - start[0]) * 0.12 + 4
        points.append(
            (
                start[0] + (end[0] - start[0]) * step + dice.uniform(-jag, jag),
                start[1] + (end[1] - start[1]) * step + dice.uniform(-jag, jag),
            )
        )
    draw.line([*points, end], fill=colour, width=width)


def _blot(draw: Draw, spot: Spot, colour: Colour, dice: Random) -> None:
    x, y, r = spot
    points = []
    for at in range(18):
        far = r * dice.uniform(0.75, 1.15)
        points.append((x + far * cos(at * pi / 9), y + far * sin(at * pi / 9)))
    draw.polygon(points, fill=colour)


_THINGS: tuple[Callable[[Draw, Spot, Facts], None], ...] = (_carton, _carton, _shirt, _mug, _boot, _device, _slip)


def _camera(image: Image.Image, dice: Random) -> Image.Image:
    """What a phone's camera adds: uneven light, a little blur, and grain."""
    wide, tall = image.size
    light = Image.radial_gradient("L").resize((wide * 2, tall * 2))
    left, top = dice.randrange(wide), dice.randrange(tall)
    light = light.crop((left, top, left + wide, top + tall)).point(lambda v: v // 3)
    dark = Image.composite(Image.new("RGB", image.size, (10, 8, 6)), image, light)
    soft = dark.filter(ImageFilter.GaussianBlur(dice.choice((0.4, 0.7, 1.2))))
    grain = Image.frombytes("L", (wide, tall), dice.randbytes(wide * tall))
    return Image.blend(soft, Image.merge("RGB", (grain, grain, grain)), 0.05)
