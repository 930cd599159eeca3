"""Dialogues, pictures as they were read, and items: the one thing that voters label."""

from dataclasses import dataclass, field, replace
from typing import Literal

Speaker = Literal["user", "agent"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. Its pictures are named by id, in the order in which they were sent."""

    speaker: Speaker
    text: str
    image_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text in a picture; `box` is (left, top, right, bottom) as shares of width and height."""

    text: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """What the reader saw in one picture: size in pixels, lines of text from top to bottom, colours.

    `thumbnail` is None where nothing was decoded, else `kdsl.thumbnail.SIZE` bytes. `content` is the file itself,
    carried only to voters that look at pictures; it is never printed. `image_id` is what a turn calls it, None where
    nobody needs to tell. A picture that came in and is not there now has the code IMAGE_MISSING.
    """

    sha256: str
    width: int
    height: int
    lines: tuple[Line, ...] = ()
    error_code: str | None = None
    thumbnail: bytes | None = None
    content: bytes | None = field(default=None, repr=False, compare=False)
    image_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to label: a conversation with the pictures sent in it, or one picture.

    A picture item has no turns and one picture. `pictures` follow the order of the turns' `image_ids`, without those
    that never came in.
    """

    item_id: str
    task: str
    turns: tuple[Turn, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def by_turn(self) -> list[tuple[Picture | None, ...]]:
        """The pictures of each turn, one for each of its `image_ids`; None for one that never came in.

        Pictures without an id are handed out in order.
        """
        left = list(reversed(self.pictures))

        def named(image_id: str) -> Picture | None:
            return left.pop() if left and left[-1].image_id in (None, image_id) else None

        return [tuple(map(named, turn.image_ids)) for turn in self.turns]

    def by_user(self) -> "Item":
        """The same without the agent's turns and the pictures in them."""
        told = [one for one in zip(self.turns, self.by_turn(), strict=True) if one[0].speaker != "agent"]
        pictures = tuple(
            replace(picture, image_id=image_id)  # one without an id stays where it is, whatever is missing before it
            for turn, sent in told
            for image_id, picture in zip(turn.image_ids, sent, strict=True)
            if picture is not None
        )
        return replace(self, turns=tuple(turn for turn, _ in told), pictures=pictures)
