"""One bad item costs one item; a dead model stops the stage."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from kdsl import predict, tally
from kdsl.arrow import ITEM
from kdsl.dialogue import Item, Picture, Turn
from kdsl.errors import ErrorCode, ReleaseError
from kdsl.fusion.cascade import DEAR, NEVER, Cascade
from kdsl.fusion.fusion import equal
from kdsl.models.voter import LogProbs
from kdsl.predict import Predictor
from kdsl.taxonomy import Label, Task
from udfs import predict as udf

LABELS = ("a", "b")
AB = tuple(Label(name=name) for name in LABELS)


class Scripted:
    """A fake voter: raises where an item's text says "boom", else prefers the first label."""

    labels = LABELS

    def log_probs(self, items: Sequence[Item]) -> LogProbs:
        if any("boom" in turn.text for item in items for turn in item.turns):
            raise ValueError("boom")
        return np.log(np.tile([0.9, 0.1], (len(items), 1)))

    def save(self, folder: Path) -> None:
        raise AssertionError("never saved")


def _predictor() -> Predictor:
    voter = {"linear": Scripted()}
    return Predictor(
        labels={"intent": LABELS, "scene": LABELS},
        units={"intent": "conversation", "scene": "image"},
        voters={"intent": voter, "scene": voter},
        fusions={task: equal(LABELS, voter) for task in ("intent", "scene")},
        max_turn_chars=100,
    )


def _talk(text: str, speaker: str = "user") -> Item:
    return Item("c", "intent", (Turn(speaker, text),))  # type: ignore[arg-type]


def _shot(*pictures: Picture) -> Item:
    return Item("p", "scene", pictures=pictures)


BAD = {
    ErrorCode.EMPTY_DIALOGUE: _talk("  "),
    ErrorCode.NO_USER_TURN: _talk("hello", "agent"),
    ErrorCode.TURN_TOO_LONG: _talk("x" * 1_000_000),
    ErrorCode.IMAGE_MISSING: _shot(),
    ErrorCode.IMAGE_TRUNCATED: _shot(Picture("s", 0, 0, error_code=ErrorCode.IMAGE_TRUNCATED.value)),
    ErrorCode.VOTER_FAILED: _talk("boom"),
}


def test_bad_items_get_their_code_and_the_others_their_label() -> None:
    items = [_talk("fine"), *BAD.values(), _shot(Picture("s", 10, 10)), Item("e", "intent")]
    predictions = _predictor().predict(items)
    assert [prediction.error_code for prediction in predictions] == [None, *BAD, None, ErrorCode.EMPTY_DIALOGUE]
    for prediction in predictions:
        assert prediction.decision.label == ("a" if prediction.error_code is None else None)


def test_a_model_that_fails_on_everything_is_dead() -> None:
    with pytest.raises(ReleaseError, match="ValueError on 8 items in a row"):
        _predictor().predict([_talk(f"boom {n}") for n in range(8)])


@pytest.mark.parametrize("rows", [1, 3])
def test_a_model_that_fails_on_everything_is_dead_in_small_batches_too(rows: int) -> None:
    predictor = _predictor()
    items = [_talk(f"boom {n}") for n in range(9)]
    predictor.predict([*items[:6], _talk("fine")])  # one answer, and all before it says nothing
    with pytest.raises(ReleaseError, match="items in a row"):
        for at in range(0, 9, rows):
            told = predictor.predict(items[at : at + rows])
            assert at + rows < 8
            assert [one.error_code for one in told] == [ErrorCode.VOTER_FAILED] * rows
    known = {(item.item_id, item.task) for item in items}
    told = predictor.predict(items[:1], again=known)  # it failed before: says nothing, in a worker that goes on either
    assert told[0].error_code == ErrorCode.VOTER_FAILED


def test_items_that_failed_before_say_nothing_of_the_model() -> None:
    items = [replace(_talk(f"boom {n}"), item_id=f"c{n}") for n in range(12)]
    failed = {(item.item_id, item.task) for item in items[:5]}
    predictions = _predictor().predict(items, again=failed)
    assert [prediction.error_code for prediction in predictions] == [ErrorCode.VOTER_FAILED] * 12
    with pytest.raises(ReleaseError, match="ValueError on 12 items in a row"):
        _predictor().predict(items, again={(item.item_id, "scene") for item in items[:5]})


def test_a_batch_of_rows_tells_which_failed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udf, "predictor", lambda *_: _predictor())
    turns = [{"speaker": "user", "text": "boom", "image_ids": []}]
    row = {"task": "intent", "turns": turns, "pictures": [], "event_date": date(2026, 1, 5), "input_hash": "h"}
    rows = [row | {"item_id": f"c{n}"} for n in range(8)]
    own = [pa.field("event_date", pa.date32()), pa.field("input_hash", pa.string())]

    def say(again: bool | None) -> list[str]:
        told = [one if again is None else one | {"again": again} for one in rows]
        schema = pa.schema([*ITEM, *own, *([] if again is None else [pa.field("again", pa.bool_())])])
        batch = pa.RecordBatch.from_pylist(told, schema=schema)
        (said,) = udf.predict_batches(str(tmp_path), "rel-1", 100)(iter([batch]))
        return said.column("error_code").to_pylist()

    assert say(True) == [ErrorCode.VOTER_FAILED] * 8
    for new in (False, None):
        with pytest.raises(ReleaseError, match="on 8 items in a row"):
            say(new)


class Steady(Scripted):
    """A fake voter that never fails."""

    def log_probs(self, items: Sequence[Item]) -> LogProbs:
        return np.log(np.tile([0.9, 0.1], (len(items), 1)))


