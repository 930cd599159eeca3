"""What parsing writes and merging reads: one table of rows of five kinds, so that the input is parsed once."""

from typing import Any

import pyarrow as pa

from kdsl.arrow import TURN

CONVERSATION, IMAGE, GOLD, BAD = "conversation", "image", "gold", "bad"
UNLABELLED = "unlabelled"  # a line of gold in which no label was filled in: a record of which nothing goes in

SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        # Where it stands: file and line order duplicates; pos is 0 for the record, k for its k-th picture.
        ("file", pa.string()),
        ("line", pa.int64()),
        ("pos", pa.int32()),
        ("record_key", pa.string()),  # the record's row_key, also in the rows of its pictures
        ("row_key", pa.string()),  # where it stands, for a person: nights.jsonl:17, nights.jsonl:17#2
        ("records", pa.int32()),  # records it stands for: 1 a line or picture, 0 what comes besides
        ("id", pa.string()),  # of the conversation, the picture, or the item of a gold label
        ("fingerprint", pa.string()),  # differs where two records of one id differ
        ("event_date", pa.date32()),
        ("conversation_id", pa.string()),
        ("turns", pa.list_(TURN)),
        # content_hash of a conversation, sha256 of a picture, of the whole record where it is bad
        ("hash", pa.string()),
        ("content", pa.binary()),
        ("path", pa.string()),
        ("task", pa.string()),
        ("label", pa.string()),
        ("split", pa.string()),
        ("annotator", pa.string()),
        ("error_code", pa.string()),
        ("message", pa.string()),
    ]
)


def weight(row: dict[str, Any]) -> int:
    """Roughly the bytes that a row takes, for batches of bounded size."""
    words = sum(len(turn["text"]) for turn in row.get("turns") or ())
    return 500 + len(row.get("content") or b"") + 2 * words
