"""Importers: what one record of each format becomes, and the code and message of each fault. No Spark."""

import json
import os
import re
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from kdsl import taxonomy
from kdsl.config import DeltaColumns, IngestSettings
from kdsl.dialogue import Turn
from kdsl.errors import BadRow, ConfigError, ErrorCode
from kdsl.importers import jsonl, mire, paths, rows
from kdsl.importers.admit import Intake, Place, admit
from kdsl.importers.options import Options
from kdsl.importers.record import PictureRef, Record, TextLimits, spread_date

LIMITS = TextLimits(max_turn_chars=20_000, max_turns=50)
USER = {"speaker": "user", "text": "where is it"}
TASKS = taxonomy.parse(
    {
        "name": "two",
        "tasks": [
            {
                "name": "intent",
                "asked_of": "conversation",
                "question": "What?",
                "labels": [{"name": "track"}, {"name": "refund"}],
            },
            {
                "name": "scene",
                "asked_of": "image",
                "question": "Which?",
                "labels": [{"name": "order"}, {"name": "chat"}],
            },
        ],
    },
    "test",
)


def line(**changes) -> bytes:
    data = {"conversation_id": "c1", "event_date": "2026-01-05", "turns": [USER], **changes}
    return json.dumps({key: value for key, value in data.items() if value is not ...}).encode()


def turn(text: str, *images, speaker="user") -> dict:
    return {"speaker": speaker, "text": text, "images": list(images)}


def test_a_full_line():
    record = jsonl.parse(
        line(
            turns=[
                turn("my <image> and <image>", {"id": "p", "path": "a/p.jpg", "labels": {"scene": "order"}}, "b.png"),
                {"speaker": "agent", "text": ""},
            ],
            labels={"intent": "track", "other": None, "blank": " "},
            split="dev",
            annotator="ann",
        ),
        LIMITS,
    )
    assert record == Record(
        record_id="c1",
        event_date=date(2026, 1, 5),
        turns=(Turn("user", "my <image> and <image>", ("p", "c1/b.png")), Turn("agent", "")),
        pictures=(PictureRef("p", "a/p.jpg", {"scene": "order"}), PictureRef("c1/b.png", "b.png")),
        labels={"intent": "track"},
        split="dev",
        annotator="ann",
    )


def test_a_picture_alone():
    record = jsonl.parse(b'\xef\xbb\xbf{"image_id": "p-1", "path": "p.jpg", "labels": {"scene": "chat"}}', LIMITS)
    assert record == Record("p-1", None, pictures=(PictureRef("p-1", "p.jpg", {"scene": "chat"}),))


