"""Labelled examples that stand in the shared part of a prompt: a few of each label, told in one line each."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from kdsl.dialogue import Item
from kdsl.folds import hash_order
from kdsl.taxonomy import Task

LETTERS = 200  # of one example; its end is kept, where the wish mostly stands


class Shot(BaseModel):
    """One example, by the name of its label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    text: str


def chosen(
    task: Task, items: Sequence[Item], gold: Sequence[str], each: int, *, least: int, seed: int
) -> dict[str, Shot]:
    """By item id, at most so many examples of each label, drawn by hash of the id; pictures alone cannot be told.

    Of every label at least `least` are left: what post-training learns from must not be in its prompt.
    """
    found: dict[str, Shot] = {}
    for label in task.label_names if each else ():
        own = [item for item, name in zip(items, gold, strict=True) if name == label]
        told = sorted((item for item in own if _line(item)), key=lambda item: hash_order(item.item_id, seed))
        for item in told[: min(each, len(own) - least)]:
            found[item.item_id] = Shot(label=label, text=_line(item))
    return found


def _line(item: Item) -> str:
    return " ".join(f"{turn.speaker}: {turn.text}" for turn in item.turns if turn.text.strip())[-LETTERS:]
