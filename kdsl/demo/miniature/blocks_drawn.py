"""Blocks that mostly draw: things, maps, timelines, vouchers, signs."""

from kdsl.demo.miniature.blocks_written import button, text
from kdsl.demo.miniature.pen import Pen, lighter
from kdsl.demo.miniature.screens import Kind


def item(pen: Pen, kind: Kind) -> None:
    """A thing with its name, a note and a price."""
    side = pen.row * 2.4
    thing(pen, pen.edge, pen.y, side)
    pen.text(pen.edge + side + 6, pen.y, pen.some(kind.main), bold=True)
    pen.text(pen.edge + side + 6, pen.y + pen.row, pen.some(kind.more), big=0.85, fill=pen.faint)
    pen.text(pen.right, pen.y + side, pen.sum(), at="rd")
    pen.y += side + pen.row * 0.6


def cards(pen: Pen, kind: Kind) -> None:
    """Cards, each with a state, a thing and buttons."""
    for _ in range(pen.dice.randrange(3, 6)):
        pen.box(pen.edge / 2, pen.y, pen.wide - pen.edge / 2, pen.y + pen.row * 6.4, fill=pen.card)
        pen.y += pen.size * 0.5
        pen.text(pen.edge, pen.y, pen.some((pen.when(), str(pen.dice.randrange(10**6)), "Shop")))
        pen.text(pen.right, pen.y, pen.some(kind.main), fill=pen.accent, at="ra")
        pen.y += pen.row * 1.2
        item(pen, kind)
        button(pen, kind)


def timeline(pen: Pen, kind: Kind) -> None:
    """Stations, one below the other."""
    x = pen.edge + pen.size * 0.6
    n = pen.dice.randrange(3, 8)
    step = pen.row * pen.some((1.8, 2.2, 2.6))
    pen.draw.line((x, pen.y, x, pen.y + step * (n - 1)), fill=pen.faint, width=2)
    for nth in range(n):
        r = pen.size * 0.35
        pen.draw.ellipse((x - r, pen.y - r, x + r, pen.y + r), fill=pen.accent if nth == 0 else pen.faint)
        pen.text(x + pen.size * 1.4, pen.y - pen.size * 0.6, pen.some(kind.main), bold=nth == 0)
        pen.text(x + pen.size * 1.4, pen.y + pen.size * 0.6, pen.when(), big=0.8, fill=pen.faint)
        pen.y += step


def steps(pen: Pen, kind: Kind) -> None:
    """Steps side by side, some of them done."""
    n, done = pen.dice.randrange(3, 6), pen.dice.randrange(1, 4)
    y = pen.y + pen.size * 0.5
    pen.draw.line((pen.edge * 2, y, pen.wide - pen.edge * 2, y), fill=pen.faint, width=2)
    for nth in range(n):
        x = pen.edge * 2 + (pen.wide - pen.edge * 4) * nth / (n - 1)
        r = pen.size * 0.45
        pen.draw.ellipse((x - r, y - r, x + r, y + r), fill=pen.accent if nth < done else pen.faint)
        pen.text(x, y + pen.size * 0.7, pen.some(kind.main).split()[0], big=0.75, at="ma")
    pen.y += pen.row * 2.4


def map_(pen: Pen, kind: Kind, high: float = 0.28) -> None:  # noqa: ARG001 - all blocks are called alike
    """Streets and a way."""
    low = min(pen.tall, pen.y + pen.tall * high)
    pen.box(0, pen.y, pen.wide, low, fill=pen.some(((226, 232, 220), (208, 222, 232), (60, 66, 74))), r=0)
    for _ in range(9):
        a, b = pen.dice.uniform(pen.y, low), pen.dice.uniform(pen.y, low)
        pen.draw.line(
            (0, a, pen.wide, b),
            fill=pen.some(((250, 250, 250), (180, 190, 190), (250, 220, 140))),
            width=pen.dice.randrange(1, 5),
        )
    points = [(pen.wide * (0.15 + 0.14 * nth), pen.dice.uniform(pen.y + 6, low - 6)) for nth in range(6)]
    pen.draw.line(points, fill=pen.accent, width=3)
    x, y = points[-1]
    pen.draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(210, 40, 40))
    pen.y = low + pen.row * 0.7


def tickets(pen: Pen, kind: Kind) -> None:
    """Vouchers with a sum off."""
    for _ in range(pen.dice.randrange(2, 6)):
        high = pen.row * pen.some((3, 3.6, 4.4))
        cut = pen.wide * pen.some((0.28, 0.34))
        colour = pen.some((pen.accent, pen.tone()))
        pen.box(pen.edge, pen.y, pen.right, pen.y + high, fill=pen.card, line=colour)
        pen.box(pen.edge, pen.y, pen.edge + cut, pen.y + high, fill=colour)
        pen.text(
            pen.edge + cut / 2,
            pen.y + high / 2,
            pen.some((pen.some(kind.main)[:8], f"{pen.dice.randrange(3, 60)}%", pen.sum()[:-3])),
            big=1.3,
            bold=True,
            fill=(255, 255, 255),
            at="mm",
        )
        pen.text(pen.edge + cut + 6, pen.y + 4, pen.some(kind.main), bold=True)
        pen.text(pen.edge + cut + 6, pen.y + 4 + pen.row, pen.some(kind.more), big=0.85, fill=pen.faint)
        pen.y += high + pen.row * 0.6


