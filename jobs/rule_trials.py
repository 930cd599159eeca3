"""`rules test` and `diff`: what a rule, or another rule base, would do to the rows of the lake. Nothing is written."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs import cards, console, registry, rule_views, votes
from jobs.items import targets, within
from jobs.lake import Lake
from jobs.options import days_of
from jobs.rule_changes import rule_of
from jobs.rule_matching import matching_of
from jobs.seen import seen
from kdsl import child
from kdsl.config import Settings
from kdsl.errors import ConfigError
from kdsl.models.voter import looked_at
from kdsl.release import Release
from kdsl.rules import ruleset
from kdsl.rules.provenance import wilson_low
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.sentence import sentence
from udfs.predict import PREDICTED, predict_batches
from udfs.rules import FIRED, fire_batches

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SHOWN_IDS = 20


def test(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:  # noqa: ARG001 - every action's form
    """Print on how many rows the rule fires, which labels they carry, its precision against gold, and some ids."""
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    rule = rule_of(release.taxonomy, args.task, args.label, args.conditions)
    known = child.rules_of(release, args.task)
    stands = [one.state for one in known.rules if one == rule]
    console.say(sentence(rule, release.taxonomy.language) + (f" In the release it is {stands[0]}." if stands else ""))
    items = _items(lake, release, args.task, _days(args))
    matching = matching_of(rule, known, items)
    sent = RuleSet(release.taxonomy.name, (rule.with_state("written"),), matching).to_json()
    fired = items.mapInArrow(fire_batches(sent), from_arrow_schema(FIRED)).withColumn("fires", F.size("rules") > 0)
    gold = lake.df("gold_labels").select("item_id", "task", F.col("label").alias("gold"), "split")
    labels = lake.df("labels").select("item_id", "task", "label")
    rows = fired.join(labels, ["item_id", "task"], "left").join(gold, ["item_id", "task"], "left")
    rows = rows.select("item_id", "fires", "label", "gold", "split").localCheckpoint()
    total, fires = rows.agg(F.count("*"), F.count_if("fires")).collect()[0]
    rows = rows.where("fires")
    console.say(f"fires on {fires:,} of {total:,} rows")
    for row in rows.groupBy("label").count().orderBy(F.desc("count"), "label").collect():
        console.say(f"  {row['count']:>8,} labelled {row['label'] or 'nothing yet'}")
    right = F.count_if(F.col("gold") == rule.label).alias("right")
    scored = rows.where("gold IS NOT NULL").groupBy("split").agg(F.count("*").alias("n"), right).orderBy("split")
    by_split = [(row["split"], row["n"], row["right"]) for row in scored.collect()]
    for split, n, k in by_split:
        share = f"{k / n:.2f}, at least {wilson_low(k, n):.2f} (95 % Wilson bound)"
        console.say(f"gold of split {split}: right on {k} of n = {n}, precision {share}")
    if not by_split:
        console.say("no row that it fires on has gold: its precision is unknown")
    some = rows.orderBy(F.xxhash64("item_id")).limit(SHOWN_IDS).collect()
    console.say("ids: " + (", ".join(f"{r['item_id']}{_mark(r['gold'], rule.label)}" for r in some) or "none"))


def diff(lake: Lake, settings: Settings, release: Release, args: argparse.Namespace) -> None:
    """Print rules added, gone and in another state, then how many stored rows would carry another label."""
    from pyspark.sql import functions as F

    new = registry.find(lake, settings, args.new)
    found = ruleset.diff(rule_views.whole(release), rule_views.whole(new))
    names = f"{release.manifest.release_id} to {new.manifest.release_id}"
    for title, rules in (
        ("added", found.added),
        ("gone", found.gone),
        *((f"{a.state}, now {b.state}", [b]) for a, b in found.changed),
    ):
        if rules:
            rule_views.show_rules(rules, new, f"{names}: {title}")
    if not (found.added or found.gone or found.changed):
        console.say(f"{names}: the same rules")
    compared = votes.compare(lake, release, new, _days(args)).localCheckpoint()
    for task in sorted(set(release.manifest.voters) & set(new.manifest.voters)):
        rows = compared.where(F.col("task") == task)
        _tell(task, _counted(rows.where("known")), "rows with stored votes")
        unknown = rows.where("NOT known").select("item_id", "task")
        if total := unknown.count():
            some = unknown.orderBy(F.xxhash64("item_id"), "item_id").limit(args.rows)
            items = _items(lake, release, task, _days(args), some, asked=[release, new]).localCheckpoint()
            asked = _counted(_asked(items, (release, new), settings))
            _tell(task, asked, f"rows asked of the models, a sample of {total:,} without stored votes")


def _tell(task: str, pairs: dict[tuple[str, str], int], of: str) -> None:
    moved = {pair: count for pair, count in pairs.items() if pair[0] != pair[1]}
    console.say(f"{task}: {sum(moved.values()):,} of {sum(pairs.values()):,} {of}, would change label")
    for (before, after), count in sorted(moved.items(), key=lambda pair: (-pair[1], pair[0])):
        console.say(f"  {count:>8,} {before} to {after}")


def _counted(said: "DataFrame") -> dict[tuple[str, str], int]:
    """How many rows the two releases label how."""
    from pyspark.sql import functions as F

    names = [F.coalesce(name, F.lit("nothing")).alias(name) for name in ("old", "new")]
    rows = said.select(*names).groupBy("old", "new").count().collect()
    return {(row["old"], row["new"]): row["count"] for row in rows}


def _asked(items: "DataFrame", releases: tuple[Release, Release], settings: Settings) -> "DataFrame":
    """The labels that the two releases give the items: old, new."""
    from pyspark.sql.pandas.types import from_arrow_schema

    limits = settings.ingest.max_turn_chars, settings.ingest.image_root
    said, one = [], any(cards.alone(settings, release) for release in releases)
    for name, release in zip(("old", "new"), releases, strict=True):
        predict = predict_batches(str(release.path), release.manifest.release_id, *limits)
        rows = (items.coalesce(1) if one else items).mapInArrow(predict, from_arrow_schema(PREDICTED))
        rows = rows.select("item_id", rows["label"].alias(name))
        said.append(rows.localCheckpoint() if one else rows)  # or both releases would be asked at once
    return said[0].join(said[1], "item_id")


def _items(
    lake: Lake,
    release: Release,
    task: str,
    days: "Column",
    only: "DataFrame | None" = None,
    *,
    asked: Sequence[Release] = (),
) -> "DataFrame":
    """The items of a task as voters see them; of pictures not yet read nothing is seen; `asked` will label them."""
    wanted = targets(lake, {task: release.taxonomy.task(task).asked_of}, days)
    if only is not None:
        wanted = wanted.join(only, ["item_id", "task"], "left_semi")
    looked = {name for one in asked for name in looked_at(one.manifest.voters)}
    return seen(lake, wanted, release.manifest.reader_version, looked)


def _days(args: argparse.Namespace) -> "Column":
    from pyspark.sql import functions as F

    if (args.start is None) != (args.end is None):
        raise ConfigError("--from and --to go together; give both, or none for every date.")
    return F.lit(True) if args.start is None else within(days_of(args))


def _mark(gold: str | None, label: str) -> str:
    return "" if gold is None else " (right)" if gold == label else " (wrong)"
