"""`rules edit`, `pin`, `ban`, `write` and `import`: note what people did, then mint the child that does it."""

import argparse
from collections.abc import Sequence

from jobs import console, ledger, promotion, registry, rule_edits, rule_views, unlearned
from jobs.items import targets, units
from jobs.lake import Lake
from jobs.seen import seen
from jobs.shelf import Shelf
from kdsl import child
from kdsl.arrow import items_of
from kdsl.config import Settings
from kdsl.dialogue import Item
from kdsl.release import Release
from kdsl.rules import hands, parse
from kdsl.rules.hands import Edit
from kdsl.rules.rule import Rule
from kdsl.rules.sentence import sentence
from kdsl.taxonomy import Taxonomy

READS = ("conversations", "images", "image_features", "rule_edits")
WRITES = ("rule_edits", "releases")


def edit(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:
    """Put another rule in the place of one."""
    old = rule_views.find(release, args.rule)
    new = rule_of(release.taxonomy, old.task, args.label or old.label, args.conditions)
    change(lake, settings, release, hands.edited(old, new, args.who), args)


def pin(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:
    """Keep a rule."""
    change(lake, settings, release, [hands.pinned(rule_views.find(release, args.rule))], args)


def ban(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:
    """Take a rule out."""
    change(lake, settings, release, [hands.banned(rule_views.find(release, args.rule))], args)


def write(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:
    """Add a rule."""
    rule = rule_of(release.taxonomy, args.task, args.label, args.conditions)
    change(lake, settings, release, [hands.written(rule, args.who)], args)


def import_(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:
    """Take up a file: rules that are not in it stay as they are."""
    rules = parse.load(args.file, release.taxonomy)
    change(lake, settings, release, hands.of_file(rules, rule_views.whole(release), args.who), args)


def change(
    lake: Lake, settings: Settings, release: Release, edits: Sequence[Edit], args: argparse.Namespace
) -> Release:
    """Note those edits that say something new, mint the child of the release, and promote it if it is not worse."""
    rule_views.whole(release)  # a release without rules is refused before anything is noted
    with ledger.recorded(lake, "rules", {"action": args.action}, READS, WRITES) as run:
        new = hands.changes(rule_edits.by_hand(lake, release.taxonomy), edits)
        for one in new:
            console.say(f"{one.action} {one.rule.rule_id}: {sentence(one.rule, release.taxonomy.language)}")
        if new:
            # What cannot be read again would stop every later edit and fit.
            hands.replay([(one.action, one.rule_json()) for one in new], release.taxonomy)
            rule_edits.append(lake, new, args.who, args.why)
        run.count("edits", len(new))
        by_hand = rule_edits.by_hand(lake, release.taxonomy)
        ruled = [task for task, voters in release.manifest.voters.items() if child.RULES in voters]
        for task in sorted({one.rule.task for one in edits} - set(ruled)):
            console.say(
                f"{task}: release {release.manifest.release_id} learned no rules for this task (it did for "
                f"{', '.join(ruled)}), so this changes no label now; it is kept for the next fit that learns {task}"
            )
        if not child.tasks_of(release, by_hand):
            console.say(f"nothing to change: {release.manifest.release_id} stays as it is")
            run.release_id = release.manifest.release_id
            return release
        with run.stage("collect examples"):
            items = _learned(lake, release)
        with run.stage("mint release"):
            minted = Shelf(lake.spark, settings).put(child.mint(release, by_hand, items))
        run.release_id = minted.manifest.release_id
        for task in minted.manifest.scores:
            before, after = release.manifest.score(task), minted.manifest.score(task)
            console.say(f"  {task:<8} held-out weighted F1 {before.value:.3f} before, {after.value:.3f} now")
        promote, reason = promotion.verdict(lake, settings, minted.manifest)
        registry.register(lake, minted, promote=promote, reason=f"rules {args.action}; {reason}")
        console.say(reason)
        console.say(minted.manifest.release_id)
    return minted


def rule_of(taxonomy: Taxonomy, task: str, label: str, conditions: Sequence[str]) -> Rule:
    """A rule from the command line.

    Raises:
        RuleError: a condition cannot be used, or the taxonomy has no such task or label.
    """
    lines = [f"taxonomy: {_quoted(taxonomy.name)}", "rules:", f"- task: {_quoted(task)}"]
    lines += [f"  label: {_quoted(label)}", "  if:", *(f"  - {' '.join(one.split())}" for one in conditions)]
    return parse.from_yaml("\n".join(lines), taxonomy, name="the rule of --task, --label and --if").rules[0]


def _quoted(text: str) -> str:
    """The text as YAML, by code points: JSON writes an emoji as two halves, which YAML takes for no character."""
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'


def _learned(lake: Lake, release: Release) -> dict[str, dict[str, Item]]:
    """What is still in the lake of the examples that a release learned from, by task and id."""
    from pyspark.sql import functions as F

    known = unlearned.learned(lake, release)
    rows = targets(lake, units(release.taxonomy, release.manifest.voters), F.lit(True)).join(known, ["item_id", "task"])
    found: dict[str, dict[str, Item]] = {}
    for item in items_of(seen(lake, rows, release.manifest.reader_version).toArrow()):
        found.setdefault(item.task, {})[item.item_id] = item
    return found
