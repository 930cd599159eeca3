"""Reliability plots: is an answer of 80 % right in 80 of 100 cases?"""

from kdsl.models.reliability import Reliability
from kdsl.report.content import TaskPart
from kdsl.report.marks import Plot, figure
from kdsl.report.markup import Markup, joined, tag

TICKS = [(0.0, "0"), (0.5, ".5"), (1.0, "1")]
BARS = 0.16  # of the height, for the bars that count rows


def reliability(task: TaskPart) -> Markup:
    """One plot for the whole and one for each voter."""
    if not task.reliability:
        told = "The release was written by an earlier version, without reliability; run fit again to see it."
        return joined(tag("h3", task.name), tag("p", told, class_="soft"))
    plots = [_plot(task.name, name, curve) for name, curve in task.reliability.items()]
    return joined(tag("h3", _title(task)), tag("div", *plots, class_="plots"))


def _title(task: TaskPart) -> str:
    whole = task.reliability.get("fused")
    if whole is None or not whole.n:
        return task.name
    if whole.low > 0:
        return f"{task.name}: the whole is off by {whole.value:.3f} on average"
    return f"{task.name}: the whole is as sure as it is right, as far as {whole.n:,} examples can tell"


def _plot(task: str, name: str, curve: Reliability) -> Markup:
    title = "as a whole" if name == "fused" else name
    if not curve.n:
        return figure(title, "had nothing to say of any held-out example.", None)
    plot = Plot(height=250)
    colour = "var(--whole)" if name == "fused" else "var(--part)"
    most = max(one.n for one in curve.bins)
    marks: list[Markup] = [plot.axes([(at, f"{at:.0%}") for at, _ in TICKS], TICKS)]
    marks.append(plot.line([(0, 0), (1, 1)], stroke="var(--rule)", stroke_dasharray="4 4"))
    for one in curve.bins:
        low, high = plot.y(0.0), plot.y(BARS * one.n / most)
        marks.append(
            tag("rect", x=plot.x(one.confidence) - 4, y=high, width=8, height=low - high, fill=colour, opacity=0.25)
        )
        marks.append(plot.upright(one.confidence, one.low, one.high, stroke=colour))
    marks.append(plot.line([(one.confidence, one.right) for one in curve.bins], stroke=colour, stroke_width=2))
    marks += [
        plot.dot(
            one.confidence,
            one.right,
            colour,
            words=f"sure to {one.confidence:.0%}, right in {one.right:.0%} of {one.n}",
        )
        for one in curve.bins
    ]
    said = f"reliability of {title} on {task}: calibration error {curve.ece}"
    note = f"ECE {curve.value:.3f} [{curve.low:.3f}, {curve.high:.3f}], n = {curve.n:,}."
    return figure(title, note, plot.drawn(said, *marks))
