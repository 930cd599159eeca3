"""The see-saw drawn: what tasks read with a shared adapter and with one of their own, and where they conflict."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from kdsl.seesaw import JOINT, Look, SeeSaw


def draw(found: SeeSaw, target: Path) -> None:
    """Write the plot; the suffix of `target` (.svg, .png) gives the format. Needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * (len(found.tasks) + 1), 3.6), layout="constrained")
    axes = figure.subplots(1, len(found.tasks) + 1)
    for axis, task in zip(axes, found.tasks, strict=False):
        for name, style in ((JOINT, "--"), (task, "-")):
            looks = [look for look in found.looks if look.adapter == name and look.task == task]
            steps, mean, low, high = _curve(looks)
            axis.plot(steps, mean, style, label="one adapter for all" if name == JOINT else "an adapter of its own")
            axis.fill_between(steps, low, high, alpha=0.15)
        axis.set(title=task, xlabel="steps of this task", ylabel="held-out weighted F1", ylim=(0, 1))
        axis.legend(fontsize=8)
    last = axes[-1]
    for of, marker in (("gradient", "o"), ("update", "s")):
        layers = sorted({one.layer for one in found.conflicts if one.of == of})
        means = [
            statistics.fmean(o.cosine for o in found.conflicts if (o.of, o.layer) == (of, name)) for name in layers
        ]
        last.plot(layers, means, marker, label=f"of the {of}s")
    last.axhline(0, color="grey", linewidth=0.8)
    last.set(title="cosine between tasks, by layer", ylim=(-1, 1))
    last.tick_params(axis="x", rotation=45)
    last.legend(fontsize=8)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


def _curve(looks: Sequence[Look]) -> tuple[list[int], list[float], list[float], list[float]]:
    """Steps, and mean, least and most of the seeds at each."""
    steps = sorted({look.step for look in looks})
    by_step = [[look.score for look in looks if look.step == step] for step in steps]
    return steps, [statistics.fmean(found) for found in by_step], list(map(min, by_step)), list(map(max, by_step))
