"""Augmentation for post-training: other dialogues and pictures that have the same label. Every choice has its dice.

Pictures are never mirrored: a mirrored screenshot is no screenshot.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from string import ascii_lowercase
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from kdsl.dialogue import Item, Turn

if TYPE_CHECKING:
    from PIL.Image import Image

# A number with at least two digits, with what orders and prices put around it.
_NUMBER = re.compile(r"[#$€£]?\b[A-Z]{0,3}-?\d[\d.,-]*\d\b")
# What stands behind the head of a URL, or an e-mail address; bounded, so that a long word costs little.
_ADDRESS = re.compile(r"(?<=://)\S{1,300}|(?<=\bwww\.)\S{1,300}|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_LEADS = ("hi", "hello,", "ok so", "please", "quick question:", "sorry,", "hey", "well,")
_TAILS = ("thanks", "please", "asap", "can you help?", "thank you", "???", "...")
_LEAST = 16  # pixels of a side after cropping


class AugmentSettings(BaseModel):
    """Shares of the training examples that are changed in each way; 0 switches it off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drop_turns: float = Field(0.3, ge=0, le=1, description="leave out an agent's turn, or a turn before the last ones")
    merge_turns: float = Field(0.15, ge=0, le=1, description="put neighbouring turns of one speaker together")
    mask_entities: float = Field(
        0.5, ge=0, le=1, description="put other digits into order numbers, sums and dates, others into addresses too"
    )
    rephrase: float = Field(0.3, ge=0, le=1, description="greet or thank around a shopper's turn, or drop its case")
    drop_words: float = Field(0.2, ge=0, le=1, description="leave out one word in eight of a shopper's turns")
    borrow_turns: float = Field(
        0.0, ge=0, le=1, description="put in a message that the shopper of another example of the same label wrote"
    )
    paraphrases: int = Field(
        0, ge=0, le=16, description="wordings of each example that the model itself is asked to write; 0: none"
    )
    paraphrase: float = Field(0.5, ge=0, le=1, description="put one of these wordings, where any passed the filter")
    pictures: float = Field(0.7, ge=0, le=1, description="crop, scale, recolour and compress a picture")
    shuffle_codes: float = Field(
        0.5, ge=0, le=1, description="steps in which labels change their codes and places; none with labels: none"
    )


def item(given: Item, dice: Random, settings: AugmentSettings, alike: Sequence[Item] = ()) -> Item:
    """The same item, told differently; pictures stay. It may borrow from others of `alike`, all of its label."""
    turns = list(given.turns)
    if not turns:
        return given
    if settings.borrow_turns and dice.random() < settings.borrow_turns:  # none: the dice fall as they did without it
        turns = _with_borrowed(turns, [one for one in alike if one.item_id != given.item_id], dice)
    if dice.random() < settings.drop_turns:
        turns = _without_one(turns, dice)
    if dice.random() < settings.merge_turns:
        turns = _merged(turns)
    if dice.random() < settings.mask_entities:
        turns = [replace(turn, text=_masked(turn.text, dice)) for turn in turns]
    if dice.random() < settings.rephrase:
        turns = _of_one_user(turns, dice, lambda text: _rephrased(text, dice))
    if dice.random() < settings.drop_words:
        turns = _of_one_user(turns, dice, lambda text: _thinned(text, dice))
    return replace(given, turns=tuple(turns))


def picture(given: "Image", dice: Random, settings: AugmentSettings) -> "Image":
    """The same picture as another phone might have sent it, RGB."""
    if dice.random() >= settings.pictures:
        return given
    image = given
    for share, way in WAYS:
        if dice.random() < share:
            image = way(image, dice)
    return image


def _without_one(turns: list[Turn], dice: Random) -> list[Turn]:
    """Leave out a turn without a picture; the shopper's only words stay."""
    users = [at for at, turn in enumerate(turns) if turn.speaker == "user"]
    may = [at for at, turn in enumerate(turns) if turn.speaker == "agent" or (len(users) > 1 and at == users[0])]
    may = [at for at in may if not turns[at].image_ids]
    if not may or len(turns) < 2:
        return turns
    gone = dice.choice(may)
    return [turn for at, turn in enumerate(turns) if at != gone]


