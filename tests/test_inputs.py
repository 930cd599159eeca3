"""Items of another kind are told from those of other label shares, and what differs is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kdsl import inputs
from kdsl.dialogue import Item, Line, Picture, Turn
from kdsl.errors import ReleaseError

WORDS = [
    "parcel",
    "order",
    "refund",
    "money",
    "return",
    "broken",
    "late",
    "wrong",
    "size",
    "where",
    "when",
    "why",
    "my",
    "the",
    "is",
    "was",
    "not",
    "please",
]
STRANGE = [
    "subscription",
    "trial",
    "billing",
    "renewal",
    "account",
    "login",
    "token",
    "upgrade",
    "plan",
    "seat",
    "invoice",
]


def items(
    n: int, seed: int, words: list[str] = WORDS, *, label: np.ndarray | None = None, left: float = 0.1
) -> list[Item]:
    """Dialogues of one shopper's turn and a picture with lines that begin at `left`; label 1 has longer texts."""
    dice = np.random.default_rng(seed)
    long = np.zeros(n, dtype=int) if label is None else label
    made = []
    for k in range(n):
        said = " ".join(dice.choice(words, 8 + 12 * long[k]))
        edge = left + dice.normal() * 0.02
        lines = tuple(Line("total 12.50", 0.9, (edge, y / 10, edge + 0.5, y / 10 + 0.03)) for y in range(1, 6))
        made.append(Item(f"i{seed}-{k}", "intent", (Turn("user", said),), (Picture(f"s{seed}-{k}", 400, 800, lines),)))
    return made


@pytest.fixture(scope="module")
def known() -> inputs.Inputs:
    label = np.random.default_rng(3).integers(0, 2, 160)
    made = items(160, 1, label=label)
    return inputs.learn(made, label, [item.item_id for item in made])


def test_nights_of_the_same_kind_pass_whatever_their_label_shares(known: inputs.Inputs) -> None:
    passed = 0
    for seed in range(2, 42):
        label = (np.random.default_rng(seed).random(80) < 0.9).astype(int)
        value, _ = known.compare(known.of(items(80, seed, label=label)), label)
        passed += value >= 0.001
    assert passed >= 39


def test_new_words_and_new_layouts_are_found_and_named(known: inputs.Inputs) -> None:
    label = np.random.default_rng(9).integers(0, 2, 60)
    for seed in range(50, 55):
        value, shifts = known.compare(known.of(items(60, seed, WORDS + STRANGE, label=label)), label)
        assert value < 0.001
        assert shifts[0].name == "new_words_user"
        assert shifts[0].tonight > shifts[0].before + 0.1
        assert "new_words_user" in str(shifts[0])
        value, shifts = known.compare(known.of(items(60, seed, label=label, left=0.3)), label)
        assert value < 0.001
        assert shifts[0].name == "left_edge"


def test_how_many_more_words_are_new_is_told_without_what_chance_has_of_it(known: inputs.Inputs) -> None:
    label = np.random.default_rng(9).integers(0, 2, 60)
    alike, more = [], []
    for seed in range(50, 70):
        alike.append(inputs.unknown(known.compare(known.of(items(60, seed, label=label)), label)[1]))
        # Of three words in eight drawn none is known: what the shares of words in an item come to.
        told = known.of(items(60, seed, WORDS + STRANGE, label=label))
        more.append(inputs.unknown(known.compare(told, label)[1]))
        assert more[-1] == pytest.approx(float(np.nanmean(told[:, 0])), abs=0.02)
    assert max(alike) < 0.01
    assert inputs.unknown([]) == 0.0


def test_fewer_new_words_and_a_difference_within_its_error_are_none() -> None:
    def new_words(tonight: float, error: float, name: str = "new_words_user", having: float = 1.0) -> inputs.Shift:
        return inputs.Shift(name, 0.2, tonight, 0.5, error, having)

    assert inputs.unknown([new_words(0.1, 0.001)]) == 0.0
    assert inputs.unknown([new_words(0.25, 0.06)]) == 0.0
    assert inputs.unknown([new_words(0.3, 0.05)]) == pytest.approx(0.1 * 0.75)
    assert inputs.unknown([new_words(0.3, 0.0), new_words(0.4, 0.0, "new_words_ocr")]) == pytest.approx(0.2)
    assert inputs.unknown([new_words(0.9, 0.0, "n_turns")]) == 0.0  # no share of words
    assert inputs.unknown([new_words(0.4, 0.0, having=0.1)]) == pytest.approx(0.02)


