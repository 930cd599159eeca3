"""Each way to tell an example differently, by itself: what it changes, what it leaves, and that the seed decides."""

import re
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from kdsl.dialogue import Item, Turn
from kdsl.models import augment
from kdsl.models.augment import AugmentSettings
from kdsl.models.lessons import Course
from kdsl.models.mllm import Scorer
from kdsl.models.tuning import Tuning
from tests.mllm.test_mllm_lora import QUICK, lesson

OFF = AugmentSettings(**dict.fromkeys(AugmentSettings.model_fields, 0.0))
TALK = Item(
    "a",
    "intent",
    (
        Turn("agent", "Hello, how may I help?"),
        Turn("user", "Look at this", ("one",)),
        Turn("user", "Where is order AB-12345 of 3 May, paid $59.90?"),
        Turn("agent", "Give me a moment"),
        Turn("agent", "It is on its way"),
        Turn("user", "It should have come on Monday by the early van."),
    ),
)
MAIL = "Write to ann.lee7@shop-mail.com or see https://shop.example.com/track/AB12?x=1 and www.shop.example, now"


def told(how: str, given: Item = TALK, n: int = 60) -> list[Item]:
    """The item told by one way alone, by so many dice; each again gives the same."""
    settings = OFF.model_copy(update={how: 1.0})
    made = [augment.item(given, Random(seed), settings) for seed in range(n)]
    assert made == [augment.item(given, Random(seed), settings) for seed in range(n)]
    return made


def test_nothing_changes_where_all_is_switched_off():
    assert all(augment.item(TALK, Random(seed), OFF) == TALK for seed in range(20))
    image = Image.new("RGB", (30, 30))
    assert all(augment.picture(image, Random(seed), OFF) is image for seed in range(20))


def test_a_way_is_taken_as_often_as_its_share_says():
    for how in ("drop_turns", "merge_turns", "mask_entities", "rephrase", "drop_words"):
        always = np.mean([one != TALK for one in told(how, n=400)])
        settings = OFF.model_copy(update={how: 0.3})
        changed = np.mean([augment.item(TALK, Random(seed), settings) != TALK for seed in range(400)])
        assert 0.2 < changed / always < 0.4, how


def test_a_turn_is_left_out_and_never_a_picture_or_the_last_words():
    made = told("drop_turns")
    assert {len(one.turns) for one in made} == {len(TALK.turns) - 1}
    gone = {next(turn.text for turn in TALK.turns if turn not in one.turns) for one in made}
    assert gone == {turn.text for turn in TALK.turns if turn.speaker == "agent"}
    words = Item("b", "intent", (Turn("user", "Hello"), Turn("user", "Cancel it")))
    assert {one.turns for one in told("drop_turns", words)} == {words.turns[1:]}
    only = Item("c", "intent", (Turn("user", "Cancel it"),))
    assert set(told("drop_turns", only)) == {only}


def test_a_message_of_another_example_is_put_in_before_the_last_words():
    other = Item("d", "intent", (Turn("user", "Stop it", ("d1",)), Turn("agent", "Why?"), Turn("user", " ")))
    settings = OFF.model_copy(update={"borrow_turns": 1.0})
    made = [augment.item(TALK, Random(seed), settings, [other]) for seed in range(60)]
    places = set()
    for one in made:
        (place,) = [at for at, turn in enumerate(one.turns) if turn == Turn("user", "Stop it")]
        assert (*one.turns[:place], *one.turns[place + 1 :]) == TALK.turns
        places.add(place)
    assert places == set(range(len(TALK.turns)))
    assert augment.item(TALK, Random(1), settings) == TALK
    mute = replace(other, turns=other.turns[1:])
    assert augment.item(TALK, Random(1), settings, [mute]) == TALK


def test_a_step_borrows_from_the_same_label_alone(intent):
    items = [Item(f"{at}", "intent", (Turn("user", f"text of {at % 2}/{at}"),)) for at in range(6)]
    taught = Course(intent, {label: tuple(items[label::2]) for label in (0, 1)}, (), (), {})
    settings = OFF.model_copy(update={"borrow_turns": 1.0})
    for one in taught.draw(1, 0, 30, settings, None):
        lent, own = one.item.turns
        assert own.text == f"text of {one.label}/{one.item.item_id}"
        assert lent.text.startswith(f"text of {one.label}/")
        assert lent != own


def test_neighbouring_turns_of_one_speaker_are_put_together_and_no_text_is_lost():
    (made,) = set(told("merge_turns"))
    assert [turn.speaker for turn in made.turns] == ["agent", "user", "agent", "user"]
    assert " ".join(turn.text for turn in made.turns) == " ".join(turn.text for turn in TALK.turns)
    assert [turn.image_ids for turn in made.turns] == [(), ("one",), (), ()]


