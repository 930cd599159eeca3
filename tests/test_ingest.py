"""Ingest into real Delta tables: what goes in, what goes to quarantine under which code, and what a second run does."""

import json
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import reduce
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pyarrow as pa
import pytest
from PIL import Image
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import ingest_merge, source_csv, sql
from jobs.ingest import ingest
from jobs.lake import Lake
from jobs.sources import records
from jobs.tables import TABLES
from kdsl.config import Settings
from kdsl.errors import ConfigError, TooMuchBadInput
from kdsl.importers.options import Options
from kdsl.importers.staged import SCHEMA
from kdsl.taxonomy import load

TAXONOMY = """
name: test
tasks:
  - {name: intent, asked_of: conversation, question: "What?", labels: [{name: track}, {name: refund}]}
  - {name: scene, asked_of: image, question: "Which?", labels: [{name: order}, {name: chat}]}
"""
DAY, LATER = date(2026, 1, 5), date(2026, 1, 9)
JANUARY = {"date_from": date(2026, 1, 1), "date_to": date(2026, 1, 31)}


def settings(folder: Path, name: str = "lake", **ingest_settings) -> Settings:
    taxonomy = folder / "taxonomy.yaml"
    taxonomy.write_text(TAXONOMY)
    return Settings(lake=str(folder / name), taxonomy=str(taxonomy), ingest=ingest_settings)


