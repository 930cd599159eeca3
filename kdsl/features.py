"""What rules and linear models see of an item: named, normalised text fields and numbers.

A field that an item does not have is the empty string; a number it does not have is NaN.
"""

import math
import re
from collections.abc import Sequence
from statistics import fmean, median

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
NUMBERS = (
    "n_turns",
    "n_images",
    "n_lines",
    "aspect",  # height over width of the first picture
    "digit_share",  # of the characters read in the pictures
    "has_text",
    "n_chars",  # read in the pictures
    "text_area",  # share of a picture under lines of text
    "line_height",  # median height of a line, as a share of the picture's width: comparable between phones
    "line_height_max",
    "left_edge",  # mean left edge of the lines: lists and dialogs differ
    "line_width",  # mean
    "text_top",  # top of the first line
    "text_bottom",  # bottom of the last
)

TOP, BOTTOM = 0.2, 0.8
# What platforms put into a text in angle brackets: <image>, <http>, <dxm:highlight>, </b>. Bounded on purpose.
_MARKUP = re.compile(r"<[^<>\s]{1,40}>")


def text_fields(item: Item) -> dict[str, str]:
    """The text fields of an item, each normalised, keys in the order of `TEXT_FIELDS`."""
    user = [_words(turn.text) for turn in item.turns if turn.speaker == "user"]
    agent = [_words(turn.text) for turn in item.turns if turn.speaker == "agent"]
    lines = _lines(item.pictures)
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
    lines = _lines(item.pictures)
    text = "".join(line.text for line in lines)
    first: Picture | None = item.pictures[0] if item.pictures else None
    return {
        "n_turns": float(len(item.turns)) if item.turns else math.nan,
        "n_images": float(len(item.pictures)),
        "n_lines": float(len(lines)),
        "aspect": first.height / first.width if first and first.width else math.nan,
        "digit_share": sum(c.isdigit() for c in text) / len(text) if text else math.nan,
        "has_text": float(bool(text)),
        "n_chars": float(len(text)),
        **_layout(item.pictures),
    }


def recent_user(item: Item, turns: int = 2) -> str:
    """The shopper's last so many messages with words in them, normalised."""
    user = [text for turn in item.turns if turn.speaker == "user" and (text := _words(turn.text))]
    return normalise("\n".join(user[-turns:]))


def last_agent(item: Item) -> str:
    """The agent's last message with words in it, normalised: what the shopper's words were taken for."""
    agent = (text for turn in reversed(item.turns) if turn.speaker == "agent" and (text := _words(turn.text)))
    return normalise(next(agent, ""))


def thumbnail_of(item: Item) -> bytes | None:
    """The thumbnail of the first picture that has one (see kdsl.thumbnail)."""
    return next((picture.thumbnail for picture in item.pictures if picture.thumbnail), None)


def has_anything(item: Item) -> bool:
    """Whether there is a word or a readable picture to judge the item by."""
    return any(_words(turn.text) for turn in item.turns) or any(p.lines or not p.error_code for p in item.pictures)


def _lines(pictures: Sequence[Picture]) -> list[Line]:
    return [line for picture in pictures for line in picture.lines]


def _layout(pictures: Sequence[Picture]) -> dict[str, float]:
    lines = _lines(pictures)
    if not lines:
        return dict.fromkeys(NUMBERS[NUMBERS.index("text_area") :], math.nan)
    # Boxes are shares of width and height; pictures of one dialogue differ in how these go together.
    heights = [_height(line) * _aspect(picture) for picture in pictures for line in picture.lines]
    widths = [line.box[2] - line.box[0] for line in lines]
    return {
        "text_area": sum(_height(line) * width for line, width in zip(lines, widths, strict=True)),
        "line_height": median(heights),
        "line_height_max": max(heights),
        "left_edge": fmean(line.box[0] for line in lines),
        "line_width": fmean(widths),
        "text_top": min(line.box[1] for line in lines),
        "text_bottom": max(line.box[3] for line in lines),
    }


def _words(text: str) -> str:
    return _MARKUP.sub(" ", text).strip()


def _join(lines: list[Line]) -> str:
    return " ".join(line.text for line in lines)


def _centre(line: Line) -> float:
    return (line.box[1] + line.box[3]) / 2


def _aspect(picture: Picture) -> float:
    return picture.height / picture.width if picture.width else 1.0


def _height(line: Line) -> float:
    return line.box[3] - line.box[1]
