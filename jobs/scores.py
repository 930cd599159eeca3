"""What `evaluate` says of a release: figures with their 95 % bootstrap intervals, as JSON and on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from jobs import console
from kdsl import metrics
from kdsl.metrics import Cells


def figures(cells: Cells) -> dict[str, Any]:
    """What JSON holds of a task, or of a voter there."""
    f1, macro, accuracy = metrics.estimates_drawn(
        cells, metrics.weighted_f1_of, metrics.macro_f1_of, metrics.accuracy_of
    )
    return {
        "weighted_f1": f1.value,
        "low": f1.low,
        "high": f1.high,
        "macro_f1": macro.value,
        "macro_f1_interval": [macro.low, macro.high],
        "accuracy": accuracy.value,
        "accuracy_interval": [accuracy.low, accuracy.high],
        "n": f1.n,
    }


def of_task(cells: Cells) -> dict[str, Any]:
    """The same with every label that gold has, and the pairs most confused."""
    by_label = metrics.estimates_by_label(cells)
    confused = metrics.confused_pairs(metrics.from_cells(cells))
    return {
        **figures(cells),
        "labels": {name: {"f1": f1.value, "low": f1.low, "high": f1.high, "n": f1.n} for name, f1 in by_label.items()},
        "confused": [{"gold": g, "predicted": p, "rows": n} for g, p, n in confused],
    }


def show(report: dict[str, Any], called: Mapping[str, str]) -> None:
    """The tables on the terminal; `called` says what a voter is where its name does not."""
    table = Table("task", "who", "weighted F1", "macro F1", "accuracy", "n", title="Held-out quality, 95 % intervals")
    for task, found in report["tasks"].items():
        for who, f in [("fused", found), *((v, by[task]) for v, by in report["voters"].items() if task in by)]:
            table.add_row(
                console.plain(task),
                console.plain(f"{who} ({called[who]})" if who in called else who),
                _ranged(f["weighted_f1"], f["low"], f["high"]),
                f"{f['macro_f1']:.3f}",
                f"{f['accuracy']:.3f}",
                str(f["n"]),
            )
    console.out.print(table)
    by_label = Table("task", "label", "F1", "n", title="By label, 95 % intervals")
    for task, found in report["tasks"].items():
        for name, f in sorted(found["labels"].items(), key=lambda pair: -pair[1]["n"]):
            by_label.add_row(
                console.plain(task), console.plain(name), _ranged(f["f1"], f["low"], f["high"]), str(f["n"])
            )
    console.out.print(by_label)
    for task, found in report["tasks"].items():
        macro, accuracy = _ranged(found["macro_f1"], *found["macro_f1_interval"]), found["accuracy"]
        console.say(f"{task}: macro F1 {macro}, accuracy {_ranged(accuracy, *found['accuracy_interval'])}")
        worst = "; ".join(
            f"{c['gold']} taken for {c['predicted'] or 'nothing'} ({c['rows']})" for c in found["confused"][:3]
        )
        console.say(f"most confused, {task}: {worst or 'none'}")
    console.say(f"overall weighted F1 (mean of the tasks): {report['overall_weighted_f1']:.3f}")


def _ranged(value: float, low: float, high: float) -> str:
    ends = ", ".join(f"{end:.3f}".removeprefix("0") for end in (low, high))  # a terminal may be 80 columns wide
    return f"{value:.3f} [{ends}]"