def picture(colour="red", fmt="JPEG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, fmt)
    return buffer.getvalue()


def huge_png() -> bytes:
    """200 megapixels by its header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def talk(name: str, text="where is it", *images, **changes) -> bytes:
    turns = [{"speaker": "user", "text": text, "images": list(images)}, {"speaker": "agent", "text": "we look"}]
    data = {"conversation_id": name, "event_date": str(DAY), "turns": turns, **changes}
    return json.dumps({key: value for key, value in data.items() if value is not ...}).encode()


def rows_of(lake: Lake, name: str, *columns: str) -> set[tuple]:
    return {tuple(row) for row in lake.df(name).select(*columns).collect()}


# Bad input: one ingest of two files, in several blocks, with one fault a line

BAD_LINES = {
    "broken JSON line": (b'{"conversation_id": "x', "broken_json", "the line is no JSON"),
    "nested too deeply": (b"[" * 100_000, "broken_json", "nested too deeply"),
    "no UTF-8": (b'{"conversation_id": "\xff\xfe"}', "bad_text", "the line is no UTF-8"),
    "wrong type": (talk("b1", turns="hello"), "wrong_type", "turns is a string; a list is wanted"),
    "missing key": (talk("b2", turns=...), "missing_key", "turns is missing"),
    "empty dialogue": (talk("b3", turns=[]), "empty_dialogue", "there is no turn"),
    "no shopper turn": (
        talk("b4", turns=[{"speaker": "agent", "text": "hello"}]),
        "no_user_turn",
        "no turn is the shopper's",
    ),
    "1,000,000-character turn": (talk("b5", "x" * 1_000_000), "turn_too_long", "1,000,000 characters; at most 20,000"),
    "line of 17 MB": (talk("b6", "x" * 17_000_000), "turn_too_long", "bytes; at most 16,777,216 go in"),
    "NUL": (talk("b7", "a\0b"), "bad_text", "turns[0].text holds a NUL character"),
    "lone surrogate": (talk("b8", "\ud83d"), "bad_text", "turns[0].text holds half a surrogate pair"),
    "<image> without picture": (talk("b9", "<image>"), "marker_without_image", "1 <image> in its text and names 0"),
    "picture without <image>": (
        talk("b10", "x", "ok.jpg"),
        "image_without_marker",
        "0 <image> in its text and names 1",
    ),
    "no date": (talk("b11", event_date=...), "missing_key", "no --from and --to were given"),
    "bad date": (talk("b12", event_date="5.1.2026"), "bad_date", "written as 2026-01-05"),
    "duplicate id": (talk("good-1", "other words"), "duplicate_id", "with other content, at a b%20.jsonl:1"),
}
BAD_PICTURES = {
    "0-byte picture": ("empty.jpg", "image_empty", "0 bytes"),
    "truncated picture": ("truncated.jpg", "image_truncated", "ends early"),
    "200-megapixel picture": ("huge.png", "image_too_large", "20,000 x 10,000 pixels"),
    "large file": ("large.jpg", "image_too_large", "at most 20,000,000 go in"),
    "no picture": ("text.jpg", "image_unreadable", "no readable picture"),
    "missing picture": ("absent.jpg", "image_missing", "cannot be opened"),
    "folder": ("sub", "image_missing", "names no file"),
    "path outside the root": ("../secret.jpg", "path_outside_root", "holds '..'"),
    "absolute path": ("/etc/hostname", "path_outside_root", "absolute"),
    "symbolic link out of the root": ("link.jpg", "path_outside_root", "symbolic link"),
    "URL as path": ("https://example.com/a.jpg", "path_is_url", "is a URL"),
}


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A lake after one ingest of good and bad records; `expected` is row_key to (code, part of the message)."""
    folder = tmp_path_factory.mktemp("shop")
    nights = folder / "nights"
    (nights / "sub").mkdir(parents=True)
    (folder / "secret.jpg").write_bytes(picture())
    (nights / "link.jpg").symlink_to(folder / "secret.jpg")
    files = {"ok.jpg": picture(), "ok2.jpg": picture("blue"), "empty.jpg": b"", "huge.png": huge_png()}
    files |= {"truncated.jpg": picture()[:400], "text.jpg": b"hello", "large.jpg": picture() + bytes(20_000_000)}
    for name, content in files.items():
        (nights / name).write_bytes(content)
    first = [
        talk(
            "good-1",
            "<image>",
            {"id": "p1", "path": "ok.jpg", "labels": {"scene": "order"}},
            labels={"intent": "track"},
        ),
        talk("good-2", "look <image>", "ok2.jpg"),
        b"",
        talk("good-3", labels={"intent": "refund"}, split="test", annotator="ann"),
        json.dumps(
            {"image_id": "alone", "event_date": str(DAY), "path": "ok.jpg", "labels": {"scene": "chat"}}
        ).encode(),
    ]
    second, expected = [talk("good-4") + b"\r"], {}
    for name, (content, code, message) in BAD_LINES.items():
        second.append(content)
        expected[name] = (f"b.jsonl:{len(second)}", code, message)
    second.append(
        talk(
            "good-1",
            "<image>",
            {"id": "p1", "path": "ok.jpg", "labels": {"scene": "order"}},
            labels={"intent": "track"},
        )
    )
    for number, (name, (path, code, message)) in enumerate(BAD_PICTURES.items()):
        second.append(talk(f"pic-{number}", "see <image>", {"id": f"bad-{number}", "path": path}))
        expected[name] = (f"b.jsonl:{len(second)}#1", code, message)
    second.append(talk("odd-1", labels={"intent": "sing"}))
    expected["unknown label"] = (f"b.jsonl:{len(second)}", "unknown_label", "labels.intent is none of the 2 labels")
    second.append(
        json.dumps(
            {"image_id": "odd-2", "event_date": str(DAY), "path": "ok.jpg", "labels": {"intent": "track"}}
        ).encode()
    )
    expected["unknown task"] = (f"b.jsonl:{len(second)}", "unknown_label", "does not ask of a image")
    second.append(json.dumps({"image_id": "alone", "event_date": str(DAY), "path": "ok2.jpg"}).encode())
    expected["duplicate picture"] = (f"b.jsonl:{len(second)}", "duplicate_id", "other content, at a b%20.jsonl:5")
    (nights / "a b%20.jsonl").write_bytes(b"\n".join(first))
    (nights / "b.jsonl").write_bytes(b"\n".join(second) + b"\n")
    configured = settings(folder, max_bad_share=1)
    split_at = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", 3_000_000)  # so that the second file has several blocks
    counts = ingest(spark, configured, format="jsonl", path=str(nights))
    lake = Lake(spark, configured.lake)
    bad = {row["row_key"]: row for row in lake.df("quarantine").collect()}
    yield SimpleNamespace(
        folder=folder, nights=nights, settings=configured, lake=lake, counts=counts, expected=expected, bad=bad
    )
    spark.conf.set("spark.sql.files.maxPartitionBytes", split_at)


@pytest.mark.parametrize("name", [*BAD_LINES, *BAD_PICTURES, "unknown label", "unknown task", "duplicate picture"])
def test_bad_input_has_its_code_and_place(shop, name):
    row_key, code, message = shop.expected[name]
    row = shop.bad[row_key]
    assert (row["error_code"], row["source"]) == (code, f"{shop.nights}/b.jsonl")
    assert message in row["message"]


def test_nothing_else_is_in_quarantine(shop):
    assert set(shop.bad) == {row_key for row_key, _, _ in shop.expected.values()}
    assert shop.counts["refused"] == len(shop.expected)
    # lines that are not blank, and the pictures of dialogues that were parsed
    assert shop.counts["records"] == 4 + 1 + len(BAD_LINES) + 1 + len(BAD_PICTURES) + 3 + (4 + len(BAD_PICTURES)) - 1


def test_what_is_good_goes_in(shop):
    good = {"good-1", "good-2", "good-3", "good-4", "odd-1"} | {f"pic-{number}" for number in range(len(BAD_PICTURES))}
    assert rows_of(shop.lake, "conversations", "conversation_id") == {(name,) for name in good}
    assert rows_of(shop.lake, "images", "image_id", "conversation_id", "event_date") == {
        ("p1", "good-1", DAY),
        ("good-2/ok2.jpg", "good-2", DAY),
        ("alone", None, DAY),
        ("odd-2", None, DAY),
    }
    assert rows_of(shop.lake, "gold_labels", "item_id", "task", "label", "split", "annotator") == {
        ("good-1", "intent", "track", "train", None),
        ("p1", "scene", "order", "train", None),
        ("good-3", "intent", "refund", "test", "ann"),
        ("alone", "scene", "chat", "train", None),
    }
    assert shop.counts["conversations_new"] == len(good)
    assert (shop.counts["collapsed"], shop.counts["gold"]) == (1, 4)


def test_a_bad_picture_keeps_its_place_in_the_turn(shop):
    turns = shop.lake.df("conversations").where("conversation_id = 'pic-0'").select("turns").collect()[0][0]
    assert (turns[0]["text"], turns[0]["image_ids"]) == ("see <image>", ["bad-0"])


def test_the_bytes_are_in_the_lake(shop):
    row = shop.lake.df("images").where("image_id = 'p1'").collect()[0]
    assert (bytes(row["content"]), row["path"]) == (picture(), None)


def test_staging_is_gone(shop):
    assert list((shop.folder / "lake" / "_staging").iterdir()) == []


# The same lake again: nothing, an update, a move, a kill in between


def test_the_same_input_twice_adds_no_version(spark, shop):
    assert {len(row["record_hash"]) for row in shop.bad.values()} == {16}
    before = shop.lake.versions()
    counts = ingest(spark, shop.settings, format="jsonl", path=str(shop.nights))
    after = shop.lake.versions()
    assert after == {**before, "runs": before["runs"] + 1}
    assert counts["conversations_same"] == shop.counts["conversations_new"]


def label(item_id: str, task: str, day: date) -> tuple:
    now = datetime(2026, 1, 10, tzinfo=UTC)
    return (item_id, task, day, "track", 0.9, False, "rules", None, None, "r", None, "h", "run", now, None)


def test_updates_moves_and_what_is_no_longer_there(spark, shop, monkeypatch, capsys):
    kept = [label("good-1", "intent", DAY), label("good-3", "intent", DAY), label("alone", "scene", DAY)]
    gone = [label("good-2", "intent", DAY), label("good-2/ok2.jpg", "scene", DAY), label("p1", "scene", DAY)]
    labels = spark.createDataFrame(kept + gone, TABLES["labels"].columns)
    for table in ("labels", "shadow_labels"):
        shop.lake.append(table, labels)
    changed = shop.folder / "nights" / "changed.ndjson"
    changed.write_bytes(
        b"\n".join(
            [
                talk("good-1", "the picture is gone", labels={"intent": "refund"}),
                talk("good-2", "look <image>", "ok2.jpg", event_date=str(LATER)),
                talk("good-3", labels={"intent": "refund"}, split="test"),
                talk("good-5"),
            ]
        )
    )

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ingest_merge.Merge, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(spark, shop.settings, format="jsonl", path=str(changed))
    # What moves is pending again before it moves; nothing is labelled in two places.
    assert rows_of(shop.lake, "labels", "item_id") == {("good-1",), ("good-3",), ("alone",)}
    counts = ingest(spark, shop.settings, format="jsonl", path=str(changed))
    stored = rows_of(shop.lake, "conversations", "conversation_id", "event_date")
    assert {row for row in stored if row[0].startswith("good")} == {
        ("good-1", DAY),
        ("good-2", LATER),
        ("good-3", DAY),
        ("good-4", DAY),
        ("good-5", DAY),
    }
    assert rows_of(shop.lake, "images", "image_id", "event_date") == {
        ("good-2/ok2.jpg", LATER),
        ("alone", DAY),
        ("odd-2", DAY),
    }
    for table in ("labels", "shadow_labels"):
        assert rows_of(shop.lake, table, "item_id") == {("good-1",), ("good-3",), ("alone",)}
    assert ("good-1", "refund") in rows_of(shop.lake, "gold_labels", "item_id", "label")
    assert [counts[f"conversations_{state}"] for state in ("new", "updated", "moved", "same")] == [1, 1, 1, 1]
    assert "2 conversations updated, 1 moved to another date" in capsys.readouterr().out


def test_ingests_at_once_leave_an_id_one_date(spark, shop, monkeypatch):
    def begun(hour: int, **days: date) -> ingest_merge.Merge:
        kinds = {name: "image" if name.startswith("p") else "conversation" for name in days}
        rows = [
            {"kind": kinds[name], "id": name, "event_date": day, "turns": [], "hash": "h", "file": "f"}
            | ({"conversation_id": "x", "path": "p.png"} if kinds[name] == "image" else {})
            for name, day in days.items()
        ]
        frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA))
        merge = ingest_merge.Merge(shop.lake, frame, datetime(2026, 1, 10, hour, tzinfo=UTC))
        merge.look()
        return merge

    def dated(*names: str) -> list[tuple[str, date]]:
        rows = shop.lake.df("conversations").where(F.col("conversation_id").isin(*names))
        return sorted(map(tuple, rows.select("conversation_id", "event_date").collect()))

    shop.lake.append("labels", spark.createDataFrame([label("x", "intent", DAY)], TABLES["labels"].columns))
    at_once = begun(1, x=DAY, px=DAY), begun(3, x=LATER, y=LATER), begun(2, y=DAY, z=DAY), begun(4, z=LATER)
    for merge in at_once[:3]:
        merge.write()
    assert dated("x", "y") == [("x", LATER), ("y", LATER)]  # whoever wrote last
    assert ("x",) not in rows_of(shop.lake, "labels", "item_id")
    assert ("px",) not in rows_of(shop.lake, "images", "image_id")  # a picture that the dialogue had where it went
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ingest_merge.orphans, "leave_one_date", Mock(side_effect=KeyboardInterrupt))
        at_once[3].write()
    assert dated("z") == [("z", DAY), ("z", LATER)]
    again = begun(5, z=LATER)
    again.write()
    assert dated("z") == [("z", LATER)]
    assert again.changes["conversation"].counts == {"new": 0, "updated": 0, "moved": 0, "same": 1}


