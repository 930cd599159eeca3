"""What is taken for what: a map of gold against answer, and the pairs most often confused in words."""

from kdsl.metrics import Confusion, confused_pairs
from kdsl.report.content import TaskPart
from kdsl.report.markup import Markup, joined, named, tag
from kdsl.report.scores import source

CELL = 22
PAIRS = 8
NOTHING = "no answer"


def confusion(task: TaskPart) -> Markup:
    """Map, list of names and pairs of one task."""
    matrix = task.confusion
    if not matrix.n:
        return joined(tag("h3", task.name), tag("p", "No gold to compare with.", class_="soft"))
    pairs = confused_pairs(matrix, PAIRS)
    wrong = matrix.n - int(matrix.counts.trace())
    title = f"{task.name}: {wrong:,} of {matrix.n:,} otherwise than gold"
    if pairs:
        title += f", most often {pairs[0][0] or NOTHING} taken for {pairs[0][1] or NOTHING}"
    names = _order(task)
    return joined(
        tag("h3", title),
        tag("p", source(task), class_="soft"),
        tag("div", _map(task.name, matrix, names), _pairs(pairs) if pairs else None, class_="beside"),
        tag("ol", *[tag("li", named(name or NOTHING)) for name in names], class_="names"),
    )


def _order(task: TaskPart) -> list[str | None]:
    """Labels that occur, in the order of the taxonomy, then what is foreign to it, then no answer."""
    place = {label: at for at, label in enumerate(task.labels)}
    return sorted(task.confusion.labels, key=lambda name: (name is None, place.get(name or "", len(place)), name or ""))


def _map(task: str, matrix: Confusion, names: list[str | None]) -> Markup:
    size = CELL * (len(names) + 1)
    at = [matrix.labels.index(name) for name in names]
    counts = matrix.counts[at][:, at]
    marks = []
    for number in range(len(names)):
        middle = CELL * (number + 1.5)
        marks.append(tag("text", number + 1, x=middle, y=CELL - 7, text_anchor="middle", class_="head"))
        marks.append(tag("text", number + 1, x=CELL - 6, y=middle + 4, text_anchor="end", class_="head"))
    for row, line in enumerate(counts.tolist()):
        total = sum(line)
        for column, count in enumerate(line):
            x, y = CELL * (column + 1), CELL * (row + 1)
            share = count / total if total else 0.0
            # Few rows of a label must show: a tenth of full shade at least.
            shade = f"rgb(var(--cell) / {0.1 + 0.9 * share:.2f})" if count else "none"
            words = f"{names[row] or NOTHING} answered as {names[column] or NOTHING}: {count} of {total}"
            marks.append(
                tag("rect", tag("title", words), x=x, y=y, width=CELL - 1, height=CELL - 1, style=f"fill:{shade}",
                    stroke="var(--faint)")
            )  # fmt: skip
            if count:
                style = "fill:var(--paper)" if share > 0.5 else None
                marks.append(
                    tag(
                        "text",
                        count,
                        x=x + CELL / 2,
                        y=y + CELL / 2 + 4,
                        text_anchor="middle",
                        font_size=10,
                        style=style,
                    )
                )
    # Never drawn so small that the counts cannot be read; a wide one scrolls inside its own box.
    drawing = tag(
        "svg",
        *marks,
        viewBox=f"0 0 {size} {size}",
        role="img",
        aria_label=f"confusion of {task}",
        style=f"min-width:{size * 0.8:.0f}px",
    )
    return tag("div", drawing, class_="scroll", style=f"flex:0 1 {size * 1.3:.0f}px")


def _pairs(pairs: list[tuple[str | None, str | None, int]]) -> Markup:
    head = tag("tr", tag("th", "gold"), tag("th", "taken for"), tag("th", "items", class_="n"))
    rows = [
        tag("tr", tag("td", named(gold or NOTHING)), tag("td", named(said or NOTHING)), tag("td", n, class_="n"))
        for gold, said, n in pairs
    ]
    return tag("table", head, *rows)
