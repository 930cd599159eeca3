"""The miniatures: small enough, made by a seed, trained on nothing of the demo's shop, loaded as any checkpoint."""

import json
import multiprocessing
import re
import time
from dataclasses import asdict
from random import Random

import numpy as np
import pytest

from kdsl.demo.intents import INTENTS
from kdsl.demo.miniature import __main__ as command
from kdsl.demo.miniature import beside, build, corpus, train
from kdsl.demo.miniature.blocks import BLOCKS
from kdsl.demo.miniature.recipe import RECIPES, SEED, WEIGHTS, Recipe, Shape
from kdsl.demo.miniature.screens import kinds
from kdsl.demo.miniature.shots import shot
from kdsl.demo.miniature.train import Trainer, make
from kdsl.demo.miniature.wishes import wishes
from kdsl.dialogue import Item, Turn
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings

LITTLE = Recipe("little", Shape(40, 64, 1, 2, 1, 32, 1, 2, 600), steps=4, rate=1e-2, talks=6, shots=3)


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_miniature_has_at_most_two_million_four_hundred_thousand_parameters(name):
    shape = RECIPES[name].shape
    known = build.tokenizer(["words"], 400)
    count = sum(value.numel() for value in build.model(shape, known, 1).parameters())
    assert count + (shape.vocabulary - len(known)) * shape.hidden <= 2_400_000


def test_small_is_smaller_than_large():
    sizes = {
        name: sum(value.numel() for value in build.model(one.shape, build.tokenizer(["a"], 300), 1).parameters())
        for name, one in RECIPES.items()
    }
    assert sizes["small"] < sizes["large"] / 2


def test_the_corpus_is_broad_and_knows_no_sentence_of_the_demo_shop():
    assert len(wishes()) >= 50
    assert len(kinds()) >= 25
    assert sum(len(wish.ways) for wish in wishes()) >= 240
    shop = {
        _bare(line) for lines in INTENTS.values() for part in ("say", "vague", "again") for line in getattr(lines, part)
    }
    own = {
        _bare("".join(str(piece) for piece in way.pieces if isinstance(piece, str)))
        for wish in wishes()
        for way in wish.ways
    }
    assert len(shop) > 100
    assert not {line for line in shop & own if len(line.split()) > 3}


def _bare(line: str) -> str:
    return re.sub(r"\W+", " ", re.sub(r"\[[^\]]*\]|\{\w+\}", " ", line)).strip().lower()


@pytest.mark.parametrize("nth", range(len(kinds())))
def test_every_kind_of_screen_is_drawn_and_its_blocks_are_known(nth):
    kind = kinds()[nth]
    assert kind.description
    assert all(name in BLOCKS or name in {"photo", "portrait", "paper"} for name, _ in kind.blocks)
    made = [shot(Random(seed), kind) for seed in range(4)]
    assert made[0].image.tobytes() == shot(Random(0), kind).image.tobytes()
    assert len({one.image.tobytes() for one in made}) == 4
    assert all(one.title in (*kind.titles, "") for one in made)


def test_the_blocks_of_a_picture_are_known_row_by_row():
    made = [shot(Random(seed), kind) for seed in range(6) for kind in kinds()]
    rows = [corpus.blocks(one, 9) for one in made]
    names = {corpus.BLOCK_NAMES[place] for of_one in rows for place in of_one}
    assert len(names) > 30
    for one, places in zip(made, rows, strict=True):
        if one.title:
            assert corpus.BLOCK_NAMES[places[0]] == "head"
            own = {name for name, _ in one.kind.blocks} | {"head", ""}
            assert {corpus.BLOCK_NAMES[place] for place in places} <= own


def _trained(kept=None, stop_at=None):
    trainer, points = Trainer(LITTLE, 1), []

    def note(point):
        points.append(point)
        if point.step == stop_at:
            raise KeyboardInterrupt

    trainer.train(LITTLE.steps, note, every=1, kept=kept)
    weights = [value.detach().numpy().copy() for value in trainer.model.parameters()]
    return points, weights, trainer.losses(corpus.made(1, 0, LITTLE.talks, LITTLE.shots))[1]


def _drawing():
    """Processes that draw; other tests may have some of their own."""
    return set(multiprocessing.active_children())


def test_what_is_learned_from_is_drawn_beside_in_turn_and_nothing_outlives_the_training():
    others = _drawing()
    with beside.drawn(LITTLE, 1, range(2, 100)) as coming:
        (process,) = _drawing() - others
        for step in (2, 3):
            drawn, wanted = next(coming), corpus.made(1, step, LITTLE.talks, LITTLE.shots)
            assert drawn.talks == wanted.talks
            assert drawn.shots.kinds == wanted.shots.kinds
            images = [[one.image.tobytes() for one in made.shots.shots] for made in (drawn, wanted)]
            assert images[0] == images[1]
    assert not process.is_alive()


@pytest.mark.parametrize("taken", [0, 1])
def test_a_drawing_process_that_died_is_told(taken):
    others = _drawing()
    with (
        pytest.raises(ChildProcessError, match=r"exit code -9\).*goes on from the last step"),
        beside.drawn(LITTLE, 1, range(100)) as coming,
    ):
        (process,) = _drawing() - others
        for _ in range(taken):
            next(coming)
            time.sleep(0.5)  # it stands in the middle of sending the next ones
        process.kill()
        list(coming)


def test_training_lowers_the_loss_and_goes_on_after_a_kill_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "SAVED_EVERY", 2)
    points, weights, after = _trained()
    assert {"words", "wishes", "kinds", "blocks", "wishes_right", "kinds_right", "blocks_right"} == set(points[0].means)
    assert all(after[name] < points[0].means[name] for name in ("words", "blocks"))
    with pytest.raises(KeyboardInterrupt):
        _trained(tmp_path / "state", stop_at=3)
    again = _trained(tmp_path / "state")
    assert [point.step for point in again[0]] == [3, 4]  # the state of step 2 was kept
    assert all(np.array_equal(a, b) for a, b in zip(weights, again[1], strict=True))


def test_what_training_writes_loads_as_any_checkpoint(tmp_path, intent, capsys):
    make(LITTLE, tmp_path / "little", lambda _: None, steps=2)
    told = json.loads((tmp_path / "little" / "training.json").read_text())
    assert told["recipe"]["name"] == "little"
    assert told["curve"][-1]["step"] == 2
    scorer = Scorer.load(ModelSettings(path=str(tmp_path / "little"), device="cpu"))
    scored = scorer.score(intent, [Item("a", "intent", (Turn("user", "where is it"),))], {})
    assert np.isfinite(scored.log_probs).all()
    assert not (tmp_path / "little" / "unfinished").exists()


@pytest.mark.parametrize("name", list(RECIPES))
def test_the_committed_weights_are_those_of_the_recipe(name):
    told = json.loads((WEIGHTS / name / "training.json").read_text())
    assert told["recipe"] == json.loads(json.dumps(asdict(RECIPES[name])))
    assert told["seed"] == SEED
    assert told["curve"][-1]["step"] == RECIPES[name].steps
    assert (WEIGHTS / name / "model.safetensors").stat().st_size <= 5_000_000
    scorer = Scorer.load(ModelSettings(path=str(WEIGHTS / name), device="cpu"))
    assert sum(value.numel() for value in scorer.loaded.model.parameters()) <= 2_400_000


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["huge"])
    assert "invalid choice" in capsys.readouterr().err
