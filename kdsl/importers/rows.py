"""Records from the rows of tables: a CSV row is a conversation of one turn; of a user's own table, a row is a turn."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdsl.config import DeltaColumns
from kdsl.dialogue import Speaker, Turn
from kdsl.errors import BadRow, ErrorCode
from kdsl.importers import checks
from kdsl.importers.record import MARKER, PictureRef, Record, TextLimits

REPLACEMENT = "\ufffd"  # what a decoder puts in the place of bytes that are no UTF-8


def from_csv(row: Mapping[str, Any], task: str, limits: TextLimits) -> Record:
    """The record of a row with `record_id`, `text`, `label` and `malformed`; an empty label is none.

    Raises:
        BadRow: the row has more or fewer fields than the header, or its text does not go in.
    """
    if row["malformed"]:
        raise BadRow(ErrorCode.WRONG_TYPE, "the row has not as many fields as the header, or its quotes do not match")
    text = checks.clean(row["text"] or "", "the text")
    if REPLACEMENT in text:
        raise BadRow(ErrorCode.BAD_TEXT, "the text is no UTF-8")
    label = checks.clean(row["label"] or "", "the label").strip()
    return Record(
        record_id=checks.named(checks.clean(row["record_id"] or "", "the id"), "the id"),
        event_date=None,
        turns=checks.dialogue([Turn("user", text)], limits),
        labels={task: checks.named(label, "the label")} if label else {},
    )


def from_turns(row: Mapping[str, Any], columns: DeltaColumns, limits: TextLimits) -> Record:
    """The record of a conversation.

    Args:
        row: `record_id`, `event_date`, `dates` (how many differ), `turns` (structs of speaker, text and images, in
            order) and `labels` (pairs of a task and its labels that differ).
        columns: what speakers mean.
        limits: bounds on the text.

    Raises:
        BadRow: the conversation does not go in.
    """
    record_id = checks.named(checks.clean(row["record_id"], columns.conversation_id), columns.conversation_id)
    if row["dates"] > 1:
        raise BadRow(ErrorCode.BAD_DATE, f"{columns.event_date} differs between the turns of the conversation")
    turns, pictures = [], []
    for number, entry in enumerate(row["turns"], 1):
        turn, sent = _turn(entry, number, record_id, columns)
        turns.append(turn)
        pictures.extend(sent)
    return Record(
        record_id=record_id,
        event_date=checks.event_date(row["event_date"]),
        turns=checks.dialogue(turns, limits),
        pictures=tuple(pictures),
        labels=_labels(row["labels"] or ()),
    )


def _turn(
    entry: Mapping[str, Any], number: int, record_id: str, columns: DeltaColumns
) -> tuple[Turn, list[PictureRef]]:
    at = f"turn {number}: "
    text = checks.clean("" if entry["text"] is None else entry["text"], at + columns.text)
    paths = [
        checks.named(checks.clean(path, at + columns.images), at + columns.images, checks.MAX_PATH)
        for path in entry["images"] or ()
    ]
    if paths and MARKER not in text:
        # Their table has its pictures in a column of its own: they follow the turn's words.
        text = " ".join([*([text] if text else []), *[MARKER] * len(paths)])
    pictures = [PictureRef(checks.named(f"{record_id}/{path}", "a picture's id"), path) for path in paths]
    speaker = checks.clean(entry["speaker"], at + columns.speaker)
    said_by: Speaker = "user" if speaker in columns.user_values else "agent"
    return Turn(said_by, text, tuple(picture.image_id for picture in pictures)), pictures


def _labels(by_task: Sequence[tuple[str, Sequence[str]]]) -> dict[str, str]:
    found = {}
    for task, values in by_task:
        given = [
            checks.named(checks.clean(value, "the label"), "the label") for value in values if not checks.blank(value)
        ]
        if len(given) > 1:
            raise BadRow(
                ErrorCode.WRONG_TYPE, f"the gold labels of task {task} differ between the conversation's turns"
            )
        if given:
            found[task] = given[0]
    return found