@pytest.mark.parametrize("spares", [False, True])
def test_a_voter_without_a_say_that_fails_costs_nothing(spares: bool) -> None:
    """It cost the label; eight in a row ended the night. No vote is kept, as of a voter that nobody asked."""
    voters = {"linear": Steady(), "small": Scripted()} | ({DEAR: Steady()} if spares else {})
    fusion = equal(LABELS, voters).model_copy(update={"idle": ("small",)})
    if spares:
        policy = Cascade(share=0.0, price=0.2, answers=((0.9, 0.1, 0.0),) * 2, shares=(0.5, 0.5))
        others = equal(LABELS, ("linear", "small")).model_copy(update={"idle": ("small",)})
        fusion = fusion.model_copy(update={"cascade": policy, "others": others})
    idle = replace(_predictor(), voters={"intent": voters}, fusions={"intent": fusion})
    tally.taken()
    for rows in (1, 9):
        for one in idle.predict([_talk(f"boom {n}") for n in range(9)][:rows] * (9 // rows)):
            assert (one.error_code, one.decision.label, one.decision.decided_by) == (None, "a", "linear")
            assert [vote.voter for vote in one.decision.votes] == ["linear"]
    assert tally.taken()[tally.UNHEARD] == 18
    assert [vote.voter for vote in idle.predict([_talk("fine")])[0].decision.votes] == ["linear", "small"]
    with_say = replace(idle, fusions={"intent": equal(LABELS, voters)})
    assert with_say.predict([_talk("boom")])[0].error_code == ErrorCode.VOTER_FAILED
    with pytest.raises(ReleaseError, match="voter small: ValueError on 8 items in a row"):
        replace(with_say, failed=defaultdict(int)).predict([_talk(f"boom {n}") for n in range(8)])


def test_the_time_of_the_dear_voter_is_counted_by_item() -> None:
    voters = {"linear": Scripted(), "large": Scripted()}
    both = replace(_predictor(), voters={"intent": voters}, fusions={"intent": equal(LABELS, voters)})
    tally.taken()
    both.predict([_talk("fine"), _talk("well")])
    told = tally.taken()
    assert told[tally.DEAR_ITEMS] == 2
    assert 0 <= told[tally.DEAR_MS] < 60_000
    _predictor().predict([_talk("fine")])
    assert tally.DEAR_ITEMS not in tally.taken()


def test_two_hostile_items_do_not_stop_the_night() -> None:
    predictions = _predictor().predict([_talk("boom"), _talk("boom too")])
    assert [prediction.error_code for prediction in predictions] == [ErrorCode.VOTER_FAILED] * 2


def test_the_dear_voter_alone_gives_its_vote_or_a_code() -> None:
    """Nobody else is asked again of what a cascade spared it."""

    class Never(Scripted):
        def log_probs(self, items: Sequence[Item]) -> LogProbs:
            raise AssertionError("asked")

    voters = {"linear": Never(), DEAR: Scripted()}
    both = replace(
        _predictor(),
        voters=dict.fromkeys(("intent", "scene"), voters),
        fusions={task: equal(LABELS, voters) for task in ("intent", "scene")},
    )
    items = [_talk("fine"), *BAD.values(), _shot(Picture("s", 10, 10)), _talk("more")]
    said = both.ask_dear(items)
    assert [one.error_code for one in said] == [None, *BAD, None, None]
    for one in said:
        assert one.decision.label is None
        votes = [(vote.voter, vote.label, vote.score) for vote in one.decision.votes]
        assert votes == ([] if one.error_code else [(DEAR, "a", pytest.approx(0.9))])
    assert both.ask_dear([]) == []
    with pytest.raises(ReleaseError, match="on 8 items in a row"):
        both.ask_dear([_talk(f"boom {n}") for n in range(8)])


@pytest.mark.parametrize(
    ("price", "dear_alone", "loaded"),
    [
        (None, False, ["linear", DEAR]),
        (0.2, False, ["linear", DEAR]),
        (NEVER, False, ["linear"]),
        (NEVER, True, [DEAR]),
        (0.2, True, [DEAR]),
    ],
)
def test_a_dear_voter_that_nobody_is_sent_to_is_not_loaded(
    price: float | None, dear_alone: bool, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gigabytes for nothing; what it says of an item it is spared is told as before."""
    names, met = ("linear", DEAR), []

    def kind(name: str) -> SimpleNamespace:
        return SimpleNamespace(load=lambda *_: met.append(name) or Scripted())

    fusion = equal(LABELS, names)
    if price is not None:
        policy = Cascade(share=0.0, price=price, answers=((0.9, 0.1, 0.0),) * 2, shares=(0.5, 0.5))
        fusion = fusion.model_copy(update={"cascade": policy, "others": equal(LABELS, names[:1])})
    release = SimpleNamespace(  # a fake: what `load` asks of a release
        manifest=SimpleNamespace(voters={"intent": names}),
        taxonomy=SimpleNamespace(task=lambda name: Task(name=name, asked_of="conversation", question="?", labels=AB)),
        folder=lambda *_: Path(),
        fusion=lambda _: fusion,
    )
    release.taxonomy.language = "en"
    monkeypatch.setattr(predict, "kind", kind)
    predictor = Predictor.load(release, 100, dear_alone=dear_alone)
    assert met == loaded
    if not dear_alone:
        decision = predictor.predict([_talk("fine")])[0].decision
        assert decision.label == "a"
        assert [vote.voter for vote in decision.votes] == (["linear"] if price else list(names))


def test_no_items_give_no_predictions() -> None:
    assert _predictor().predict([]) == []