def test_numbers_get_other_digits_and_all_else_stays():
    made = told("mask_entities")
    assert len(set(made)) > 50
    for one in made:
        assert [re.sub(r"\d", "0", turn.text) for turn in one.turns] == [
            re.sub(r"\d", "0", turn.text) for turn in TALK.turns
        ]
        assert "12345" not in one.turns[2].text
        assert "of 3 May" in one.turns[2].text  # a single digit counts things


def test_addresses_get_other_letters_in_the_same_shape():
    shape = re.escape(MAIL).replace(
        "ann\\.lee7@shop\\-mail\\.com", r"[a-z]{3}\.[a-z]{3}\d@[a-z]{4}\-[a-z]{4}\.[a-z]{3}"
    )
    shape = shape.replace(
        "shop\\.example\\.com/track/AB12\\?x=1", r"[a-z]{4}\.[a-z]{7}\.[a-z]{3}/[a-z]{5}/[a-z]{2}\d\d\?[a-z]=\d"
    )
    shape = shape.replace("www\\.shop\\.example", r"www\.[a-z]{4}\.[a-z]{7}")
    made = {one.turns[0].text for one in told("mask_entities", Item("b", "intent", (Turn("user", MAIL),)))}
    assert len(made) > 50
    for text in made:
        assert re.fullmatch(shape, text), text
        assert not {"ann", "shop", "track", "AB12"} & set(re.split(r"\W+", text))


def test_a_shoppers_turn_is_greeted_thanked_or_loses_case_or_stop():
    seen = set()
    for one in told("rephrase", n=300):
        (at,) = [at for at, turn in enumerate(one.turns) if turn != TALK.turns[at]] or [None]
        if at is None:
            continue  # it had no stop to lose
        before, after = TALK.turns[at].text, one.turns[at].text
        assert TALK.turns[at].speaker == "user"
        assert one.turns[at].image_ids == TALK.turns[at].image_ids
        if after == before.lower():
            seen.add("case")
        elif after == before.rstrip(".!? "):
            seen.add("stop")
        elif after.endswith(f" {before}"):
            seen.add(after.removesuffix(f" {before}"))
        else:
            assert after.startswith(f"{before} ")
            seen.add(after.removeprefix(f"{before} "))
    assert seen == {"case", "stop", *augment._LEADS, *augment._TAILS}


def test_a_few_words_of_one_turn_of_the_shopper_are_left_out():
    lost = 0
    for one in (made := told("drop_words", n=300)):
        changed = [(old, new) for old, new in zip(TALK.turns, one.turns, strict=True) if old != new]
        assert len(changed) <= 1
        for old, new in changed:
            assert old.speaker == "user"
            words = iter(old.text.split())
            assert all(word in words for word in new.text.split())  # in their order
            assert new.text
            lost += len(old.text.split()) - len(new.text.split())
    mean = np.mean([len(turn.text.split()) for turn in TALK.turns if turn.speaker == "user"])
    assert 0.08 < lost / (len(made) * mean) < 0.17
    short = Item("b", "intent", (Turn("user", "Cancel"),))
    assert set(told("drop_words", short)) == {short}


def quarters() -> Image.Image:
    """A picture that is darkest at the left above, then right above, left below, right below; with a little noise."""
    grey = np.kron(np.array([[40, 100], [160, 220]]), np.ones((100, 60)))
    noise = np.random.default_rng(3).integers(-9, 10, (200, 120, 3))
    return Image.fromarray((grey[..., None] + noise).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))


def pictures(monkeypatch, name: str) -> tuple[Image.Image, list[Image.Image]]:
    """A picture, and what one way alone makes of it, by 100 dice; each again gives the same."""
    (way,) = [one for _, one in augment.WAYS if one.__name__ == name]
    monkeypatch.setattr(augment, "WAYS", ((1.0, way),))
    always = OFF.model_copy(update={"pictures": 1.0})
    image = quarters()
    made = [augment.picture(image, Random(seed), always) for seed in range(100)]
    again = [augment.picture(image, Random(seed), always) for seed in range(100)]
    assert [one.tobytes() for one in made] == [one.tobytes() for one in again]
    return image, made


