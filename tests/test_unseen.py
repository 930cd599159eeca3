"""Pictures that came in and are not there now: what an item tells of them, and what is kept. No Spark."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jobs import perceive as perceive_job
from kdsl.arrow import ITEM, item_of
from kdsl.config import ReaderSettings
from kdsl.dialogue import Item, Line, Picture, Turn
from kdsl.errors import ErrorCode
from kdsl.features import has_anything
from kdsl.images import sha256
from kdsl.unseen import marked
from tests.test_predict import _predictor
from udfs import perceive
from udfs import predict as udf

CONTENT = b"the picture that came in"
LINES = [{"text": "Order 123", "score": 0.9, "box": [0.1, 0.1, 0.5, 0.2]}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of pictures: one as it came in, one replaced, one whose path now leads elsewhere."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "whole").write_bytes(CONTENT)
    (folder / "other").write_bytes(CONTENT + b"!")
    (tmp_path / "outside").write_bytes(CONTENT)
    (folder / "link").symlink_to(tmp_path / "outside")
    return folder


def _row(path: str | None, **changes: Any) -> dict[str, Any]:
    picture = {"image_id": "one", "sha256": sha256(CONTENT), "width": 9, "height": 9, "lines": LINES}
    picture |= {"error_code": None, "thumbnail": None, "content": None, "path": path, **changes}
    turns = [{"speaker": "user", "text": "<image>", "image_ids": ["one"]}]
    return {"item_id": "d", "task": "intent", "turns": turns, "pictures": [picture]}


@pytest.mark.parametrize("path", ["other", "gone", "link"])
def test_a_picture_that_was_read_before_and_is_not_there_now_says_so(root: Path, path: str) -> None:
    """A voter that looks at pictures used to be silent there, for good."""
    [picture] = item_of(_row("whole"), str(root)).pictures
    assert (picture.content, picture.error_code, picture.image_id) == (CONTENT, None, "one")
    away = item_of(_row(path), str(root))
    assert (away.pictures[0].content, away.pictures[0].error_code) == (None, ErrorCode.IMAGE_MISSING)
    assert has_anything(away)  # the words that were read of it are still known
    [broken] = item_of(_row(path, error_code="image_truncated"), str(root)).pictures
    assert broken.error_code == ErrorCode.IMAGE_TRUNCATED


def test_nothing_is_kept_of_a_picture_that_is_not_the_one_that_came_in(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fake:
        """A reader, scripted."""

        version = "fake"

        def read(self, content: bytes) -> Picture:
            return Picture(sha256(content), 9, 9, (Line("read", 1.0, (0.0, 0.0, 1.0, 1.0)),))

    monkeypatch.setattr(perceive, "_reader", lambda _: Fake())
    rows = [
        {"sha256": sha256(CONTENT), "content": None, "path": path} for path in ("whole", "other", "gone", "link", "/x")
    ]
    rows.append({"sha256": "in-the-lake", "content": b"bytes", "path": None})
    read = perceive.read_pictures(ReaderSettings(), str(root), 1_000)
    found = [row for batch in read(iter([pa.RecordBatch.from_pylist(rows)])) for row in batch.to_pylist()]
    assert [(row["sha256"], row["error_code"]) for row in found] == [(sha256(CONTENT), None), ("in-the-lake", None)]
    small = perceive.read_pictures(ReaderSettings(), str(root), len(CONTENT) - 1)
    assert not list(small(iter([pa.RecordBatch.from_pylist(rows[:1])])))  # no such file came in


def test_a_picture_that_is_gone_from_one_place_is_read_at_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was looked for where it was sent first, in every night."""
    there = {"second": "moved", "only": "fine"}
    asked: list[list[str]] = []

    def read(_lake: Any, _settings: Any, _reader: Any, keys: list[tuple[date, str]], _run: Any) -> set[str]:
        asked.append([name for _, name in keys])
        return {there[name] for _, name in keys if name in there}

    monkeypatch.setattr(perceive_job, "_read_chunk", read)
    day = date(2026, 1, 5)
    sent = {"moved": ["first", "second", "third"], "fine": ["only"], "lost": ["gone"]}
    chunk = [([(day, name) for name in names], sha256) for sha256, names in sent.items()]
    assert perceive_job._missing(*[None] * 3, chunk, None) == {"lost"}
    assert asked == [["first", "only", "gone"], ["second"]]


def test_the_hash_of_what_was_seen_tells_which_pictures_were_not() -> None:
    fine = Picture("a", 9, 9)
    away, broken = (replace(fine, error_code=code) for code in (ErrorCode.IMAGE_MISSING, ErrorCode.IMAGE_EMPTY))
    unread = Picture("a", 0, 0, error_code=ErrorCode.IMAGE_MISSING.value)
    hashes = [
        marked("h", Item("d", "intent", pictures=pictures))
        for pictures in ((), (fine,), (broken,), (away,), (unread,), (replace(away, sha256="b"),), (fine, away, away))
    ]
    assert hashes[:3] == ["h"] * 3
    assert hashes[6] == hashes[3]
    assert len({*hashes}) == 4
    assert all(one.startswith("h/without-") for one in hashes[3:])


def test_a_label_given_without_a_picture_has_the_hash_of_what_was_seen(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udf, "predictor", lambda *_: _predictor())
    rows = [_row(path) | {"event_date": date(2026, 1, 5), "input_hash": "h"} for path in ("whole", "gone")]
    schema = pa.schema([*ITEM, pa.field("event_date", pa.date32()), pa.field("input_hash", pa.string())])
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    [said] = udf.predict_batches(str(root), "rel-1", 100, str(root))(iter([batch]))
    assert said.column("error_code").to_pylist() == [None, None]
    whole, gone = said.column("input_hash").to_pylist()
    assert (whole, gone.partition("/")[0]) == ("h", "h")
    assert gone != whole


def test_each_turn_has_its_own_pictures() -> None:
    """One that was refused moves none of the others, nor does one that is sent twice."""
    here, away = (Picture(name, 9, 9, image_id=name) for name in ("here", "away"))
    turns = tuple(Turn("user", "", ids) for ids in (("refused",), ("here", "away"), (), ("refused", "here")))
    item = Item("d", "intent", turns, (here, away, here))
    assert item.by_turn() == [(None,), (here, away), (), (None, here)]
    nameless = replace(item, turns=turns[1:3], pictures=tuple(replace(one, image_id=None) for one in item.pictures))
    assert nameless.by_turn() == [(here, away), ()]
