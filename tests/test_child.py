"""An edit of rules mints a child: other voters' files as they were, rules changed, fusion refitted, no model run."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from kdsl import child, release, training
from kdsl.config import FitSettings, ReaderSettings
from kdsl.fusion.override import Override
from kdsl.manifest import Manifest, Score, library_versions, now
from kdsl.models.calibrate import Calibration
from kdsl.predict import Predictor
from kdsl.release import Release
from kdsl.release_diff import difference
from kdsl.revote import Revoter
from kdsl.rules import hands, parse
from kdsl.rules.atom import Comparison, Words
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.sentence import sentence
from kdsl.taxonomy import Taxonomy
from tests.test_voter_contract import GOLD, ITEMS, TASK

TAXONOMY = Taxonomy(name="shop", tasks=(TASK,))
WRITTEN = Rule("intent", "refund", (Words("last_user", "any_of", ("money", "refund")),))


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Release:
    settings = FitSettings(voters=("linear", "rules"), encoder="", rules_budget=40, folds=2, seed=3)
    examples = {"intent": list(zip(ITEMS, GOLD, strict=True))}
    learned = training.train(TAXONOMY, examples, settings, lambda name: nullcontext())
    one = learned["intent"]
    manifest = Manifest(
        release_id="rel-parent",
        created_at=now(),
        libraries=library_versions(),
        taxonomy=TAXONOMY.name,
        taxonomy_digest=TAXONOMY.digest,
        reader=ReaderSettings(),
        reader_version="v",
        table_versions={},
        settings=settings.model_dump(mode="json"),
        voters={"intent": tuple(one.voters)},
        scores={"intent": Score.of(one.verdict.scores)},
        uses={"intent": one.verdict.uses},
        left_out={"intent": Score.of(one.verdict.left_out)},
    )
    return release.write(
        tmp_path_factory.mktemp("releases"),
        manifest,
        TAXONOMY,
        {"intent": one.voters},
        learned={"intent": sorted(one.held.ids)},
        fused={"intent": (one.fusion, one.held)},
    )


def by_hand(*edits: hands.Edit) -> RuleSet:
    return hands.replay([(edit.action, edit.rule_json()) for edit in edits], TAXONOMY)[0]


def items() -> dict[str, dict[str, object]]:
    return {"intent": {item.item_id: item for item in ITEMS}}


def files(where: Release, voter: str) -> dict[str, str]:
    prefix = f"voters/intent/{voter}/"
    return {name: digest for name, digest in where.manifest.files.items() if name.startswith(prefix)}


def test_a_child_differs_in_its_rules_and_fusion_and_runs_no_model(
    parent: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdsl.models.linear.LinearVoter.log_probs", None)  # whoever asked it would fail
    victim = child.rules_of(parent, "intent").active()[0]
    edits = by_hand(hands.banned(victim), hands.written(WRITTEN, "ann"))
    assert child.tasks_of(parent, edits) == ["intent"]
    minted = child.mint(parent, edits, items())
    assert minted.manifest.parent == "rel-parent"
    assert files(minted, "linear") == files(parent, "linear")
    assert files(minted, "rules") != files(parent, "rules")
    states = {rule.rule_id: rule.state for rule in child.rules_of(minted, "intent").rules}
    assert states[victim.rule_id] == "banned"
    assert states[WRITTEN.rule_id] == "written"
    assert child.tasks_of(minted, edits) == []
    old, new = parent.held_out("intent"), minted.held_out("intent")
    assert (new.ids, new.voters) == (old.ids, old.voters)
    assert (new.said["linear"] == old.said["linear"]).all()
    assert minted.manifest.score("intent").n == len(ITEMS)


def test_a_written_rule_has_the_record_that_a_fit_would_give_it_so_it_may_overrule(parent: Release) -> None:
    edits = by_hand(hands.written(WRITTEN, "ann"))
    minted = child.mint(parent, edits, items()).held_out("intent").facts.of([WRITTEN.rule_id])
    settings = FitSettings.model_validate(parent.manifest.settings)
    examples = list(zip(ITEMS, GOLD, strict=True))
    fitted = training.train(TAXONOMY, {"intent": examples}, settings, lambda name: nullcontext(), edits)
    expected = fitted["intent"].held.facts.of([WRITTEN.rule_id])
    told = [sorted(zip(f.row, f.label, f.right, f.fired, strict=True)) for f in (minted, expected)]
    assert told[0] == told[1]
    assert len(told[0]) > 1
    # Of the rows that it fires on, a row's own fold has no part in the record.
    assert all(fired < len(told[0]) for _, _, _, fired in told[0])


def test_an_edited_rule_wins_no_disagreement_on_rows_that_its_parent_was_made_from(parent: Release) -> None:
    record = json.loads((parent.folder("intent", "rules") / "search.json").read_text())
    met: dict[str, set[int]] = {}
    for one in record["candidates"]:
        met.setdefault(one["rule"], set()).add(one["fold"])
    found = next(one for one in record["candidates"] if len(met[one["rule"]]) == 1)
    made = parse.from_json(json.dumps({"taxonomy": "shop", "rules": [{
        "task": "intent", "label": found["label"], "if": found["if"], "made_by": {"source": "search"}
    }]})).rules[0]  # fmt: skip
    new = Rule("intent", found["label"], (*made.atoms, Comparison("n_images", "<=", 9)))
    minted = child.mint(parent, by_hand(*hands.edited(made, new, "ann")), items())
    facts = minted.held_out("intent").facts.of([new.rule_id])
    fold_of = dict(record["rows"])
    ids = minted.held_out("intent").ids
    fired = {i for i, one in zip(ids, Predictor.load(minted, 1_000).predict(ITEMS), strict=True)
             if new.rule_id in {rule.rule_id for rule in one.rules_fired or ()}}  # fmt: skip
    assert {ids[row] for row in facts.row} == {i for i in fired if fold_of[i] in met[made.rule_id]} < fired


def test_the_same_edits_find_the_child_that_is_there(parent: Release) -> None:
    edits = by_hand(hands.written(WRITTEN, "ann"))
    assert child.mint(parent, edits, items()) == child.mint(parent, edits, {})


def test_what_differs_is_told_rule_by_rule_and_number_by_number(parent: Release, tmp_path: Path) -> None:
    victim = child.rules_of(parent, "intent").active()[0]
    minted = child.mint(parent, by_hand(hands.banned(victim), hands.written(WRITTEN, "ann")), items())
    there, back = difference(parent, minted), difference(minted, parent)
    assert f"intent: rule added: {WRITTEN.rule_id} {sentence(WRITTEN, 'en')}" in there
    assert f"intent: rule gone: {WRITTEN.rule_id} {sentence(WRITTEN, 'en')}" in back
    assert f"intent: rule {victim.rule_id} was learned, is banned" in there
    one, other = parent.fusion("intent"), minted.fusion("intent")
    assert one.weights != other.weights
    for name, weight in one.weights.items():
        line = f"intent: weight of {name} {weight:.3f} -> {other.weights[name]:.3f}"
        assert (line in there) == (abs(weight - other.weights[name]) >= 0.005)
    was, now = (one.manifest.left_out["intent"] for one in (parent, minted))
    assert set(was) == set(now) == {"linear", "rules"}
    assert was != now
    for name, loss in was.items():
        line = f"intent: the pool loses without {name} {loss.signed} -> {now[name].signed}"
        assert (line in there) == (loss != now[name])
    untold = parent.manifest.model_copy(update={"left_out": {}})  # as of an earlier version
    for name, loss in was.items():
        line = f"intent: the pool loses without {name} {loss.value:+.3f} [{loss.low:+.3f}, {loss.high:+.3f}] -> unknown"
        assert line in difference(parent, parent.model_copy(update={"manifest": untold}))
    assert difference(parent, parent) == []

    shutil.copytree(parent.path, tmp_path / "sure")
    file = tmp_path / "sure" / "fusion" / "intent.json"
    file.write_text(
        one.model_copy(update={"threshold": 0.75, "weights": {"linear": 2.0, "rules": 0.5}}).model_dump_json()
    )
    told = difference(parent, parent.model_copy(update={"path": tmp_path / "sure"}))
    assert "intent: abstains below none -> 0.750" in told
    assert f"intent: weight of linear {one.weights['linear']:.3f} -> 2.000" in told
    assert f"intent: weight of rules {one.weights['rules']:.3f} -> 0.500" in told
    bare = parent.model_copy(update={"manifest": parent.manifest.model_copy(update={"voters": {}})})
    assert "intent: is gone" in difference(parent, bare)
    assert "intent: is new" in difference(bare, parent)


def test_a_child_labels(parent: Release) -> None:
    minted = child.mint(parent, by_hand(hands.written(WRITTEN, "ann")), items())
    predictions = Predictor.load(minted, 1_000).predict(ITEMS)
    assert all(prediction.error_code is None for prediction in predictions)
    why = [rule for prediction in predictions for rule in prediction.rules_fired or ()]
    assert WRITTEN.rule_id in {rule.rule_id for rule in why}


@pytest.mark.parametrize("overruling", [False, True])
def test_stored_votes_say_again_what_was_said_and_rules_overrule_in_it(parent: Release, overruling: bool) -> None:
    fusion = parent.fusion("intent")
    if overruling:  # a pool in doubt that says the contrary, and rules that won
        contrary = Calibration(method="temperature", slope=(-0.05,))
        changes = {"uses": "pool", "pool_calibration": contrary, "override": Override(all_rules=True)}
        fusion = fusion.model_copy(update=changes)
    predictor, revoter = Predictor.load(parent, 1_000), Revoter.load(parent)
    predictor = replace(predictor, fusions={"intent": fusion})
    said = predictor.predict(ITEMS)
    assert any(one.decision.decided_by.startswith("r") for one in said if one.decision.decided_by) == overruling
    linear = parent.manifest.voter_digest("intent", "linear")
    votes = [{linear: list(vote.log_probs)} for one in said for vote in one.decision.votes if vote.voter == "linear"]
    again = replace(revoter, fusions={"intent": fusion}).says("intent", ITEMS, [*votes[:-1], {}])
    assert [one.label for one in again[:-1]] == [one.decision.label for one in said[:-1]]
    assert [one.known for one in again] == [True] * (len(ITEMS) - 1) + [False]


def test_what_a_release_says_is_known_without_the_votes_of_who_has_no_say(parent: Release) -> None:
    fusion = parent.fusion("intent").model_copy(update={"uses": "pool", "idle": ("linear",)})
    idle = SimpleNamespace(  # a fake: the parent as if its linear voter had no say
        manifest=parent.manifest, taxonomy=parent.taxonomy, folder=parent.folder, fusion=lambda _: fusion
    )
    said = replace(Predictor.load(parent, 1_000), fusions={"intent": fusion}).predict(ITEMS)
    again = Revoter.load(idle).says("intent", ITEMS, [{} for _ in ITEMS])
    assert [(one.known, one.label) for one in again] == [(True, one.decision.label) for one in said]


def test_a_release_learned_before_there_was_a_record_says_what_to_do(parent: Release, tmp_path: Path) -> None:
    from kdsl.errors import ReleaseError
    from kdsl.models import rule_fit

    for file in parent.folder("intent", "rules").iterdir():
        if file.name != "search.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ReleaseError, match=r"search\.json .* Run fit again"):
        rule_fit.amended(tmp_path, TASK, by_hand(), items=ITEMS, gold=GOLD, groups=GOLD)