def test_too_much_bad_input_writes_only_quarantine(spark, tmp_path, capsys):
    (tmp_path / "n.jsonl").write_bytes(b"\n".join([talk("c1"), talk("c2"), b"{", b"["]))
    configured = settings(tmp_path, max_bad_share=0.4)
    with pytest.raises(TooMuchBadInput) as caught:
        ingest(spark, configured, format="jsonl", path=str(tmp_path / "n.jsonl"))
    assert caught.value.exit_status == 3
    assert "2 of 4 records" in str(caught.value)
    assert "broken_json 2" in str(caught.value)
    assert "--max-bad-share" in str(caught.value)
    lake = Lake(spark, configured.lake)
    assert {name for name, version in lake.versions().items() if version >= 0} == {"quarantine", "runs"}
    assert rows_of(lake, "quarantine", "row_key") == {("n.jsonl:3",), ("n.jsonl:4",)}
    assert rows_of(lake, "runs", "state") == {("failed",)}
    # The message sends the reader to the job sql.
    sql.run(spark, configured, SimpleNamespace(query="SELECT row_key FROM quarantine ORDER BY 1", rows=9, csv=True))
    assert capsys.readouterr().out.splitlines()[-3:] == ["row_key", "n.jsonl:3", "n.jsonl:4"]


