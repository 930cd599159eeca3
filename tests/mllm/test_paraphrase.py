"""Paraphrases: what a model writes is learned from only where it still says the same; held-out examples get none."""

from dataclasses import replace
from random import Random

import pytest

from kdsl.dialogue import Item, Turn
from kdsl.models import paraphrase
from kdsl.models.augment import AugmentSettings
from kdsl.models.lessons import Lesson, course
from kdsl.models.lora import post_train
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.paraphrase import FEW_TOKENS, Draft, agreeing, first_line, sound
from kdsl.models.writer import Writer
from kdsl.taxonomy import Task

WAYS = {
    "where": (
        "where is my parcel", "my package has not arrived yet", "when will the delivery come",
        "track my shipment please", "has my order been shipped already", "the courier did not come with my parcel",
    ),
    "cancel": (
        "please cancel my order", "I do not want it any more, cancel it", "stop my purchase before it is paid",
        "can I still cancel what I ordered", "call off my order please", "I changed my mind, cancel everything",
    ),
    "refund": (
        "I want my money back", "when do I get my refund", "please pay back what I paid",
        "the refund has not reached my card", "return the money to my account", "how long does a refund take",
    ),
}  # fmt: skip
LORA = LoraSettings(rank=4, rate=5e-3, steps=4, rows=4, held_out=0.34, evaluate_every=2, save_every=2)


@pytest.fixture(scope="module")
def task() -> Task:
    labels = [{"name": name} for name in (*WAYS, "other")]
    return Task.model_validate({"name": "intent", "asked_of": "conversation", "question": "Why?", "labels": labels})


@pytest.fixture
def lesson(task: Task) -> Lesson:
    items, gold = [], []
    for label, ways in WAYS.items():
        for at, way in enumerate(ways):
            items.append(
                Item(f"{label}-{at}", "intent", (Turn("agent", "hello!"), Turn("user", way), Turn("user", "ok")))
            )
            gold.append(label)
    return Lesson(task, items, gold, [item.item_id for item in items], {})


@pytest.mark.parametrize(
    ("wording", "good"),
    [
        ("what became of order 4711, please?", True),
        ("", False),
        ("???", False),
        ("Where is order 4711?", False),  # a copy but for its case
        ("what became of my order, please?", False),  # a number lost
        ("what became of order 4712, please?", False),  # another number
        ("what became of order 4711 of May 3, please?", False),  # a number more
        ("4711?", False),
        ("order 4711 " + "and so on " * 9, False),
        ("Message: what became of order 4711", False),
        ("In other words: what of order 4711", False),
    ],
)
def test_a_wording_is_sound_by_its_looks(wording: str, good: bool) -> None:
    assert sound(wording, "where is order 4711") is good


def test_what_a_model_goes_on_to_say_is_cut_off() -> None:
    assert first_line(' "what became of it?"\nMessage: another one') == "what became of it?"
    assert first_line(" \n") == ""


def test_the_filter_keeps_what_says_the_same_and_drops_what_does_not(task: Task) -> None:
    taught = [(label, way) for label, ways in WAYS.items() for way in ways[:4]]
    unseen = [(label, way) for label, ways in WAYS.items() for way in ways[4:]]
    own = Item("a", "intent", (Turn("user", "something long enough"),))
    same = [Draft(label, own, 0, way) for label, way in unseen]
    other = [Draft(label, own, 0, way) for label in WAYS for true, way in unseen if true != label]
    assert len(agreeing(task, taught, same)) >= 5 == len(same) - 1
    assert len(agreeing(task, taught, other)) <= 1 < len(other)
    assert agreeing(task, taught, []) == []


