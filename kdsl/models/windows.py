"""Items in windows, with their pictures decoded and scaled: those of the next window while the model has this one."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from kdsl.dialogue import Item
from kdsl.errors import BadRow
from kdsl.models.pixels import Decoder, Scaled, finished


@dataclass(frozen=True)
class Window:
    """Items in a row that are sorted by length together, their decoded pictures, and what is wrong with others."""

    rows: range
    pictures: Mapping[str, Scaled]
    bad: Mapping[str, BadRow] = field(default_factory=dict)


def decoded(items: Sequence[Item], contents: Mapping[str, bytes], size: int, decoder: Decoder) -> Iterator[Window]:
    """Windows of `size` items; `contents` are the bytes of their pictures by SHA-256."""
    windows = [range(at, min(at + size, len(items))) for at in range(0, len(items), size)]

    def start(window: range) -> "dict[str, Future[Scaled]]":
        return decoder.start(sorted({one.sha256 for at in window for one in items[at].pictures}), contents)

    coming = start(windows[0]) if windows else {}
    for nth, window in enumerate(windows):
        pictures, bad = finished(coming)
        if nth + 1 < len(windows):
            coming = start(windows[nth + 1])
        yield Window(window, pictures, bad)
