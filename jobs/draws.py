"""The table `draws`: which items were picked to be labelled by a person, and with which probability."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from jobs.lake import Lake
from jobs.options import Days
from jobs.tables import DRAWS
from kdsl.dialogue import Item
from kdsl.release import Release
from kdsl.sample import Pick, either

if TYPE_CHECKING:
    from pyspark.sql import Row

Chosen = tuple[Pick, Item, date]


@dataclass(frozen=True)
class Draw:
    """A draw from some days: by task the probability in it of being picked at random, and rows of `draws` anew."""

    days: Days
    own: Mapping[str, float]
    again: Sequence[tuple[Any, ...]]
    """Of earlier random draws of those days, with the probability over all draws."""


def at_random(lake: Lake) -> "list[Row]":
    """Rows of all random draws."""
    return lake.df("draws").where("part = 'random'").collect()


def over_all(picked: Sequence[Chosen], earlier: "Sequence[Row]") -> list[Chosen]:
    """The picks with the probability over all draws that covered their day: an earlier one may have hit none of it."""
    return [
        (replace(pick, inclusion=either(_before(earlier, item.task, day), pick.inclusion)), item, day)
        if pick.part == "random"
        else (pick, item, day)
        for pick, item, day in picked
    ]


def draw_of(picked: Sequence[Chosen], earlier: "Sequence[Row]", days: Days) -> Draw:
    """What is to be noted of a draw from those days beside its picks."""
    own = {item.task: pick.inclusion for pick, item, _ in picked if pick.part == "random"}
    rows = [row.asDict() for row in earlier if row["task"] in own and days.start <= row["event_date"] <= days.end]
    return Draw(
        days, own, [tuple((row | {"inclusion": either(row["inclusion"], own[row["task"]])}).values()) for row in rows]
    )


def note(lake: Lake, release: Release, chosen: Sequence[Chosen], of: Draw) -> None:
    """Write what was chosen by a draw, and the rows of earlier ones that it made more probable."""
    now = datetime.now(UTC)
    by = release.manifest.release_id
    rows = []
    for pick, item, day in chosen:
        alone = of.own.get(item.task) if pick.part == "random" else None
        drawn = pick.part, pick.inclusion, pick.why, by, now, of.days.start, of.days.end, alone
        rows.append((item.item_id, item.task, day, *drawn))
    lake.upsert("draws", lake.spark.createDataFrame([*rows, *of.again], DRAWS.columns))


def _before(earlier: "Sequence[Row]", task: str, day: date) -> float:
    """Probability of having been drawn by any earlier draw that covered the day, each counted once."""
    covering = {}
    for row in earlier:
        first, last = row["first_day"] or row["event_date"], row["last_day"] or row["event_date"]
        if row["task"] == task and first <= day <= last:  # a draw of before ranges were kept covered its own day
            covering[row["drawn_at"], first, last] = row["own_inclusion"] or row["inclusion"]
    found = 0.0
    for inclusion in covering.values():
        found = either(found, inclusion)
    return found
