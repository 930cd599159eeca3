"""The `rules` voter: probabilities or silence, the same in any batch, and the same after a save."""

import json
import random

import numpy as np
import pytest

from kdsl.dialogue import Item, Turn
from kdsl.errors import ConfigError, ReleaseError
from kdsl.models import rule_fit, rule_voter
from kdsl.models.voter import Voter
from kdsl.taxonomy import Label, Task

pytest.importorskip("ahocorasick_rs")

WORDS = {"refund": ("money", "refund"), "tracking": ("parcel", "tracking"), "coupon": ("coupon", "discount")}
FILLER = [
    "please",
    "help",
    "me",
    "with",
    "this",
    "thing",
    "today",
    "thanks",
    "really",
    "want",
    "know",
    "about",
    "shop",
    "so",
    "now",
]
TASK = Task(name="intent", asked_of="conversation", question="?", labels=tuple(Label(name=n) for n in WORDS))


def items_of(n, seed=1):
    rng = random.Random(seed)
    items, gold = [], []
    for i in range(n):
        label = list(WORDS)[i % 3]
        words = [*rng.sample(FILLER, 5), rng.choice(WORDS[label])]
        rng.shuffle(words)
        turns = (Turn("user", " ".join(words)), Turn("agent", rng.choice(FILLER)))
        items.append(Item(f"c{i:03}", "intent", turns))
        gold.append(label)
    return items, gold


@pytest.fixture(scope="module")
def voter():
    items, gold = items_of(60)
    return rule_fit.fit(TASK, items, gold, [i.item_id for i in items], seed=1, rules_budget=60)


def test_it_is_a_voter_that_is_right(voter):
    items, gold = items_of(60, seed=2)
    votes = voter.log_probs(items)
    assert isinstance(voter, Voter)
    assert votes.shape == (60, 3)
    silent = np.isnan(votes).all(axis=1)
    assert np.isnan(votes).any(axis=1).tolist() == silent.tolist()
    assert np.allclose(np.exp(votes[~silent]).sum(axis=1), 1)
    said = [TASK.label_names[i] for i in votes[~silent].argmax(axis=1)]
    right = [a == b for a, b in zip(said, np.array(gold)[~silent], strict=True)]
    assert np.mean(right) > 0.95
    assert silent.mean() < 0.2


def test_it_abstains_where_no_rule_fires(voter):
    items = [
        Item("a", "intent"),
        Item("b", "intent", (Turn("user", "hello"),)),
        Item("c", "intent", (Turn("user", ""),)),
    ]
    assert np.isnan(voter.log_probs(items)).all()
    assert voter.log_probs([]).shape == (0, 3)


def test_an_item_says_the_same_in_any_batch(voter):
    items, _ = items_of(20, seed=3)
    whole = voter.log_probs(items)
    alone = np.concatenate([voter.log_probs([item]) for item in items])
    assert np.array_equal(whole, alone, equal_nan=True)


def test_the_order_of_the_examples_does_not_matter(voter):
    items, gold = items_of(60)
    order = list(range(60))
    random.Random(4).shuffle(order)
    other = rule_fit.fit(
        TASK,
        [items[i] for i in order],
        [gold[i] for i in order],
        [items[i].item_id for i in order],
        seed=1,
        rules_budget=60,
    )
    assert other.rules.to_dict() == voter.rules.to_dict()


def test_saved_and_loaded_it_says_the_same(voter, tmp_path):
    voter.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rules.json", "search.json", "weights.json"]
    items, _ = items_of(30, seed=5)
    again = rule_voter.load(tmp_path, TASK)
    assert np.array_equal(again.log_probs(items), voter.log_probs(items), equal_nan=True)
    assert again.rules.fingerprint == voter.rules.fingerprint


@pytest.mark.parametrize("harm", ["weights", "rules", "labels", "missing", "no json"])
def test_a_changed_voter_is_refused(voter, tmp_path, harm):
    voter.save(tmp_path)
    task = TASK
    data = json.loads((tmp_path / "weights.json").read_text())
    if harm == "weights":
        data["weights"].pop(next(iter(data["weights"])))
    elif harm == "rules":
        text = (tmp_path / "rules.json").read_text()
        (tmp_path / "rules.json").write_text(text.replace('"money"', '"monkey"').replace('"refund"', '"refunds"'))
    elif harm == "labels":
        task = TASK.model_copy(update={"labels": TASK.labels[::-1]})
    elif harm == "missing":
        (tmp_path / "rules.json").unlink()
    else:
        (tmp_path / "rules.json").write_text("{")
    (tmp_path / "weights.json").write_text(json.dumps(data))
    with pytest.raises(ReleaseError, match="voter rules in"):
        rule_voter.load(tmp_path, task)


def test_what_fired_is_told_with_words_and_places(voter):
    items = [Item("x", "intent", (Turn("user", "I want my MONEY now"),)), Item("y", "intent")]
    votes, fired = voter.explained(items, "zh")
    assert np.array_equal(votes, voter.log_probs(items), equal_nan=True)
    assert fired[1] == ()
    money = next(m for rule in fired[0] for m in rule.matches if m.what == "money" and m.field == "last_user")
    assert (money.start, money.end) == (10, 15)
    assert all(rule.sentence.startswith("如果") for rule in fired[0])
    assert {rule.rule_id for rule in fired[0]} <= {rule.rule_id for rule in voter.rules.active()}


def test_wrong_use_is_named():
    with pytest.raises(ConfigError, match="no labelled items"):
        rule_fit.fit(TASK, [], [], [], seed=1)
    items, _ = items_of(3)
    with pytest.raises(ConfigError, match="'nope'"):
        rule_fit.fit(TASK, items, ["refund", "nope", "coupon"], ["a", "b", "c"], seed=1)


def test_very_few_examples_do_no_harm():
    items, gold = items_of(3)
    small = rule_fit.fit(TASK, items, gold, ["a", "a", "a"], seed=1, rules_budget=10)
    assert small.log_probs(items).shape == (3, 3)