def test_another_night_in_a_file_of_the_same_name_has_its_own_faults_in_quarantine(spark, tmp_path):
    configured, file = settings(tmp_path, max_bad_share=0.1), tmp_path / "night.jsonl"
    lake = Lake(spark, configured.lake)

    def night(*lines: bytes) -> tuple[dict[str, str], int]:
        file.write_bytes(b"\n".join(lines))
        with pytest.raises(TooMuchBadInput):
            ingest(spark, configured, format="jsonl", path=str(file))
        return {row["row_key"]: row["run_id"] for row in lake.df("quarantine").collect()}, lake.version("quarantine")

    bad = talk("c1", turns="hello"), talk("c2", labels={"intent": "sing"})
    first, version = night(*bad)
    assert night(*bad) == (first, version)
    # The same fault, said in the same words, of another record.
    second, later = night(talk("c3", turns="hello"), bad[1])
    assert (second["night.jsonl:1"] != first["night.jsonl:1"], later) == (True, version + 1)
    assert second["night.jsonl:2"] == first["night.jsonl:2"]
    hashes = rows_of(lake, "quarantine", "record_hash")
    assert [len(name) for (name,) in hashes] == [16, 16]


# The other formats: one ingest of all three, since a merge costs seconds whatever it holds


CSV_ROWS = ['"my ""parcel"",\nwhere",track,1', "refund please,refund,2", "hello,,3", "refund please,refund,4"]
COLUMNS = {"text_column": "text", "label_column": "label", "task": "intent"}
LONG = "x" * 600
TICKETS = {"conversation_id": "ticket", "event_date": "at", "order": "n", "speaker": "who", "text": "said"}