def test_new_words_in_a_few_pictures_are_new_words_of_few_items() -> None:
    def shown(seed: int, n: int, text: str) -> list[Item]:
        lines = (Line(text, 0.9, (0.0, 0.0, 1.0, 0.1)),)
        return [replace(one, pictures=(Picture(one.item_id, 400, 800, lines),)) for one in items(n, seed)]

    made = shown(60, 40, "total of the order")
    found = inputs.learn(made, np.zeros(40, dtype=int), [item.item_id for item in made])
    plain = [replace(item, pictures=()) for item in items(300, 61)]
    shifts = found.compare(found.of(plain + shown(62, 12, "wholly unheard text")), np.zeros(312, dtype=int))[1]
    assert next(shift for shift in shifts if shift.name == "new_words_ocr").tonight == 1.0
    assert inputs.unknown(shifts) == pytest.approx(12 / 312)


def test_words_are_new_to_an_example_where_only_its_near_duplicates_have_them() -> None:
    made = [
        Item(f"i{k}", "intent", (Turn("user", text),)) for k, text in enumerate(["a b c d", "a b c d", "a b x y z"])
    ]
    found = inputs.learn(made, np.zeros(3, dtype=int), ["one", "one", "two"])
    assert found.features[:, 0].tolist() == pytest.approx([0.5, 0.5, 0.6])
    assert found.own is not None
    assert found.own[:, 0].tolist() == pytest.approx([0.0, 0.0, 0.6])  # where near-duplicates are others too
    assert np.isnan(found.features[:, 1]).all()  # no picture, no words in it
    told = Item("new", "intent", (Turn("user", "a q r s"), Turn("agent", "hello")))
    assert found.of([told])[0, 0] == pytest.approx(0.75)


def test_nights_in_which_an_app_writes_some_of_the_dialogues_pass() -> None:
    """Its wordings are near-duplicates of each other among the examples, and known tonight."""

    def told(n: int, seed: int) -> tuple[list[Item], list[str]]:
        dice = np.random.default_rng(seed)
        written = [f"button {k} " + " ".join(f"app{k}word{at}" for at in range(9)) for k in range(6)]
        made, groups = [], []
        for k in range(n):
            kind = int(dice.integers(6)) if dice.random() < 0.3 else -1
            own = " ".join(dice.choice([*WORDS, *(f"rare{at}" for at in range(400))], 12))
            made.append(Item(f"{seed}/{k}", "intent", (Turn("user", own if kind < 0 else written[kind]),)))
            groups.append(f"{seed}/{k}" if kind < 0 else f"app {kind}")
        return made, groups

    made, groups = told(200, 1)
    found = inputs.learn(made, np.zeros(200, dtype=int), groups)
    for seed in range(2, 8):
        night, _ = told(300, seed)
        value, _ = found.compare(found.of(night), np.zeros(300, dtype=int))
        assert value > 0.001


def test_scripts_without_spaces_are_compared_by_pairs_of_characters() -> None:
    made = [Item("i", "intent", (Turn("user", "我要退货退款"),))]
    found = inputs.learn(made, np.zeros(1, dtype=int), ["i"])
    near, far = (found.of([Item("n", "intent", (Turn("user", text),))])[0, 0] for text in ("我要退货了", "物流到哪里"))
    assert near < 0.5 < far == 1.0


def test_few_items_and_none_tell_nothing(known: inputs.Inputs) -> None:
    assert known.compare(known.of([]), np.zeros(0, dtype=int)) == (1.0, [])
    few = items(5, 77, STRANGE)
    assert known.compare(known.of(few), np.zeros(5, dtype=int)) == (1.0, [])


def test_a_night_on_which_the_release_abstains_from_all_is_compared_too(known: inputs.Inputs) -> None:
    silent = np.full(60, -1)
    assert known.compare(known.of(items(60, 78)), silent)[0] > 0.01
    assert known.compare(known.of(items(60, 78, STRANGE)), silent)[0] < 0.001


def test_they_are_read_back_and_broken_ones_refused(known: inputs.Inputs, tmp_path: Path) -> None:
    file = tmp_path / "i.npz"
    known.save(file)
    again = inputs.load(file)
    made = items(20, 5, WORDS + STRANGE)
    np.testing.assert_array_equal(again.of(made), known.of(made))
    np.testing.assert_array_equal(again.features, known.features)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ReleaseError, match="run fit again"):
        inputs.load(file)