def thing(pen: Pen, x: float, y: float, side: float) -> None:
    """A thing on a coloured ground."""
    colour = pen.tone()
    pen.box(x, y, x + side, y + side, fill=colour)
    light = lighter(colour, 60)
    a, b = pen.dice.uniform(0.15, 0.35), pen.dice.uniform(0.65, 0.85)
    pen.box(x + side * a, y + side * a, x + side * b, y + side * b, fill=light, r=pen.some((2, 30)))


def picture(pen: Pen, kind: Kind) -> None:  # noqa: ARG001
    """One large picture."""
    high = pen.wide * pen.dice.uniform(0.5, 0.95)
    colour = lighter(pen.tone(), 70)
    pen.box(0, pen.y - pen.row * 0.5, pen.wide, pen.y + high, fill=colour, r=0)
    side = high * pen.dice.uniform(0.5, 0.75)
    thing(pen, (pen.wide - side) / 2, pen.y + (high - side) / 2, side)
    pen.y += high + pen.row * 0.6


def grid(pen: Pen, kind: Kind) -> None:
    """Things in two columns."""
    side = (pen.wide - pen.edge * 3) / 2
    for _ in range(3):
        for x in (pen.edge, pen.edge * 2 + side):
            thing(pen, x, pen.y, side)
            pen.text(x, pen.y + side + 2, pen.some(kind.main))
            pen.text(x, pen.y + side + 2 + pen.row, pen.sum(), bold=True)
        pen.y += side + pen.row * 2.6


def people(pen: Pen, kind: Kind) -> None:
    """Round pictures with names."""
    for _ in range(6):
        r = pen.row * 0.8
        pen.draw.ellipse((pen.edge, pen.y, pen.edge + 2 * r, pen.y + 2 * r), fill=pen.tone())
        pen.text(pen.edge + 2 * r + 8, pen.y, pen.some(kind.main), bold=True)
        pen.text(pen.edge + 2 * r + 8, pen.y + pen.row, pen.some(kind.more), big=0.85, fill=pen.faint)
        pen.y += pen.row * 2.3


def foot(pen: Pen, kind: Kind) -> None:
    """The app's tabs, at the bottom."""
    top = pen.tall - pen.row * 1.9
    pen.box(0, top, pen.wide, pen.tall, fill=pen.card, r=0)
    for nth in range(4):
        x = pen.wide * (nth + 0.5) / 4
        pen.box(x - 5, top + 3, x + 5, top + 13, line=pen.accent if nth == 0 else pen.faint)
        pen.text(
            x,
            pen.tall - 2,
            pen.some(("Home", "Shop", "Cart", "Me", "More", kind.more[0])),
            big=0.7,
            fill=pen.faint,
            at="md",
        )
    pen.y = pen.tall


def icon(pen: Pen, kind: Kind) -> None:  # noqa: ARG001
    """A round sign."""
    pen.y += pen.tall * 0.06
    r, x = pen.wide * pen.dice.uniform(0.08, 0.16), pen.wide / 2
    pen.draw.ellipse(
        (x - r, pen.y, x + r, pen.y + 2 * r), fill=pen.some(((40, 160, 80), (210, 50, 50), pen.accent, pen.faint))
    )
    pen.draw.line((x - r / 2, pen.y + r, x, pen.y + r * 1.4, x + r / 2, pen.y + r * 0.6), fill=(255, 255, 255), width=3)
    pen.y += 2 * r + pen.row


def chart(pen: Pen, kind: Kind) -> None:  # noqa: ARG001
    """Bars."""
    high, n = pen.tall * 0.3, pen.dice.randrange(5, 10)
    step = (pen.right - pen.edge) / n
    for nth in range(n):
        top = pen.y + high * pen.dice.uniform(0.05, 0.9)
        pen.box(pen.edge + step * (nth + 0.15), top, pen.edge + step * (nth + 0.85), pen.y + high, fill=pen.accent, r=1)
    pen.y += high + pen.row


def code(pen: Pen, kind: Kind) -> None:  # noqa: ARG001
    """A square code."""
    n = 17
    step = pen.wide * 0.5 / n
    for at in range(n * n):
        if pen.dice.random() < 0.5:
            x, y = pen.wide * 0.25 + step * (at % n), pen.y + step * (at // n)
            pen.draw.rectangle((x, y, x + step, y + step), fill=pen.ink)
    pen.y += step * n + pen.row


def post(pen: Pen, kind: Kind) -> None:
    """A person's picture with words."""
    r = pen.row * 0.6
    pen.draw.ellipse((pen.edge, pen.y, pen.edge + 2 * r, pen.y + 2 * r), fill=pen.tone())
    pen.text(pen.edge + 2 * r + 6, pen.y, pen.some(("Ben", "Clara", "Zoe")), bold=True)
    pen.y += pen.row * 1.8
    picture(pen, kind)
    text(pen, kind)


def player(pen: Pen, kind: Kind) -> None:  # noqa: ARG001
    """Buttons to play."""
    pen.draw.line((pen.edge, pen.y, pen.right, pen.y), fill=pen.faint, width=2)
    pen.y += pen.row
    for nth in range(3):
        x, r = pen.wide * (0.3 + 0.2 * nth), pen.size * (1.6 if nth == 1 else 1)
        pen.draw.ellipse((x - r, pen.y, x + r, pen.y + 2 * r), fill=pen.accent)
    pen.y += pen.row * 3
