"""Pictures to text on executors: the reader inside `mapInArrow`, loaded once a worker."""

import os
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa

from kdsl.arrow import LINE
from kdsl.config import ReaderSettings
from kdsl.errors import BadRow
from kdsl.images import stored
from kdsl.ocr import Reader
from udfs.unquoted import Batches, unquoted

READ = pa.schema(
    [
        ("sha256", pa.string()),
        ("reader_version", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("lines", pa.list_(LINE)),
        ("error_code", pa.string()),
        ("thumbnail", pa.binary()),
        ("seconds", pa.float64()),
    ]
)


def read_pictures(settings: ReaderSettings, image_root: str, max_bytes: int) -> Callable[[Batches], Batches]:
    """A function for `mapInArrow` over (sha256, content, path): one row of `READ` a picture that was read.

    `content` null means the picture lies at `path` below `image_root`, where no larger file than `max_bytes` came in.
    One that is not there has no row, nor has another file in its place: the next run looks for it again.
    """

    @unquoted
    def read(batches: Batches) -> Batches:
        reader = _reader(settings)
        for batch in batches:
            for row in batch.select(["sha256", "content", "path"]).to_pylist():
                yield from _read_one(reader, row, image_root, max_bytes)

    return read


def _read_one(reader: Reader, row: dict[str, Any], image_root: str, max_bytes: int) -> Iterator[pa.RecordBatch]:
    begun = time.perf_counter()
    try:
        content = stored(row["content"], image_root, row["path"], row["sha256"], max_bytes)
    except BadRow:
        return
    if content is None:
        return
    picture = reader.read(content)
    lines = [{"text": line.text, "score": line.score, "box": list(line.box)} for line in picture.lines]
    result = {
        "sha256": row["sha256"],
        "reader_version": reader.version,
        "width": picture.width,
        "height": picture.height,
        "lines": lines,
        "error_code": picture.error_code,
        "thumbnail": picture.thumbnail,
        "seconds": time.perf_counter() - begun,
    }
    yield pa.RecordBatch.from_pylist([result], READ)


@lru_cache(maxsize=1)
def _reader(settings: ReaderSettings) -> Reader:
    return Reader(settings, threads=threads(os.environ.get("OMP_NUM_THREADS", "")))


def threads(told: str) -> int:
    """What OMP_NUM_THREADS says, of which Spark makes `spark.task.cpus`; 1 where it says nothing, or no number."""
    first = told.split(",", maxsplit=1)[0].strip()
    return max(1, int(first)) if first.isdecimal() else 1
