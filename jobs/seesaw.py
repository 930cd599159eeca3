"""Measure what tasks lose by sharing one adapter, on the gold of split `train`: figures as JSON, and a plot.

With `--release` a child of that release holds them, and its report shows them.
"""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import console, ledger, post_training, registry
from jobs.examples import collect
from jobs.lake import Lake
from jobs.shelf import Shelf
from kdsl import enclosed, seesaw, seesaw_plot, seesaw_runs, taxonomy
from kdsl.config import Settings
from kdsl.errors import ConfigError
from kdsl.folds import group_keys
from kdsl.metrics import Estimate
from kdsl.models import checkpoint
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_voter import NAMES, contents_of
from kdsl.release import Release
from kdsl.seesaw import OF, SeeSaw

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "measure what the tasks lose by sharing one adapter of a multimodal model"
READS = ("conversations", "images", "gold_labels")
WRITES = ("image_features", "releases")
HELD_OUT = 0.25  # of each label's examples, where the model's settings hold none out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    parser.add_argument("--model", choices=NAMES, default="large", help="whose settings to train with (default: large)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs to tell luck from effect (default: 3)")
    parser.add_argument("--into", default="seesaw", metavar="DIR", help="gets seesaw.json and seesaw.svg")
    parser.add_argument(
        "--release",
        metavar="ID",
        nargs="?",
        const="",
        help="make a child of it that holds the figures (no ID: promoted)",
    )


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Train joint and one-task adapters, print the verdict last.

    Raises:
        ConfigError: the model has no path, one seed alone, or fewer than two tasks have examples.
    """
    model = getattr(settings.fit, args.model)
    if not model.path:
        raise ConfigError(f"fit.{args.model}.path is empty; give the folder of a checkpoint, or name another --model.")
    if args.seeds < 2:
        raise ConfigError(f"--seeds: {args.seeds} given; an interval needs two seeds at least.")
    voters = (*settings.fit.voters, args.model)  # so that the pictures' files come along
    settings = settings.model_copy(update={"fit": settings.fit.model_copy(update={"voters": voters})})
    lake = Lake(spark, settings.lake, settings.label.retries).must_exist()
    wanted = taxonomy.load(settings.taxonomy)
    parent = None if args.release is None else registry.find(lake, settings, args.release)
    with ledger.recorded(lake, "seesaw", {"model": args.model, "seeds": args.seeds}, READS, WRITES) as log:
        taught = collect(lake, settings, wanted, log)
        lessons = []
        for name, examples in taught.by_task.items():
            if wanted.task(name).asked_of == "image" and not checkpoint.sees(model.path):
                continue  # it reads text alone
            items = [item for item, _ in examples]
            gold = [label for _, label in examples]
            lessons.append(Lesson(wanted.task(name), items, gold, group_keys(items), contents_of(items)))
        if len(lessons) < 2:
            raise ConfigError(
                f"--taxonomy: {len(lessons)} task of {wanted.name!r} has examples that {args.model} can look at; a "
                "see-saw needs two."
            )
        # What trains for use may hold nothing out; here there is nothing to see without.
        lora = model.lora if model.lora.held_out else model.lora.model_copy(update={"held_out": HELD_OUT})
        with log.stage("train"):
            begin = partial(Scorer.to_train, model.model)
            measure = partial(
                seesaw_runs.measure,
                begin,
                lessons,
                lora,
                voter=args.model,
                rules_budget=settings.fit.rules_budget,
            )
            runs = [partial(measure, seeds=(settings.fit.seed + nth,)) for nth in range(args.seeds)]
            found = SeeSaw.joined(post_training.each(spark, settings, runs))
        files = {seesaw.FILE: found.to_json(), seesaw_plot.FILE: seesaw_plot.draw(found)}
        if parent is not None:
            log.release_id = keep(lake, settings, parent, found, files).manifest.release_id
    report(found, files, Path(args.into))


def report(found: SeeSaw, files: Mapping[str, str], folder: Path) -> None:
    """Write figures and plot, texts by name, and print what they come to."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    for task in found.tasks:
        console.say(f"  {task:<8} own adapter less joint one, held-out weighted F1 {_figure(found.gain(task))}")
        if found.with_rules:
            console.say(f"  {'':<8} with rules beside its own, less without {_figure(found.rules_gain(task))}")
            console.say(f"  {'':<8} with rules beside its own, less joint one {_figure(found.whole_gain(task))}")
    for of in OF:
        console.say(f"  cosine between the tasks' {of}s {_figure(found.cosine(of))}")
    console.say(f"{found.verdict()} All of it in {folder / 'seesaw.json'}, drawn in {folder / seesaw_plot.FILE}.")


def keep(lake: Lake, settings: Settings, parent: Release, found: SeeSaw, files: Mapping[str, str]) -> Release:
    """The child that holds the figures; it takes the parent's place where that is at work, as it says the same."""
    shelf = Shelf(lake.spark, settings)
    child = shelf.put(enclosed.enclosing(parent, files, shelf.fresh))
    at_work = registry.history(lake)[:1] == [parent.manifest.release_id]
    registry.register(
        lake, child, promote=at_work, reason=f"see-saw of {found.voter}; labels as {child.manifest.parent}"
    )
    console.say(f"{child.manifest.release_id} holds the figures{', and labels from now on' if at_work else ''}")
    return child


def _figure(one: Estimate) -> str:
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}], {one.n} seeds"
