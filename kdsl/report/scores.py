"""Scores by task and label, and what each part adds to the whole."""

from collections.abc import Mapping

from kdsl.fusion.fusion import POOL
from kdsl.metrics import Estimate, estimates_by_label
from kdsl.report.content import TaskPart
from kdsl.report.marks import interval_row, scale_row, signed, told
from kdsl.report.markup import Markup, joined, named, tag

SHARES = [(0.0, "0"), (50.0, ".5"), (100.0, "1")]
WHOLE, PART = "whole", ""


def by_task(task: TaskPart) -> Markup:
    """Held-out weighted F1 of the whole and of each part."""
    fused = task.scores["fused"]
    rows = [
        interval_row(_name(name, task), score, _percent, WHOLE if name == "fused" else PART, told(score))
        for name, score in _ordered(task)
    ]
    return joined(
        tag("h3", f"{task.name}: {fused.value:.3f} as a whole, on {fused.n:,} held-out examples"),
        tag("div", *rows, scale_row(SHARES), class_="rows"),
    )


def parts(task: TaskPart) -> Markup:
    """What the pool gains on each voter, and what it loses without it, on the same rows."""
    if len(task.gains) < 2:
        return joined(tag("h3", f"{task.name}: one voter"), tag("p", f"{task.voters[0]} answers alone.", class_="soft"))
    missed = _differences("lost without {}", task.left_out) if task.left_out else ""
    return joined(
        tag("h3", _verdict(task)),
        _differences("pool less {}", task.gains),
        missed,
        tag("p", _weights(task), class_="soft"),
    )


def _differences(caption: str, found: Mapping[str, Estimate]) -> Markup:
    """A row each, the lowest first, on a scale of their own around 0."""
    widest = max(0.05, *(max(abs(one.low), abs(one.high)) for one in found.values()))

    def place(value: float) -> float:
        return 50 + 50 * value / widest

    rows = [
        interval_row(caption.format(name), one, place, PART, signed(one))
        for name, one in sorted(found.items(), key=lambda pair: pair[1].value)
    ]
    return tag(
        "div", *rows, scale_row([(0.0, f"-{widest:.2f}"), (50.0, "0"), (100.0, f"+{widest:.2f}")]), class_="rows"
    )


def by_label(task: TaskPart, seed: int = 0) -> Markup:
    """F1 of each label that has gold, the lowest first."""
    found = estimates_by_label(task.cells, seed=seed)
    if not found:
        return joined(tag("h3", task.name), tag("p", "No gold to score by label.", class_="soft"))
    ordered = sorted(found.items(), key=lambda pair: (pair[1].value, pair[0]))
    rows = [
        interval_row(named(label), score, _percent, WHOLE, joined(told(score, 2), " ", tag("small", f"n={score.n:,}")))
        for label, score in ordered
    ]
    worst, score = ordered[0]
    return joined(
        tag("h3", f"{task.name}: lowest is {worst} at {score.value:.2f}, n = {score.n}"),
        tag("p", source(task), class_="soft"),
        tag("div", *rows, scale_row(SHARES), class_="rows"),
    )


def source(task: TaskPart) -> str:
    """Which rows the confusion matrix counts."""
    n = f"{task.confusion.n:,}"
    if task.of_nights:
        weighed = len({weight for _, _, weight in task.cells}) > 1
        more = " In scores those drawn by `sample` count by 1 / their probability." if weighed else ""
        return f"{n} items of the nights with gold that the release did not learn from.{more}"
    return f"{n} examples held out at fit: the nights have no gold that the release did not learn from."


def _ordered(task: TaskPart) -> list[tuple[str, Estimate]]:
    known = ["fused", POOL, *task.voters]
    return [(name, task.scores[name]) for name in known if name in task.scores]


def _name(name: str, task: TaskPart) -> str:
    if name == "fused":
        return "as a whole"
    if name == POOL:
        return "pool of those with a say" if task.idle else "pool of all"
    called = f" ({task.called[name]})" if name in task.called else ""
    return f"{name}{called} alone" + (f", on {task.scores[name].n:,}" if name in task.idle else "")


def _verdict(task: TaskPart) -> str:
    if task.uses in task.voters:
        return f"{task.name}: {task.uses} decides alone; the pool did not beat it"
    if task.uses != POOL:
        return f"{task.name}: decided by {task.uses}"
    best = "; no voter alone did better" if all(gain.value >= 0 for gain in task.gains.values()) else ""
    return f"{task.name}: the pool decides{best}"


def _weights(task: TaskPart) -> str:
    said = ", ".join(f"{name} {weight:.2f}" for name, weight in task.weights.items())
    silent = f" No say: {', '.join(task.idle)}; answers are no better with them, or none may be asked of them."
    idle = silent if task.idle else ""
    return f"Weights in the pool: {said}.{idle} Differences are nested and paired; an interval across 0 proves nothing."


def _percent(share: float) -> float:
    return 100 * share
