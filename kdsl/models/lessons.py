"""What post-training learns from: labelled items with their pictures, held-out ones apart, drawn in balance."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeVar

from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.folds import hash_order
from kdsl.models import augment
from kdsl.models.augment import AugmentSettings
from kdsl.models.pixels import Pixels, Scaled
from kdsl.taxonomy import Task

One = TypeVar("One")


@dataclass(frozen=True)
class Lesson:
    """Labelled items of one task; `groups` are keys of near-duplicates, `contents` the pictures' bytes by SHA-256."""

    task: Task
    items: Sequence[Item]
    gold: Sequence[str]
    groups: Sequence[str]
    contents: Mapping[str, bytes]

    def without(self, ids: Collection[str]) -> "Lesson":
        """The same but for items of these ids."""
        kept = [at for at, item in enumerate(self.items) if item.item_id not in ids]
        items = [self.items[at] for at in kept]
        return replace(self, items=items, gold=[self.gold[at] for at in kept], groups=[self.groups[at] for at in kept])


@dataclass(frozen=True)
class Shown:
    """One example as it is shown in a step: the item, its decoded pictures, and its label's place."""

    item: Item
    pictures: Mapping[str, Scaled]
    label: int


@dataclass(frozen=True)
class Course:
    """A lesson ready to be drawn from: examples by label, and the held-out ones. All orders follow from hashes.

    `wordings` are other tellings of examples by item id, see `kdsl.models.paraphrase`.
    """

    task: Task
    by_label: Mapping[int, tuple[Item, ...]]
    held_out: tuple[Item, ...]
    held_gold: tuple[str, ...]
    pictures: Mapping[str, Scaled]
    wordings: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)

    def draw(self, seed: int, step: int, rows: int, how: AugmentSettings, pixels: Pixels | None) -> list[Shown]:
        """The examples of one step, a function of seed and step: each label in turn, each item of a label in turn."""
        labels = sorted(self.by_label)
        shown = []
        for row in range(rows):
            turn, place = divmod(step * rows + row, len(labels))
            label = _shuffled(labels, f"{seed}/labels/{turn}")[place]
            items = self.by_label[label]
            round_, at = divmod(turn, len(items))
            chosen = _shuffled(items, f"{seed}/items/{label}/{round_}")[at]
            shown.append(self._changed(chosen, label, Random(f"{seed}/{step}/{row}"), how, pixels))  # noqa: S311
        return shown

    def _changed(self, item: Item, label: int, dice: Random, how: AugmentSettings, pixels: Pixels | None) -> Shown:
        others = self.wordings.get(item.item_id)
        worded = dice.choice(others) if others and dice.random() < how.paraphrase else item
        told = augment.item(worded, dice, how, self.by_label[label])
        seen: dict[str, Scaled] = {}
        names = []
        for picture in told.pictures:
            scaled = self.pictures.get(picture.sha256)
            if scaled is None or pixels is None:
                names.append(picture)
                continue
            name = f"{picture.sha256}/{dice.getrandbits(60):x}"
            seen[name] = pixels.scale(augment.picture(scaled.image, dice, how))
            names.append(replace(picture, sha256=name))
        return Shown(replace(told, pictures=tuple(names)), seen, label)


def course(lesson: Lesson, pictures: Mapping[str, Scaled], *, share: float, seed: int) -> Course:
    """Hold out a share of the groups, at most that share of each label, and sort the rest.

    Raises:
        ConfigError: fewer than two labels have examples.
    """
    place = {name: at for at, name in enumerate(lesson.task.label_names)}
    rows = sorted(
        range(len(lesson.items)), key=lambda at: hash_order(lesson.groups[at] + lesson.items[at].item_id, seed)
    )
    room = {name: int(share * count) for name, count in Counter(lesson.gold).items()}
    of_group: dict[str, list[int]] = {}
    for at in rows:
        of_group.setdefault(lesson.groups[at], []).append(at)
    held: list[int] = []
    for group in sorted(of_group, key=lambda key: hash_order(key, seed)):
        need = Counter(lesson.gold[at] for at in of_group[group])
        if all(room[name] >= count for name, count in need.items()):
            held += of_group[group]
            room = {name: left - need[name] for name, left in room.items()}
    by_label: dict[int, list[Item]] = {}
    for at in rows:
        if at not in set(held):
            by_label.setdefault(place[lesson.gold[at]], []).append(lesson.items[at])
    if len(by_label) < 2:
        raise ConfigError(
            f"fit: task {lesson.task.name!r} has examples of {len(by_label)} labels; post-training needs two at least."
        )
    return Course(
        lesson.task,
        {label: tuple(items) for label, items in by_label.items()},
        tuple(lesson.items[at] for at in held),
        tuple(lesson.gold[at] for at in held),
        pictures,
    )


def _shuffled(items: Sequence[One], key: str) -> list[One]:
    return Random(key).sample(list(items), len(items))  # noqa: S311 - no secret
