"""The see-saw drawn: what tasks read with a shared adapter and with one of their own, and where they conflict.

Bands are 95 % intervals over seeds.
"""

import io

from kdsl.seesaw import JOINT, OF, SeeSaw

FILE = "seesaw.svg"


def draw(found: SeeSaw) -> str:
    """The plot as SVG, the same text for the same figures. Needs matplotlib."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * (len(found.tasks) + 1), 3.6), layout="constrained")
    axes = figure.subplots(1, len(found.tasks) + 1)
    for axis, task in zip(axes, found.tasks, strict=False):
        for name, style in ((JOINT, "--"), (task, "-")):
            curve = found.curve(name, task)
            label = "one adapter for all" if name == JOINT else "an adapter of its own"
            axis.plot(found.steps, [one.value for one in curve], style, label=label)
            axis.fill_between(found.steps, [one.low for one in curve], [one.high for one in curve], alpha=0.15)
        if found.with_rules:
            one = found.with_rules_at_last(task)
            reach = [[one.value - one.low], [one.high - one.value]]
            axis.errorbar([found.steps[-1]], [one.value], reach, fmt="D", capsize=3, label="its own, beside rules")
        axis.set(title=task, xlabel="steps of this task", ylabel="held-out weighted F1", ylim=(0, 1))
        axis.legend(fontsize=8)
    last = axes[-1]
    for of, marker in zip(OF, "os", strict=True):
        layers = found.layers(of)
        means = [found.cosine(of, layer).value for layer in layers]
        last.plot(layers, means, marker, label=f"of the {of}s")
    last.axhline(0, color="grey", linewidth=0.8)
    last.set(title="cosine between tasks, by layer", ylim=(-1, 1))
    last.tick_params(axis="x", rotation=45)
    last.legend(fontsize=8)
    target = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "seesaw"}):  # ids in it are drawn at random otherwise
        figure.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()