@pytest.fixture(scope="module")
def formats(spark, tmp_path_factory) -> SimpleNamespace:
    """A lake after one ingest of a folder of csv, to whose records those of a mire folder and a table were added."""
    folder = tmp_path_factory.mktemp("formats")
    options, configured = _csv(folder)
    parsed = [_records(spark, *_mire(folder)), _records(spark, *_delta(spark, folder))]

    def with_the_others(*told) -> DataFrame:
        return reduce(DataFrame.unionByName, parsed, records(*told))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.ingest.records", with_the_others)
        ingest(spark, configured, **options)
    lake = Lake(spark, configured.lake)
    return SimpleNamespace(
        folder=folder,
        settings=configured,
        talks={row["conversation_id"]: row for row in lake.df("conversations").collect()},
        images=rows_of(lake, "images", "image_id", "conversation_id", "event_date", "path", "content"),
        gold=rows_of(lake, "gold_labels", "item_id", "task", "label", "split"),
        bad=rows_of(lake, "quarantine", "source", "row_key", "error_code"),
    )


def _records(spark, options: Options, configured: Settings) -> DataFrame:
    taxonomy = load(configured.taxonomy)
    checked = options.checked(configured.ingest, taxonomy)
    return records(spark, checked, configured.ingest, checked.intake(configured.ingest, taxonomy))


def _csv(folder: Path) -> tuple[dict, Settings]:
    (folder / "csv").mkdir()
    (folder / "csv" / "a.csv").write_text("\n".join(["text,label,n", *CSV_ROWS]))
    (folder / "csv" / "b.csv").write_text('text,label,n\nshort\n"never closed,track,1\nx,track,2\n')
    inside = folder / "csv" / "n=7"  # as Spark names folders after a column
    inside.mkdir()
    (inside / "b.csv").write_text("text,label,n\nshort\nin a folder,,5\n")
    options = {"format": "csv", "path": str(folder / "csv"), "split": "test", **COLUMNS, **JANUARY}
    return options, settings(folder, max_bad_share=1)


