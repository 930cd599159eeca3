"""People at the command line: they see rules, try one on the lake, change some, and the next fit remembers."""

import csv
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from jobs import cards, cli, registry, rule_edits, rule_matching, rules, sql
from jobs.fit import fit
from kdsl import child
from kdsl.arrow import item_of
from kdsl.errors import ConfigError
from kdsl.features import text_fields
from kdsl.manifest import Manifest
from kdsl.rules.atom import Words
from kdsl.rules.errors import RuleError
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.sentence import sentence
from kdsl.rules.tree import Tree
from kdsl.taxonomy import Label, Task, Taxonomy
from tests.night import Shop, noted, spans
from udfs.rules import FIRED, fire_batches


@pytest.fixture
def shop(night: Shop) -> Iterator[Shop]:
    yield night
    if night.lake.has("rule_edits"):
        night.lake.delta("rule_edits").delete()
    night.lake.delta("releases").delete(f"release_id <> '{night.release.manifest.release_id}'")


def call(shop: Shop, *argv: str) -> None:
    args, _ = cli.parse(["rules", *argv])
    rules.run(shop.spark, shop.settings, args)


def said(shop: Shop) -> dict[str, str]:
    """The shopper's words of each dialogue, as rules see them."""
    rows = [row.asDict(recursive=True) for row in shop.rows("conversations")]
    items = [item_of({"item_id": row["conversation_id"], "task": "", "pictures": None, **row}) for row in rows]
    return {item.item_id: text_fields(item)["user"] for item in items}


