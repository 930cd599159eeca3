"""Quality against cost: weighted F1 by the share of items of which the large model is asked."""

from kdsl.report.content import TaskPart
from kdsl.report.marks import Plot, figure
from kdsl.report.markup import Markup, joined, tag

ACROSS = [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]
LEAST_SPAN = 0.1  # of weighted F1 from the lower edge to the upper


def cost(task: TaskPart) -> Markup:
    """The curve of one task, the budget in use marked; the full ensemble is its right end."""
    if not task.asking:
        return joined(tag("h3", task.name), tag("p", "No large model takes part beside others.", class_="soft"))
    curve = task.asking.curve
    low, high = min(sent.score.low for sent in curve), max(sent.score.high for sent in curve)
    low, high = max(0.0, low - 0.01), min(1.0, max(high, low + LEAST_SPAN) + 0.01)
    plot = Plot(height=230)

    def up(value: float) -> float:
        return (value - low) / (high - low)

    colour = "var(--whole)"
    ends = [(sent.asked, up(sent.score.value)) for sent in (curve[0], curve[-1])]
    marks = [
        plot.axes(ACROSS, [(up(tick), f"{tick:.2f}".lstrip("0")) for tick in _ticks(low, high)]),
        plot.band(
            [(sent.asked, up(sent.score.low)) for sent in curve], [(sent.asked, up(sent.score.high)) for sent in curve]
        ),
        plot.line(ends, stroke="var(--rule)", stroke_dasharray="4 4"),
        plot.line([(sent.asked, up(sent.score.value)) for sent in curve], stroke=colour, stroke_width=2),
    ]
    for sent in curve:
        words = f"{sent.asked:.0%} asked, {sent.share:.0%} allowed: {sent.score}"
        radius = 7 if sent.share == task.asking.share else 3
        marks.append(plot.dot(sent.asked, up(sent.score.value), colour, radius, words))
    first, last = curve[0].score, curve[-1].score
    title = f"{task.name}: {first.value:.3f} without it, {last.value:.3f} if it is asked of all"
    used = "It is asked of all items." if task.asking.share >= 1 else f"At most {task.asking.share:.0%} are in use."
    took = "" if task.dear_seconds is None else f" It took a worker {task.dear_seconds:.2g} s an item on the nights."
    dashed = "Dashed: the straight line between the ends, expected of items sent at random."
    note = f"{used}{took} {dashed} Band: 95 % intervals, n = {last.n:,}."
    return figure(title, note, plot.drawn(f"weighted F1 of {task.name} by share asked", *marks))


def _ticks(low: float, high: float) -> list[float]:
    step = 0.05 if high - low < 0.3 else 0.1
    first = int(low / step) + 1
    return [step * at for at in range(first, int(high / step) + 1)]
