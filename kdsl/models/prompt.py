"""Prompts: what all items of a task share, and what one item adds. A dialogue cannot forge a turn of the chat.

The shared part ends where the item goes into the model's chat (`kdsl.models.frame`).
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kdsl.dialogue import Item, Turn
from kdsl.errors import BadRow, ErrorCode
from kdsl.features import has_anything
from kdsl.models.batching import Encoded
from kdsl.models.codes import Code
from kdsl.models.frame import ITEM, frame
from kdsl.models.shots import Shot
from kdsl.taxonomy import Task

Listed = Literal["described", "named", "none"]  # how the labels stand in the prompt

SHORT = 100  # letters
MISSING = "[picture]"  # stands for a picture of a dialogue that nobody could read

_MARKUP = re.compile(r"<[^<>\s]{1,40}>")
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ue000\ufeff]+")


@dataclass(frozen=True, slots=True)
class Limits:
    """What of an item goes in at most."""

    own_tokens: int = 1_024
    pictures: int = 4
    agent_turns: bool = True


class Prompter:
    """Turns tasks and items into tokens for one tokenizer; `shots` are examples that stand in the shared part."""

    shots: tuple[Shot, ...] = ()

    def __init__(self, tokenizer: Any, picture_token: int | None, limits: Limits, listed: Listed = "described") -> None:
        self.tokenizer = tokenizer
        self.limits = limits
        self._listed = listed
        self._picture = picture_token
        self._markers = forbidden(tokenizer)
        self._marker_ids = frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder)
        self._known: dict[str, tuple[int, ...]] = {}
        self._frame = frame(tokenizer, pictures=picture_token is not None)
        self._behind = self._trusted(self._frame.behind)

    def shared(self, task: Task, codes: Sequence[Code], order: Sequence[int]) -> tuple[int, ...]:
        """Tokens of everything before the item: system text, question, labels in the order of their codes, examples.

        Args:
            task: whose labels.
            codes: one for each label, in the order in which they stand in the list.
            order: `order[label]` is the place of the label's code in `codes`.

        Returns:
            No tokens at all where the labels are not listed: a model that was post-trained on them needs no list.
        """
        if self._listed == "none":
            return ()
        rows = sorted(zip(order, task.labels, strict=True), key=lambda row: row[0])
        lines = []
        for place, label in rows:
            meaning = f": {self.clean(label.description)}" if self._listed == "described" and label.description else ""
            lines.append(f"{codes[place].text}. {self.clean(label.name)}{meaning}\n")
        code = {label.name: codes[place].text for place, label in rows}
        lines += [f"{self.clean(shot.text)} -> {code[shot.label]}\n" for shot in self.shots if shot.label in code]
        return self._trusted(self._frame.before.replace(ITEM, f"{self.clean(task.question)}\n" + "".join(lines)))

    def read_of(self, item: Item) -> Item:
        """What is read of an item: all, or the shopper's part where that alone is wanted and has anything in it."""
        if self.limits.agent_turns or all(turn.speaker != "agent" for turn in item.turns):
            return item  # at once: post-training asks in every step, of what was read so before
        return mine if has_anything(mine := item.by_user()) else item

    def told(self, items: Iterable[Item]) -> dict[str, tuple[int, ...]]:
        """Tokens of the texts of all turns, by text: asked for at once they take less time."""
        texts = list(dict.fromkeys(turn.text for item in items for turn in item.turns))
        if not texts:
            return {}
        found = self.tokenizer(list(map(self.clean, texts)), add_special_tokens=False)["input_ids"]
        markers = self._marker_ids  # a text of a stranger has none of them
        return {text: tuple(one for one in ids if one not in markers) for text, ids in zip(texts, found, strict=True)}

    def own(
        self,
        item: Item,
        sizes: Mapping[str, int],
        room: int | None = None,
        told: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Encoded:
        """Tokens of one item and of the question's end.

        Where it is too long the oldest agent turns go first, then the shopper's but the last one, then of that the
        oldest pictures, a word in their place, and at last the head of its text.

        Args:
            item: a conversation or a picture.
            sizes: tokens of each readable picture, by SHA-256.
            room: tokens that the model's context leaves, where they are fewer than the limit.
            told: what `told` made of this item and others.

        Raises:
            BadRow: a picture item whose picture is not in `sizes`, or nothing of the item fits.
        """
        room = min(self.limits.own_tokens, room or self.limits.own_tokens) - len(self._behind)
        if item.turns:
            item = self.read_of(item)
            left, cut = self._shortened_turns(item, sizes, self.told([item]) if told is None else told, room)
        else:
            left, cut = _shortened(self._picture_piece(item, sizes), room)
        if not left:
            raise BadRow(ErrorCode.TURN_TOO_LONG, f"the item does not fit into {room} tokens")
        return self._encoded(left, cut)

    def look(self, sha256: str, tokens: int) -> Encoded:
        """Tokens of one picture by itself."""
        return self._encoded([_Piece("user", self._picture_ids(sha256, {sha256: tokens}), (sha256,))], 0)

    def _encoded(self, pieces: Sequence["_Piece"], cut: int) -> Encoded:
        ids = [token for piece in pieces for token in piece.ids] + list(self._behind)
        kinds = [int(self._picture is not None and token == self._picture) for token in ids]
        return Encoded(tuple(ids), tuple(kinds), tuple(name for piece in pieces for name in piece.pictures), cut)

    def clean(self, text: str) -> str:
        """Text of a stranger: no token of the chat template, no markup, no line breaks, no invisible characters."""
        text = unicodedata.normalize("NFC", text)
        return _UNSEEN.sub(" ", unmarked(text, self._markers)).strip()

    def _trusted(self, text: str) -> tuple[int, ...]:
        """Tokens of our own text; those of a few short strings are asked for with every turn, and kept."""
        found = self._known.get(text)
        if found is None:
            found = tuple(self.tokenizer.encode(text, add_special_tokens=False)) if text else ()
            if len(text) <= SHORT:
                self._known[text] = found
        return found

    def _picture_ids(self, sha256: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
        assert self._picture is not None  # noqa: S101 - sizes are empty for models that see no pictures
        left, right = self._trusted(self._frame.picture_left), self._trusted(self._frame.picture_right)
        return (*left, *([self._picture] * sizes[sha256]), *right)

    def _picture_piece(self, item: Item, sizes: Mapping[str, int]) -> list["_Piece"]:
        if not item.pictures or item.pictures[0].sha256 not in sizes:
            raise BadRow(ErrorCode.IMAGE_MISSING, "there is no readable picture to look at")
        name = item.pictures[0].sha256
        return [_Piece("user", self._picture_ids(name, sizes), (name,))]

    def _shortened_turns(
        self, item: Item, sizes: Mapping[str, int], told: Mapping[str, tuple[int, ...]], room: int
    ) -> tuple[list["_Piece"], int]:
        """The turns that fit, with as many of the last pictures as the last of them has room for, and what was cut."""
        last = item.pictures[-self.limits.pictures :] if self.limits.pictures else ()
        most = sum(picture.sha256 in sizes for picture in last)
        for gone in range(most + 1):
            left, cut = _shortened(self._turn_pieces(item, sizes, told, most - gone), room)
            if left:
                return left, cut + gone
        return [], 0

    def _turn_pieces(
        self, item: Item, sizes: Mapping[str, int], told: Mapping[str, tuple[int, ...]], most: int
    ) -> list["_Piece"]:
        pieces = []
        for turn, names in zip(item.turns, _shown(item, sizes, most), strict=True):
            ids = [*self._trusted(f"{turn.speaker}:"), *told[turn.text]]
            pieces.append(self._turn(turn, ids, names, sizes))
        return pieces

    def _turn(self, turn: Turn, ids: list[int], names: Sequence[str | None], sizes: Mapping[str, int]) -> "_Piece":
        for name in names:
            ids += self._trusted(" " + MISSING) if name is None else self._picture_ids(name, sizes)
        return _Piece(turn.speaker, (*ids, *self._trusted("\n")), tuple(name for name in names if name))


@dataclass(frozen=True, slots=True)
class _Piece:
    speaker: str
    ids: tuple[int, ...]
    pictures: tuple[str, ...] = ()


def forbidden(tokenizer: Any) -> tuple[str, ...]:
    """Strings that steer the model and so never come from a shopper, longest first."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    found = added | set(tokenizer.all_special_tokens)
    return tuple(sorted((text for text in found if text.strip()), key=lambda text: (-len(text), text)))


def unmarked(text: str, markers: Sequence[str]) -> str:
    """The text without markup and these markers, of which `forbidden` gives those of a tokenizer."""
    while True:  # what stands around a removed marker may form another
        shorter = _MARKUP.sub(" ", text)
        for marker in markers:
            shorter = shorter.replace(marker, " ")
        if shorter == text:
            return text
        text = shorter


def _shown(item: Item, readable: Collection[str], most: int) -> list[list[str | None]]:
    """By turn its pictures, None for one that is not shown: the last `most` readable ones are, sent twice or not."""
    turns: list[list[str | None]] = []
    for here in reversed(item.by_turn()):
        names: list[str | None] = []
        for picture in reversed(here):
            shows = most > 0 and picture is not None and picture.sha256 in readable
            names.append(picture.sha256 if picture and shows else None)
            most -= shows
        turns.append(names[::-1])
    return turns[::-1]


def _shortened(pieces: Sequence[_Piece], room: int) -> tuple[list[_Piece], int]:
    """Drop the oldest agent turns, then the shopper's, until the rest fits; then cut the last one's head."""
    left, cut = list(pieces), 0
    while len(left) > 1 and sum(len(piece.ids) for piece in left) > room:
        agents = [at for at, piece in enumerate(left) if piece.speaker == "agent"]
        del left[agents[0] if agents else 0]
        cut += 1
    if left and len(left[0].ids) > room:
        piece = left[0]
        if piece.pictures or room < 8:
            return [], cut + 1
        return [_Piece(piece.speaker, (*piece.ids[:2], *piece.ids[len(piece.ids) - room + 2 :]))], cut + 1
    return left, cut