def test_see_try_change_and_learn_again(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = child.rules_of(shop.release, "intent").active()[0]
    call(shop, "list", "--task", "intent", "--label", victim.label)
    assert victim.rule_id in capsys.readouterr().out

    condition = "{user: {any_of: [refund, money]}, }"
    versions = shop.lake.versions()
    common = "{user: {any_of: [refund, my, i, the]}}"
    call(shop, "test", "--task", "intent", "--label", "refund_status", "--if", common)
    told = capsys.readouterr().out
    total = shop.lake.df("conversations").count()
    assert "fires on " in told
    assert f" of {total} rows" in told
    assert "gold of split train: right on " in told
    assert "95 % Wilson bound" in told
    assert shop.lake.versions() == versions
    fires = {item_id for item_id, text in said(shop).items() if re.search(r"\b(refund|my|i|the)\b", text)}
    assert f"fires on {len(fires)} of {total} rows" in told
    labels = {row["item_id"]: row["label"] for row in shop.rows("labels", "task = 'intent'")}
    counted = {label: int(n) for n, label in re.findall(r"(\d+) labelled (.+)", told)}
    assert counted == Counter(labels.get(item_id) or "nothing yet" for item_id in fires)
    shown = re.findall(r"([^ ,]+)(?: \((?:right|wrong)\))?(?:,|$)", told.strip().splitlines()[-1].removeprefix("ids: "))
    assert len(shown) == len(set(shown) & fires) == 20 < len(fires)

    call(shop, "ban", victim.rule_id, "--who", "ann", "--why", "it hits smalltalk")
    call(shop, "write", "--task", "intent", "--label", "refund_status", "--if", condition, "--who", "ann")
    told = capsys.readouterr().out
    assert "held-out weighted F1" in told
    noted = shop.rows("rule_edits")
    assert [(row["action"], row["who"], row["why"]) for row in sorted(noted, key=lambda r: r["edited_at"])] == [
        ("ban", "ann", "it hits smalltalk"),
        ("write", "ann", None),
    ]
    minted = told.strip().splitlines()[-1]
    made = registry.find(shop.lake, shop.settings, minted)
    # Both edits are in the second child, whichever release it was made from.
    states = {rule.rule_id: rule.state for rule in child.rules_of(made, "intent").rules}
    assert states[victim.rule_id] == "banned"
    assert "written" in states.values()

    # Models are asked only where their votes are not stored, and both ways count the same rows.
    call(shop, "diff", shop.release.manifest.release_id, minted)
    told = capsys.readouterr().out
    assert "added" in told
    assert "learned, now banned" in told
    by_votes = re.findall(r"(intent: \d+ of \d+) rows with stored votes", told)
    assert "asked of the models" not in told
    monkeypatch.setattr(Manifest, "voter_digest", lambda *_: "never stored")
    call(shop, "diff", shop.release.manifest.release_id, minted)
    monkeypatch.undo()
    assert re.findall(r"(intent: \d+ of \d+) rows asked of the models", capsys.readouterr().out) == by_votes != []

    file = tmp_path / "rules.yaml"
    call(shop, "export", str(file), "--release", minted)
    before = shop.lake.version("rule_edits")
    call(shop, "import", str(file), "--release", minted)
    assert shop.lake.version("rule_edits") == before
    assert "nothing to change" in capsys.readouterr().out

    call(shop, "show", victim.rule_id, "--release", minted)
    assert "ban by ann: it hits smalltalk" in capsys.readouterr().out
    call(shop, "show", victim.rule_id, "--release", shop.release.manifest.release_id)
    weight = child.weights_of(shop.release, "intent")[victim.rule_id]
    assert f"Weight {weight:.2f}: where it fires the odds of {victim.label} are " in capsys.readouterr().out

    again = fit(shop.lake, shop.settings)
    assert again.manifest.release_id not in (minted, shop.release.manifest.release_id)
    relearned = {rule.rule_id: rule.state for rule in child.rules_of(again, "intent").rules}
    assert relearned[victim.rule_id] == "banned"
    assert {rule.rule_id for rule in rule_edits.by_hand(shop.lake, again.taxonomy).rules} <= set(relearned)


@pytest.mark.parametrize("meet", [True, False])
def test_where_models_could_meet_on_a_card_two_releases_are_asked_in_turn_by_one_task(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meet: bool
) -> None:
    trials = rules.rule_trials
    monkeypatch.setattr(cards, "may_meet", lambda *_: meet)
    monkeypatch.setattr(trials, "predict_batches", noted(trials.predict_batches, tmp_path))
    items = trials._items(shop.lake, shop.release, "intent", F.lit(True)).repartition(3, "item_id").localCheckpoint()
    rows = trials._asked(items, (shop.release, shop.release), shop.settings).collect()
    assert len(rows) == items.count() > 10
    assert all(row["old"] == row["new"] for row in rows)
    told = spans(tmp_path)
    assert len(told) == (2 if meet else 6)
    if meet:
        assert told[0][1] <= told[1][0]


def test_edit_pin_and_a_changed_file_mint_what_they_say(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def states(release_id: str) -> dict[str, str]:
        made = registry.find(shop.lake, shop.settings, release_id)
        return {rule.rule_id: rule.state for rule in child.rules_of(made, "intent").rules}

    def last_line() -> str:
        return capsys.readouterr().out.strip().splitlines()[-1]

    old, kept, other = child.rules_of(shop.release, "intent").active()[:3]
    start = shop.release.manifest.release_id
    call(shop, "edit", old.rule_id, "--if", "{user: {any_of: [zebra, refund]}}", "--who", "bob", "--release", start)
    first = last_line()
    (edited,) = [rule for rule, state in states(first).items() if state == "edited"]
    assert states(first)[old.rule_id] == "banned"
    call(shop, "pin", kept.rule_id, "--who", "bob", "--release", first)
    second = last_line()
    assert states(second)[kept.rule_id] == "pinned"

    # The pinned rule's words are changed in a file: it used to stay beside the new one.
    file = tmp_path / "rules.json"
    call(shop, "export", str(file), "--release", second)
    data = json.loads(file.read_text())
    (pinned,) = [rule for rule in data["rules"] if rule["id"] == kept.rule_id]
    pinned["if"] = [{"user": {"any_of": ["okapi"]}}]
    file.write_text(json.dumps(data))
    call(shop, "import", str(file), "--who", "cat", "--release", second)
    third = states(last_line())
    assert third[kept.rule_id] == "banned"
    assert [state for rule, state in third.items() if rule not in states(second)] == ["edited"]
    assert (third[edited], third[other.rule_id]) == ("edited", "learned")
    noted = sorted(shop.rows("rule_edits"), key=lambda row: (row["edited_at"], row["edit_id"]))
    assert [(row["action"], row["who"]) for row in noted] == [
        ("ban", "bob"), ("edit", "bob"), ("pin", "bob"), ("ban", "cat"), ("edit", "cat")
    ]  # fmt: skip

    # A task that the release has no rules for.
    voters = {**shop.release.manifest.voters, "scene": ("linear",)}
    bare = shop.release.model_copy(update={"manifest": shop.release.manifest.model_copy(update={"voters": voters})})
    scene = bare.taxonomy.task("scene").label_names[0]
    args, _ = cli.parse(["rules", "write", "--task", "scene", "--label", scene, "--if", "{ocr: {any_of: [x]}}"])
    shop.lake.delta("rule_edits").delete()
    rules.rule_changes.write(shop.lake, shop.settings, bare, args)
    told = capsys.readouterr().out
    assert f"scene: release {start} learned no rules for this task (it did for intent)" in told
    assert "kept for the next fit that learns scene" in told
    assert len(shop.rows("rule_edits")) == 1


def test_sql_shows_the_rules_that_fired(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    query = (
        "SELECT item_id, r.rule_id, r.sentence, r.matches[0].words FROM labels LATERAL VIEW explode(rules_fired) AS r "
        "WHERE task = 'intent' ORDER BY item_id LIMIT 3"
    )
    args, _ = cli.parse(["sql", query, "--csv"])
    sql.run(shop.spark, shop.settings, args)
    told = list(csv.reader(capsys.readouterr().out.splitlines()))[1:]
    says = {rule.rule_id: sentence(rule) for rule in child.rules_of(shop.release, "intent").active()}
    assert len(told) == 3
    for _, rule_id, said_so, words in told:
        assert says[rule_id] == said_so
        assert words in said_so


def test_rules_fire_alike_in_any_partitioning_and_find_words_as_the_texts_ask(shop: Shop) -> None:
    from pyspark.sql.pandas.types import from_arrow_schema

    texts = said(shop)
    dice = random.Random(3)
    known = sorted({word for text in texts.values() for word in text.split() if word.isalpha()})
    made = set()
    while len(made) < 30:
        words = (Words("user", "any_of", tuple(dice.sample(known, 3))), Words("user", "none_of", (dice.choice(known),)))
        with suppress(RuleError):  # a word asked for and ruled out
            made.add(Rule("intent", "refund_status", words))
    items = rules.rule_trials._items(shop.lake, shop.release, "intent", F.lit(True)).localCheckpoint()
    matching = rule_matching.matching_of(next(iter(made)), RuleSet("t"), items)
    assert matching == {"user": "words"}  # a set that does not name the field would find parts of words
    assert rule_matching.matching_of(next(iter(made)), RuleSet("t", (), {"user": "substring"}), items) == {
        "user": "substring"
    }
    fire = fire_batches(RuleSet("t", tuple(made), matching).to_json())
    expected = {
        item_id: {
            rule.rule_id
            for rule in made
            if any(re.search(rf"\b{word}\b", text) for word in rule.atoms[0].words)
            and not re.search(rf"\b{rule.atoms[1].words[0]}\b", text)
        }
        for item_id, text in texts.items()
    }
    assert sum(map(len, expected.values())) > 20
    for partitions in (1, 5):
        rows = items.repartition(partitions, "item_id").mapInArrow(fire, from_arrow_schema(FIRED)).collect()
        assert {row["item_id"]: set(row["rules"]) for row in rows} == expected


@pytest.mark.slow  # two fits; the search and what is learned are tested for it without Spark
def test_ctrl_c_in_fit_gives_a_release_of_its_own_that_nothing_takes_for_whole(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupted release used to have the whole one's id and was promoted; `fit` then had nothing new to learn."""
    settings = shop.settings.model_copy(update={"fit": shop.settings.fit.model_copy(update={"rules_budget": 2})})
    done = [0]
    iterate = Tree._iterate

    def pressed_once(tree: Tree) -> None:
        done[0] += 1
        if done[0] == 1:
            raise KeyboardInterrupt
        iterate(tree)

    monkeypatch.setattr(Tree, "_iterate", pressed_once)
    cut = fit(shop.lake, settings)
    told = capsys.readouterr().out
    assert "not promoted: Ctrl-C ended the learning of intent/rules early" in told
    assert cut.manifest.interrupted == ("intent/rules",)
    assert registry.promoted(shop.lake) == shop.release.manifest.release_id
    run = shop.rows("runs", f"release_id = '{cut.manifest.release_id}'")
    assert [(row["job"], row["state"]) for row in run] == [("fit", "done")]
    whole = fit(shop.lake, settings)
    assert "nothing new to learn" not in capsys.readouterr().out
    assert whole.manifest.interrupted == ()
    assert whole.manifest.release_id != cut.manifest.release_id


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("ban", "r000000000000"), r"rule 'r000000000000' is not in the set of \d+; `rules list` shows the ids"),
        (
            ("write", "--task", "intent", "--label", "refund", "--if", "{user: {any_of: [x]}}"),
            "label 'refund' is not in task intent; nearest: refund_status",
        ),
        (("test", "--task", "intent", "--label", "refund_status", "--if", "{usr: {any_of: [x]}}"), "did you mean user"),
        (("import", "no-such-file.yaml"), "no-such-file.yaml"),
        (
            ("list", "--task", "intent", "--label", "typo"),
            "'typo' is no label of task intent; its labels: where_is_my_order, cancel_order",
        ),
        (("list", "--label", "typo"), "'typo' is no label of taxonomy"),
        (
            ("export", "/dev/null/r.yaml"),
            "FILE: /dev/null/r.yaml cannot be written .*; name a file in a folder you own",
        ),
        (("diff", "rel-none"), "there is no .*rel-none"),
    ],
    ids=str,
)
def test_wrong_use_is_told_and_changes_nothing(shop: Shop, argv: tuple[str, ...], says: str) -> None:
    versions = shop.lake.versions(["rule_edits", "releases"])
    with pytest.raises((RuleError, ConfigError), match=says):
        call(shop, *argv)
    assert shop.lake.versions(["rule_edits", "releases"]) == versions


def test_what_could_not_be_read_again_is_not_noted(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """It was noted, and from then on every edit of rules and every fit failed."""
    given = ["rules", "write", "--task", "intent", "--label", "refund_status", "--if", "{user: {any_of: [okapi]}}"]
    with pytest.raises(SystemExit):
        cli.parse([*given, "--who", "x" * 201])
    assert "201 characters; at most 200" in capsys.readouterr().err
    args, _ = cli.parse(given)
    args.who = "x" * 201
    with pytest.raises(RuleError, match="at most 200 characters"):
        rules.run(shop.spark, shop.settings, args)
    assert rule_edits.by_hand(shop.lake, shop.release.taxonomy).rules == ()


@pytest.mark.parametrize(
    "name", ["\N{WRAPPED PRESENT} gift", "a\nb", "say 'no' \"or\" {yes}", "two\u2028lines \x85 \x7f"]
)
def test_a_rule_is_written_for_a_label_of_any_name(name: str) -> None:
    labels = (Label(name=name), Label(name="other"))
    wanted = Taxonomy(name=name, tasks=(Task(name="intent", asked_of="conversation", question="?", labels=labels),))
    made = rules.rule_changes.rule_of(wanted, "intent", name, ["{user: {any_of: [refund, '\N{WRAPPED PRESENT}']}}"])
    assert (made.label, made.size) == (name, 2)
