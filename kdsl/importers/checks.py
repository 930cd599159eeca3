"""Strict access to one untrusted record: every fault is a `BadRow` that names the key, never its value."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from kdsl.dialogue import Turn
from kdsl.errors import BadRow, ErrorCode
from kdsl.importers.record import MARKER, TextLimits

MAX_ID = 512
MAX_PATH = 4_096

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SPLIT = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_FIRST, _LAST = date(1900, 1, 1), date(2199, 12, 31)
_NAMES = {str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}


def from_json(raw: bytes, what: str) -> Any:
    """The value of one JSON text in UTF-8; `what` names it in messages.

    Raises:
        BadRow: BAD_TEXT where it is no UTF-8, BROKEN_JSON where it is no JSON, nests too deeply, or holds NaN, an
            infinity or a number too long to be one.
    """
    try:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRow(ErrorCode.BAD_TEXT, f"{what} is no UTF-8 (byte {error.start + 1})") from None
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise BadRow(ErrorCode.BROKEN_JSON, f"{what} is no JSON: {error.msg}, character {error.pos + 1}") from None
    except RecursionError:
        raise BadRow(ErrorCode.BROKEN_JSON, f"{what} is no usable JSON: nested too deeply") from None
    except ValueError:
        raise BadRow(ErrorCode.BROKEN_JSON, f"{what} is no usable JSON: NaN, infinity or a number too long") from None


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """The value as an object."""
    if not isinstance(value, dict):
        raise wrong_type(what, "an object", value)
    return value


def items(data: Mapping[str, Any], key: str, at: str = "") -> Sequence[Any]:
    """A list; an absent key or null is an empty one."""
    value = data.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise wrong_type(at + key, "a list", value)
    return value


def text(data: Mapping[str, Any], key: str, at: str = "") -> str:
    """A string that is there, without NUL and lone surrogates."""
    if key not in data:
        raise BadRow(ErrorCode.MISSING_KEY, f"{at}{key} is missing")
    return clean(data[key], at + key)


def name(data: Mapping[str, Any], key: str, at: str = "", longest: int = MAX_ID) -> str:
    """A string that is there and holds 1 to `longest` characters: an id, a path, a label."""
    return named(text(data, key, at), at + key, longest)


def named(value: str, what: str, longest: int = MAX_ID) -> str:
    """The value, if it holds 1 to `longest` characters."""
    if not value.strip():
        raise BadRow(ErrorCode.MISSING_KEY, f"{what} is empty")
    if len(value) > longest:
        raise BadRow(ErrorCode.BAD_TEXT, f"{what} has {len(value):,} characters; at most {longest:,} go in")
    return value


def clean(value: Any, what: str) -> str:
    """The value, if it is a string without NUL and lone surrogates."""
    if not isinstance(value, str):
        raise wrong_type(what, "a string", value)
    if "\0" in value:
        raise BadRow(ErrorCode.BAD_TEXT, f"{what} holds a NUL character")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRow(ErrorCode.BAD_TEXT, f"{what} holds half a surrogate pair") from None
    return value


def optional_name(data: Mapping[str, Any], key: str) -> str | None:
    """As `name`; None where the key is absent or null."""
    return None if data.get(key) is None else name(data, key)


def blank(value: Any) -> bool:
    """Whether it is null or a text without a word: no label was given, which must not cost the dialogue."""
    return value is None or (isinstance(value, str) and not value.strip())


def labels(data: Mapping[str, Any], at: str = "") -> dict[str, str]:
    """The object `labels`, task to label; null and blank values are left out."""
    given = data.get("labels")
    if given is None:
        return {}
    inside = mapping(given, f"{at}labels")
    # A task's name comes from the file: it is checked like any text, but no message quotes it.
    return {
        named(clean(task, f"a key of {at}labels"), f"a key of {at}labels"): named(
            clean(label, f"a value of {at}labels"), f"a value of {at}labels"
        )
        for task, label in inside.items()
        if not blank(label)
    }


def event_date(value: Any) -> date | None:
    """A date written as 2026-01-05; None where the value is None."""
    if value is None:
        return None
    given = clean(value, "event_date")
    try:
        day = date.fromisoformat(given) if _DATE.fullmatch(given) else None
    except ValueError:
        day = None
    if day is None or not _FIRST <= day <= _LAST:
        raise BadRow(ErrorCode.BAD_DATE, f"event_date is no date from {_FIRST} to {_LAST}, written as 2026-01-05")
    return day


def split(data: Mapping[str, Any]) -> str | None:
    """The record's own split; None where it has none."""
    given = optional_name(data, "split")
    if given is not None and not _SPLIT.fullmatch(given):
        raise BadRow(ErrorCode.WRONG_TYPE, "split is no name of a split: a-z, then a-z, 0-9, _ or -, at most 40")
    return given


def dialogue(turns: Sequence[Turn], limits: TextLimits) -> tuple[Turn, ...]:
    """The turns, if they make a dialogue that goes in: bounded, with words or pictures, and a shopper in it.

    Raises:
        BadRow: EMPTY_DIALOGUE, TOO_MANY_TURNS, TURN_TOO_LONG, NO_USER_TURN, MARKER_WITHOUT_IMAGE or
            IMAGE_WITHOUT_MARKER.
    """
    if not any(turn.text.strip() for turn in turns):
        raise BadRow(ErrorCode.EMPTY_DIALOGUE, "no turn holds a word or a picture" if turns else "there is no turn")
    if len(turns) > limits.max_turns:
        raise BadRow(ErrorCode.TOO_MANY_TURNS, f"{len(turns):,} turns; at most {limits.max_turns:,} go in")
    for number, turn in enumerate(turns, 1):
        if len(turn.text) > limits.max_turn_chars:
            raise BadRow(
                ErrorCode.TURN_TOO_LONG,
                f"turn {number} has {len(turn.text):,} characters; at most {limits.max_turn_chars:,} go in",
            )
        marked, named_here = turn.text.count(MARKER), len(turn.image_ids)
        if marked != named_here:
            code = ErrorCode.MARKER_WITHOUT_IMAGE if marked > named_here else ErrorCode.IMAGE_WITHOUT_MARKER
            raise BadRow(code, f"turn {number} has {marked} {MARKER} in its text and names {named_here} pictures")
    if not any(turn.speaker == "user" for turn in turns):
        raise BadRow(ErrorCode.NO_USER_TURN, "no turn is the shopper's (speaker user)")
    return tuple(turns)


def wrong_type(what: str, wanted: str, value: Any) -> BadRow:
    """WRONG_TYPE, naming the key, the type wanted and the type given."""
    given = "null" if value is None else _NAMES.get(type(value), type(value).__name__)
    return BadRow(ErrorCode.WRONG_TYPE, f"{what} is {given}; {wanted} is wanted")


def _no_constant(_: str) -> float:
    raise ValueError
