"""People at the command line: they see rules, try one on the lake, change some, and the next fit remembers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import cli, registry, rule_edits, rules
from jobs.fit import fit
from kdsl import child
from kdsl.errors import ConfigError
from kdsl.release import Manifest
from kdsl.rules.errors import RuleError
from kdsl.rules.tree import Tree
from tests.night import Shop


@pytest.fixture
def shop(night: Shop) -> Iterator[Shop]:
    yield night
    if night.lake.has("rule_edits"):
        night.lake.delta("rule_edits").delete()
    night.lake.delta("releases").delete(f"release_id <> '{night.release.manifest.release_id}'")


def call(shop: Shop, *argv: str) -> None:
    args, _ = cli.parse(["rules", *argv])
    rules.run(shop.spark, shop.settings, args)


def test_see_try_change_and_learn_again(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = child.rules_of(shop.release, "intent").active()[0]
    call(shop, "list", "--task", "intent", "--label", victim.label)
    assert victim.rule_id in capsys.readouterr().out

    condition = "{user: {any_of: [refund, money]}, }"
    versions = shop.lake.versions()
    call(shop, "test", "--task", "intent", "--label", "refund_status", "--if", condition)
    told = capsys.readouterr().out
    total = shop.lake.df("conversations").count()
    assert "fires on " in told
    assert f" of {total} rows" in told
    assert "gold of split train: right on " in told
    assert "95 % Wilson bound" in told
    assert shop.lake.versions() == versions

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

    again = fit(shop.lake, shop.settings)
    assert again.manifest.release_id not in (minted, shop.release.manifest.release_id)
    relearned = {rule.rule_id: rule.state for rule in child.rules_of(again, "intent").rules}
    assert relearned[victim.rule_id] == "banned"
    assert {rule.rule_id for rule in rule_edits.by_hand(shop.lake, again.taxonomy).rules} <= set(relearned)


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
        (("export", "/no/such/folder/r.yaml"), "cannot be written"),
        (("diff", "rel-none"), "there is no .*rel-none"),
    ],
    ids=str,
)
def test_wrong_use_is_told_and_changes_nothing(shop: Shop, argv: tuple[str, ...], says: str) -> None:
    versions = shop.lake.versions(["rule_edits", "releases"])
    with pytest.raises((RuleError, ConfigError), match=says):
        call(shop, *argv)
    assert shop.lake.versions(["rule_edits", "releases"]) == versions
