"""Items in windows, with their pictures decoded and scaled: those of the next window while the model has this one."""

from collections.abc import Iterator, Mapping, Sequence
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
    names = [sorted({one.sha256 for at in window for one in items[at].pictures}) for window in windows]
    coming = decoder.start(names[0], contents) if windows else {}
    for nth, window in enumerate(windows):
        pictures, bad = finished(coming)
        if nth + 1 < len(windows):
            coming = decoder.start(names[nth + 1], contents)
        yield Window(window, pictures, bad)