def _mire(folder: Path) -> tuple[Options, Settings]:
    root, (start, end) = folder / "mire", ("<用户与客服的对话 START>", "<用户与客服的对话 END>")
    (root / "images").mkdir(parents=True)
    (root / "images" / "r1-0.jpg").write_bytes(picture())
    (root / "images" / "r2-0.jpg").write_bytes(picture("blue"))
    talks = f"...\n{start}\n用户: 看 <image>\n第二行\n客服: \n{end}\n..."
    entries = [
        {"id": "r1", "instruction": talks, "input": "", "output": "track", "image": ["r1-0.jpg"]},
        {"id": "r2", "instruction": "Picture 1: <image>\n...", "input": "", "output": "chat", "image": ["r2-0.jpg"]},
        {"id": "r3", "instruction": "nothing", "input": "", "output": "track", "image": []},
        {"instruction": "nobody"},
    ]
    (root / "train.json").write_text(json.dumps(entries, ensure_ascii=False, indent=1))
    return Options("mire", str(root), **JANUARY), settings(folder, store_images="path", image_root=str(root))


def _delta(spark, folder: Path) -> tuple[Options, Settings]:
    (folder / "pics").mkdir()
    (folder / "pics" / "a.jpg").write_bytes(picture())
    morning, noon = datetime(2026, 1, 5, 8, tzinfo=UTC), datetime(2026, 1, 5, 12, tzinfo=UTC)
    spark.createDataFrame(
        [
            ("t1", noon, 2, "staff", None, None, "track"),
            ("t1", morning, 1, "buyer", "see this", ["a.jpg"], "track"),
            ("t2", morning, 1, "staff", "hello", None, None),
            (None, morning, 1, "buyer", "lost", None, None),
            *((LONG + name, morning, 1, "buyer", "hello", None, None) for name in "ab"),
        ],
        "ticket STRING, at TIMESTAMP, n INT, who STRING, said STRING, pics ARRAY<STRING>, gold STRING",
    ).write.format("delta").save(str(folder / "tickets"))
    columns = {**TICKETS, "images": "pics", "labels": {"intent": "gold"}}
    configured = settings(folder, image_root=str(folder / "pics"), columns=columns)
    return Options("delta", str(folder / "tickets"), "train"), configured


def test_mire_and_pictures_by_path(formats):
    talked = formats.talks["r1"]
    assert [tuple(turn) for turn in talked["turns"]] == [
        ("user", "看 <image>\n第二行", ["r1-0.jpg"]),
        ("agent", "", []),
    ]
    assert JANUARY["date_from"] <= talked["event_date"] <= JANUARY["date_to"]
    pictures = {row[0]: (row[1], *row[3:]) for row in formats.images}
    assert pictures["r1-0.jpg"] == ("r1", "images/r1-0.jpg", None)
    assert pictures["r2-0.jpg"] == (None, "images/r2-0.jpg", None)
    assert {("r1", "intent", "track", "train"), ("r2-0.jpg", "scene", "chat", "train")} <= formats.gold
    assert {("r3", "empty_dialogue"), ("train.json:4", "missing_key")} <= {row[1:] for row in formats.bad}


