"""The table `draws`: which items were picked to be labelled by a person, and with which probability."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from jobs.items import within
from jobs.lake import Lake
from jobs.options import Days
from jobs.tables import DRAWS
from kdsl.dialogue import Item
from kdsl.release import Release
from kdsl.sample import Pick, either

if TYPE_CHECKING:
    from pyspark.sql import Row

Chosen = tuple[Pick, Item, date]


def at_random(lake: Lake, days: Days) -> "list[Row]":
    """Rows of the random draws of those days."""
    return lake.df("draws").where(within(days)).where("part = 'random'").collect()


def over_all(picked: Sequence[Chosen], earlier: "Sequence[Row]") -> list[Chosen]:
    """The picks with the probability over all draws; earlier ones of a task and day had the same for all its items."""
    before = {(row["task"], row["event_date"]): row["inclusion"] for row in earlier}
    return [
        (replace(pick, inclusion=either(before.get((item.task, day), 0.0), pick.inclusion)), item, day)
        if pick.part == "random"
        else (pick, item, day)
        for pick, item, day in picked
    ]


def anew(picked: Sequence[Chosen], earlier: "Sequence[Row]") -> list[tuple[Any, ...]]:
    """Rows of `draws` of earlier random draws, with the probability over all draws."""
    now = {item.task: pick.inclusion for pick, item, _ in picked if pick.part == "random"}
    rows = [row.asDict() for row in earlier if row["task"] in now]
    return [tuple((row | {"inclusion": either(row["inclusion"], now[row["task"]])}).values()) for row in rows]


def note(lake: Lake, release: Release, chosen: Sequence[Chosen], again: Sequence[tuple[Any, ...]]) -> None:
    """Write what was chosen, and the rows of earlier draws that `anew` gave."""
    now = datetime.now(UTC)
    rows = [
        (item.item_id, item.task, day, pick.part, pick.inclusion, pick.why, release.manifest.release_id, now)
        for pick, item, day in chosen
    ]
    lake.upsert("draws", lake.spark.createDataFrame([*rows, *again], DRAWS.columns))
