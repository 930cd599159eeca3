"""From a record to the rows of the staging table: dates, gold labels, pictures read and verified, hashes."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

from kdsl import images
from kdsl.errors import BadRow, ErrorCode
from kdsl.importers import paths
from kdsl.importers.record import PictureRef, Record, TextLimits, spread_date
from kdsl.importers.staged import BAD, CONVERSATION, GOLD, IMAGE, UNLABELLED
from kdsl.taxonomy import Taxonomy

Row = dict[str, Any]
Unit = Literal["conversation", "image", "item"]


@dataclass(frozen=True)
class Intake:
    """What decides how a record goes in.

    `root` is the folder below which pictures lie, empty for none; `first` and `last` bound the dates of records that
    have none; with `inline` a picture's bytes go into the lake, else its path.
    """

    taxonomy: Taxonomy
    limits: TextLimits
    max_image_bytes: int
    max_image_pixels: int
    root: str
    inline: bool
    split: str
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class Place:
    """Where a record stands: file, line, and the name of the place for a person."""

    file: str
    line: int
    record_key: str
    pos: int = 0

    @property
    def row_key(self) -> str:
        """The place for a person: the record's, or that of its k-th picture."""
        return f"{self.record_key}#{self.pos}" if self.pos else self.record_key

    def picture(self, number: int) -> "Place":
        """The place of the record's picture of that number, from 1."""
        return replace(self, pos=number)


def refused(place: Place, error: BadRow, records: int = 1) -> Row:
    """The row of something that goes to quarantine."""
    return _row(BAD, place, records, error_code=error.code.value, message=error.message)


def admit(record: Record, place: Place, intake: Intake) -> Iterator[Row]:
    """The rows of one record, pictures first, so that no more than one is in memory."""
    if not record.turns and not record.pictures:
        if not record.labels:
            yield _row(UNLABELLED, place, 1, id=record.record_id)
        yield from _gold((record.record_id, "item", record.labels), record, place, intake, records=1)
        return
    try:
        day = _day(record, intake)
    except BadRow as error:
        yield refused(place, error)
        return
    if not record.turns:
        row = _picture(record.pictures[0], place, intake, day, None)
        yield row
        if row["kind"] == IMAGE:
            row["fingerprint"] = _digest([row["hash"], day.isoformat(), record.pictures[0].labels, record.split])
            yield from _gold((row["id"], "image", record.pictures[0].labels), record, place, intake)
        return
    seen: dict[str, str] = {}
    for number, picture in enumerate(_labelled(record.pictures), 1):
        if picture.image_id in seen:
            continue  # sent twice: one picture
        at = place.picture(number)
        row = _picture(picture, at, intake, day, record.record_id)
        seen[picture.image_id] = row.get("hash") or row["error_code"]
        yield row
        if row["kind"] == IMAGE:
            yield from _gold((picture.image_id, "image", picture.labels), record, at, intake)
    yield _conversation(record, place, day, seen)
    yield from _gold((record.record_id, "conversation", record.labels), record, place, intake)


def _labelled(pictures: Sequence[PictureRef]) -> list[PictureRef]:
    """Each with the labels of all that are the same picture; of two for one task the first counts."""
    known: dict[str, dict[str, str]] = {}
    for picture in reversed(pictures):
        known.setdefault(picture.image_id, {}).update(picture.labels)
    return [replace(picture, labels=known[picture.image_id]) for picture in pictures]


def content_hash(record: Record, pictures: dict[str, str]) -> str:
    """SHA-256 over the turns and the content of their pictures: what a label of the conversation depends on.

    Args:
        record: the conversation.
        pictures: image id to its SHA-256, or to the code that kept it out.
    """
    turns = [
        {"speaker": turn.speaker, "text": turn.text, "images": [[i, pictures[i]] for i in turn.image_ids]}
        for turn in record.turns
    ]
    return _digest(turns)


def _conversation(record: Record, place: Place, day: date, pictures: dict[str, str]) -> Row:
    hashed = content_hash(record, pictures)
    labels = [record.labels, [[picture.image_id, picture.labels] for picture in record.pictures]]
    return _row(
        CONVERSATION,
        place,
        1,
        id=record.record_id,
        fingerprint=_digest([hashed, day.isoformat(), labels, record.split]),
        event_date=day,
        turns=[
            {"speaker": turn.speaker, "text": turn.text, "image_ids": list(turn.image_ids)} for turn in record.turns
        ],
        hash=hashed,
    )


def _picture(picture: PictureRef, place: Place, intake: Intake, day: date, conversation_id: str | None) -> Row:
    try:
        content = paths.read(intake.root, picture.path, intake.max_image_bytes)
        images.decode(content, max_bytes=intake.max_image_bytes, max_pixels=intake.max_image_pixels)
    except BadRow as error:
        return refused(place, error)
    hashed = images.sha256(content)
    return _row(
        IMAGE,
        place,
        1,
        id=picture.image_id,
        fingerprint=_digest([hashed, picture.labels]),
        event_date=day,
        conversation_id=conversation_id,
        hash=hashed,
        content=content if intake.inline else None,
        path=None if intake.inline else picture.path,
    )


def _gold(
    item: tuple[str, Unit, dict[str, str]], record: Record, place: Place, intake: Intake, records: int = 0
) -> Iterator[Row]:
    item_id, unit, labels = item
    tasks = intake.taxonomy.tasks if unit == "item" else intake.taxonomy.asked_of(unit)
    asked = {task.name: task for task in tasks}
    for number, (name, label) in enumerate(labels.items()):
        counted = 0 if number else records  # a record counts once
        split = record.split or intake.split
        if name in asked and label in asked[name].label_names:
            yield _row(
                GOLD, place, counted, id=item_id, task=name, label=label, split=split, annotator=record.annotator
            )
        elif name in asked:
            allowed = f"labels.{name} is none of the {len(asked[name].labels)} labels of taxonomy"
            yield refused(place, BadRow(ErrorCode.UNKNOWN_LABEL, f"{allowed} {intake.taxonomy.name}"), counted)
        else:
            known = ", ".join(asked) or "none"
            fault = f"labels has a task that taxonomy {intake.taxonomy.name} does not ask of a {unit} (asked: {known})"
            yield refused(place, BadRow(ErrorCode.UNKNOWN_LABEL, fault), counted)


def _day(record: Record, intake: Intake) -> date:
    if record.event_date is not None:
        return record.event_date
    if intake.first is None or intake.last is None:
        raise BadRow(ErrorCode.MISSING_KEY, "event_date is missing, and no --from and --to were given to spread over")
    return spread_date(record.record_id, intake.first, intake.last)


def _row(kind: str, place: Place, records: int, **values: Any) -> Row:
    return {
        "kind": kind,
        "file": place.file,
        "line": place.line,
        "pos": place.pos,
        "record_key": place.record_key,
        "row_key": place.row_key,
        "records": records,
        **values,
    }


def _digest(value: Any) -> str:
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
