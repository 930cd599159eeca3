"""What every importer makes of one record of its format, and the limits that a record must keep."""

import hashlib
from dataclasses import dataclass, field
from datetime import date, timedelta

from kdsl.dialogue import Turn

MARKER = "<image>"


@dataclass(frozen=True, slots=True)
class PictureRef:
    """A picture as a record names it: its id, its path below the root of pictures, and its gold labels by task."""

    image_id: str
    path: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """One conversation with its pictures, or, without turns, one picture alone, or, without either, gold labels alone.

    `record_id` is the conversation's id or the picture's, or that of the item to which the labels belong.
    `pictures` follow the order of the turns' `image_ids`.
    `labels` are the conversation's gold labels by task. `event_date` and `split` are None where the record has none.
    """

    record_id: str
    event_date: date | None
    turns: tuple[Turn, ...] = ()
    pictures: tuple[PictureRef, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    split: str | None = None
    annotator: str | None = None


@dataclass(frozen=True, slots=True)
class TextLimits:
    """Bounds on what a record may hold."""

    max_turn_chars: int
    max_turns: int


def spread_date(record_id: str, first: date, last: date) -> date:
    """A date from `first` to `last`, both included, by a hash of the id: the same id has the same date."""
    digest = hashlib.sha256(record_id.encode()).digest()
    return first + timedelta(days=int.from_bytes(digest[:8], "big") % ((last - first).days + 1))
