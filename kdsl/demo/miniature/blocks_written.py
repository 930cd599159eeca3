"""Blocks that mostly write: lists, forms, buttons, messages."""

from collections.abc import Callable

from kdsl.demo.miniature.pen import Pen
from kdsl.demo.miniature.screens import Kind


def headline(pen: Pen, kind: Kind) -> None:
    """A line in large letters."""
    pen.text(
        pen.edge,
        pen.y,
        pen.some(kind.main),
        big=pen.dice.choice((1.1, 1.3, 1.6)),
        bold=True,
        fill=pen.some((pen.ink, pen.accent)),
    )
    pen.y += pen.row * 1.5


def text(pen: Pen, kind: Kind) -> None:
    """Some lines of small print."""
    for _ in range(pen.dice.randrange(1, 4)):
        pen.text(
            pen.edge,
            pen.y,
            " ".join((pen.some(kind.more), pen.some(kind.main).lower(), pen.some(kind.more).lower())),
            big=0.9,
            fill=pen.faint,
        )
        pen.y += pen.row


def pairs(pen: Pen, kind: Kind) -> None:
    """A card of names and values."""
    top = pen.y
    words = pen.dice.sample(kind.more, min(len(kind.more), pen.dice.randrange(2, 7)))
    pen.box(pen.edge / 2, top, pen.wide - pen.edge / 2, top + pen.row * (len(words) + 0.8), fill=pen.card)
    pen.y += pen.row * 0.4
    for word in words:
        pen.text(pen.edge, pen.y, word, fill=pen.faint)
        pen.text(
            pen.right,
            pen.y,
            pen.some((pen.sum(), pen.when(), str(pen.dice.randrange(10**7)), pen.some(kind.main))),
            at="ra",
        )
        pen.y += pen.row
    pen.y += pen.row * 0.8


def list_(pen: Pen, kind: Kind) -> None:
    """Rows with a day and a sum."""
    for _ in range(7):
        pen.text(pen.edge, pen.y, pen.some(kind.main))
        pen.text(pen.right, pen.y, pen.sum(), at="ra")
        pen.y += pen.row
        pen.text(pen.edge, pen.y, pen.when(), big=0.8, fill=pen.faint)
        pen.y += pen.row
        pen.draw.line((pen.edge, pen.y, pen.right, pen.y), fill=pen.faint)
        pen.y += pen.size * 0.6


def button(pen: Pen, kind: Kind) -> None:
    """Buttons at the right."""
    x = pen.right
    for nth in range(pen.dice.randrange(1, 4)):
        word = pen.some(kind.more)
        wide = len(word) * pen.size * 0.62 + pen.size
        if x - wide < pen.edge:
            break
        pen.box(x - wide, pen.y, x, pen.y + pen.row * 1.4, fill=pen.accent if nth == 0 else pen.card, line=pen.accent)
        pen.text(x - wide / 2, pen.y + pen.row * 0.7, word, fill=(255, 255, 255) if nth == 0 else pen.ink, at="mm")
        x -= wide + pen.size * 0.6
    pen.y += pen.row * 2


def wide(pen: Pen, kind: Kind) -> None:
    """One button over the width."""
    pen.box(pen.edge, pen.y, pen.right, pen.y + pen.row * 1.8, fill=pen.accent, r=pen.some((2, 6, 20)))
    pen.text(pen.wide / 2, pen.y + pen.row * 0.9, pen.some(kind.more), bold=True, fill=(255, 255, 255), at="mm")
    pen.y += pen.row * 2.4


def tabs(pen: Pen, kind: Kind) -> None:
    """Tabs side by side."""
    names = pen.dice.sample(kind.main, min(4, len(kind.main)))
    step = (pen.right - pen.edge) / len(names)
    for nth, name in enumerate(names):
        pen.text(pen.edge + step * (nth + 0.5), pen.y, name[:9], big=0.9, bold=nth == 0, at="ma")
    pen.draw.line((pen.edge, pen.y + pen.row, pen.edge + step, pen.y + pen.row), fill=pen.accent, width=2)
    pen.y += pen.row * 1.6


def chips(pen: Pen, kind: Kind) -> None:
    """Small choices side by side."""
    x = float(pen.edge)
    for _ in range(4):
        word = pen.some(kind.more)
        wide = len(word) * pen.size * 0.6 + pen.size
        pen.box(x, pen.y, x + wide, pen.y + pen.row * 1.2, line=pen.faint, r=9)
        pen.text(x + wide / 2, pen.y + pen.row * 0.6, word, big=0.9, at="mm")
        x += wide + 5
    pen.y += pen.row * 1.8


def radio(pen: Pen, kind: Kind) -> None:
    """Choices, one of them taken."""
    for nth in range(pen.dice.randrange(2, 6)):
        pen.box(pen.edge / 2, pen.y, pen.wide - pen.edge / 2, pen.y + pen.row * 1.7, fill=pen.card, line=pen.faint)
        r, y = pen.size * 0.45, pen.y + pen.row * 0.85
        x = pen.edge + r if pen.wide % 2 else pen.right - r
        pen.draw.ellipse((x - r, y - r, x + r, y + r), outline=pen.accent, fill=pen.accent if nth == 0 else None)
        pen.text(pen.edge * 2 + r * 2, y, pen.some(kind.more), at="lm")
        pen.y += pen.row * 2