def test_csv_files_with_their_columns_in_another_order_are_refused(spark, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nhello,track\n")
    (tmp_path / "b.csv").write_text("label,text\ntrack,hello\n")
    with pytest.raises(ConfigError, match="different headers"):
        ingest(spark, settings(tmp_path), format="csv", path=str(tmp_path), **COLUMNS, **JANUARY)


def test_columns_without_a_name_do_not_matter_and_one_named_twice_is_named(spark, tmp_path):
    def told(header: str, *rows: str, name: str = "a", **columns: str) -> list[tuple]:
        (tmp_path / f"{name}.csv").write_text("\n".join((header, *rows)) + "\n" if header else "")
        options = Options("csv", str(tmp_path if name == "b" else tmp_path / f"{name}.csv"), **{**COLUMNS, **columns})
        return sorted(map(tuple, source_csv.csv_rows(spark, options).select("text", "label", "malformed").collect()))

    rows = ("0,hello,track,", "1,where,refund,", "2,short", '3,"a\nb",,x')
    found = told(",text,label,", *rows)  # as pandas writes its index
    assert found[:3] == [("a\nb", None, False), ("hello", "track", False), ("short", None, True)]
    assert told("text,label1,,", "hello,track,,", label_column="label1") == [("hello", "track", False)]
    with pytest.raises(ConfigError, match=r"holds 'Text', 'text' more than once; rename all but one"):
        told("text,label,n,Text", "hello,track,1,other")
    with pytest.raises(ConfigError, match=r"'text0' is no column of .*; its columns: label, text"):
        told(",label,text", "0,track,hello", text_column="text0")
    with pytest.raises(ConfigError, match=r"empty\.csv is empty; a CSV file begins with a line"):
        told("", name="empty")
    (tmp_path / "empty.csv").unlink()
    with pytest.raises(ConfigError, match="have different headers"):
        told("label,text,", "track,hello,", name="b")


def test_csv(spark, formats, tmp_path):
    texts = {key: row["turns"][0]["text"] for key, row in formats.talks.items() if row["source"] == "a.csv"}
    assert sorted(texts.values()) == ["hello", 'my "parcel",\nwhere', "refund please", "refund please"]
    assert all(JANUARY["date_from"] <= formats.talks[key]["event_date"] <= JANUARY["date_to"] for key in texts)
    gold = {(texts[item], label, split) for item, _, label, split in formats.gold if item in texts}
    assert gold == {('my "parcel",\nwhere', "track", "test"), ("refund please", "refund", "test")}
    assert {row for row in formats.bad if "b.csv" in row[0]} == {
        (f"{formats.folder}/csv/b.csv", "b.csv:2", "wrong_type"),
        (f"{formats.folder}/csv/b.csv", "b.csv:3", "wrong_type"),
        (f"{formats.folder}/csv/n=7/b.csv", "n=7/b.csv:2", "wrong_type"),
    }
    # Rows in another order have the same ids.
    (tmp_path / "c.csv").write_text("\n".join(["text,label,n", *reversed(CSV_ROWS)]))
    moved = Options("csv", str(tmp_path / "c.csv"), **COLUMNS)
    again = source_csv.with_ids(source_csv.csv_rows(spark, moved), moved)
    assert {row["record_id"]: row["text"] for row in again.collect()} == texts
    with pytest.raises(ConfigError, match=r"--text-column: 'words' is no column of .*; its columns: text, label, n"):
        ingest(spark, formats.settings, format="csv", path=str(formats.folder / "csv"), text_column="words", **JANUARY)


def test_delta(spark, formats):
    talked = formats.talks["t1"]
    assert (talked["event_date"], talked["source"]) == (DAY, "tickets")
    assert [tuple(turn) for turn in talked["turns"]] == [
        ("user", "see this <image>", ["t1/a.jpg"]),
        ("agent", "", []),
    ]
    assert {(row[0], row[2]) for row in formats.images if row[1] == "t1"} == {("t1/a.jpg", DAY)}
    assert ("t1", "intent", "track", "train") in formats.gold
    assert {("tickets:t2", "no_user_turn"), ("tickets:", "missing_key")} <= {row[1:] for row in formats.bad}
    assert len({place for _, place, code in formats.bad if place.startswith("tickets:xxx") and code == "bad_text"}) == 2
    table, wrong = str(formats.folder / "tickets"), settings(formats.folder, columns={**TICKETS, "text": "words"})
    with pytest.raises(ConfigError, match=r"text = 'words': no such column in .*; its columns are ticket, at, n"):
        ingest(spark, wrong, format="delta", path=table)
    with pytest.raises(ConfigError, match="cannot be read as --format delta"):
        ingest(spark, wrong, format="delta", path=str(formats.folder / "pics"))


def test_nothing_else_came_of_the_three(formats):
    sources = {"a.csv": 4, "n=7/b.csv": 1, "train.json": 1, "tickets": 1}
    assert Counter(row["source"] for row in formats.talks.values()) == sources
    assert (len(formats.images), len(formats.gold), len(formats.bad)) == (3, 3 + 2 + 1, 3 + 2 + 4)


@pytest.mark.slow
def test_the_challenge_itself(spark, tmp_path):
    shared = Path(__file__).resolve().parents[2] / "shared" / "mire"
    if not shared.is_dir():
        pytest.skip("../shared/mire is not on this machine")
    configured = Settings(lake=str(tmp_path / "lake"), taxonomy="conf/taxonomies/mire.yaml")
    counts = ingest(spark, configured, format="mire", path=str(shared), **JANUARY)
    records = json.loads((shared / "train.json").read_text(encoding="utf-8"))
    talks = [record for record in records if not record["instruction"].startswith("Picture 1: <image>")]
    assert counts["conversations_new"] == len(talks)
    assert counts["images_new"] == sum(len(record["image"]) for record in records)
    assert counts["gold"] == len(records)
    assert counts["refused"] == 0
