"""The releases of a lake: list, show, diff, promote, rollback, verify."""

import argparse
import tempfile
from typing import TYPE_CHECKING

from jobs import console, options, promotion, registry, release_rows
from jobs.lake import Lake
from jobs.shelf import Shelf
from kdsl.config import Settings
from kdsl.errors import ConfigError, ReleaseError
from kdsl.fusion.fusion import POOL
from kdsl.manifest import Score
from kdsl.release import Release
from kdsl.release_diff import difference

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "list, show, diff, promote, rollback or verify releases"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    parser.add_argument(
        "action", choices=tuple(ACTIONS), help="diff A B: what B has otherwise; B alone: than tonight's"
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="releases (default: the promoted one; verify: all)")
    parser.add_argument("--force", action="store_true", help="promote although it is worse; needs --why")
    parser.add_argument("--why", metavar="TEXT", default="", help="the reason, kept in the table releases")
    parser.add_argument(
        "--shown", metavar="N", type=options.count, default=5, help="diff: ids shown of each pair of labels (5)"
    )
    options.add_range(parser, required=False)


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Do what `args.action` names."""
    lake = Lake(spark, settings.lake, settings.label.retries).must_exist()
    ACTIONS[args.action](lake, settings, args)


def _list(lake: Lake, settings: Settings, args: argparse.Namespace) -> None:  # noqa: ARG001 - every action's form
    _without_ids(args)
    tonight = registry.history(lake)[:1]
    for row in sorted(lake.df("releases").collect(), key=lambda row: row["created_at"]):
        told = ", ".join(f"{task} {score:.3f}" for task, score in sorted(registry.fused_scores(row).items()))
        promoted = f"promoted {row['promoted_at']:%Y-%m-%d %H:%M}" if row["promoted_at"] else "never promoted"
        mark = "*" if row["release_id"] in tonight else " "
        made = f"{row['created_at']:%Y-%m-%d %H:%M}"
        console.say(f"{row['release_id']} {mark} made {made}, {promoted}, {told}; {row['reason']}")
    console.say("* labels tonight; figures are held-out weighted F1")


def _show(lake: Lake, settings: Settings, args: argparse.Namespace) -> None:
    for release_id in args.ids or [registry.promoted(lake)]:
        release = registry.find(lake, settings, release_id)
        console.say(f"{release_id}, made {release.manifest.created_at}, taxonomy {release.manifest.taxonomy}")
        for task, scores in release.manifest.scores.items():
            fusion, curves = release.fusion(task), release.reliability(task)
            for name, score in scores.items():
                ece = f"  ECE {curves[name].ece}" if name in curves else ""
                weighed = fusion.uses == POOL and name in fusion.speakers
                weight = f"  weight {fusion.weights[name]:.3f}" if weighed else ""
                missed = _missed(release.manifest.left_out.get(task, {}).get(name))
                console.say(f"  {task:<8} {name:<8} held-out weighted F1 {score}{ece}{weight}{missed}")
            doubt = f"abstains below {fusion.threshold:.3f}" if fusion.threshold else "never abstains for doubt"
            console.say(f"  {task:<8} decided by {fusion.who}; {doubt}")
            if fusion.cascade:
                console.say(f"  {task:<8} large is asked of {fusion.cascade.share:.0%} of items at most")


def _without_ids(args: argparse.Namespace, instead: str = "") -> None:
    if args.ids:
        raise ConfigError(f"release {args.action}: {', '.join(args.ids)} is too much, it takes no release{instead}.")


def _missed(loss: Score | None) -> str:
    """What the pool loses without a voter; nothing where no release knows."""
    return f"  the pool loses {loss.signed} without it" if loss else ""


def _diff(lake: Lake, settings: Settings, args: argparse.Namespace) -> None:
    if len(args.ids) not in (1, 2):
        raise ConfigError("release diff: name one release (against tonight's) or two, the older first.")
    days = options.days_if_given(args)
    ids = args.ids if len(args.ids) == 2 else [registry.promoted(lake), *args.ids]
    old, new = (registry.opened(lake, settings, release_id) for release_id in ids)
    if days:
        release_rows.must_compare(old, new, settings)
    for line in difference(old, new) or ["no difference"]:
        console.say(line)
    if days:
        release_rows.count(lake, old, new, days, args.shown)


def _promote(lake: Lake, settings: Settings, args: argparse.Namespace) -> None:
    if len(args.ids) != 1:
        raise ConfigError("release promote: name one release.")
    if args.force and not args.why.strip():
        raise ConfigError("release promote: --force needs --why TEXT, which is kept beside the release.")
    release = registry.find(lake, settings, args.ids[0])
    better, reason = promotion.verdict(lake, settings, release.manifest)
    if not better and not args.force:
        raise ReleaseError(f"{reason}; if it shall label anyway, give --force --why TEXT.")
    told = reason if better else f"promoted by force: {args.why.strip()} ({reason})"
    registry.register(lake, release, promote=True, reason=told)
    console.say(f"{args.ids[0]}: {told}")


def _rollback(lake: Lake, settings: Settings, args: argparse.Namespace) -> None:
    _without_ids(args, f"; to have a certain release label, `release promote {args.ids[0]}`" if args.ids else "")
    past = registry.history(lake)
    if len(past) < 2:
        raise ReleaseError(
            f"lake {lake.root}: no release was promoted before the one at work; there is nothing to go back to."
        )
    release = registry.find(lake, settings, past[1])
    registry.register(lake, release, promote=True, reason=f"rolled back from {past[0]}. {args.why}".strip())
    console.say(f"{past[1]} labels from now on; `release promote {past[0]}` undoes it")


def _verify(lake: Lake, settings: Settings, args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as anew:  # of a store, what lies there now, and no copy of earlier
        shelf = Shelf(lake.spark, settings.model_copy(update={"release_cache": anew}))
        if not (known := args.ids or shelf.ids()):
            where = settings.releases
            raise ReleaseError(f"--releases: there is no release in {where}; learn one first, or mend the path.")
        for release_id in known:
            release = Release.open(shelf.folder(release_id))  # reads and hashes every file
            own = "its manifest too" if registry.is_noted(lake, release) else "its manifest is not noted in this lake"
            console.say(f"{release_id}: whole, every file of the recorded hash; {own}")


ACTIONS = {"list": _list, "show": _show, "diff": _diff, "promote": _promote, "rollback": _rollback, "verify": _verify}
