"""From settled staging rows into the lake: what is new, changed or moved, and nothing else.

The order makes a kill at any point harmless: labels of what moves or goes are deleted first (they are pending again),
then pictures are merged, then conversations, by which the next run sees what is still to be done.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from jobs import orphans
from jobs.lake import Lake
from kdsl.importers.staged import CONVERSATION, GOLD, IMAGE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TABLE = {CONVERSATION: "conversations", IMAGE: "images"}
_NEW, _UPDATED, _MOVED, _SAME = "new", "updated", "moved", "same"


@dataclass
class Change:
    """How the staged rows of one kind differ from the lake: rows by state, and every date that is touched."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((_NEW, _UPDATED, _MOVED, _SAME), 0))
    dates: set[date] = field(default_factory=set)
    left: set[date] = field(default_factory=set)  # dates that something moved away from

    @property
    def differing(self) -> int:
        """Rows to merge."""
        return self.counts[_NEW] + self.changed

    @property
    def changed(self) -> int:
        """Rows whose id was there before, with other content or another date."""
        return self.counts[_UPDATED] + self.counts[_MOVED]


class Merge:
    """One run's merge of `good` into `lake`; `stamp` is the time of ingest."""

    def __init__(self, lake: Lake, good: "DataFrame", stamp: datetime) -> None:
        self.lake = lake
        self.good = good
        self.stamp = stamp
        self.removed = 0
        self._begin()

    def _begin(self) -> None:
        self.versions = {kind: max(0, self.lake.version(table)) for kind, table in _TABLE.items()}  # before it is read
        self.compared = {kind: self._compare(kind) for kind in _TABLE}
        self.changes = {kind: Change() for kind in _TABLE}

    def look(self) -> None:
        """Fill `changes`: one pass over ids, dates and hashes, no content."""
        self._count()
        moved = [kind for kind, change in self.changes.items() if change.counts[_MOVED]]
        # Ids on two dates: an ingest that ran beside another was killed before it had settled that.
        if sum(map(self._leave_one_date, moved)):
            self._begin()
            self._count()

    def _count(self) -> None:
        from pyspark.sql import functions as F

        both = self.compared[CONVERSATION].unionByName(self.compared[IMAGE])
        counted = both.groupBy("kind", "state").agg(
            F.count("*").alias("rows"), F.collect_set("event_date").alias("new"), F.collect_set("old_date").alias("old")
        )
        for row in counted.collect():
            change = self.changes[row["kind"]]
            change.counts[row["state"]] = row["rows"]
            if row["state"] != _SAME:
                change.dates |= {*row["new"], *row["old"]}
            if row["state"] == _MOVED:
                change.left |= set(row["old"])

    def forget(self) -> None:
        """Delete the labels of what moves to another date, and pictures that changed conversations hold no more."""
        self._forget_moved()
        if self.changes[CONVERSATION].changed and self.lake.has("images"):
            self.removed = orphans.drop_items(self.lake, _TABLE[IMAGE], self._orphans())

    def _forget_moved(self) -> None:
        for kind, change in self.changes.items():
            staged = self.good.where(f"kind = '{kind}'").select("id", "event_date")
            orphans.drop_moved(self.lake, staged, change.left)

    def write(self) -> None:
        """Merge pictures, then conversations; a night that ran meanwhile may have labelled what moved where it was."""
        for kind in (IMAGE, CONVERSATION):
            if self.changes[kind].differing:
                self.lake.upsert(_TABLE[kind], self._rows(kind), self.changes[kind].dates, fresh=True)
                if self.lake.version(_TABLE[kind]) > self.versions[kind] + 1:  # another ingest wrote meanwhile
                    self._leave_one_date(kind)
        self._forget_moved()

    def _leave_one_date(self, kind: str) -> int:
        return orphans.leave_one_date(self.lake, _TABLE[kind], self.good.where(f"kind = '{kind}'").select("id"))

    def write_gold(self) -> None:
        """Merge gold labels."""
        from pyspark.sql import functions as F

        gold = self.good.where(F.col("kind") == GOLD)
        named, stamped = F.col("id").alias("item_id"), F.lit(self.stamp).alias("labelled_at")
        self.lake.upsert("gold_labels", gold.select(named, "task", "label", "split", "annotator", stamped))

    def _compare(self, kind: str) -> "DataFrame":
        from pyspark.sql import functions as F

        if kind == CONVERSATION:
            key, was, now = "conversation_id", [F.col("content_hash").alias("hash")], ["hash"]
        else:
            key, was = "image_id", [F.col("sha256").alias("hash"), F.col("conversation_id"), F.col("path")]
            now = ["hash", "conversation_id", "path"]
        old = self.lake.df(_TABLE[kind]).select(
            F.col(key).alias("id"), F.col("event_date").alias("old_date"), F.struct(*was).alias("was")
        )
        staged = self.good.where(F.col("kind") == kind).select("kind", "id", "event_date", F.struct(*now).alias("now"))
        state = (
            F.when(F.col("old_date").isNull(), _NEW)
            .when(F.col("old_date") != F.col("event_date"), _MOVED)
            .when(~F.col("now").eqNullSafe(F.col("was")), _UPDATED)
            .otherwise(_SAME)
        )
        return staged.join(old, "id", "left").select("kind", "id", "event_date", "old_date", state.alias("state"))

    def _rows(self, kind: str) -> "DataFrame":
        from pyspark.sql import functions as F

        rows = self.good.where(F.col("kind") == kind)
        if self.changes[kind].counts[_SAME]:
            # The MERGE is pinned to the dates touched: a row that is the same must not be taken for a new one.
            rows = rows.join(self.compared[kind].where(F.col("state") != _SAME), "id", "left_semi")
        source, stamp = F.col("file").alias("source"), F.lit(self.stamp).alias("ingested_at")
        if kind == CONVERSATION:
            hashed = F.col("hash").alias("content_hash")
            return rows.select(F.col("id").alias("conversation_id"), "event_date", "turns", source, hashed, stamp)
        named, hashed = F.col("id").alias("image_id"), F.col("hash").alias("sha256")
        return rows.select(named, "conversation_id", "event_date", hashed, "content", "path", source, stamp)

    def _orphans(self) -> "DataFrame":
        changed = self.compared[CONVERSATION].where(f"state IN ('{_UPDATED}', '{_MOVED}')")
        changed = changed.selectExpr("id AS conversation_id")
        others = self.lake.df("conversations").join(changed, "conversation_id", "left_anti")
        staged = self.good.where(f"kind = '{IMAGE}'").select("id")
        return orphans.unnamed(self.lake, changed, others).join(staged, "id", "left_anti")
