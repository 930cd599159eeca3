"""What rules and linear models see of an item: named, normalised text fields and numbers.

A field that an item does not have is the empty string; a number it does not have is NaN.
"""

import math

from kdsl.dialogue import Item, Line, Picture
from kdsl.text import normalise

TEXT_FIELDS = (
    "last_user",  # the shopper's last words
    "user",  # all the shopper's words
    "agent",  # all the agent's words
    "ocr",  # all text of the pictures
    "ocr_top",  # lines centred in the upper fifth of the picture
    "ocr_middle",
    "ocr_bottom",  # the lower fifth
    "ocr_large",  # the three lines with the tallest letters
)
NUMBERS = ("n_turns", "n_images", "n_lines", "aspect", "digit_share", "has_text")

TOP, BOTTOM = 0.2, 0.8
_MARKER = "<image>"


def text_fields(item: Item) -> dict[str, str]:
    """The text fields of an item, each normalised, keys in the order of `TEXT_FIELDS`."""
    user = [_words(turn.text) for turn in item.turns if turn.speaker == "user"]
    agent = [_words(turn.text) for turn in item.turns if turn.speaker == "agent"]
    lines = [line for picture in item.pictures for line in picture.lines]
    raw = {
        "last_user": next((text for text in reversed(user) if text), ""),
        "user": "\n".join(user),
        "agent": "\n".join(agent),
        "ocr": _join(lines),
        "ocr_top": _join([line for line in lines if _centre(line) < TOP]),
        "ocr_middle": _join([line for line in lines if TOP <= _centre(line) < BOTTOM]),
        "ocr_bottom": _join([line for line in lines if _centre(line) >= BOTTOM]),
        "ocr_large": _join(sorted(lines, key=_height, reverse=True)[:3]),
    }
    return {name: normalise(raw[name]) for name in TEXT_FIELDS}


def numbers(item: Item) -> dict[str, float]:
    """The numbers of an item, keys in the order of `NUMBERS`."""
    lines = [line for picture in item.pictures for line in picture.lines]
    text = "".join(line.text for line in lines)
    first: Picture | None = item.pictures[0] if item.pictures else None
    return {
        "n_turns": float(len(item.turns)) if item.turns else math.nan,
        "n_images": float(len(item.pictures)),
        "n_lines": float(len(lines)),
        "aspect": first.height / first.width if first and first.width else math.nan,
        "digit_share": sum(c.isdigit() for c in text) / len(text) if text else math.nan,
        "has_text": float(bool(text)),
    }


def _words(text: str) -> str:
    return text.replace(_MARKER, " ").strip()


def _join(lines: list[Line]) -> str:
    return " ".join(line.text for line in lines)


def _centre(line: Line) -> float:
    return (line.box[1] + line.box[3]) / 2


def _height(line: Line) -> float:
    return line.box[3] - line.box[1]
