"""The rule base as people see and change it: one action a call; an edit is kept for every fit and mints a release."""

import argparse
import getpass
from typing import TYPE_CHECKING

from jobs import options, registry, rule_changes, rule_trials, rule_views
from jobs.lake import Lake
from kdsl.config import Settings
from kdsl.rules.parse import MAX_TEXT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "see, try and change the rules that label: list, show, test, edit, pin, ban, write, diff, export, import"
CONDITION = "a condition as in a rule file, as '{last_user: {any_of: [refund, money back]}}'; may be given again"
ACTIONS = {
    "list": (rule_views.list_rules, "the rules of a release"),
    "show": (rule_views.show, "one rule with its evidence, weight and history"),
    "test": (rule_trials.test, "run a rule that is not saved against the lake"),
    "edit": (rule_changes.edit, "put another rule in the place of one"),
    "pin": (rule_changes.pin, "keep a rule whatever is learned next; takes back a ban"),
    "ban": (rule_changes.ban, "take a rule out for good, however it is spelt; takes back a pin"),
    "write": (rule_changes.write, "add a rule"),
    "diff": (rule_trials.diff, "what differs between the rules of two releases, and what that does to stored rows"),
    "export": (rule_views.export, "the rules of a release as a file"),
    "import": (rule_changes.import_, "take up the pins, bans, edits and new rules of a file"),
}


def add_arguments(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """One parser an action."""
    parser.epilog = "Every action takes --lake, --releases, --taxonomy, --conf and --set; see `rules ACTION --help`."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    leaves = {}
    for name, (_, summary) in ACTIONS.items():
        leaves[name] = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    for name in ("show", "edit", "pin", "ban"):
        leaves[name].add_argument("rule", metavar="RULE", help="id of a rule, as `rules list` shows it")
    for name in ("list", "test", "write"):
        leaves[name].add_argument("--task", metavar="T", required=name != "list", help="a task of the taxonomy")
    for name in ("list", "test", "write", "edit"):
        required = name in {"test", "write"}
        leaves[name].add_argument("--label", metavar="L", required=required, help="a label of the task")
    for name in ("test", "write", "edit"):
        leaves[name].add_argument(
            "--if", dest="conditions", metavar="YAML", action="append", required=True, help=CONDITION
        )
    for name in ("edit", "pin", "ban", "write", "import"):
        leaves[name].add_argument("--why", metavar="TEXT", help="kept in rule_edits")
        leaves[name].add_argument("--who", metavar="NAME", type=_name, default=_user(), help="default: %(default)s")
    for name in set(ACTIONS) - {"diff"}:
        leaves[name].add_argument("--release", metavar="ID", help="default: the promoted one")
    leaves["diff"].add_argument("old", metavar="OLD", help="id of a release")
    leaves["diff"].add_argument("new", metavar="NEW", nargs="?", help="id of another (default: the promoted one)")
    leaves["diff"].add_argument(
        "--rows",
        type=options.count,
        default=2_000,
        metavar="N",
        help="rows asked of the models where votes are not stored, by hash of the id (default: 2000)",
    )
    for name in ("test", "diff"):
        options.add_range(leaves[name], required=False)
    leaves["export"].add_argument("file", metavar="FILE", help="written as YAML, or JSON where it ends in .json")
    leaves["import"].add_argument("file", metavar="FILE", help="as `rules export` writes it")
    return list(leaves.values())


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Do what `args.action` says."""
    lake = Lake(spark, settings.lake, settings.label.retries).must_exist()
    release = registry.find(lake, settings, args.old if args.action == "diff" else args.release)
    ACTIONS[args.action][0](lake, settings, release, args)


def _name(text: str) -> str:
    """Who did it.

    Raises:
        argparse.ArgumentTypeError: it is longer than a rule file may say.
    """
    if len(text) > MAX_TEXT:
        raise argparse.ArgumentTypeError(f"{len(text):,} characters; at most {MAX_TEXT} are allowed")
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may run under a number without a name
        return "unknown"