def _with_borrowed(turns: list[Turn], others: Sequence[Item], dice: Random) -> list[Turn]:
    """Anywhere but behind the last words, which stay the last; its pictures stay where they are."""
    lender = dice.choice(others).turns if others else ()
    lent = [turn for turn in lender if turn.speaker == "user" and turn.text.strip()]
    if not lent:
        return turns
    at = dice.randrange(len(turns))
    return [*turns[:at], Turn("user", dice.choice(lent).text), *turns[at:]]


def _merged(turns: list[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].speaker == turn.speaker:
            last = merged.pop()
            merged.append(Turn(turn.speaker, f"{last.text} {turn.text}".strip(), last.image_ids + turn.image_ids))
        else:
            merged.append(turn)
    return merged


def _masked(text: str, dice: Random) -> str:
    text = _ADDRESS.sub(lambda found: _letters(found[0], dice), text)
    return _NUMBER.sub(lambda found: _digits(found[0], dice), text)


def _letters(text: str, dice: Random) -> str:
    return "".join(dice.choice(ascii_lowercase) if letter.isalpha() else letter for letter in _digits(text, dice))


def _digits(text: str, dice: Random) -> str:
    return "".join(str(dice.randrange(10)) if letter.isdigit() else letter for letter in text)


def _of_one_user(turns: list[Turn], dice: Random, change: Callable[[str], str]) -> list[Turn]:
    users = [at for at, turn in enumerate(turns) if turn.speaker == "user" and turn.text.strip()]
    if not users:
        return turns
    chosen = dice.choice(users)
    return [replace(turn, text=change(turn.text)) if at == chosen else turn for at, turn in enumerate(turns)]


def _rephrased(text: str, dice: Random) -> str:
    way = dice.randrange(4)
    if way == 0:
        return f"{dice.choice(_LEADS)} {text}"
    if way == 1:
        return f"{text} {dice.choice(_TAILS)}"
    return text.lower() if way == 2 else text.rstrip(".!? ")


def _thinned(text: str, dice: Random) -> str:
    words = text.split()
    kept = [word for word in words if dice.random() >= 0.125]
    return " ".join(kept) if kept else text


def _cropped(image: "Image", dice: Random) -> "Image":
    wide, tall = image.size
    left, right = (round(wide * dice.uniform(0, 0.08)) for _ in range(2))
    top, low = (round(tall * dice.uniform(0, 0.22)) for _ in range(2))
    box = (left, top, max(left + _LEAST, wide - right), max(top + _LEAST, tall - low))
    return image.crop(box) if box[2] <= wide and box[3] <= tall else image


def _scaled(image: "Image", dice: Random) -> "Image":
    from PIL import Image

    wide, tall = (max(_LEAST, round(side * dice.uniform(0.8, 1.2))) for side in image.size)
    return image.resize((wide, tall), Image.Resampling.BILINEAR)


def _coloured(image: "Image", dice: Random) -> "Image":
    from PIL import ImageEnhance

    for kind in (ImageEnhance.Color, ImageEnhance.Brightness, ImageEnhance.Contrast):
        image = kind(image).enhance(dice.uniform(0.7, 1.3))
    return image


def _swapped(image: "Image", dice: Random) -> "Image":
    """Red, green and blue change places."""
    from PIL import Image

    channels = list(image.split())
    dice.shuffle(channels)
    return Image.merge("RGB", channels)


def _compressed(image: "Image", dice: Random) -> "Image":
    from PIL import Image

    target = io.BytesIO()
    image.save(target, "JPEG", quality=dice.randrange(30, 90))
    with Image.open(target, formats=["JPEG"]) as compressed:
        return compressed.convert("RGB")


# What happens to a picture that is changed, in this order, and how often.
WAYS = ((0.6, _cropped), (0.5, _scaled), (0.6, _coloured), (0.2, _swapped), (0.4, _compressed))
