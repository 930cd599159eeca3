"""Measure what tasks lose by sharing one adapter, on the gold of split `train`: figures as JSON, and a plot."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import console, ledger
from jobs.examples import collect
from jobs.lake import Lake
from kdsl import seesaw, seesaw_plot, taxonomy
from kdsl.config import Settings
from kdsl.errors import ConfigError
from kdsl.folds import group_keys
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_voter import NAMES, contents_of
from kdsl.seesaw import Look, SeeSaw

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "measure what the tasks lose by sharing one adapter of a multimodal model"
READS = ("conversations", "images", "gold_labels")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    parser.add_argument("--model", choices=NAMES, default="large", help="whose settings to train with (default: large)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs to tell luck from effect (default: 3)")
    parser.add_argument("--into", default="seesaw", metavar="DIR", help="gets seesaw.json and seesaw.svg")


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
    with ledger.recorded(lake, "seesaw", {"model": args.model, "seeds": args.seeds}, READS, ("image_features",)) as log:
        taught = collect(lake, settings, wanted, log)
        lessons = []
        for name, examples in taught.by_task.items():
            items = [item for item, _ in examples]
            gold = [label for _, label in examples]
            lessons.append(Lesson(wanted.task(name), items, gold, group_keys(items), contents_of(items)))
        if len(lessons) < 2:
            raise ConfigError(f"--taxonomy: {len(lessons)} task of {wanted.name!r} has examples; a see-saw needs two.")
        with log.stage("train"):
            seeds = range(settings.fit.seed, settings.fit.seed + args.seeds)
            found = seesaw.measure(lambda: Scorer.load(model.model), lessons, model.lora, seeds, _say)
    report(found, Path(args.into))


def report(found: SeeSaw, folder: Path) -> None:
    """Write figures and plot, and print what they come to."""
    folder.mkdir(parents=True, exist_ok=True)
    gains = {task: found.gain(task) for task in found.tasks}
    cosines = {of: found.mean_cosine(of) for of in ("gradient", "update")}
    whole = {"verdict": found.verdict(), "gains": gains, "cosines": cosines} | asdict(found)
    (folder / "seesaw.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    seesaw_plot.draw(found, folder / "seesaw.svg")
    for task, gain in gains.items():
        console.say(f"  {task:<8} own adapter less joint one, held-out weighted F1 {_figure(gain)}")
    for of, cosine in cosines.items():
        console.say(f"  cosine between the tasks' {of}s {_figure(cosine)}")
    console.say(f"{found.verdict()} All of it in {folder / 'seesaw.json'}, drawn in {folder / 'seesaw.svg'}.")


def _figure(one: dict[str, float]) -> str:
    return f"{one['value']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}], {one['n']} seeds"


def _say(look: Look) -> None:
    console.say(f"  seed {look.seed}, {look.adapter:<8} step {look.step:>5}: {look.task} {look.score:.3f}")
