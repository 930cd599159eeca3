"""The see-saw: what each task reads with a shared adapter and with one of its own, and where the tasks conflict."""

from collections.abc import Iterable

from kdsl.metrics import Estimate
from kdsl.report.marks import Plot, figure, interval_row, scale_row, signed
from kdsl.report.markup import Markup, joined, named, tag
from kdsl.seesaw import JOINT, OF, SeeSaw

UP = [(0.0, "0"), (0.5, ".5"), (1.0, "1")]
COSINES = [(0.0, "-1"), (0.5, "0"), (1.0, "1")]
SHARED, OWN = "var(--part)", "var(--whole)"
APART = 0.008  # of the width, so that intervals at one step do not hide each other


def seesaw(found: SeeSaw | None) -> Markup:
    """The verdict in words, a curve a task, what an adapter of its own gives, and the cosines by layer."""
    if found is None:
        told = "It was not measured for this release; `seesaw --release` does, and makes a child that holds it."
        return joined(tag("h3", "Not measured"), tag("p", told, class_="soft"))
    plots = [_curves(found, task) for task in found.tasks]
    plots += [_cosines(found)] if any(map(found.layers, OF)) else []
    whose = f"Adapters of the model {found.voter}, " if found.voter else "Adapters, "
    said = f"{whose}{found.steps[-1]:,} steps a task in each run, {len(found.seeds)} seeds."
    return joined(
        tag("h3", found.verdict()),
        tag("p", said, class_="soft"),
        tag("div", *plots, class_="plots"),
        tag("h3", "What an adapter of its own gives over the shared one"),
        _rows((task, found.gain(task)) for task in found.tasks),
        _rules(found),
        tag("h3", "Do the tasks pull against each other?"),
        _rows((f"cosine of the {of}s", found.cosine(of)) for of in OF if found.layers(of)),
        tag(
            "p",
            "Below 0, what one task learns undoes the other; at 0 they have nothing to do with each other.",
            class_="soft",
        ),
    )


def _rules(found: SeeSaw) -> Markup:
    if not found.with_rules:
        return joined()
    told = "Rules learned from the same examples; calibration and weights are cross-fitted on the held-out ones."
    return joined(
        tag("h3", "What rules beside it give over an adapter of its own alone"),
        _rows((task, found.rules_gain(task)) for task in found.tasks),
        tag("h3", "Both together over the shared adapter"),
        _rows((task, found.whole_gain(task)) for task in found.tasks),
        tag("p", told, class_="soft"),
    )


def _curves(found: SeeSaw, task: str) -> Markup:
    plot = Plot(height=230)
    last = found.steps[-1]
    marks: list[Markup] = [plot.axes([(0.0, "0"), (1.0, f"{last:,} steps")], UP)]
    for name, colour, aside in ((JOINT, SHARED, -APART), (task, OWN, APART)):
        curve = found.curve(name, task)
        across = [min(1.0, step / last + aside) for step in found.steps]
        for x, one in zip(across, curve, strict=True):
            marks.append(plot.upright(x, max(0.0, one.low), min(1.0, one.high), stroke=colour, opacity=0.5))
        marks.append(
            plot.line([(x, one.value) for x, one in zip(across, curve, strict=True)], stroke=colour, stroke_width=2)
        )
        words = "one adapter for all" if name == JOINT else "an adapter of its own"
        marks += [
            plot.dot(x, one.value, colour, 3, f"{words}, step {step}: {_told(one)}")
            for x, step, one in zip(across, found.steps, curve, strict=True)
        ]
    own, shared = (found.curve(name, task)[-1].value for name in (task, JOINT))
    key = joined(tag("span", class_="key"), "one adapter for all ", tag("span", class_="key whole"), "its own")
    title = f"{task}: {own:.3f} with its own at the end, {shared:.3f} with the shared one"
    return figure(title, key, plot.drawn(f"held-out weighted F1 of {task} by steps, of two kinds of adapters", *marks))


def _cosines(found: SeeSaw) -> Markup:
    plot = Plot(height=230)
    layers = sorted({layer for of in OF for layer in found.layers(of)})
    place = {layer: (at + 0.5) / len(layers) for at, layer in enumerate(layers)}
    ends = [(0.0, layers[0]), (1.0, layers[-1])] if len(layers) > 1 else [(0.5, layers[0])]
    marks: list[Markup] = [plot.axes(ends, COSINES)]
    marks.append(plot.line([(0, 0.5), (1, 0.5)], stroke="var(--rule)", stroke_dasharray="4 4"))
    for of, colour, aside in zip(OF, (OWN, SHARED), (-APART, APART), strict=True):
        for layer in found.layers(of):
            one, x = found.cosine(of, layer), place[layer] + aside
            low, high = max(0.0, (one.low + 1) / 2), min(1.0, (one.high + 1) / 2)
            marks.append(plot.upright(x, low, high, stroke=colour))
            marks.append(plot.dot(x, (one.value + 1) / 2, colour, 3, f"{layer}, {of}s: {_told(one)}"))
    key = joined(tag("span", class_="key whole"), "of the gradients ", tag("span", class_="key"), "of what was added")
    return figure("Cosine between the tasks, by layer", key, plot.drawn("cosine between tasks by layer", *marks))


def _rows(rows: Iterable[tuple[str, Estimate]]) -> Markup:
    """Figures around 0, of -1 to 1."""
    made = [interval_row(named(name), _within(one), _place, "whole", signed(one)) for name, one in rows]
    return tag("div", *made, scale_row([(0.0, "-1"), (50.0, "0"), (100.0, "+1")]), class_="rows")


def _within(one: Estimate) -> Estimate:
    """For the drawing: few seeds give intervals wider than what there is."""
    return Estimate(one.value, max(-1.0, one.low), min(1.0, one.high), one.n)


def _place(value: float) -> float:
    return 50 + 50 * value


def _told(one: Estimate) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