BAD_LINES = {
    "broken": (b'{"conversation_id": "c1", ', "broken_json", "the line is no JSON"),
    "not an object": (b"[1, 2]", "wrong_type", "the line is a list; an object is wanted"),
    "nested": (b"[" * 200_000, "broken_json", "nested too deeply"),
    "nested in a key": (b'{"x": ' + b"[" * 200_000, "broken_json", "nested too deeply"),
    "nan": (b'{"conversation_id": NaN}', "broken_json", "NaN"),
    "huge integer": (b'{"conversation_id": ' + b"9" * 10_000 + b"}", "broken_json", "a number too long"),
    "not utf-8": (b'{"conversation_id": "\xff"}', "bad_text", "the line is no UTF-8"),
    "utf-16": (line().decode().encode("utf-16"), "bad_text", "the line is no UTF-8"),
    "turns as text": (line(turns="hello"), "wrong_type", "turns is a string; a list is wanted"),
    "a turn as text": (line(turns=["hello"]), "wrong_type", "turns[0] is a string; an object is wanted"),
    "text as number": (line(turns=[{**USER, "text": 5}]), "wrong_type", "turns[0].text is a number; a string"),
    "text as null": (line(turns=[{**USER, "text": None}]), "wrong_type", "turns[0].text is null; a string is wanted"),
    "id as number": (line(conversation_id=5), "wrong_type", "conversation_id is a number; a string is wanted"),
    "speaker": (line(turns=[{**USER, "speaker": "bot"}]), "wrong_type", "turns[0].speaker is neither user nor agent"),
    "labels as list": (line(labels=["track"]), "wrong_type", "labels is a list; an object is wanted"),
    "label as list": (line(labels={"intent": ["track"]}), "wrong_type", "a value of labels is a list"),
    "split": (line(split="Best Split!"), "wrong_type", "split is no name of a split"),
    "no id": (line(conversation_id=...), "missing_key", "conversation_id is missing"),
    "empty id": (line(conversation_id=" "), "missing_key", "conversation_id is empty"),
    "no turns": (line(turns=...), "missing_key", "turns is missing"),
    "no speaker": (line(turns=[{"text": "x"}]), "missing_key", "turns[0].speaker is missing"),
    "no text": (line(turns=[{"speaker": "user"}]), "missing_key", "turns[0].text is missing"),
    "no path": (line(turns=[turn("<image>", {"id": "p"})]), "missing_key", "turns[0].images[0].path is missing"),
    "no turn": (line(turns=[]), "empty_dialogue", "there is no turn"),
    "null turns": (line(turns=None), "empty_dialogue", "there is no turn"),
    "only blanks": (line(turns=[turn(" \n")]), "empty_dialogue", "no turn holds a word or a picture"),
    "no shopper": (line(turns=[turn("hello", speaker="agent")]), "no_user_turn", "no turn is the shopper's"),
    "long turn": (
        line(turns=[turn("x" * 1_000_000)]),
        "turn_too_long",
        "turn 1 has 1,000,000 characters; at most 20,000",
    ),
    "many turns": (line(turns=[USER] * 51), "too_many_turns", "51 turns; at most 50 go in"),
    "nul": (line(turns=[turn("a\0b")]), "bad_text", "turns[0].text holds a NUL character"),
    "nul in the id": (line(conversation_id="a\0b"), "bad_text", "conversation_id holds a NUL character"),
    "surrogate": (line(turns=[turn("\ud83d")]), "bad_text", "turns[0].text holds half a surrogate pair"),
    "surrogate in a label": (line(labels={"intent": "\ud83d"}), "bad_text", "a value of labels holds half"),
    "surrogate in a task": (line(labels={"\ud83d": "x"}), "bad_text", "a key of labels holds half"),
    "surrogate in a path": (line(turns=[turn("<image>", "\ud83d.jpg")]), "bad_text", "turns[0].images[0] holds half"),
    "long id": (line(conversation_id="x" * 600), "bad_text", "conversation_id has 600 characters; at most 512"),
    "marker": (
        line(turns=[turn("<image> <image>", "a.jpg")]),
        "marker_without_image",
        "2 <image> in its text and names 1",
    ),
    "picture": (line(turns=[turn("look", "a.jpg")]), "image_without_marker", "0 <image> in its text and names 1"),
    "date": (line(event_date="2026-02-30"), "bad_date", "event_date is no date"),
    "date in words": (line(event_date="20260105"), "bad_date", "written as 2026-01-05"),
    "date before Gregory": (line(event_date="0001-01-01"), "bad_date", "event_date is no date from 1900-01-01"),
    "date as number": (line(event_date=20260105), "wrong_type", "event_date is a number"),
    "one id, two pictures": (
        line(turns=[turn("<image><image>", {"id": "p", "path": "a"}, {"id": "p", "path": "b"})]),
        "duplicate_id",
        "one id and two paths",
    ),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line(name):
    content, code, message = BAD_LINES[name]
    with pytest.raises(BadRow) as caught:
        jsonl.parse(content, LIMITS)
    assert caught.value.code == ErrorCode(code)
    assert message in caught.value.message


def test_no_message_holds_words_of_the_line():
    secret = "zanzibar"
    for changes in (
        {"conversation_id": secret, "turns": [turn(secret, secret)]},
        {"split": f"{secret} {secret}"},
        {"event_date": secret},
        {"turns": [{"speaker": secret, "text": secret}]},
        {"labels": {secret: [secret]}},
    ):
        with pytest.raises(BadRow) as caught:
            jsonl.parse(line(**changes), LIMITS)
        assert secret not in str(caught.value)


# Paths of pictures


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.jpg").write_bytes(b"out of reach")
    inside = tmp_path / "root"
    (inside / "sub").mkdir(parents=True)
    (inside / "sub" / "a b.jpg").write_bytes(b"picture")
    (inside / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (inside / "in.jpg").symlink_to(inside / "sub" / "a b.jpg")
    (inside / "up").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe.jpg")
    return inside


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../secret.jpg", "path_outside_root"),
        ("sub/../../secret.jpg", "path_outside_root"),
        ("..\\secret.jpg", "path_outside_root"),
        ("/etc/passwd", "path_outside_root"),
        ("out.jpg", "path_outside_root"),
        ("up/secret.jpg", "path_outside_root"),
        ("http://example.com/a.jpg", "path_is_url"),
        ("HTTPS://example.com/a.jpg", "path_is_url"),
        ("file:///etc/passwd", "path_is_url"),
        ("//example.com/a.jpg", "path_is_url"),
        ("data:image/png;base64,AAAA", "path_is_url"),
        ("absent.jpg", "image_missing"),
        ("sub", "image_missing"),
        ("pipe.jpg", "image_missing"),
        ("x" * 3_000, "image_missing"),
    ],
)
def test_a_bad_path(root, path, code):
    with pytest.raises(BadRow) as caught:
        paths.read(str(root), path, 100)
    assert caught.value.code == ErrorCode(code)
    assert "secret" not in caught.value.message


