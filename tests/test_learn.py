"""Folds, groups of near-duplicates, and out-of-fold predictions."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsl import folds as near
from kdsl.dialogue import Item, Line, Picture, Turn
from kdsl.folds import MAX_SHARED, assign, group_keys
from kdsl.learn import out_of_fold
from kdsl.models.voter import kind
from kdsl.taxonomy import Label, Task

LABELS = ("a", "b", "c")
TASK = Task(name="intent", asked_of="conversation", question="?", labels=tuple(Label(name=name) for name in LABELS))
WORDS = {"a": "refund money order", "b": "parcel late truck", "c": "size chart fits"}


def said(item_id: str, text: str, *pictures: str) -> Item:
    return Item(item_id, "intent", (Turn("user", text),), tuple(Picture(sha, 1, 1) for sha in pictures))


def seen(item_id: str, sha: str, text: str = "") -> Item:
    lines = (Line(text, 0.9, (0.0, 0.0, 1.0, 0.1)),) if text else ()
    return Item(item_id, "scene", (), (Picture(sha, 10, 10, lines),))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(LABELS), st.integers(0, 12)), min_size=1, max_size=60),
    st.integers(2, 6),
    st.randoms(use_true_random=False),
)
def test_folds_ignore_row_order_and_keep_groups(rows: list[tuple[str, int]], folds: int, random: object) -> None:
    ids = [f"id{place}" for place in range(len(rows))]
    gold = [label for label, _ in rows]
    groups = [f"g{group}" for _, group in rows]
    fold = assign(ids, gold, groups, folds=folds, seed=1)
    assert fold.min() >= 0
    assert fold.max() < folds
    assert all(len({fold[i] for i in range(len(rows)) if groups[i] == g}) == 1 for g in groups)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = assign(
        [ids[i] for i in order], [gold[i] for i in order], [groups[i] for i in order], folds=folds, seed=1
    )
    assert list(shuffled) == [fold[i] for i in order]


def test_labels_are_spread_evenly_and_seeds_differ() -> None:
    ids = [f"id{place}" for place in range(120)]
    gold = [LABELS[place % 3] for place in range(120)]
    one, other = (assign(ids, gold, ids, folds=4, seed=seed) for seed in (1, 2))
    for label in LABELS:
        assert set(Counter(one[place] for place in range(120) if gold[place] == label).values()) == {10}
    assert (one != other).any()


def test_near_duplicates_and_shared_pictures_stay_together() -> None:
    text = "my parcel with the blue shoes has not arrived since last monday"
    items = [
        said("1", text),
        said("2", text.replace("monday", "Monday!!")),
        said("3", "please send me a refund for the broken lamp as soon as possible"),
        said("4", "something else entirely, about sizes of shirts", "p1"),
        said("5", "and another thing about colours of trousers", "p1"),
        seen("6", "p1"),
        seen("7", "p1"),
    ]
    keys = group_keys(items)
    assert keys[0] == keys[1]
    assert keys[3] == keys[4]
    assert keys[5] == keys[6]
    assert len(set(keys)) == 4
    assert group_keys(items[::-1]) == keys[::-1]


def variant(text: str, *changes: int) -> str:
    """The text with the words at these places made others."""
    return " ".join(f"zq{place}xv" if place in changes else word for place, word in enumerate(text.split()))


TEXT = "the blue shoes that I ordered on monday came without laces and the box was torn open at one side by someone"


def test_near_duplicates_of_each_other_need_not_be_those_of_the_first_in_their_bucket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows 2 and 3 of a bucket were each compared with row 1 alone, and fell into two folds."""
    monkeypatch.setattr(near, "_bands", lambda shingles: ["one bucket"] if shingles else [])
    one, two = variant(TEXT, 2, 5, 10, 15, 19), TEXT
    items = [said("1", one), said("2", two), said("3", two + " else")]
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        keys = dict(zip(order, group_keys([items[place] for place in order]), strict=True))
        assert keys[1] == keys[2] != keys[0]


def test_a_large_bucket_is_not_compared_pair_by_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Counter[str]()
    jaccard = near._jaccard
    monkeypatch.setattr(near, "_jaccard", lambda *pair: calls.update(["all"]) or jaccard(*pair))
    monkeypatch.setattr(near, "_bands", lambda shingles: ["one bucket"] if shingles else [])
    alike = [said(f"a{n:04}", f"{TEXT} {n:04}") for n in range(1_000)]
    others = [said(f"o{n:04}", " ".join(f"{(n + 1) * k * 7919 % 99991:x}" for k in range(1, 9))) for n in range(300)]
    equal = [said(f"e{n:04}", TEXT[::-1]) for n in range(10_000)]
    keys = group_keys([*alike, *others, *equal])
    assert len(set(keys[:1_000])) == 1
    assert len(set(keys[1_300:])) == 1
    assert calls["all"] <= 1_301 * near.COMPARED


def test_a_sticker_in_many_dialogues_joins_none() -> None:
    items = [said(str(place), chr(97 + place) * 5, "sticker") for place in range(MAX_SHARED + 1)]
    assert len(set(group_keys(items))) == len(items)


def test_short_messages_are_equal_by_chance() -> None:
    assert len(set(group_keys([said("1", "hello"), said("2", "hello")]))) == 2


def examples() -> tuple[list[Item], list[str]]:
    items = [said(f"{label}{n}", f"{WORDS[label]} {'xyz'[n % 3]}{n}") for label in LABELS for n in range(6)]
    return items, [item.item_id[0] for item in items]


def test_out_of_fold_rows_follow_their_items() -> None:
    items, gold = examples()
    options = {"folds": 3, "seed": 5, "groups": [item.item_id for item in items], "encoder": ""}
    votes = out_of_fold(kind("linear"), TASK, items, gold, **options)
    assert [LABELS[place] for place in votes.argmax(axis=1)] == gold
    options["groups"] = options["groups"][::-1]
    backwards = out_of_fold(kind("linear"), TASK, items[::-1], gold[::-1], **options)
    np.testing.assert_allclose(backwards[::-1], votes, rtol=0, atol=1e-9)


def test_no_voter_is_asked_of_what_it_learned_from() -> None:
    items, gold = examples()
    learned: list[set[str]] = []

    class Spy:
        labels = LABELS

        def __init__(self, known: set[str]) -> None:
            self.known = known

        def log_probs(self, batch: list[Item]) -> np.ndarray:
            assert not self.known & {item.item_id for item in batch}
            return np.zeros((len(batch), 3))

    class SpyKind:
        hold_out = False

        @staticmethod
        def fit(task: Task, batch: list[Item], gold: list[str], groups: list[str], *, seed: int) -> Spy:
            learned.append({item.item_id for item in batch})
            return Spy(learned[-1])

    votes = out_of_fold(SpyKind(), TASK, items, gold, folds=3, seed=1, groups=[i.item_id for i in items])  # type: ignore[arg-type]
    assert not np.isnan(votes).any()
    assert sum(len(known) for known in learned) == 2 * len(items)


def test_one_group_leaves_nothing_to_learn_from_and_abstains() -> None:
    items, gold = examples()
    votes = out_of_fold(kind("linear"), TASK, items, gold, folds=3, seed=1, groups=["g"] * len(items), encoder="")
    assert np.isnan(votes).all()
