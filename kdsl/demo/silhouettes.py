"""Plain shapes of articles, as shops show them in their own pictures."""

from kdsl.demo.canvas import Colour, Page, tint
from kdsl.demo.facts import Facts

# A shirt laid flat, in units of half its size.
GARMENT = (
    *((-0.35, -1.0), (0.35, -1.0), (1.1, -0.6), (0.9, -0.1), (0.6, -0.3)),
    *((0.62, 1.0), (-0.62, 1.0), (-0.6, -0.3), (-0.9, -0.1), (-1.1, -0.6)),
)


def silhouette(page: Page, facts: Facts, colour: Colour, spot: tuple[float, float, float]) -> None:
    """A box, a lamp, a bag or a shirt; `spot` is the centre and half the size, in pixels."""
    x, y, r = spot
    kind, dark = facts.dice.randrange(4), tint(colour, -40)
    if kind == 0:
        wide, radius = r * facts.dice.choice((0.8, 1.2)), facts.dice.choice((6, 30, 60))
        page.box(x - wide, y - r, x + wide, y + r, fill=colour, radius=radius)
        page.box(x - wide * 0.5, y - r * 0.6, x + wide * 0.5, y - r * 0.2, fill=dark, radius=8)
    elif kind == 1:
        page.box(x - r * 0.06, y - r * 0.3, x + r * 0.06, y + r, fill=dark, radius=0)
        page.box(x - r * 0.5, y + r * 0.86, x + r * 0.5, y + r, fill=dark, radius=6)
        page.polygon([(x - r * 0.3, y - r), (x + r * 0.3, y - r), (x + r * 0.7, y), (x - r * 0.7, y)], fill=colour)
    elif kind == 2:
        page.box(x - r * 0.35, y - r, x + r * 0.35, y + r * 0.4, fill=None, outline=dark, radius=r * 0.35)
        page.polygon(
            [(x - r * 0.7, y - r * 0.4), (x + r * 0.7, y - r * 0.4), (x + r, y + r), (x - r, y + r)], fill=colour
        )
    else:
        page.polygon([(x + u * r, y + v * r) for u, v in GARMENT], fill=colour)
        page.path([(x, y - r * 0.8), (x, y + r)], fill=dark, width=3)
