"""The whole page: one HTML file that asks no network for anything and runs no script."""

from collections.abc import Callable

from kdsl import metrics
from kdsl.metrics import Estimate
from kdsl.report import confusion, cost, learning, nights, reliability, rules, scores, seesaw, shares
from kdsl.report.content import Content, TaskPart
from kdsl.report.markup import Child, Markup, tag
from kdsl.report.style import CSS

# Id -> title and what to know to read it.
SECTIONS = {
    "summary": ("At a glance", ""),
    "tasks": (
        "Scores by task",
        "Weighted F1 on examples that the voters did not learn from, with 95 % intervals.",
    ),
    "parts": (
        "What each part adds",
        "Weighted F1 of all voters together less that of one alone; and what they lose where one is left out and the "
        "others are fitted anew. Of two voters that say the same neither is missed.",
    ),
    "labels": ("Scores by label", "F1 of each label, the lowest first, with 95 % bootstrap intervals."),
    "confusion": ("What is taken for what", "Rows are gold, columns the answer; the shade is the share of the row."),
    "reliability": (
        "Can its confidence be believed?",
        "Across: how sure; up: how often right, with 95 % intervals; bars count examples. On the dashed line the two "
        "are the same. ECE is the mean distance from it, less what chance adds.",
    ),
    "cost": (
        "Quality against cost",
        "Weighted F1 on held-out examples by the share of items of which the large model is asked: those whose label "
        "it is most likely to mend. Policies saw none of the examples that they are scored on.",
    ),
    "learning": (
        "How the models learned",
        "Post-training of the multimodal models on the examples: loss at each look, and what it read then.",
    ),
    "seesaw": (
        "The see-saw",
        "What tasks lose when one adapter of the multimodal model serves all of them: held-out weighted F1 by steps of "
        "post-training, means over seeds with 95 % intervals by Student's t.",
    ),
    "rules": (
        "Rules that matter most",
        "First those that overruled the voters, then by the items they fit times the least precision of their record.",
    ),
    "nights": ("Nights over time", "Weighted F1 with 95 % intervals."),
    "drift": (
        "Drift",
        "How probable items so unlike the examples would be, if they were of the same kind. The lower, the less an "
        "estimate of that night can be relied on.",
    ),
    "shares": ("Label shares", "Of the examples that the release learned from, and of the labels it gave."),
}
# Nothing is loaded and nothing runs, whatever the data try.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(content: Content) -> str:
    """HTML of a release and its nights."""
    title = f"Release {content.release_id}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", CSS),
    )
    body = tag("body", tag("header", tag("h1", title), _about(content)), *_sections(content), _footer())
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def _sections(content: Content) -> list[Markup]:
    def each(draw: Callable[[TaskPart], Markup]) -> list[Markup]:
        return [draw(task) for task in content.tasks]

    def beside(draw: Callable[[TaskPart], Markup]) -> Markup:
        return tag("div", *[tag("div", part) for part in each(draw)], class_="plots wide")

    labelled = [task for task in content.tasks if task.nights]
    by_night: list[Child] = [tag("p", "No night was labelled by this release in this range.", class_="soft")]
    by_drift = by_night
    if labelled:
        by_night = [tag("div", *map(nights.quality, labelled), class_="plots wide"), *map(nights.table, labelled)]
        by_drift = [tag("div", *map(nights.drift, labelled), class_="plots wide")]
    drawn: dict[str, Child] = {
        "summary": tag("div", *_tiles(content), class_="tiles"),
        "tasks": beside(scores.by_task),
        "parts": beside(scores.parts),
        "labels": beside(scores.by_label),
        "confusion": each(confusion.confusion),
        "reliability": each(reliability.reliability),
        "cost": beside(cost.cost),
        "learning": beside(learning.learning),
        "seesaw": seesaw.seesaw(content.seesaw),
        "rules": each(rules.rules),
        "nights": by_night,
        "drift": by_drift,
        "shares": beside(shares.shares),
    }
    return [
        tag("section", tag("h2", title), tag("p", note, class_="soft") if note else None, drawn[name], id=name)
        for name, (title, note) in SECTIONS.items()
    ]


def _about(content: Content) -> Markup:
    days = content.days
    labelled = f"labelled {days[0]} to {days[-1]}" if days else "labelled nothing here"
    made = f"Taxonomy {content.taxonomy}, made {content.created_at:%Y-%m-%d %H:%M} UTC, {labelled}."
    parent = f" Made from {content.parent}." if content.parent else ""
    return tag("p", made + parent, class_="soft")


def _tiles(content: Content) -> list[Markup]:
    tiles = []
    for task in content.tasks:
        tiles.append(_tile(task.scores["fused"], f"{task.name}: held-out weighted F1"))
        if task.of_nights:
            tiles.append(_tile(metrics.estimate_drawn(task.cells), f"{task.name}: measured on the nights"))
        known = [night for night in task.nights if night.estimated]
        if known and known[-1].estimated:
            doubt = "" if known[-1].reliable else ", not reliable"
            tiles.append(_tile(known[-1].estimated, f"{task.name}: estimated for {known[-1].day}{doubt}"))
    every = [night for task in content.tasks for night in task.nights]
    if every:
        rows, odd = sum(night.rows for night in every), sum(night.abstained + night.failed for night in every)
        tiles.append(
            tag("div", tag("b", f"{rows:,}"), tag("span", f"items labelled; {odd:,} without an answer"), class_="tile")
        )
    return tiles


def _tile(found: Estimate, words: str) -> Markup:
    interval = tag("span", f"[{found.low:.3f}, {found.high:.3f}] n={found.n:,}")
    return tag("div", tag("b", f"{found.value:.3f}"), interval, tag("span", words), class_="tile")


def _footer() -> Markup:
    words = "An item without an answer counts as wrong. No dialogue is quoted but for the words that rules name."
    return tag("footer", tag("p", words, class_="soft"))
