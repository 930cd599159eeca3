"""People edit rules: what they did is read back, survives a new fit, and changes a saved voter and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kdsl.dialogue import Item, Turn
from kdsl.errors import ReleaseError
from kdsl.models import rule_fit, rule_voter
from kdsl.rules import hands, parse
from kdsl.rules.atom import Comparison, Words
from kdsl.rules.errors import RuleError
from kdsl.rules.provenance import Provenance
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet, diff
from kdsl.taxonomy import Taxonomy
from tests.rules.test_rule_voter import TASK, items_of

TAXONOMY = Taxonomy(name="shop", tasks=(TASK,))
LATE = Rule("intent", "tracking", (Words("last_user", "any_of", ("thanks",)), Comparison("n_images", "<=", 3)))


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    items, gold = items_of(60)
    voter = rule_fit.fit(TASK, items, gold, [i.item_id for i in items], seed=1, rules_budget=40, taxonomy="shop")
    folder = tmp_path_factory.mktemp("voter")
    voter.save(folder)
    return voter, folder


def by_hand(*edits):
    return hands.replay([(edit.action, edit.rule_json()) for edit in edits], TAXONOMY)[0]


def amended(learned, *edits, n=60):
    items, gold = items_of(n)
    groups = [item.item_id for item in items]
    return rule_fit.amended(learned[1], TASK, by_hand(*edits), items=items, gold=gold, groups=groups)


def test_the_last_word_on_a_rule_counts_whatever_its_spelling():
    again = Rule("intent", "tracking", tuple(reversed(LATE.atoms)))
    state = by_hand(hands.written(LATE, "ann"), hands.banned(again), hands.pinned(LATE)).get(LATE.rule_id).state
    assert state == "pinned"
    assert by_hand(hands.pinned(LATE), hands.banned(LATE)).active() == ()
    assert hands.changes(by_hand(hands.banned(LATE)), [hands.banned(LATE), hands.pinned(LATE)]) == [hands.pinned(LATE)]


def test_edits_of_another_taxonomy_are_left_out_and_counted():
    foreign = hands.written(Rule("intent", "weather", LATE.atoms), "ann")
    rules, left_out = hands.replay([("write", foreign.rule_json()), ("pin", hands.pinned(LATE).rule_json())], TAXONOMY)
    assert [rule.label for rule in rules.rules] == ["tracking"]
    assert left_out == 1
    with pytest.raises(RuleError, match="'paint' is no edit"):
        hands.replay([("paint", foreign.rule_json())], TAXONOMY)


def test_an_edit_replaces_what_it_edits(learned):
    old = learned[0].rules.active()[0]
    ban, new = hands.edited(old, Rule("intent", old.label, (*old.atoms, *LATE.atoms[1:])), "ann")
    voter, _ = amended(learned, ban, new)
    changed = diff(learned[0].rules, voter.rules)
    assert [rule.provenance.parent for rule in changed.added] == [old.rule_id]
    assert [(a.state, b.state) for a, b in changed.changed] == [("learned", "banned")]
    assert changed.gone == ()
    with pytest.raises(RuleError, match="says the same"):
        hands.edited(old, Rule("intent", old.label, tuple(reversed(old.atoms))), "ann")


def test_an_edited_rule_is_judged_where_its_parent_was_unseen_and_a_written_one_everywhere(learned):
    """An edit of a learned rule used to be praised for the rows that the search had made it from."""
    met: dict[Rule, set[int]] = {}
    for one in learned[0].record.candidates:
        met.setdefault(one.rule, set()).add(one.fold)
    old = next(rule for rule, folds in met.items() if len(folds) == 1 and isinstance(rule.atoms[0], Words))
    wider = Words(old.atoms[0].field, "any_of", (*old.atoms[0].words, "thanks", "please"))
    ban, new = hands.edited(old, Rule("intent", old.label, (wider,)), "ann")
    again = hands.edited(new.rule, Rule("intent", old.label, (*new.rule.atoms, *LATE.atoms[1:])), "bob")
    items, gold = items_of(60)
    fold_of = dict(learned[0].record.rows)
    for edits, child in (((ban, new), new.rule), ((ban, new, *again), again[1].rule)):
        refitted = rule_fit.fit(
            TASK, items, gold, [i.item_id for i in items], seed=1, rules_budget=40, by_hand=by_hand(*edits)
        )
        for voter in (amended(learned, *edits)[0], refitted):
            votes = voter.unseen[child.rule_id]
            fired = [i.item_id for i, row in zip(items, voter.explained(items)[1], strict=True)
                     if child.rule_id in {one.rule_id for one in row}]  # fmt: skip
            assert {item for item, _ in votes} == {item for item in fired if fold_of[item] in met[old]} < set(fired)
            assert votes
            assert voter.rules.get(child.rule_id).evidence.unseen_fired == len(votes)
    own, _ = amended(learned, hands.written(LATE, "ann"))
    assert own.rules.get(LATE.rule_id).evidence.unseen_fired == own.rules.get(LATE.rule_id).evidence.fired > 0


def test_a_learned_rule_from_elsewhere_has_no_record_here(learned):
    foreign = Rule("intent", "tracking", LATE.atoms, "learned", Provenance("search", "s0", seed=1))
    file = RuleSet("shop", (*learned[0].rules.rules, foreign))
    (edit,) = hands.of_file(file, learned[0].rules, "ann")
    assert (edit.action, edit.rule.provenance.source) == ("write", "search")
    voter, _ = amended(learned, edit)
    told = voter.rules.get(foreign.rule_id)
    assert (told.state, told.evidence.unseen_fired) == ("written", 0)
    assert told.evidence.fired > 0


def test_an_amended_voter_keeps_every_other_rule_and_can_be_amended_again(learned, tmp_path):
    victim = max(learned[0].rules.active(), key=lambda rule: rule.evidence.fired)
    voter, votes = amended(learned, hands.banned(victim), hands.written(LATE, "ann"))
    assert {r.rule_id for r in voter.rules.active()} == (
        {r.rule_id for r in learned[0].rules.active()} - {victim.rule_id} | {LATE.rule_id}
    )
    items, gold = items_of(60)
    fired = [{rule.rule_id for rule in row} for row in voter.explained(items)[1]]
    assert any(LATE.rule_id in row for row in fired)
    assert not any(victim.rule_id in row for row in fired)
    told = voter.rules.get(LATE.rule_id).evidence
    assert told.unseen_fired == sum(LATE.rule_id in row for row in fired) > told.unseen_right
    # Out of fold it still knows most labels, and it is no copy of what the voter says of what it learned from.
    speaks = ~np.isnan(votes).any(axis=1)
    right = [TASK.label_names[int(votes[i].argmax())] == gold[i] for i in np.flatnonzero(speaks)]
    assert speaks.mean() > 0.5
    assert np.mean(right) > 0.7
    voter.save(tmp_path)
    loaded = rule_voter.load(tmp_path, TASK)
    assert np.array_equal(loaded.log_probs(items), voter.log_probs(items), equal_nan=True)
    freed, _ = rule_fit.amended(
        tmp_path, TASK, by_hand(hands.pinned(victim)), items=items, gold=gold, groups=[i.item_id for i in items]
    )
    assert victim.rule_id in {rule.rule_id for rule in freed.rules.active()}


def test_nothing_changed_says_the_same_and_examples_may_be_gone(learned):
    items, _ = items_of(60)
    same, _ = amended(learned)
    assert same.rules.fingerprint == learned[0].rules.fingerprint
    np.testing.assert_allclose(same.log_probs(items), learned[0].log_probs(items), atol=0.2)
    fewer, votes = amended(learned, n=40)
    assert fewer.rules.fingerprint == learned[0].rules.fingerprint
    assert votes.shape == (40, 3)
    foreign = [Item("z", "intent", (Turn("user", "hello"),))]
    with pytest.raises(ReleaseError, match="none of the 60 examples"):
        rule_fit.amended(learned[1], TASK, by_hand(), items=foreign, gold=["refund"], groups=["z"])


def test_hands_survive_the_next_fit(learned):
    victim, kept = learned[0].rules.active()[:2]
    other = Rule(victim.task, victim.label, tuple(reversed(victim.atoms)))
    items, gold = items_of(60)
    again = rule_fit.fit(
        TASK, items, gold, [i.item_id for i in items], seed=9, rules_budget=40,
        by_hand=by_hand(hands.banned(other), hands.pinned(kept), hands.written(LATE, "ann")),
    )  # fmt: skip
    states = {rule.rule_id: rule.state for rule in again.rules.rules}
    assert states[victim.rule_id] == "banned"
    assert states[kept.rule_id] == "pinned"
    assert states[LATE.rule_id] == "written"
    assert not any(victim.rule_id in [rule.rule_id for rule in row] for row in again.explained(items)[1])


def test_a_rule_file_becomes_the_edits_that_it_holds(learned):
    current = learned[0].rules
    first, second = current.active()[:2]
    text = RuleSet("shop", (*current.rules, LATE)).pin(second.rule_id).to_yaml()
    word = first.atoms[0].words[0]
    changed = parse.from_yaml(text.replace(f"- {word}\n", f"- {word}zz\n", 1), TAXONOMY)
    found = hands.of_file(changed, current, "ann")
    assert sorted(edit.action for edit in found) == ["ban", "edit", "pin", "write"]
    assert {edit.rule.rule_id for edit in found if edit.action == "ban"} == {first.rule_id}


@pytest.mark.parametrize("state", ["pinned", "written", "edited"])
def test_a_rule_of_people_that_was_changed_in_a_file_takes_the_place_of_the_old_one(learned, state):
    """The old one used to stay beside it, unless the rule was a learned one."""
    old = replace(LATE, state=state, provenance=Provenance(run="ann"))
    current = RuleSet("shop", (*learned[0].rules.rules, old))
    changed = current.to_yaml().replace("- thanks\n", "- cheers\n")
    found = hands.of_file(parse.from_yaml(changed, TAXONOMY), current, "bob")
    assert [(edit.action, edit.rule.rule_id == old.rule_id) for edit in found] == [("ban", True), ("edit", False)]
    assert found[1].rule.provenance == Provenance(run="bob", parent=old.rule_id)
    # A copy beside the old one is a rule more.
    both = current.to_dict()
    both["rules"].append({**LATE.to_dict(), "state": state, "if": [{"user": {"any_of": ["cheers"]}}]})
    copied = hands.of_file(parse.from_json(json.dumps(both), TAXONOMY), current, "bob")
    assert [edit.action for edit in copied if edit.rule.rule_id == old.rule_id] == [hands.ACTION_OF[state]]
