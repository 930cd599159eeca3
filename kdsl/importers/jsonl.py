"""Our own format, one JSON object a line: a conversation with its pictures, one picture, or gold (docs/formats.md)."""

from collections.abc import Mapping
from typing import Any

from kdsl.dialogue import Speaker, Turn
from kdsl.errors import BadRow, ErrorCode
from kdsl.importers import checks
from kdsl.importers.record import PictureRef, Record, TextLimits


def parse(line: bytes, limits: TextLimits) -> Record:
    """The record of one line.

    Raises:
        BadRow: the line is no record of this format; the message names the key, never what the line says.
    """
    data = checks.mapping(checks.from_json(line, "the line"), "the line")
    if "image_id" in data and "conversation_id" not in data and "turns" not in data:
        return _picture_alone(data)
    if "item_id" in data and "conversation_id" not in data and "image_id" not in data:
        return _gold_alone(data)
    conversation_id = checks.name(data, "conversation_id")
    if "turns" not in data:
        raise BadRow(ErrorCode.MISSING_KEY, "turns is missing")
    turns, pictures = [], []
    for number, entry in enumerate(checks.items(data, "turns")):
        turn, sent = _turn(entry, f"turns[{number}]", conversation_id)
        turns.append(turn)
        pictures.extend(sent)
    _ids_differ(pictures)
    return Record(
        record_id=conversation_id,
        event_date=checks.event_date(data.get("event_date")),
        turns=checks.dialogue(turns, limits),
        pictures=tuple(pictures),
        labels=checks.labels(data),
        split=checks.split(data),
        annotator=checks.optional_name(data, "annotator"),
    )


def _picture_alone(data: Mapping[str, Any]) -> Record:
    image_id = checks.name(data, "image_id")
    picture = PictureRef(image_id, checks.name(data, "path", longest=checks.MAX_PATH), checks.labels(data))
    return Record(
        record_id=image_id,
        event_date=checks.event_date(data.get("event_date")),
        pictures=(picture,),
        split=checks.split(data),
        annotator=checks.optional_name(data, "annotator"),
    )


def _gold_alone(data: Mapping[str, Any]) -> Record:
    # Whatever else stands there (as the turns in a file of `sample`) is for the eyes of who labels.
    return Record(
        record_id=checks.name(data, "item_id"),
        event_date=None,
        labels=checks.labels(data),
        split=checks.split(data),
        annotator=checks.optional_name(data, "annotator"),
    )


def _turn(entry: Any, at: str, conversation_id: str) -> tuple[Turn, list[PictureRef]]:
    data = checks.mapping(entry, at)
    pictures = [
        _picture(value, f"{at}.images[{number}]", conversation_id)
        for number, value in enumerate(checks.items(data, "images", f"{at}."))
    ]
    image_ids = tuple(picture.image_id for picture in pictures)
    return Turn(_speaker(data, at), checks.text(data, "text", f"{at}."), image_ids), pictures


def _speaker(data: Mapping[str, Any], at: str) -> Speaker:
    match checks.text(data, "speaker", f"{at}."):
        case "user":
            return "user"
        case "agent":
            return "agent"
    raise BadRow(ErrorCode.WRONG_TYPE, f"{at}.speaker is neither user nor agent")


def _picture(value: Any, at: str, conversation_id: str) -> PictureRef:
    if isinstance(value, str):
        path = checks.named(checks.clean(value, at), at, checks.MAX_PATH)
        return PictureRef(checks.named(f"{conversation_id}/{path}", f"the id of {at}"), path)
    data = checks.mapping(value, at)
    path = checks.name(data, "path", f"{at}.", checks.MAX_PATH)
    given = data.get("id")
    image_id = f"{conversation_id}/{path}" if given is None else checks.clean(given, f"{at}.id")
    return PictureRef(checks.named(image_id, f"{at}.id"), path, checks.labels(data, f"{at}."))


def _ids_differ(pictures: list[PictureRef]) -> None:
    # The same picture sent twice is one picture; two pictures under one id would be a riddle.
    paths: dict[str, str] = {}
    for picture in pictures:
        if paths.setdefault(picture.image_id, picture.path) != picture.path:
            raise BadRow(ErrorCode.DUPLICATE_ID, "two pictures of the conversation have one id and two paths")
