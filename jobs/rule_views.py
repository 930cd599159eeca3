"""`rules list`, `show` and `export`: the rule base of a release for people to read."""

import argparse
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import console, options
from jobs.lake import Lake
from kdsl import child
from kdsl.config import Settings
from kdsl.errors import ConfigError
from kdsl.release import Release
from kdsl.rules.errors import RuleError
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.sentence import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence


def list_rules(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:  # noqa: ARG001 - every action's form
    """Print the rules of a release, of one task or label where asked."""
    tasks = [release.taxonomy.task(args.task)] if args.task else release.taxonomy.tasks  # an unknown one is refused
    labels = [name for task in tasks for name in task.label_names]
    if args.label not in (None, *labels):
        of = f"task {args.task}" if args.task else f"taxonomy {release.taxonomy.name}"
        raise ConfigError(f"--label: {args.label!r:.60} is no label of {of}; its labels: {', '.join(labels)}.")
    rules = [
        rule for rule in whole(release).rules if args.task in (None, rule.task) and args.label in (None, rule.label)
    ]
    show_rules(rules, release, f"{len(rules)} rules of {release.manifest.release_id}")


def show_rules(rules: "Sequence[Rule]", release: Release, title: str) -> None:
    """Print two lines a rule: id, label, state and its record on examples that its search did not see; what it says."""
    console.say(title)
    for rule in rules:
        told = rule.evidence
        record = f"unseen: right on {told.unseen_right} of {told.unseen_fired}, at least {told.bound:.2f}"
        known = record if told.unseen_fired else "no record"
        console.say(f"{rule.rule_id}  {rule.task} {rule.label}, {rule.state}, {known}")
        console.say(f"    {sentence(rule, release.taxonomy.language)}")


def show(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:  # noqa: ARG001 - every action's form
    """Print one rule in words and as in a rule file, and what people did to it."""
    from pyspark.sql import functions as F

    rule = find(release, args.rule)
    weight = child.weights_of(release, rule.task).get(rule.rule_id)
    console.say(sentence(rule, release.taxonomy.language))
    if not release.taxonomy.language.startswith("en"):
        console.say(sentence(rule, "en"))
    if weight is not None:
        console.say(
            f"Weight {weight:.2f}: where it fires the odds of {rule.label} are {exp(weight):.1f} times as high."
        )
    console.say("")
    console.say(RuleSet(release.taxonomy.name, (rule,)).to_yaml())
    if lake.has("rule_edits"):
        own = (F.col("rule_id") == rule.rule_id) | (F.col("parent") == rule.rule_id)
        for row in lake.df("rule_edits").where(own).orderBy("edited_at", "edit_id").collect():
            console.say(f"{row['edited_at']:%Y-%m-%d %H:%M} {row['action']} by {row['who']}: {row['why'] or ''}")


def export(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:  # noqa: ARG001 - every action's form
    """Write the rules of all tasks, banned ones too, into one file."""
    rules, file = whole(release), Path(args.file)
    options.write("FILE", file, rules.to_json() if file.suffix == ".json" else rules.to_yaml())
    console.say(f"{len(rules)} rules of {release.manifest.release_id} in {file}")


def whole(release: Release) -> RuleSet:
    """The rules of all tasks. Where two tasks find words in a field in two ways, the first task's way is told.

    Raises:
        ReleaseError: a voter's files cannot be used.
        RuleError: no task has rules.
    """
    sets = [child.rules_of(release, task) for task in release.manifest.voters]
    if not any(child.RULES in voters for voters in release.manifest.voters.values()):
        raise RuleError(
            f"release {release.manifest.release_id} has no rules: its voters are "
            f"{', '.join(sorted({v for voters in release.manifest.voters.values() for v in voters}))}. Learn one with "
            "--set fit.voters=[linear,rules]."
        )
    matching = {name: how for one in reversed(sets) for name, how in one.matching.items()}
    return RuleSet(release.taxonomy.name, tuple(rule for one in sets for rule in one.rules), matching)


def find(release: Release, rule_id: str) -> Rule:
    """The rule of that id in a release.

    Raises:
        RuleError: there is none.
    """
    return whole(release).get(rule_id)