def test_paths_that_stay_inside(root):
    assert paths.read(str(root), "sub/a b.jpg", 100) == b"picture"
    assert paths.read(str(root), "./in.jpg", 100) == b"picture"


def test_a_large_file_is_not_read(root):
    with pytest.raises(BadRow) as caught:
        paths.read(str(root), "in.jpg", 6)
    assert caught.value.code is ErrorCode.IMAGE_TOO_LARGE


# The challenge's form

START, END = "<用户与客服的对话 START>", "<用户与客服的对话 END>"


def test_a_mire_conversation():
    entry = {
        "id": "r1",
        "instruction": f"Classify.\n{START}\n用户: see <image>\nand a second line\n客服: 用户: is no speaker here\n"
        f"用户: <http> <image>\n客服: \n{END}\nAnswer.",
        "input": "",
        "output": "商品规格",
        "image": ["r1-0.jpg", "r1-1.jpg"],
    }
    assert mire.parse(entry, LIMITS) == Record(
        record_id="r1",
        event_date=None,
        turns=(
            Turn("user", "see <image>\nand a second line", ("r1-0.jpg",)),
            Turn("agent", "用户: is no speaker here"),
            Turn("user", "<http> <image>", ("r1-1.jpg",)),
            Turn("agent", ""),
        ),
        pictures=(PictureRef("r1-0.jpg", "images/r1-0.jpg"), PictureRef("r1-1.jpg", "images/r1-1.jpg")),
        labels={"intent": "商品规格"},
    )


def test_a_mire_picture():
    entry = {"id": "r2", "instruction": "Picture 1: <image>\n...", "output": "实物拍摄(含售后)", "image": ["r2-0.jpg"]}
    assert mire.parse(entry, LIMITS) == Record(
        "r2-0.jpg", None, pictures=(PictureRef("r2-0.jpg", "images/r2-0.jpg", {"scene": "实物拍摄(含售后)"}),)
    )
    assert mire.parse({**entry, "output": " "}, LIMITS).pictures[0].labels == {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": None}, "wrong_type"),
        ({"instruction": "no marks"}, "empty_dialogue"),
        ({"instruction": f"{START}\n{END}"}, "empty_dialogue"),
        ({"instruction": f"{START}\n客服: hello\n{END}"}, "no_user_turn"),
        ({"instruction": f"{START}\nhello\n用户: x\n{END}"}, "wrong_type"),
        ({"instruction": f"{START}\n用户: <image>\n{END}"}, "marker_without_image"),
        ({"image": ["a.jpg"]}, "image_without_marker"),
        ({"image": "a.jpg"}, "wrong_type"),
        ({"instruction": "Picture 1: <image>"}, "marker_without_image"),
        ({"instruction": "Picture 1: <image>", "image": ["a", "b"]}, "image_without_marker"),
    ],
)
def test_a_bad_mire_record(changes, code):
    entry = {"id": "r", "instruction": f"{START}\n用户: hello\n{END}", "output": "", "image": [], **changes}
    with pytest.raises(BadRow) as caught:
        mire.parse(entry, LIMITS)
    assert caught.value.code == ErrorCode(code)


