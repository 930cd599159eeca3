"""Dialogues and pictures of the made-up shop in the JSON-lines format that `ingest --format jsonl` reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from kdsl.demo.dialogues import Talk
from kdsl.demo.typos import MARKER

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture as a record names it; `scene` None: nobody labelled it."""

    image_id: str
    path: str
    scene: str | None


def conversation(conversation_id: str, day: date, talk: Talk, pictures: Sequence[Sent], gold: bool) -> Record:
    """One conversation; every `<image>` in its turns takes the next of `pictures`.

    Raises:
        ValueError: there are more or fewer pictures than marks.
    """
    left = list(pictures)
    turns: list[Record] = []
    for speaker, text in talk.said:
        turn: Record = {"speaker": speaker, "text": text}
        count = text.count(MARKER)
        if count:
            turn["images"] = [_image("id", sent) for sent in left[:count]]
            if len(turn["images"]) < count:
                raise ValueError(f"{conversation_id}: more marks than the {len(pictures)} pictures")
            left = left[count:]
        turns.append(turn)
    if left:
        raise ValueError(f"{conversation_id}: {len(left)} of {len(pictures)} pictures have no mark")
    record: Record = {"conversation_id": conversation_id, "event_date": day.isoformat(), "turns": turns}
    if gold and talk.intent is not None:
        record["labels"] = {"intent": talk.intent}
    return record


def alone(day: date, sent: Sent) -> Record:
    """A picture outside of any conversation."""
    named = _image("image_id", sent)
    return {"image_id": named.pop("image_id"), "event_date": day.isoformat(), **named}


def _image(key: str, sent: Sent) -> Record:
    labels: Mapping[str, Any] = {} if sent.scene is None else {"labels": {"scene": sent.scene}}
    return {key: sent.image_id, "path": sent.path, **labels}
