"""Learn a release from the gold rows of split `train`, score it out of fold, write, register and promote it."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import kdsl
from jobs import broken, console, ledger, post_training, promotion, registry, rule_edits
from jobs.examples import Examples, collect
from jobs.lake import Lake
from jobs.shelf import Shelf
from kdsl import release, taxonomy, training
from kdsl.config import Settings
from kdsl.manifest import Asking, Manifest, Score, id_of, library_versions, now
from kdsl.models import checkpoint, mllm_voter
from kdsl.ocr import reader_version
from kdsl.release import Release
from kdsl.rules.ruleset import RuleSet
from kdsl.taxonomy import Taxonomy

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "learn a release from the gold rows of split train"
READS = ("conversations", "images", "gold_labels", "draws", "rule_edits")
WRITES = ("image_features", "releases")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The budget of the search for rules."""
    parser.add_argument(
        "--budget",
        type=int,
        metavar="N",
        help="iterations of the search for rules, a label and fold: fit.rules_budget (default: 100)",
    )


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:  # noqa: ARG001 - every job's form
    """Learn, and print the release's id last."""
    lake = Lake(spark, settings.lake, settings.label.retries).must_exist()
    console.say(fit(lake, settings).manifest.release_id)


def fit(lake: Lake, settings: Settings) -> Release:
    """Learn a release; the same gold, settings and code again give the same release, found and not learned anew.

    Ctrl-C in the search for rules keeps the best so far and goes on: the release has an id of its own, is not promoted,
    and the next call learns anew. Ctrl-C elsewhere stops.

    Raises:
        ConfigError: there is no gold to learn from, or no checkpoint at the path of a model.
        ReleaseError: what it finds again has another manifest than the lake noted, or is broken on a store.
    """
    wanted = taxonomy.load(settings.taxonomy)
    models = mllm_voter.fingerprints({name: getattr(settings.fit, name) for name in mllm_voter.NAMES})
    if path := settings.fit.rules_model:
        models["rules"] = checkpoint.fingerprint(checkpoint.folder_of(path))
    with ledger.recorded(lake, "fit", {"voters": settings.fit.voters}, READS, WRITES) as run:
        taught = collect(lake, settings, wanted, run)
        hands = rule_edits.by_hand(lake, wanted)
        run.release_id = id_of(
            {
                "examples": taught.keys,
                "only_teach": taught.only_teach,
                "taxonomy": wanted.digest,
                "reader": reader_version(settings.reader),
                "fit": settings.fit.model_dump(mode="json"),
                "models": models,
                "libraries": library_versions(),
                "code": code_digest(),
                "by_hand": hands.to_dict(),
            }
        )
        run.count("examples", len(taught.keys))
        shelf = Shelf(lake.spark, settings)
        known = broken.found_whole(shelf, run.release_id)
        if known is not None:
            registry.is_noted(lake, known)  # else `label` would refuse what this promotes
            console.say(f"nothing new to learn: {run.release_id} was learned from the same gold with the same settings")
        found = known or _learn(shelf, settings, wanted, taught, hands, run=run)
        promote, reason = promotion.of_fit(lake, settings, found.manifest)
        registry.register(lake, found, promote=promote, reason=reason, anew=known is None)
        console.say(reason)
    return found


def _learn(
    shelf: Shelf,
    settings: Settings,
    wanted: Taxonomy,
    taught: Examples,
    hands: RuleSet,
    *,
    run: ledger.Run,
) -> Release:
    release_id = str(run.release_id)
    with post_training.elsewhere(shelf.spark, settings, run) as start:
        trained = training.train(
            wanted, taught.by_task, settings.fit, run.stage, hands, only_teach=taught.only_teach, start=start
        )
    interrupted = tuple(f"{task}/{name}" for task, learned in trained.items() for name in learned.interrupted)
    if interrupted:  # the id of the whole is left to the next fit
        release_id = run.release_id = id_of({"whole": release_id, "interrupted": run.run_id})
    manifest = Manifest(
        release_id=release_id,
        created_at=now(),
        libraries=library_versions(),
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
        left_out={task: Score.of(learned.verdict.left_out) for task, learned in trained.items()},
        interrupted=interrupted,
        asking={task: Asking.of(each.fusion, each.verdict) for task, each in trained.items() if each.verdict.curve},
    )
    for task, learned in trained.items():
        for name, score in learned.verdict.scores.items():
            console.say(f"  {task:<8} {name:<8} held-out weighted F1 {score}")
        console.say(f"  {task:<8} {learned.verdict}")
    with run.stage("write release"):
        new = release.write(
            shelf.fresh,
            manifest,
            wanted,
            voters={task: learned.voters for task, learned in trained.items()},
            learned={task: sorted(learned.ids) for task, learned in trained.items()},
            fused={task: (learned.fusion, learned.held) for task, learned in trained.items()},
            seen={task: learned.inputs for task, learned in trained.items()},
        )
        return shelf.put(new)


def code_digest() -> str:
    """SHA-256 over the source of `kdsl` without its demo: other code may learn another release from the same gold."""
    root = Path(kdsl.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(set(root.rglob("*.py")) - set((root / "demo").rglob("*.py"))):
        digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return digest.hexdigest()