def test_a_mire_file_that_is_no_list():
    with pytest.raises(BadRow, match="the file is an object; a list of records is wanted"):
        mire.records(b'{"a": 1}')


# Rows of tables


def csv_row(**changes) -> dict:
    return {"record_id": "r", "text": "hello", "label": "track", "malformed": False, **changes}


def test_a_csv_row():
    record = rows.from_csv(csv_row(), "intent", LIMITS)
    assert record == Record("r", None, (Turn("user", "hello"),), labels={"intent": "track"})
    assert rows.from_csv(csv_row(label=None), "intent", LIMITS).labels == {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"malformed": True}, "wrong_type"),
        ({"text": None}, "empty_dialogue"),
        ({"text": "caf\ufffd"}, "bad_text"),
        ({"text": "a\0b"}, "bad_text"),
        ({"text": "see <image>"}, "marker_without_image"),
        ({"text": "x" * 20_001}, "turn_too_long"),
        ({"record_id": None}, "missing_key"),
    ],
)
def test_a_bad_csv_row(changes, code):
    with pytest.raises(BadRow) as caught:
        rows.from_csv(csv_row(**changes), "intent", LIMITS)
    assert caught.value.code == ErrorCode(code)


def turns_row(**changes) -> dict:
    turns = [
        {"speaker": "buyer", "text": "look", "images": ["a.jpg", "b.jpg"]},
        {"speaker": "staff", "text": None, "images": None},
    ]
    row = {"record_id": "c", "event_date": "2026-01-05", "dates": 1, "turns": turns, "labels": [("intent", ["track"])]}
    return {**row, **changes}


def test_turns_of_a_table():
    assert rows.from_turns(turns_row(), DeltaColumns(), LIMITS) == Record(
        "c",
        date(2026, 1, 5),
        (Turn("user", "look <image> <image>", ("c/a.jpg", "c/b.jpg")), Turn("agent", "")),
        (PictureRef("c/a.jpg", "a.jpg"), PictureRef("c/b.jpg", "b.jpg")),
        {"intent": "track"},
    )


@pytest.mark.parametrize(("values", "found"), [([""], {}), (["", " ", "track"], {"intent": "track"})])
def test_a_blank_label_is_none(values, found):
    assert rows.from_turns(turns_row(labels=[("intent", values)]), DeltaColumns(), LIMITS).labels == found


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"record_id": "", "turns": []}, "missing_key", "conversation_id is empty"),
        ({"dates": 2}, "bad_date", "event_date differs between the turns"),
        ({"event_date": "soon"}, "bad_date", "event_date is no date"),
        ({"labels": [("intent", ["a", "b"])]}, "wrong_type", "labels of task intent differ"),
        ({"turns": [{"speaker": None, "text": "x", "images": None}]}, "wrong_type", "turn 1: speaker is null"),
    ],
)
def test_bad_turns_of_a_table(changes, code, message):
    with pytest.raises(BadRow) as caught:
        rows.from_turns(turns_row(**changes), DeltaColumns(), LIMITS)
    assert caught.value.code == ErrorCode(code)
    assert message in caught.value.message


# What goes in


