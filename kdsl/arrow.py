"""Items as Arrow rows, and back: the form in which they travel to voters and return labelled."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from kdsl.dialogue import Item, Line, Picture, Turn
from kdsl.errors import BadRow, ErrorCode
from kdsl.images import stored

TURN = pa.struct([("speaker", pa.string()), ("text", pa.string()), ("image_ids", pa.list_(pa.string()))])
LINE = pa.struct([("text", pa.string()), ("score", pa.float32()), ("box", pa.list_(pa.float32()))])
PICTURE = pa.struct(
    [
        ("image_id", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("lines", pa.list_(LINE)),
        ("error_code", pa.string()),
        ("thumbnail", pa.binary()),
        ("content", pa.binary()),  # null: nobody looks at it, or the file lies at `path` below the root of the pictures
        ("path", pa.string()),
    ]
)
ITEM = pa.schema(
    [("item_id", pa.string()), ("task", pa.string()), ("turns", pa.list_(TURN)), ("pictures", pa.list_(PICTURE))]
)


def items_of(batch: pa.RecordBatch | pa.Table, image_root: str = "") -> list[Item]:
    """Items of a batch or table with at least the columns of `ITEM`; pictures kept as files lie below `image_root`."""
    return [item_of(row, image_root) for row in batch.select(ITEM.names).to_pylist()]


def item_of(row: Mapping[str, Any], image_root: str = "") -> Item:
    """One item from a row with the fields of `ITEM`."""
    return Item(
        item_id=row["item_id"],
        task=row["task"],
        turns=tuple(
            Turn(turn["speaker"], turn["text"] or "", tuple(turn["image_ids"] or ())) for turn in row["turns"] or ()
        ),
        pictures=tuple(picture_of(picture, image_root) for picture in row["pictures"] or ()),
    )


def picture_of(row: Mapping[str, Any], image_root: str = "") -> Picture:
    """One picture from a row with the fields of `PICTURE`."""
    content, fault = _file(row, image_root)
    return Picture(
        sha256=row["sha256"],
        width=row["width"] or 0,
        height=row["height"] or 0,
        lines=tuple(Line(line["text"], line["score"], _box(line["box"])) for line in row["lines"] or ()),
        error_code=row["error_code"] or fault,
        thumbnail=row["thumbnail"],
        content=content,
        image_id=row["image_id"],
    )


def _file(row: Mapping[str, Any], image_root: str) -> tuple[bytes | None, str | None]:
    """The picture's file, and the code of a fault that may pass: the mount, the root or the copy may be mended."""
    try:
        return stored(row["content"], image_root, row["path"], row["sha256"]), None
    except BadRow as error:
        # One that is too large stays so: a voter that needs it abstains.
        return None, None if error.code == ErrorCode.IMAGE_TOO_LARGE else ErrorCode.IMAGE_MISSING.value


def _box(values: Iterable[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = values
    return left, top, right, bottom
