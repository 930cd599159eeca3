"""How multimodal models learned a task: loss by steps of post-training, and held-out weighted F1 where there is one."""

from collections.abc import Sequence
from math import isfinite

from kdsl.models.adapter import Progress
from kdsl.report.content import TaskPart
from kdsl.report.marks import Plot, figure
from kdsl.report.markup import Markup, joined, named, tag

LOSS, SCORE = "var(--part)", "var(--whole)"


def learning(task: TaskPart) -> Markup:
    """A plot a model."""
    if not task.learned:
        told = "No model was post-trained, or none kept its curve."
        return joined(tag("h3", named(task.name)), tag("p", told, class_="soft"))
    finite = {voter: [one for one in curve if isfinite(one.loss)] for voter, curve in task.learned.items()}
    return joined(*(_curve(task, voter, curve) for voter, curve in finite.items() if curve))


def _curve(task: TaskPart, voter: str, curve: Sequence[Progress]) -> Markup:
    plot = Plot(height=200)
    last = curve[-1].step
    top = max(1.0, *(one.loss for one in curve))
    losses = [(one.step / last, one.loss / top) for one in curve]
    scores = [(one.step / last, one.score) for one in curve if one.score is not None]
    marks = [
        plot.axes([(0.0, "0"), (1.0, f"{last:,} steps")], [(0.0, "0"), (0.5, f"{top / 2:.2g}"), (1.0, f"{top:.2g}")]),
        plot.line(losses, stroke=LOSS, stroke_width=2),
    ]
    if scores:
        marks.append(plot.line(scores, stroke=SCORE, stroke_width=2))
    marks += [plot.dot(x, y, LOSS, 3, f"step {x * last:.0f}: loss {y * top:.3f}") for x, y in losses]
    marks += [plot.dot(x, y, SCORE, 3, f"step {x * last:.0f}: held-out weighted F1 {y:.3f}") for x, y in scores]
    who = f"{voter} ({task.called[voter]})" if voter in task.called else voter
    title = f"{task.name}, {who}: loss {curve[0].loss:.3f} at first, {curve[-1].loss:.3f} at the end"
    held_out = (
        joined(" ", tag("span", class_="key whole"), "held-out weighted F1, its scale from 0 to 1")
        if scores
        else ". Nothing was held out to stop by."
    )
    key = joined(tag("span", class_="key"), "mean loss since the look before", held_out)
    return figure(title, key, plot.drawn(f"loss of {voter} on {task.name} by steps", *marks))
