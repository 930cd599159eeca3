"""Training tasks of the miniatures: each step asks other labels, other names and another order of codes.

A label is one kind of wish or screen, or two or three of them taken together, under any of its names; with its
description in every second task. Nothing here is of the made-up shop that the demo labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from kdsl.demo.miniature.screens import kinds
from kdsl.demo.miniature.shots import Shot, shot
from kdsl.demo.miniature.talks import sentence, talk
from kdsl.demo.miniature.wishes import wishes
from kdsl.dialogue import Item
from kdsl.taxonomy import Label, Task

ASK_WISH = (
    "What does the customer want?",
    "Which label fits this dialogue?",
    "What is this conversation about?",
    "Why does the person write?",
)
ASK_SCREEN = (
    "What is in the picture?",
    "Which kind of screen is this?",
    "What does the screenshot show?",
    "Label the picture.",
)


@dataclass(frozen=True, slots=True)
class Talks:
    """One text task: items, the place of each one's label, and a name of what each is."""

    task: Task
    items: tuple[Item, ...]
    labels: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shots:
    """One picture task: pictures, the place of each one's label, and a name of each with the title on it."""

    task: Task
    shots: tuple[Shot, ...]
    labels: tuple[int, ...]
    names: tuple[str, ...]


def talks(dice: Random, rows: int) -> Talks:
    """Dialogues of any wishes; the task has all of them, and is not asked."""
    return _talks(dice, rows, [[at] for at in range(len(wishes()))])


def shots(dice: Random, rows: int) -> Shots:
    """Pictures of any kinds; the task has all of them, and is not asked."""
    return _shots(dice, rows, [[at] for at in range(len(kinds()))])


def ask_talks(dice: Random, rows: int) -> Talks:
    """A text task of a few labels."""
    return _talks(dice, rows, _groups(dice, len(wishes())))


def ask_shots(dice: Random, rows: int) -> Shots:
    """A picture task of a few labels."""
    return _shots(dice, rows, _groups(dice, len(kinds())))


def _talks(dice: Random, rows: int, groups: list[list[int]]) -> Talks:
    known = wishes()
    named = [[(known[at].names, known[at].description) for at in group] for group in groups]
    task = _task(dice, "intent", "conversation", ASK_WISH, named)
    labels = tuple(dice.randrange(len(groups)) for _ in range(rows))
    spoken = [talk(dice, known[dice.choice(groups[label])]) for label in labels]
    items = tuple(Item(str(row), "intent", one.turns) for row, one in enumerate(spoken))
    return Talks(task, items, labels, tuple(dice.choice(one.wish.names) for one in spoken))


def _shots(dice: Random, rows: int, groups: list[list[int]]) -> Shots:
    known = kinds()
    named = [[(known[at].names, known[at].description) for at in group] for group in groups]
    task = _task(dice, "scene", "image", ASK_SCREEN, named)
    labels = tuple(dice.randrange(len(groups)) for _ in range(rows))
    drawn = tuple(shot(dice, known[dice.choice(groups[label])]) for label in labels)
    return Shots(task, drawn, labels, tuple(f"{dice.choice(one.kind.names)}. {one.title}" for one in drawn))


def texts(dice: Random, count: int) -> list[str]:
    """Text to learn a vocabulary from: dialogues, names, descriptions and titles."""
    found = [f"{name}: {wish.description}" for wish in wishes() for name in wish.names] * 3
    found += [
        f"{name}: {kind.description} {' '.join((*kind.titles, *kind.main, *kind.more))}"
        for kind in kinds()
        for name in kind.names
    ] * 3
    for _ in range(count):
        wish = dice.choice(wishes())
        found.append(sentence(dice, wish))
        found += [f"{turn.speaker}: {turn.text}" for turn in talk(dice, wish).turns]
    return found


def _groups(dice: Random, n: int) -> list[list[int]]:
    left = dice.sample(range(n), n)
    groups = []
    for _ in range(dice.randrange(3, 11)):
        size = dice.choices((1, 2, 3), (70, 22, 8))[0]
        groups.append([left.pop() for _ in range(size)])
    return groups


def _task(
    dice: Random, name: str, unit: str, asks: tuple[str, ...], groups: Sequence[Sequence[tuple[tuple[str, ...], str]]]
) -> Task:
    told = dice.random() < 0.5
    labels: list[Label] = []
    seen: set[str] = set()
    for group in groups:
        title = " or ".join(dice.choice(names) for names, _ in group)
        title = title.replace(" ", "_") if dice.random() < 0.4 else title
        while title in seen:
            title += "+"
        seen.add(title)
        labels.append(Label(name=title[:190], description="; ".join(text for _, text in group) if told else ""))
    return Task.model_validate({"name": name, "asked_of": unit, "question": dice.choice(asks), "labels": labels})
