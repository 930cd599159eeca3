"""Nights over time: weighted F1 as measured and as estimated, drift, and what could not be answered."""

import math
from collections.abc import Sequence
from datetime import date

from kdsl.kolmogorov import UNLIKE
from kdsl.metrics import Estimate
from kdsl.report.content import Night, TaskPart
from kdsl.report.marks import Plot, figure
from kdsl.report.markup import Child, Markup, joined, named, tag

FLOOR = 6  # likeness is drawn down to 10 to the power of -FLOOR
SHARES = [(0.0, "0"), (0.5, ".5"), (1.0, "1")]


def quality(task: TaskPart) -> Markup:
    """Measured and estimated weighted F1 of each night."""
    nights = task.nights
    measured = [night for night in nights if night.measured]
    estimated = [night for night in nights if night.estimated]
    plot, place = Plot(height=220), _places(nights)
    marks: list[Markup] = [plot.axes(_days(nights), SHARES)]
    points = [(place[night.day], night.estimated) for night in estimated]
    lower, upper = ([(at, getattr(e, side)) for at, e in points] for side in ("low", "high"))
    if len(points) > 1:
        marks += [
            plot.band(lower, upper),
            plot.line([(at, e.value) for at, e in points if e], stroke="var(--whole)", stroke_width=2),
        ]
    for night in estimated:
        if len(points) == 1 or not night.reliable:
            colour = "var(--whole)" if night.reliable else "var(--alarm)"
            marks += _interval(plot, place[night.day], night.estimated, colour, f"{night.day} estimated")
    for night in measured:
        marks += _interval(plot, place[night.day], night.measured, "var(--ink)", f"{night.day} measured")
    said = f"weighted F1 of {task.name} by night: {len(measured)} measured, {len(estimated)} estimated"
    return figure(_title(task, measured, estimated), _note(measured, estimated), plot.drawn(said, *marks))


def drift(task: TaskPart) -> Markup:
    """How like the examples each night is: by the scores of its items and by what they are made of."""
    plot, place = Plot(height=150), _places(task.nights)
    ticks = [(1 - power / FLOOR, "1" if not power else f"1e-{power}") for power in (0, 3, 6)]
    marks: list[Markup] = [plot.axes(_days(task.nights), ticks)]
    found = [(night.day, night.input_likeness, "var(--part)", "items") for night in task.nights]
    found += [(night.day, night.likeness, "var(--ink)", "scores") for night in task.nights]
    for day, likeness, colour, what in found:
        if likeness is not None:
            height = 1 - min(FLOOR, -math.log10(max(likeness, 10.0**-FLOOR))) / FLOOR
            shade = colour if likeness >= UNLIKE else "var(--alarm)"
            marks.append(plot.dot(place[day], height, shade, words=f"{day} {what}: {likeness:.3g}"))
    said = f"likeness of the nights of {task.name} to the examples"
    known = len(marks) > 1
    return figure(_drift_title(task, known), _drift_note(task) if known else None, plot.drawn(said, *marks))


def _drift_title(task: TaskPart, known: bool) -> str:
    odd = [night.day.isoformat() for night in task.nights if not night.reliable]
    if odd:
        return f"{task.name}: unlike the examples on {', '.join(odd[:3])}{', ...' if len(odd) > 3 else ''}"
    return f"{task.name}: no night unlike the examples" if known else f"{task.name}: drift was not looked at"


def _drift_note(task: TaskPart) -> Child:
    shifts = sorted({name for night in task.nights for name in night.shifts})
    return [
        joined(tag("span", class_="key ink"), "by scores. "),
        joined(tag("span", class_="key"), "by what items are made of. "),
        tag("span", "Differs: ", named(", ".join(shifts)), class_="alarm") if shifts else None,
    ]


def table(task: TaskPart) -> Markup:
    """The same in figures, folded away."""
    head = tag("tr", *(tag("th", name) for name in ("night", "items", "no answer", "faults", "measured", "estimated")))
    rows = [
        tag(
            "tr",
            tag("td", night.day.isoformat()),
            *(tag("td", f"{count:,}", class_="n") for count in (night.rows, night.abstained, night.failed)),
            tag("td", _told(night.measured)),
            tag("td", _told(night.estimated), None if night.reliable else tag("span", " not reliable", class_="alarm")),
        )
        for night in task.nights
    ]
    return tag(
        "details",
        tag("summary", f"{task.name}: the nights in figures"),
        tag("div", tag("table", head, *rows), class_="scroll"),
    )


def _title(task: TaskPart, measured: Sequence[Night], estimated: Sequence[Night]) -> str:
    if measured:
        return f"{task.name}: measured {_mean([n.measured for n in measured]):.3f} on average"
    if estimated:
        return f"{task.name}: no gold, estimated {_mean([n.estimated for n in estimated]):.3f} on average"
    return f"{task.name}: neither gold nor an estimate"


def _note(measured: Sequence[Night], estimated: Sequence[Night]) -> Child:
    key = []
    if measured:
        n = sum(night.measured.n for night in measured if night.measured)
        key.append(joined(tag("span", class_="key ink"), f"measured, {n:,} items with gold. "))
    if estimated:
        key.append(joined(tag("span", class_="key whole"), "estimated without gold. "))
    if any(not night.reliable for night in estimated):
        key.append(joined(tag("span", class_="key alarm"), "estimate not reliable."))
    return key


def _mean(found: Sequence[Estimate | None]) -> float:
    """By rows."""
    known = [one for one in found if one]
    return sum(one.value * one.n for one in known) / sum(one.n for one in known)


def _interval(plot: Plot, x: float, found: Estimate | None, colour: str, words: str) -> list[Markup]:
    if found is None:
        return []
    return [
        plot.upright(x, found.low, found.high, stroke=colour),
        plot.dot(x, found.value, colour, words=f"{words} {found}"),
    ]


def _places(nights: Sequence[Night]) -> dict[date, float]:
    """Where each night stands between the first and the last, 0 to 1 with a margin for the dots."""
    first, last = nights[0].day, nights[-1].day
    length = max(1, (last - first).days)
    return {night.day: 0.02 + 0.96 * (night.day - first).days / length for night in nights}


def _days(nights: Sequence[Night]) -> list[tuple[float, str]]:
    place = _places(nights)
    ends = [nights[0].day] if len(nights) == 1 else [nights[0].day, nights[-1].day]
    return [(0.0 if place[day] < 0.5 else 1.0, day.isoformat()) for day in ends]


def _told(found: Estimate | None) -> str:
    return "" if found is None else str(found)