def intake(root: Path, **changes) -> Intake:
    given = {"taxonomy": TASKS, "limits": LIMITS, "max_image_bytes": 100_000, "max_image_pixels": 100_000}
    return Intake(**{**given, "root": str(root), "inline": True, "split": "train", **changes})


def png(colour="red") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def admitted(content: bytes, root: Path, **changes) -> list[dict]:
    return list(admit(jsonl.parse(content, LIMITS), Place("n.jsonl", 7, "n.jsonl:7"), intake(root, **changes)))


def test_a_bad_picture_keeps_its_id_in_the_turn(tmp_path):
    (tmp_path / "good.png").write_bytes(png())
    sent = [{"path": "gone.png", "labels": {"scene": "chat"}}, {"path": "good.png", "labels": {"scene": "chat"}}]
    rows_in = admitted(line(turns=[turn("<image><image>", *sent)]), tmp_path)
    assert [(row["kind"], row["row_key"], row.get("id")) for row in rows_in] == [
        ("bad", "n.jsonl:7#1", None),
        ("image", "n.jsonl:7#2", "c1/good.png"),
        ("gold", "n.jsonl:7#2", "c1/good.png"),
        ("conversation", "n.jsonl:7", "c1"),
    ]
    assert rows_in[-1]["turns"][0]["image_ids"] == ["c1/gone.png", "c1/good.png"]
    assert sum(row["records"] for row in rows_in) == 3


@pytest.mark.parametrize("at", [0, 1])
def test_gold_of_a_picture_that_is_sent_twice_may_stand_at_either(tmp_path, at):
    (tmp_path / "a.png").write_bytes(png())
    sent = [{"path": "a.png"}, {"path": "a.png"}]
    sent[at]["labels"] = {"scene": "chat"}
    rows_in = admitted(line(turns=[turn("<image><image>", *sent)]), tmp_path)
    assert [(row["kind"], row.get("id")) for row in rows_in][:2] == [("image", "c1/a.png"), ("gold", "c1/a.png")]
    assert [row["kind"] for row in rows_in].count("gold") == 1


def test_a_changed_picture_changes_the_conversation(tmp_path):
    content = line(turns=[turn("<image>", "a.png")])
    hashes = set()
    for colour in ("red", "blue", None):
        (tmp_path / "a.png").write_bytes(png(colour) if colour else b"")
        hashes.add(admitted(content, tmp_path)[-1]["hash"])
    assert len(hashes) == 3


def test_the_hash_is_of_the_content_alone(tmp_path):
    first = admitted(line(labels={"intent": "track"}), tmp_path)[0]
    second = admitted(line(labels={"intent": "refund"}, conversation_id="c2", event_date="2026-02-01"), tmp_path)[0]
    assert first["hash"] == second["hash"]
    assert first["fingerprint"] != second["fingerprint"]


@pytest.mark.parametrize("labels", [{"intent": "zanzibar"}, {"zanzibar": "track"}, {"scene": "order"}])
def test_an_unknown_label_keeps_the_item(tmp_path, labels):
    conversation, bad = admitted(line(labels=labels), tmp_path)
    assert conversation["kind"] == "conversation"
    assert (bad["kind"], bad["error_code"], bad["records"]) == ("bad", "unknown_label", 0)
    assert "zanzibar" not in bad["message"]


def test_a_line_in_which_no_label_was_filled_in_is_a_record_of_which_nothing_goes_in(tmp_path):
    (row,) = admitted(b'{"item_id": "c1", "labels": {"intent": null}}', tmp_path)
    assert (row["kind"], row["records"], row["id"]) == ("unlabelled", 1, "c1")


def test_a_record_without_a_date(tmp_path):
    (bad,) = admitted(line(event_date=...), tmp_path)
    assert (bad["error_code"], "--from" in bad["message"]) == ("missing_key", True)
    (row,) = admitted(line(event_date=...), tmp_path, first=date(2026, 3, 1), last=date(2026, 3, 1))
    assert row["event_date"] == date(2026, 3, 1)


