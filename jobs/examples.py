"""What is learned from: the labelled items of split `train`, their pictures read and, where a voter looks, carried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs import console
from jobs.items import shown, targets
from jobs.lake import Lake
from jobs.ledger import Run
from jobs.perceive import perceive
from jobs.seen import seen
from kdsl.arrow import items_of
from kdsl.config import Settings
from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.models.voter import looked_at
from kdsl.ocr import reader_version
from kdsl.taxonomy import Taxonomy
from kdsl.unseen import marked


@dataclass(frozen=True)
class Examples:
    """Items with their gold labels by task, and what tells these examples from others: task, id, hash and label."""

    by_task: Mapping[str, Sequence[tuple[Item, str]]]
    keys: Sequence[tuple[str, str, str, str]]
    only_teach: Mapping[str, Sequence[str]]
    """By task the ids of those that `sample` picked for doubt: they say nothing of how good a release is."""


def collect(lake: Lake, settings: Settings, wanted: Taxonomy, run: Run) -> Examples:
    """Every example of the taxonomy's tasks, in the order of task and id.

    Raises:
        ConfigError: there is no gold to learn from.
    """
    from pyspark.sql import functions as F

    known = [(task.name, label) for task in wanted.tasks for label in task.label_names]
    stored = lake.df("gold_labels").where(F.col("split") == "train").select("item_id", "task", "label")
    gold = stored.join(F.broadcast(lake.spark.createDataFrame(known, "task STRING, label STRING")), ["task", "label"])
    if foreign := stored.count() - gold.count():
        console.say(f"  {foreign} gold labels are not of taxonomy {wanted.name!r} and are left out")
    items = targets(lake, {task.name: task.asked_of for task in wanted.tasks}, F.lit(True))
    items = items.join(F.broadcast(gold), ["item_id", "task"])
    pictures = shown(lake, items, F.lit(True)) if lake.has("images") else None
    if pictures is not None:
        with run.stage("read pictures"):
            perceive(lake, settings, settings.reader, pictures, run)
    with run.stage("collect examples"):
        looked = looked_at({task.name: settings.fit.voters for task in wanted.tasks})
        rows = seen(lake, items, reader_version(settings.reader), looked)
        table = rows.join(gold, ["item_id", "task"]).orderBy("task", "item_id").toArrow()
    by_task: dict[str, list[tuple[Item, str]]] = {}
    in_order = items_of(table, settings.ingest.image_root)
    for item, label in zip(in_order, table.column("label").to_pylist(), strict=True):
        by_task.setdefault(item.task, []).append((item, label))
    if not by_task:
        raise ConfigError(
            f"--lake: {lake.root} holds no gold of split train for the tasks of taxonomy {wanted.name!r}; ingest "
            "labelled dialogues with --split train first."
        )
    for task in wanted.tasks:
        if task.name not in by_task:
            console.say(f"  task {task.name} has no gold of split train: it is left out of this release")
    told = (table.column(name).to_pylist() for name in ("input_hash", "label"))
    # Marked: what is learned while pictures are away is another release than what is learned with them.
    keys = [(i.task, i.item_id, marked(hashed, i), label) for i, hashed, label in zip(in_order, *told, strict=True)]
    return Examples(by_task, sorted(keys), _only_teach(lake, by_task))


def _only_teach(lake: Lake, by_task: Mapping[str, Sequence[tuple[Item, str]]]) -> dict[str, list[str]]:
    drawn = lake.df("draws").where("part = 'doubt'").select("task", "item_id").collect() if lake.has("draws") else []
    doubted = {(row["task"], row["item_id"]) for row in drawn}
    found = {task: sorted(i.item_id for i, _ in own if (task, i.item_id) in doubted) for task, own in by_task.items()}
    return {task: ids for task, ids in found.items() if ids}