def test_a_picture_is_cropped_a_little_at_each_side(monkeypatch):
    image, made = pictures(monkeypatch, "_cropped")
    whole, lefts, tops, rights, lows = np.asarray(image), set(), set(), set(), set()
    for one in made:
        here = np.asarray(one)
        at = [
            (top, left)
            for top in range(whole.shape[0] - here.shape[0] + 1)
            for left in range(whole.shape[1] - here.shape[1] + 1)
            if (whole[top, left] == here[0, 0]).all()
            and (whole[top : top + here.shape[0], left : left + here.shape[1]] == here).all()
        ]
        ((top, left),) = at
        lefts.add(left)
        tops.add(top)
        rights.add(whole.shape[1] - left - here.shape[1])
        lows.add(whole.shape[0] - top - here.shape[0])
    for found, most in ((lefts, 10), (rights, 10), (tops, 44), (lows, 44)):
        assert len(found) > 5
        assert max(found) <= most
    tiny = Image.new("RGB", (10, 10))
    assert augment._cropped(tiny, Random(1)).size == (10, 10)


def test_a_picture_is_scaled_by_a_fifth_at_most(monkeypatch):
    image, made = pictures(monkeypatch, "_scaled")
    for side in (0, 1):
        found = [one.size[side] / image.size[side] for one in made]
        assert 0.79 <= min(found) < 0.9
        assert 1.1 < max(found) <= 1.21
    small = [np.asarray(one.resize((2, 2), Image.Resampling.BOX), float) for one in made]
    np.testing.assert_allclose(small, np.broadcast_to(small[0], np.shape(small)), atol=6)  # it shows the same


def test_a_picture_gets_other_light_within_bounds(monkeypatch):
    image, made = pictures(monkeypatch, "_coloured")
    was = np.asarray(image, float).mean()
    light = [np.asarray(one, float).mean() / was for one in made]
    assert 0.68 <= min(light) < 0.85
    assert 1.1 < max(light) <= 1.32
    assert {one.size for one in made} == {image.size}
    spread = [np.asarray(one, float).std() / np.asarray(one, float).mean() for one in made]
    assert np.ptp(spread) > 0.1  # contrast
    flat = Image.new("RGB", (20, 20), (200, 60, 60))
    tinted = [np.asarray(augment._coloured(flat, Random(seed)), float)[0, 0] for seed in range(50)]
    assert np.ptp([one[0] / one[1] for one in tinted]) > 0.3  # colour


def test_the_colours_of_a_picture_change_places(monkeypatch):
    image, made = pictures(monkeypatch, "_swapped")
    assert len({one.tobytes() for one in made}) == 6
    for one in made:
        np.testing.assert_array_equal(np.sort(np.asarray(one), 2), np.sort(np.asarray(image), 2))


def test_a_picture_is_compressed_and_still_looks_so(monkeypatch):
    image, made = pictures(monkeypatch, "_compressed")
    assert {one.mode for one in made} == {"RGB"}
    assert {one.size for one in made} == {image.size}
    off = [np.abs(np.asarray(one, float) - np.asarray(image, float)).mean() for one in made]
    assert 0.1 < min(off) < max(off) < 6
    assert len(set(off)) > 20  # of many qualities


def test_pictures_change_and_are_never_mirrored_or_turned():
    always, image = OFF.model_copy(update={"pictures": 1.0}), quarters()
    made = [augment.picture(image, Random(seed), always) for seed in range(100)]
    assert len({one.tobytes() for one in made}) > 85
    assert [one.tobytes() for one in made[:20]] == [
        augment.picture(image, Random(seed), always).tobytes() for seed in range(20)
    ]
    for one in made:
        right, low = one.width - 4, one.height - 4
        grey = one.convert("L")
        corners = [grey.getpixel(at) for at in ((3, 3), (right, 3), (3, low), (right, low))]
        assert corners == sorted(corners)
        assert np.diff(corners).min() > 15


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_labels_change_places_and_codes_as_the_prompt_says(settings, intent, share):
    told = QUICK.model_copy(update={"augment": OFF.model_copy(update={"shuffle_codes": share})})
    run = Tuning(Scorer.load(settings), [lesson(intent)], told, 1)
    known = run.scorer.loaded.tokenizer
    lists = []
    for step in range(8):
        shared, trie, _ = run._asked(run.courses[0], step)
        lines = dict(re.findall(r"^(\w+)\. (\w+)", known.decode(shared), re.MULTILINE))
        lists.append(tuple(lines.values()))
        codes = [known.decode(path).strip() for path in trie.paths]
        assert {code: label.name for code, label in zip(codes, intent.labels, strict=True)} == lines
    assert len(set(lists)) == 1 if share == 0 else len(set(lists)) > 4


def test_a_label_that_the_prompt_does_not_list_keeps_its_code(settings, intent):
    told = QUICK.model_copy(update={"augment": OFF.model_copy(update={"shuffle_codes": 1.0})})
    run = Tuning(Scorer.load(settings.model_copy(update={"labels": "none"})), [lesson(intent)], told, 1)
    asked = run.scorer.plan(intent)
    for step in range(4):
        assert tuple(path[0] for path in run._asked(run.courses[0], step)[1].paths) == asked.tokens