def test_dates_spread_evenly_over_the_whole_range():
    first, last = date(2026, 2, 27), date(2026, 3, 2)
    days = [spread_date(f"c{number}", first, last) for number in range(400)]
    assert set(days) == {date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2)}
    assert min(days.count(day) for day in set(days)) > 70
    assert spread_date("c1", first, last) == spread_date("c1", first, last)


# Options


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"format": "xml"}, {}, "--format: 'xml' is none of jsonl, csv, delta, mire"),
        ({"path": "no/such.jsonl"}, {}, "--input: no/such.jsonl is not there"),
        ({"split": "dev"}, {}, "--split: 'dev' is neither train nor test"),
        (
            {"date_from": date(2026, 1, 2), "date_to": date(2026, 1, 1)},
            {},
            "--from 2026-01-02 is after --to 2026-01-01",
        ),
        ({"date_from": date(2026, 1, 2)}, {}, "--to is missing"),
        ({"format": "mire"}, {}, "--from and --to are missing"),
        ({"format": "csv", "date_from": date(2026, 1, 1), "date_to": date(2026, 1, 2)}, {}, "--text-column is missing"),
        ({"format": "delta"}, {"columns": {"images": "pics"}}, "ingest.image_root is empty"),
        ({"format": "delta"}, {"columns": {"labels": {"mood": "m"}}}, "asks no task 'mood' of a conversation"),
        ({}, {"store_images": "path"}, "ingest.image_root is empty"),
    ],
)
def test_wrong_options(tmp_path, changes, settings, message):
    (tmp_path / "a.jsonl").write_text("{}")
    with pytest.raises(ConfigError) as caught:
        Options(**{"format": "jsonl", "path": str(tmp_path), **changes}).checked(IngestSettings(**settings), TASKS)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["_b.jsonl", ".b.jsonl"])
def test_a_file_that_spark_would_pass_over_is_refused(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(ConfigError, match=f"passes over {re.escape(name)}.*rename it"):
        Options("jsonl", str(tmp_path / name), "train").checked(IngestSettings(), TASKS)


def test_csv_options(tmp_path):
    days = {"date_from": date(2026, 1, 1), "date_to": date(2026, 1, 2)}
    given = {"format": "csv", "path": str(tmp_path), "text_column": "t", **days}
    with pytest.raises(ConfigError, match="those in it hold no file of --format csv"):
        Options(**given).checked(IngestSettings(), TASKS)
    with pytest.raises(ConfigError, match="--task is missing"):
        Options(**given, label_column="l").checked(IngestSettings(), TASKS)
    with pytest.raises(ConfigError, match="asks no task 'scene' of a conversation"):
        Options(**given, label_column="l", task="scene").checked(IngestSettings(), TASKS)
    (tmp_path / "loop").symlink_to(tmp_path)
    for passed in (".hid", "_temporary"):  # Spark reads none of them
        (tmp_path / passed).mkdir()
        (tmp_path / passed / "a.csv").write_text("t\nhello\n")
    (tmp_path / "_late.csv").write_text("t\nhello\n")
    with pytest.raises(ConfigError, match="those in it hold no file of --format csv"):
        Options(**given).checked(IngestSettings(), TASKS)


@pytest.mark.parametrize("linked", [False, True])
def test_a_folder_of_the_inputs_folder_is_read(tmp_path, linked):
    whole, day = tmp_path / "in", tmp_path / ("elsewhere" if linked else "in/date=2026-01-01")
    whole.mkdir()
    day.mkdir()
    (day / "a.jsonl").write_text("{}\n")
    if linked:
        (whole / "latest").symlink_to(day)
    assert Options("jsonl", str(whole), "train").checked(IngestSettings(), TASKS).path == str(whole)


def test_a_file_right_below_the_root_lies_in_a_folder():
    assert Options("jsonl", "/day.jsonl", "train").folder() == "/"
    assert Options("jsonl", "day.jsonl", "train").folder() == str(Path.cwd())
    assert Options("jsonl", "s3a://lake/day.jsonl", "train").folder() == "s3a://lake"