def form(pen: Pen, kind: Kind) -> None:
    """Fields to fill in."""
    for _ in range(pen.dice.randrange(1, 5)):
        pen.text(pen.edge, pen.y, pen.some(kind.more), big=0.85, fill=pen.faint)
        pen.y += pen.row * 0.9
        pen.box(pen.edge, pen.y, pen.right, pen.y + pen.row * 1.5, fill=pen.card, line=pen.faint)
        if pen.dice.random() < 0.5:
            pen.text(
                pen.edge + 5,
                pen.y + pen.row * 0.75,
                pen.some(("....", pen.when(), "Anna", str(pen.dice.randrange(10**6)))),
                at="lm",
            )
        pen.y += pen.row * 2


def price(pen: Pen, kind: Kind) -> None:  # noqa: ARG001
    """A price in large letters."""
    pen.text(pen.edge, pen.y, pen.sum(), big=1.6, bold=True, fill=pen.some((pen.accent, (200, 30, 30))))
    pen.y += pen.row * 1.8


def stars(pen: Pen, kind: Kind) -> None:
    """Stars and a number of opinions."""
    for nth in range(5):
        x = pen.edge + nth * pen.size * 1.1
        pen.draw.regular_polygon(
            (x + pen.size / 2, pen.y + pen.size / 2, pen.size / 2), 5, fill=(240, 180, 30) if nth < 4 else pen.faint
        )
    pen.text(
        pen.edge + pen.size * 6.5,
        pen.y,
        f"{pen.some(kind.more)} ({pen.dice.randrange(2_000)})",
        big=0.85,
        fill=pen.faint,
    )
    pen.y += pen.row * 1.5


def bubbles(pen: Pen, kind: Kind) -> None:
    """Messages at both sides."""
    low = pen.tall - pen.row * 3
    while True:
        rows = [" ".join((pen.some(kind.main), pen.some(kind.main).lower())) for _ in range(pen.dice.randrange(1, 4))]
        wide = min(pen.wide * 0.72, max(map(len, rows)) * pen.size * 0.56 + pen.size)
        high = pen.row * len(rows) + pen.size * 0.7
        if pen.y + high > low:
            return
        mine = pen.dice.random() < 0.5
        x = pen.right - wide if mine else pen.edge + pen.size * pen.some((0, 2))
        pen.box(x, pen.y, x + wide, pen.y + high, fill=pen.accent if mine else pen.card, r=pen.some((5, 9)))
        for nth, words in enumerate(rows):
            pen.text(
                x + 5,
                pen.y + 3 + nth * pen.row,
                words[: int(wide / pen.size / 0.56)],
                fill=(255, 255, 255) if mine else pen.ink,
            )
        pen.y += high + pen.size * 0.8


def input_(pen: Pen, kind: Kind) -> None:
    """A field to write in, at the bottom."""
    top = pen.tall - pen.row * 2.2
    pen.box(0, top - 3, pen.wide, pen.tall, fill=pen.card, r=0)
    pen.box(pen.edge, top + 3, pen.right - pen.size * 3, pen.tall - 5, fill=pen.ground, line=pen.faint, r=10)
    pen.text(pen.edge + 8, (top + pen.tall) / 2, pen.some(kind.more), fill=pen.faint, at="lm")
    pen.text(pen.right, (top + pen.tall) / 2, pen.some(("Send", ">", "Go")), fill=pen.accent, at="rm")
    pen.y = pen.tall


def rows(pen: Pen, kind: Kind, right: Callable[[float], None]) -> None:
    """Rows with something at the right."""
    for _ in range(pen.dice.randrange(4, 9)):
        pen.text(pen.edge, pen.y, pen.some(kind.main if kind.titles[0] == "Settings" else kind.more))
        right(pen.y)
        pen.y += pen.row * 1.7


def menu(pen: Pen, kind: Kind) -> None:
    """Rows that lead on."""
    rows(pen, kind, lambda y: pen.text(pen.right, y, ">", fill=pen.faint, at="ra"))


def switches(pen: Pen, kind: Kind) -> None:
    """Rows with switches."""

    def switch(y: float) -> None:
        on = pen.dice.random() < 0.5
        pen.box(pen.right - pen.size * 2, y, pen.right, y + pen.size, fill=pen.accent if on else pen.faint, r=9)

    rows(pen, kind, switch)


def calendar(pen: Pen, kind: Kind) -> None:  # noqa: ARG001
    """The days of a month."""
    step = (pen.right - pen.edge) / 7
    for day in range(35):
        x, y = pen.edge + step * (day % 7 + 0.5), pen.y + step * (day // 7 + 0.5)
        if pen.dice.random() < 0.08:
            pen.draw.ellipse((x - step / 2.4, y - step / 2.4, x + step / 2.4, y + step / 2.4), fill=pen.accent)
        pen.text(x, y, str(day % 31 + 1), at="mm")
    pen.y += step * 5.4


def opinions(pen: Pen, kind: Kind) -> None:
    """Stars with opinions."""
    for _ in range(4):
        stars(pen, kind)
        text(pen, kind)
