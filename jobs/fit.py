"""Learn a release from the gold rows of split `train`, score it out of fold, write, register and promote it."""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import kdsl
from jobs import console, ledger, registry
from jobs.items import shown, targets, with_pictures
from jobs.lake import Lake
from jobs.perceive import perceive
from kdsl import release, taxonomy, training
from kdsl.arrow import items_of
from kdsl.config import Settings
from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.ocr import reader_version
from kdsl.release import Manifest, Release, Score
from kdsl.taxonomy import Taxonomy

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "learn a release from the gold rows of split train"
READS = ("conversations", "images", "gold_labels")
WRITES = ("image_features", "releases")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:  # noqa: ARG001 - every job's form
    """Learn, and print the release's id last."""
    lake = Lake(spark, settings.lake, settings.label.retries).must_exist()
    console.say(fit(lake, settings).manifest.release_id)


def fit(lake: Lake, settings: Settings) -> Release:
    """Learn a release; the same gold, settings and code again give the same release, found and not learned anew.

    Raises:
        ConfigError: there is no gold to learn from.
    """
    from pyspark.sql import functions as F

    wanted = taxonomy.load(settings.taxonomy)
    with ledger.recorded(lake, "fit", {"voters": settings.fit.voters}, READS, WRITES) as run:
        known = [(task.name, label) for task in wanted.tasks for label in task.label_names]
        stored = lake.df("gold_labels").where(F.col("split") == "train").select("item_id", "task", "label")
        gold = stored.join(
            F.broadcast(lake.spark.createDataFrame(known, "task STRING, label STRING")), ["task", "label"]
        )
        if foreign := stored.count() - gold.count():
            console.say(f"  {foreign} gold labels are not of taxonomy {wanted.name!r} and are left out")
        items = targets(lake, {task.name: task.asked_of for task in wanted.tasks}, F.lit(True))
        items = items.join(F.broadcast(gold), ["item_id", "task"])
        pictures = shown(lake, items, F.lit(True)) if lake.has("images") else None
        if pictures is not None:
            with run.stage("read pictures"):
                perceive(lake, settings, settings.reader, pictures, run)
        with run.stage("collect examples"):
            version = reader_version(settings.reader)
            rows = with_pictures(lake, items.drop("label"), pictures, version).join(gold, ["item_id", "task"])
            table = rows.orderBy("task", "item_id").toArrow()
        labels = table.column("label").to_pylist()
        examples: dict[str, list[tuple[Item, str]]] = {}
        for item, label in zip((i for batch in table.to_batches() for i in items_of(batch)), labels, strict=True):
            examples.setdefault(item.task, []).append((item, label))
        if not examples:
            raise ConfigError(
                f"--lake: {lake.root} holds no gold of split train for the tasks of taxonomy {wanted.name!r}; ingest "
                "labelled dialogues with --split train first."
            )
        columns = (table.column(name).to_pylist() for name in ("task", "item_id", "input_hash", "label"))
        hashes = sorted(zip(*columns, strict=True))
        run.release_id = release.id_of(
            {
                "examples": hashes,
                "taxonomy": wanted.digest,
                "reader": version,
                "fit": settings.fit.model_dump(mode="json"),
                "libraries": release.library_versions(),
                "code": _code_digest(),
            }
        )
        run.count("examples", len(labels))
        found = _learn(settings, wanted, examples, run)
        promote, reason = registry.verdict(lake, settings, found.manifest)
        registry.register(lake, found, promote=promote, reason=reason)
        console.say(reason)
    return found


def _learn(
    settings: Settings,
    wanted: Taxonomy,
    examples: Mapping[str, Sequence[tuple[Item, str]]],
    run: ledger.Run,
) -> Release:
    root = Path(settings.releases)
    release_id = str(run.release_id)
    if (root / release_id).is_dir():
        console.say(f"nothing new to learn: {release_id} was learned from the same gold with the same settings")
        return Release.open((root / release_id).resolve())
    trained = training.train(wanted, examples, settings.fit, run.stage)
    manifest = Manifest(
        release_id=release_id,
        created_at=release.now(),
        libraries=release.library_versions(),
        taxonomy=wanted.name,
        taxonomy_digest=wanted.digest,
        reader=settings.reader,
        reader_version=reader_version(settings.reader),
        table_versions=run.input_versions,
        settings=settings.fit.model_dump(mode="json"),
        voters={task: tuple(learned.voters) for task, learned in trained.items()},
        scores={task: Score.of(learned.verdict.scores) for task, learned in trained.items()},
        uses={task: learned.verdict.uses for task, learned in trained.items()},
        gains={task: Score.of(learned.verdict.differences) for task, learned in trained.items()},
    )
    for task, learned in trained.items():
        for name, score in learned.verdict.scores.items():
            console.say(f"  {task:<8} {name:<8} held-out weighted F1 {score}")
        console.say(f"  {task:<8} {learned.verdict}")
    with run.stage("write release"):
        return release.write(
            root.resolve(),
            manifest,
            wanted,
            voters={task: learned.voters for task, learned in trained.items()},
            learned={task: sorted(learned.held.ids) for task, learned in trained.items()},
            fused={task: (learned.fusion, learned.held) for task, learned in trained.items()},
        )


def _code_digest() -> str:
    """SHA-256 over the source of `kdsl` without its demo: other code may learn another release from the same gold."""
    root = Path(kdsl.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(set(root.rglob("*.py")) - set((root / "demo").rglob("*.py"))):
        digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return digest.hexdigest()