def test_wordings_take_the_place_of_the_longest_message_and_come_from_taught_examples_only(
    lesson: Lesson, settings, monkeypatch, caplog
) -> None:
    asked: list[str] = []

    def write(self: Writer, prompt: str, n: int, seed: int) -> list[str]:
        """A fake of a model that can write: it says the same in another way, and something else."""
        text = prompt.rpartition("Message: ")[2].partition("\n")[0]
        asked.append(text)
        dice = Random(seed)
        label = next(label for label, ways in WAYS.items() if text in ways)
        other = next(name for name in WAYS if name != label)
        return [dice.choice(WAYS[label]), dice.choice(WAYS[other])][:n]

    monkeypatch.setattr(Writer, "several", write)
    caplog.set_level("INFO", "kdsl")
    made = course(lesson, {}, share=0.34, seed=1)
    told = paraphrase.told(Scorer.load(settings), made, 2, seed=1)
    taught = {item.item_id: item for items in made.by_label.values() for item in items}
    assert sorted(asked) == sorted(item.turns[1].text for item in taught.values())
    assert set(told.wordings) <= set(taught)
    assert told.held_out == made.held_out
    for name, others in told.wordings.items():
        for one in others:
            assert [turn.text for turn in one.turns][::2] == ["hello!", "ok"]
            assert one.turns[1].text in WAYS[name.split("-")[0]]
            assert one.turns[1].text != taught[name].turns[1].text
    kept = sum(len(others) for others in told.wordings.values())
    assert 0 < kept < 2 * len(taught)
    assert caplog.messages == [f"paraphrases for intent: {2 * len(taught)} asked, {_sound(caplog)} sound, {kept} kept"]
    again = paraphrase.told(Scorer.load(settings), made, 2, seed=1)
    assert again.wordings == told.wordings
    shown = {one.item for step in range(12) for one in told.draw(1, step, 4, _only(paraphrase=1.0), None)}
    assert shown == {one for item in taught.values() for one in told.wordings.get(item.item_id, (item,))}
    never = {one.item for step in range(12) for one in told.draw(1, step, 4, _only(paraphrase=0.0), None)}
    assert never == set(taught.values())


def test_a_message_whose_answer_would_fill_the_context_gets_no_wording(lesson, settings, monkeypatch, caplog) -> None:
    """It used to be asked for in a prompt that was cut at the wrong end or not at all."""
    asked: list[str] = []
    monkeypatch.setattr(Writer, "several", lambda _, prompt, *__: asked.append(prompt) or [])
    caplog.set_level("INFO", "kdsl")
    scorer = Scorer.load(settings)
    made = course(lesson, {}, share=0.34, seed=1)
    lengths = [len(item.turns[1].text) for items in made.by_label.values() for item in items]
    longest = max(lengths)
    scorer.loaded = replace(scorer.loaded, context=2 * (FEW_TOKENS + longest))
    told = paraphrase.told(scorer, made, 2, seed=1)
    assert told.wordings == {}
    assert len(asked) == len(lengths) - lengths.count(longest)
    assert f"{2 * len(asked)} asked" in caplog.text


def _sound(caplog) -> int:
    return int(caplog.messages[0].split(" sound")[0].split()[-1])


def _only(**shares: float) -> AugmentSettings:
    return AugmentSettings(**dict.fromkeys(AugmentSettings.model_fields, 0.0) | shares)


def test_a_model_that_cannot_write_adds_next_to_nothing_and_the_same_seed_gives_the_same_adapter(
    lesson: Lesson, settings, tmp_path
) -> None:
    """A real model of random weights: what it writes is noise."""
    told = LORA.model_copy(update={"augment": AugmentSettings(paraphrases=2)})
    for run in ("first", "second"):
        facts = post_train(Scorer.load(settings), [lesson], told, seed=1, folder=tmp_path / run)
        assert facts.paraphrases <= 3  # of 24 that are asked for
    first, second = ((tmp_path / run / "adapter.safetensors").read_bytes() for run in ("first", "second"))
    assert first == second


def test_an_adapter_tells_how_many_wordings_it_learned_from(lesson: Lesson, settings, tmp_path, monkeypatch) -> None:
    def write(self: Writer, prompt: str, n: int, seed: int) -> list[str]:
        """A fake of a model that can write."""
        text = prompt.rpartition("Message: ")[2].partition("\n")[0]
        return [f"{text}, thank you", f"hi, {text}"]

    monkeypatch.setattr(Writer, "several", write)
    told = LORA.model_copy(update={"augment": AugmentSettings(paraphrases=2)})

    def stop(progress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        post_train(Scorer.load(settings), [lesson], told, seed=1, folder=tmp_path / "cut", report=stop)
    facts = post_train(Scorer.load(settings), [lesson], told, seed=1, folder=tmp_path / "cut")
    assert facts == post_train(Scorer.load(settings), [lesson], told, seed=1, folder=tmp_path / "whole")
    assert facts.paraphrases > 12
    cut, whole = ((tmp_path / run / "adapter.safetensors").read_bytes() for run in ("cut", "whole"))
    assert cut == whole
