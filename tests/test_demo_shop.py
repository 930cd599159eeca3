"""The made-up shop: same seed, same bytes; records as the format says; pictures that open, but for the broken ones."""

import json
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from kdsl import taxonomy
from kdsl.demo import shop
from kdsl.demo.chance import dice
from kdsl.demo.dialogues import talk
from kdsl.demo.intents import INTENT_NAMES, INTENTS
from kdsl.demo.pictures import FAULTS, SCENE_NAMES, broken, picture
from kdsl.demo.records import Sent, conversation
from kdsl.demo.typos import hurried
from kdsl.demo.wording import compile_template, wordings

TAXONOMY = Path(__file__).parent.parent / "conf" / "taxonomies" / "demo.yaml"
DAYS, A_DAY, EXAMPLES, TRAIN, TEST, BROKEN = 3, 12, 3, 2, 2, 1


def tiny(folder: Path, seed: int = 7) -> shop.ShopFiles:
    return shop.write(
        folder,
        seed=seed,
        days=DAYS,
        dialogues_a_day=A_DAY,
        examples=EXAMPLES,
        train_pictures=TRAIN,
        test_pictures=TEST,
        broken_pictures=BROKEN,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> shop.ShopFiles:
    return tiny(tmp_path_factory.mktemp("shop"))


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def talks(path: Path) -> list[dict]:
    return [record for record in read(path) if "turns" in record]


def images(path: Path) -> list[dict]:
    found = []
    for record in read(path):
        if "turns" in record:
            found += [image for turn in record["turns"] for image in turn.get("images", ())]
        else:
            found.append({"id": record["image_id"], "path": record["path"], "labels": record.get("labels", {})})
    return found


def shopper(record: dict) -> str:
    return " ".join(turn["text"] for turn in record["turns"] if turn["speaker"] == "user")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_same_seed_same_bytes(files, tmp_path):
    assert content(tiny(tmp_path).folder) == content(files.folder)


def test_another_seed_is_another_shop(files, tmp_path):
    other = tiny(tmp_path, seed=8)
    assert not {shopper(r) for r in talks(other.nights)} & {shopper(r) for r in talks(files.nights)}
    pictures = [{b for n, b in content(f.folder).items() if n.startswith("images/")} for f in (files, other)]
    assert len(pictures[0] & pictures[1]) <= BROKEN


def test_counts(files):
    history, nights = talks(files.history), talks(files.nights)
    gold = Counter(record["labels"]["intent"] for record in history if "labels" in record)
    assert gold == dict.fromkeys(INTENT_NAMES, EXAMPLES)
    assert Counter(record["event_date"] for record in nights) == {
        (files.first_night + timedelta(days=day)).isoformat(): A_DAY for day in range(DAYS)
    }
    for path, each in ((files.history, TRAIN), (files.nights, TEST)):
        scenes = Counter(image["labels"]["scene"] for image in images(path) if image.get("labels"))
        assert scenes == dict.fromkeys(SCENE_NAMES, each)
    assert files.n_dialogues == len(history) + len(nights)
    assert files.n_pictures == len(images(files.history)) + len(images(files.nights))
    assert files.n_broken == BROKEN


def test_every_night_has_gold_and_unlabelled_dialogues(files):
    for day in range(DAYS):
        night = (files.first_night + timedelta(days=day)).isoformat()
        records = [record for record in talks(files.nights) if record["event_date"] == night]
        assert 0 < sum("labels" in record for record in records) < len(records)


def test_history_lies_before_the_first_night(files):
    first = files.first_night
    assert first == shop.START
    for record in read(files.history):
        assert first - timedelta(days=28) <= date.fromisoformat(record["event_date"]) < first
    for record in read(files.nights):
        assert first <= date.fromisoformat(record["event_date"]) <= files.last_night


def test_labels_are_those_of_the_taxonomy():
    demo = taxonomy.load(TAXONOMY)
    assert demo.task("intent").label_names == INTENT_NAMES
    assert demo.task("scene").label_names == SCENE_NAMES
    assert all(label.description and label.aliases for task in demo.tasks for label in task.labels)


def test_records_are_valid(files):
    records = read(files.history) + read(files.nights)
    keys = [record.get("conversation_id") or record["image_id"] for record in records]
    assert len(set(keys)) == len(keys)
    for record in records:
        for turn in record.get("turns", ()):
            assert set(turn) <= {"speaker", "text", "images"}
            assert turn["speaker"] in {"user", "agent"}
            assert turn["text"].count("<image>") == len(turn.get("images", ()))
        if "turns" in record:
            assert sum(turn["speaker"] == "user" for turn in record["turns"]) >= 1
            assert set(record.get("labels", {"intent": ""})) == {"intent"}
    named = [image["id"] for path in (files.history, files.nights) for image in images(path)]
    assert len(set(named)) == len(named)
    assert any("image_id" in record for record in records)
    assert any("images" in turn for record in talks(files.nights) for turn in record["turns"])


def test_pictures_stay_under_the_folder_and_open(files):
    root, bad = files.folder.resolve(), 0
    for image in images(files.history) + images(files.nights):
        path = (root / image["path"]).resolve()
        assert path.is_relative_to(root / "images")
        if "labels" not in image:
            bad += 1
            continue
        with Image.open(path) as opened:
            opened.load()
            assert opened.mode == "RGB"
            assert 360 <= opened.width <= 640
            assert 140 <= opened.height <= 1100
            assert path.stat().st_size < 400_000
    assert bad == BROKEN


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_pictures_do_not_decode(fault, tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(broken(fault, dice(fault)).content)
    with pytest.raises((UnidentifiedImageError, OSError)), Image.open(path) as opened:
        opened.load()


def test_broken_pictures_are_few_by_default(monkeypatch, tmp_path):
    # the default shop's plan, without rendering it
    small = picture("coupon_page", dice("any"), "history")
    monkeypatch.setattr(shop, "picture", lambda *_: small)
    files = shop.write(tmp_path)
    assert files.n_dialogues == 14 * 40 + 8 * 20 + 13
    assert files.n_pictures == 8 * 20 + 8 * 10 + files.n_broken
    assert 1 <= files.n_broken <= 0.03 * len(read(files.nights))
    night = Counter(record["event_date"] for record in talks(files.nights) if "labels" in record)
    assert len(night) == 14
    assert min(night.values()) >= 8
    outside = sum("labels" not in record for record in talks(files.history))
    assert outside == 13


def test_dialogues_are_many_dated_and_partly_out_of_scope():
    records = list(shop.dialogues(2_000, seed=3))
    assert len({record["conversation_id"] for record in records}) == 2_000
    assert [r["event_date"] for r in records] == sorted(r["event_date"] for r in records)
    assert len({r["event_date"] for r in records}) == 14
    outside = sum("labels" not in record for record in records)
    assert 0.05 < outside / len(records) < 0.11
    assert {r["labels"]["intent"] for r in records if "labels" in r} == set(INTENT_NAMES)
    assert {sum(t["speaker"] == "user" for t in r["turns"]) for r in records} >= {1, 2, 3, 5}
    assert records == list(shop.dialogues(2_000, seed=3))
    assert len({shopper(record) for record in records}) > 0.97 * len(records)


def test_nights_seldom_repeat_the_history():
    history = {shopper(record) for record in shop.dialogues(400, seed=1, part="history")}
    nights = [shopper(record) for record in shop.dialogues(1_000, seed=2)]
    assert sum(text in history for text in nights) < 0.02 * len(nights)


@pytest.mark.parametrize("intent", INTENT_NAMES)
def test_some_wordings_are_kept_for_the_nights(intent):
    ways = wordings(INTENTS[intent].say)
    assert len(ways.late) >= 5
    assert len(ways.shared) >= 10
    told = " ".join(text for at in range(100) for _, text in talk(dice(intent, at), "history", intent).said)
    fixed = {piece for way in ways.late for piece in way.pieces if isinstance(piece, str) and len(piece) > 12}
    assert fixed
    assert not any(piece in told for piece in fixed)


def test_all_choices_are_made_and_all_slots_filled():
    texts = [turn["text"] for record in shop.dialogues(3_000, seed=4) for turn in record["turns"]]
    assert not any(set("[]{}|") & set(text) for text in texts)


def test_agents_mislead():
    """An agent's words name another intent than the shopper's in a fair share of the dialogues."""
    said = [
        text
        for at in range(200)
        for who, text in talk(dice("mislead", at), "nights", "where_is_my_order").said
        if who == "agent"
    ]
    assert sum("cancel" in text or "refund" in text.lower() or "coupon" in text for text in said) > 0.1 * len(said)


def test_hurried_keeps_marks_and_words():
    text = "Please look at my parcel <image> because it's still not here"
    moods = [hurried(text, mood / 100, dice(mood)) for mood in range(100)]
    assert all(told.count("<image>") == 1 for told in moods)
    assert all(len(told.split()) == len(text.split()) for told in moods)
    assert len(set(moods)) > 10


def test_templates_make_all_their_choices():
    template = compile_template("[a|b {thing}] {thing}, [c|]")
    told = {template.say(dice(at), {"thing": "x"}) for at in range(50)}
    assert told == {"a x, c", "a x, ", "b x x, c", "b x x, "}


@pytest.mark.parametrize("count", [0, 2])
def test_marks_and_pictures_must_match(count):
    one = talk(dice("one"), "nights", "return_item", pictures=1)
    with pytest.raises(ValueError, match="mark"):
        conversation("c-1", shop.START, one, [Sent(f"i-{at}", "images/i.jpg", None) for at in range(count)], gold=True)


@pytest.mark.parametrize("scene", SCENE_NAMES)
def test_each_scene_varies(scene):
    made = [picture(scene, dice(scene, at), "nights") for at in range(4)]
    assert all(one.content != other.content for one, other in pairwise(made))
