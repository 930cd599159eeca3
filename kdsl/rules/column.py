"""One text column as the scanners see it: UTF-8 bytes of all rows on end, and where each row begins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Int = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TextColumn:
    """`data` holds the rows' bytes without separators; row i is `data[offsets[i]:offsets[i + 1]]`; null is empty."""

    data: memoryview
    offsets: Int  # (n + 1,)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def part(self, start: int, stop: int) -> "TextColumn":
        """Rows start to stop; no bytes are copied."""
        low, high = int(self.offsets[start]), int(self.offsets[stop])
        return TextColumn(self.data[low:high], self.offsets[start : stop + 1] - low)

    def parts(self, max_bytes: int) -> Iterator[tuple[int, "TextColumn"]]:
        """(first row, part) in parts of at most `max_bytes`, but of one row at least."""
        start, n = 0, len(self)
        while start < n:
            stop = int(np.searchsorted(self.offsets, self.offsets[start] + max_bytes, "right")) - 1
            stop = min(max(stop, start + 1), n)
            yield start, self.part(start, stop)
            start = stop

    def text(self, row: int) -> str:
        """One row as text."""
        return bytes(self.data[self.offsets[row] : self.offsets[row + 1]]).decode()


def text_column(values: Any) -> TextColumn:
    """From an Arrow string array (chunked or not) or a sequence of `str | None`.

    Halves of surrogate pairs in Python strings, which UTF-8 cannot hold, are read as U+FFFD.
    """
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        values = _array(values)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    array = values if values.type == pa.large_string() else values.cast(pa.large_string())
    if array.null_count:
        array = pc.fill_null(array, "")
    if not len(array):
        return TextColumn(memoryview(b""), np.zeros(1, np.int64))
    _, starts, data = array.buffers()
    offsets = np.frombuffer(starts, np.int64)[array.offset : array.offset + len(array) + 1]
    view = memoryview(data).cast("B") if data is not None else memoryview(b"")
    return TextColumn(view[int(offsets[0]) : int(offsets[-1])], offsets - offsets[0])


def _array(values: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.large_string())
    except UnicodeEncodeError:
        clean = [value and value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for value in values]
        return pa.array(clean, pa.large_string())


def number_column(values: Any) -> NDArray[np.float64]:
    """From an Arrow array, a numpy array or a sequence of `float | None`; None is NaN."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        values = values.cast(pa.float64()).to_numpy(zero_copy_only=False) if len(values) else []
    return np.array([np.nan if v is None else v for v in values] if isinstance(values, list) else values, np.float64)
