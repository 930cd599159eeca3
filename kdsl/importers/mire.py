"""The form of the WWW2025 multimodal intent challenge: a JSON list of instructions, answers and file names.

A record whose instruction starts with one picture is a picture alone (task scene); any other is a conversation
(task intent) whose turns stand between two marks, each opened by the speaker's name; a turn may hold line breaks.
"""

import re
from collections.abc import Mapping
from typing import Any

from kdsl.dialogue import Speaker, Turn
from kdsl.errors import BadRow, ErrorCode
from kdsl.importers import checks
from kdsl.importers.record import MARKER, PictureRef, Record, TextLimits

INTENT, SCENE = "intent", "scene"
FOLDER = "images"  # beside the JSON

_SCENE = "Picture 1: <image>"
_START, _END = "<用户与客服的对话 START>", "<用户与客服的对话 END>"
_SPEAKER = re.compile(r"^(用户|客服): ?", re.MULTILINE)
_SPEAKERS: dict[str, Speaker] = {"用户": "user", "客服": "agent"}


def records(content: bytes) -> list[Any]:
    """The unchecked records of one file.

    Raises:
        BadRow: BROKEN_JSON, BAD_TEXT or WRONG_TYPE; the whole file is of no use.
    """
    data = checks.from_json(content, "the file")
    if not isinstance(data, list):
        raise checks.wrong_type("the file", "a list of records", data)
    return data


def parse(entry: Any, limits: TextLimits) -> Record:
    """One entry of the list.

    Raises:
        BadRow: the entry is no record of this form.
    """
    data = checks.mapping(entry, "the record")
    record_id = checks.name(data, "id")
    instruction = checks.text(data, "instruction")
    files = [
        checks.named(checks.clean(value, f"image[{number}]"), f"image[{number}]")
        for number, value in enumerate(checks.items(data, "image"))
    ]
    output = checks.text(data, "output") if "output" in data else ""
    if instruction.startswith(_SCENE):
        return _picture_alone(files, _gold(SCENE, output))
    return Record(
        record_id=record_id,
        event_date=None,
        turns=checks.dialogue(_turns(instruction, files), limits),
        pictures=tuple(PictureRef(file, f"{FOLDER}/{file}") for file in dict.fromkeys(files)),
        labels=_gold(INTENT, output),
    )


def identity(entry: Any) -> str | None:
    """The record's id for a message, where it has a usable one."""
    try:
        return checks.name(checks.mapping(entry, "the record"), "id")
    except BadRow:
        return None


def _gold(task: str, output: str) -> dict[str, str]:
    # Labels are compared exactly: brackets come in both widths, and both mean something.
    return {} if checks.blank(output) else {task: checks.named(output, "output")}


def _picture_alone(files: list[str], labels: Mapping[str, str]) -> Record:
    if len(files) != 1:
        code = ErrorCode.IMAGE_WITHOUT_MARKER if files else ErrorCode.MARKER_WITHOUT_IMAGE
        raise BadRow(code, f"image names {len(files)} pictures; a scene record has one")
    picture = PictureRef(files[0], f"{FOLDER}/{files[0]}", dict(labels))
    return Record(record_id=files[0], event_date=None, pictures=(picture,))


def _turns(instruction: str, files: list[str]) -> list[Turn]:
    _, opened, rest = instruction.partition(_START)
    body, closed, _ = rest.rpartition(_END)
    if not opened or not closed:
        raise BadRow(ErrorCode.EMPTY_DIALOGUE, "instruction holds no dialogue between its START and END marks")
    pieces = _SPEAKER.split(body)
    if pieces[0].strip():
        raise BadRow(ErrorCode.WRONG_TYPE, "instruction holds words before the first speaker")
    turns, used = [], 0
    for speaker, said in zip(pieces[1::2], pieces[2::2], strict=True):
        sent = files[used : used + said.count(MARKER)]
        used += said.count(MARKER)
        turns.append(Turn(_SPEAKERS[speaker], said.strip(), tuple(sent)))
    if used < len(files):
        raise BadRow(ErrorCode.IMAGE_WITHOUT_MARKER, f"the turns have {used} {MARKER}, image names {len(files)}")
    return turns
