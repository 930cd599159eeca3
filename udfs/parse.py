"""Parsing on the workers: batches of raw records in, batches of staging rows out, bounded in memory.

Raw batches carry `file`, `block`, `mid` and, by format, `value` (bytes), `size`, `key`, or columns of a row.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from kdsl.config import DeltaColumns
from kdsl.errors import BadRow, ErrorCode
from kdsl.importers import checks, jsonl, mire, rows
from kdsl.importers.admit import Intake, Place, admit, refused
from kdsl.importers.record import Record, TextLimits
from kdsl.importers.staged import BAD, SCHEMA, weight
from udfs.unquoted import Batches, unquoted

MAX_LINE_BYTES = 16_777_216
BATCH_BYTES = 16_777_216
BATCH_ROWS = 1_000
PLACE = ("file", "block", "mid", "key")

Parse = Callable[[Batches], Batches]
Raw = Mapping[str, Any]
Blocks = Mapping[tuple[str, int], tuple[int, int]]
"""File and block to the number of its first line and the `mid` of that line."""


def parse_jsonl(intake: Intake, blocks: Blocks) -> Parse:
    """Lines of our own format."""
    return _parse(lambda raw: _from_line(raw, jsonl.parse, intake.limits), intake, blocks)


def parse_mire(intake: Intake) -> Parse:
    """Records of the challenge's form, as `split_list` yields them."""
    return _parse(lambda raw: _from_line(raw, _mire, intake.limits), intake, {})


def parse_csv(intake: Intake, blocks: Blocks, task: str) -> Parse:
    """Rows of CSV files."""
    return _parse(lambda raw: rows.from_csv(raw, task, intake.limits), intake, blocks)


def parse_turns(intake: Intake, columns: DeltaColumns) -> Parse:
    """Conversations collected from a user's own table."""
    return _parse(lambda raw: rows.from_turns(raw, columns, intake.limits), intake, {})


@unquoted
def split_list(batches: Batches) -> Batches:
    """Whole files with a JSON list each, to one row a record: `file`, `mid`, `key`, `value`, `size`, `fault`."""
    for batch in batches:
        for raw in batch.to_pylist():
            yield from _in_batches(_entries(raw), LISTED, lambda row: 200 + row["size"])


LISTED = pa.schema(
    [
        ("file", pa.string()),
        ("block", pa.int64()),
        ("mid", pa.int64()),
        ("key", pa.string()),
        ("value", pa.binary()),
        ("size", pa.int64()),
        ("fault", pa.list_(pa.string())),
    ]
)


def _parse(read: Callable[[Raw], Record | None], intake: Intake, blocks: Blocks) -> Parse:
    def told(raw: Raw) -> Iterator[dict[str, Any]]:
        place = _place(raw, blocks)
        try:
            record = read(raw)
        except BadRow as error:
            yield refused(place, error)
            return
        if record is not None:
            yield from admit(record, place, intake)

    def staged(batches: Batches) -> Iterator[dict[str, Any]]:
        for batch in batches:
            for raw in batch.to_pylist():
                digest = ""  # of a record of which anything is bad, once: it may be long, with many a bad picture
                for row in told(raw):
                    if row["kind"] == BAD:
                        digest = digest or _digest(raw)
                        yield {**row, "hash": digest}
                    else:
                        yield row

    return unquoted(lambda batches: _in_batches(staged(batches), SCHEMA, weight))


def _in_batches(
    entries: Iterable[dict[str, Any]], schema: pa.Schema, weigh: Callable[[dict[str, Any]], int]
) -> Batches:
    held: list[dict[str, Any]] = []
    heavy = 0
    for entry in entries:
        held.append(entry)
        heavy += weigh(entry)
        if heavy >= BATCH_BYTES or len(held) >= BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(held, schema=schema)
            held, heavy = [], 0
    if held:
        yield pa.RecordBatch.from_pylist(held, schema=schema)


def _place(raw: Raw, blocks: Blocks) -> Place:
    first_line, first_mid = blocks.get((raw["file"], raw["block"]), (1, 0))
    line = first_line + raw["mid"] - first_mid
    file = unquote(raw["file"])
    return Place(file, line, raw.get("key") or f"{file}:{line}")


def _digest(raw: Raw) -> str:
    """SHA-256 of what the record holds, wherever it stands."""
    content = sorted((key, value) for key, value in raw.items() if key not in PLACE)
    return hashlib.sha256(repr(content).encode("utf-8", "backslashreplace")).hexdigest()


def _from_line(raw: Raw, parse: Callable[[bytes, TextLimits], Record], limits: TextLimits) -> Record | None:
    if raw.get("fault"):
        code, message = raw["fault"]
        raise BadRow(ErrorCode(code), message)
    if raw["size"] > MAX_LINE_BYTES:
        raise BadRow(ErrorCode.TURN_TOO_LONG, f"the line has {raw['size']:,} bytes; at most {MAX_LINE_BYTES:,} go in")
    value: bytes = raw["value"]
    return parse(value, limits) if value.strip() else None


def _mire(value: bytes, limits: TextLimits) -> Record:
    return mire.parse(checks.from_json(value, "the record"), limits)


def _entries(raw: Raw) -> Iterator[dict[str, Any]]:
    import json

    common = {"file": raw["file"], "block": 0}
    try:
        entries = mire.records(raw["value"])
    except BadRow as error:
        yield {**common, "mid": 0, "size": 0, "fault": [error.code.value, error.message]}
        return
    for number, entry in enumerate(entries):
        value = json.dumps(entry).encode()
        yield {**common, "mid": number, "key": mire.identity(entry), "value": value, "size": len(value)}
