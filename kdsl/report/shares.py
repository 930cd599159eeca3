"""Label shares: among the examples that the release learned from, and among what it said of the nights."""

from kdsl.report.content import TaskPart
from kdsl.report.marks import scale_row
from kdsl.report.markup import Markup, joined, named, tag


def shares(task: TaskPart) -> Markup:
    """A row a label: a ring for the examples, a dot for the nights, the largest change first."""
    examples, nights = sum(task.example_counts.values()), sum(task.night_counts.values())
    if not nights:
        return joined(tag("h3", task.name), tag("p", "No item was labelled.", class_="soft"))
    found = []
    for label in dict.fromkeys((*task.labels, *task.night_counts)):
        before = task.example_counts.get(label, 0) / examples if examples else 0.0
        after = task.night_counts.get(label, 0) / nights
        if before or after:
            found.append((label, before, after))
    found.sort(key=lambda row: (-abs(row[2] - row[1]), row[0]))
    widest = max(max(before, after) for _, before, after in found)
    rows = [_row(label, before, after, widest) for label, before, after in found]
    label, before, after = found[0]
    key = joined(
        tag("span", class_="key ring"),
        f"of {examples:,} examples ",
        tag("span", class_="key whole"),
        f"of {nights:,} labels given",
    )
    return joined(
        tag("h3", f"{task.name}: most changed is {label}, {before:.0%} of the examples, {after:.0%} of the nights"),
        tag("p", key, class_="soft"),
        tag("div", *rows, scale_row([(0.0, "0"), (100.0, f"{widest:.0%}")]), class_="rows"),
    )


def _row(label: str, before: float, after: float, widest: float) -> Markup:
    one, other = 100 * before / widest, 100 * after / widest
    low, high = sorted((one, other))
    marks = [
        tag("i", class_="span", style=f"left:{low:.2f}%;width:{high - low:.2f}%"),
        tag("i", class_="ring", style=f"left:{one:.2f}%"),
        tag("i", class_="dot whole", style=f"left:{other:.2f}%"),
    ]
    told = joined(tag("b", f"{after:.1%}"), " ", tag("small", f"from {before:.1%}"))
    return tag("div", tag("span", named(label)), tag("div", *marks, class_="track"), tag("span", told), class_="row")
