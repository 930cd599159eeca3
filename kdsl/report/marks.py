"""The marks that sections share: rows of dots with intervals, and plots with axes, all sized to be read on a phone."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kdsl.metrics import Estimate
from kdsl.report.markup import Child, Markup, joined, tag

WIDTH, LEFT, RIGHT, TOP = 340, 34, 10, 10


def interval_row(name: Child, found: Estimate, place: Callable[[float], float], kind: str, told: Child) -> Markup:
    """A name, a dot with its interval on a track (`place` gives percents), and the figure in words."""
    low, high = place(found.low), place(found.high)
    span = tag("i", class_=f"span {kind}", style=f"left:{low:.2f}%;width:{max(0.4, high - low):.2f}%")
    dot = tag("i", class_=f"dot {kind}", style=f"left:{place(found.value):.2f}%")
    zero = tag("i", class_="zero", style=f"left:{place(0.0):.2f}%") if place(0.0) > 0 else None
    return tag("div", tag("span", name), tag("div", zero, span, dot, class_="track"), tag("span", told), class_="row")


def scale_row(ticks: Sequence[tuple[float, str]]) -> Markup:
    """The scale below such rows: (percent, words) from left to right."""
    marks = [tag("span", words, style=f"left:{at:.2f}%") for at, words in ticks]
    return tag("div", tag("span"), tag("div", *marks, class_="scale"), tag("span"), class_="row")


def told(found: Estimate, digits: int = 3) -> Markup:
    """The figure with its interval."""
    return joined(
        tag("b", f"{found.value:.{digits}f}"), " ", tag("small", f"[{found.low:.{digits}f}, {found.high:.{digits}f}]")
    )


def signed(gain: Estimate) -> Markup:
    """A difference with its interval."""
    # One of -1e-16 is none.
    value, low, high = (round(x, 3) + 0.0 for x in (gain.value, gain.low, gain.high))
    return joined(tag("b", f"{value:+.3f}"), " ", tag("small", f"[{low:+.3f}, {high:+.3f}]"))


@dataclass(frozen=True)
class Plot:
    """A plot `height` units high and `WIDTH` wide; `x` and `y` turn shares (0 to 1) into units."""

    height: int
    bottom: int = 24

    def x(self, share: float) -> float:
        """Units from the left."""
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, share: float) -> float:
        """Units from the top; 0 is the lower edge."""
        return self.height - self.bottom - share * (self.height - self.bottom - TOP)

    def drawn(self, label: str, *marks: Child) -> Markup:
        """The whole drawing; `label` says in words what is seen."""
        return tag("svg", *marks, viewBox=f"0 0 {WIDTH} {self.height}", role="img", aria_label=label)

    def axes(self, across: Iterable[tuple[float, str]], up: Iterable[tuple[float, str]]) -> Markup:
        """Ticks with words along both edges, and faint lines across at those of the upright one."""
        marks = []
        for share, words in up:
            at = self.y(share)
            marks.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at))
            marks.append(tag("text", words, x=LEFT - 5, y=at + 4, text_anchor="end"))
        for share, words in across:
            anchor = "start" if share < 0.02 else "end" if share > 0.98 else "middle"
            marks.append(tag("text", words, x=self.x(share), y=self.height - 6, text_anchor=anchor))
        return tag("g", *marks, class_="axis")

    def line(self, points: Iterable[tuple[float, float]], **style: str | float) -> Markup:
        """A line through shares (x, y)."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return tag("polyline", points=path, fill="none", **style)

    def band(self, lower: Sequence[tuple[float, float]], upper: Sequence[tuple[float, float]]) -> Markup:
        """The room between two lines of shares."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in [*lower, *reversed(upper)])
        return tag("polygon", points=path, fill="var(--band)")

    def upright(self, x: float, low: float, high: float, **style: str | float) -> Markup:
        """An interval at one place."""
        return tag("line", x1=self.x(x), x2=self.x(x), y1=self.y(low), y2=self.y(high), stroke_width=1.5, **style)

    def dot(self, x: float, y: float, colour: str, radius: float = 4, words: str | None = None) -> Markup:
        """A dot; `words` are shown to a pointer that rests on it."""
        return tag("circle", tag("title", words) if words else None, cx=self.x(x), cy=self.y(y), r=radius, fill=colour)


def figure(title: str, note: Child, drawing: Child) -> Markup:
    """A drawing under a title that says what is seen."""
    return tag("figure", tag("figcaption", tag("b", title), " ", note), drawing)
