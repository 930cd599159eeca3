"""Other wordings of what shoppers wrote, by the model that is about to be post-trained, for it to learn from too.

What a model writes may say something else, so a filter stands behind it, and no model is asked about its own work: a
wording keeps the numbers, is about as long, is no copy, and the voter `meaning`, fitted on the shoppers' own messages,
must read its example's label out of it, the wording standing alone.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from kdsl.dialogue import Item, Turn
from kdsl.models import meaning
from kdsl.models.encoder import PACKAGED
from kdsl.models.lessons import Course
from kdsl.models.mllm import Scorer
from kdsl.models.writer import Writer
from kdsl.taxonomy import Task

_LOG = logging.getLogger(__name__)
_NUMBER = re.compile(r"\d+")
OPENING = "In other words:"
QUESTION = f"""Say each message in other words. Keep its meaning, its language and every number.

Message: good morning, when do you open on May 24?
{OPENING} hello, from what time can I come in on May 24?

Message: """
SHORTEST, LONGEST = 8, 600  # characters of a message that is told otherwise
FEW_TOKENS, MOST_TOKENS = 16, 256  # of an answer; a character is one at most
STRETCH = 2.5  # times longer or shorter than the message
TOLD_EVERY = 50  # messages


@dataclass(frozen=True, slots=True)
class Draft:
    """An example's label, the example, the place of its longest message, and what the model made of that."""

    label: str
    own: Item
    place: int
    wording: str

    @property
    def told(self) -> Item:
        """The example with the wording in its place."""
        turns = list(self.own.turns)
        turns[self.place] = replace(turns[self.place], text=self.wording)
        return replace(self.own, turns=tuple(turns))


def told(scorer: Scorer, course: Course, n: int, seed: int) -> Course:
    """The course with up to `n` wordings of each example of a conversation that it teaches; held-out ones stay alone.

    Args:
        scorer: the model before it learns; its weights stay as they are.
        course: what will be drawn from.
        n: wordings asked for of each example.
        seed: of what the model draws.
    """
    names = course.task.label_names
    taught = [(names[label], item) for label, items in sorted(course.by_label.items()) for item in items]
    wanted = [(label, item, place) for label, item in taught if (place := longest(item)) is not None]
    asked = 0
    drafts: list[Draft] = []
    for nth, (label, item, place) in enumerate(wanted):
        text = scorer.prompter.clean(item.turns[place].text)
        dice = Random(f"{seed}/wordings/{item.item_id}")  # noqa: S311 - no secret
        writer = Writer(scorer.loaded, min(MOST_TOKENS, FEW_TOKENS + len(text)))
        if writer.room < 1:  # an answer as long as this message would fill the model's context
            continue
        asked += n
        answers = writer.several(f"{QUESTION}{text}\n{OPENING}", n, dice.getrandbits(60))
        wordings = [one for one in dict.fromkeys(map(first_line, answers)) if sound(one, text)]
        drafts += [Draft(label, item, place, one) for one in wordings]
        if (nth + 1) % TOLD_EVERY == 0:
            _LOG.info(f"paraphrases for {course.task.name}: {nth + 1} of {len(wanted)} messages")
    kept = agreeing(course.task, [(label, item.turns[place].text) for label, item, place in wanted], drafts)
    _LOG.info(f"paraphrases for {course.task.name}: {asked} asked, {len(drafts)} sound, {len(kept)} kept")
    wordings_of: dict[str, tuple[Item, ...]] = {}
    for draft in kept:
        wordings_of[draft.own.item_id] = (*wordings_of.get(draft.own.item_id, ()), draft.told)
    return replace(course, wordings=wordings_of)


def agreeing(task: Task, taught: Sequence[tuple[str, str]], drafts: Sequence[Draft]) -> list[Draft]:
    """Those out of whose wording alone `meaning` reads their label, having learned labels and messages of `taught`."""
    if not drafts:
        return []
    labels, texts = zip(*taught, strict=True)
    items = _alone(task, texts)
    judge = meaning.fit(task, items, labels, [item.item_id for item in items], seed=0, encoder=PACKAGED)
    said = judge.log_probs(_alone(task, [draft.wording for draft in drafts]))
    place = {name: at for at, name in enumerate(task.label_names)}
    return [
        draft
        for draft, row in zip(drafts, said, strict=True)
        if np.isfinite(row).all() and int(row.argmax()) == place[draft.label]  # NaN: it abstains
    ]


def _alone(task: Task, texts: Sequence[str]) -> list[Item]:
    """Each message as a conversation of its own."""
    return [Item(str(at), task.name, (Turn("user", text),)) for at, text in enumerate(texts)]


def sound(wording: str, text: str) -> bool:
    """Whether it may be another wording of the text by its looks alone."""
    if not wording or not len(text) / STRETCH <= len(wording) <= len(text) * STRETCH:
        return False
    if _words(wording) in ([], _words(text)) or any(part in wording for part in ("Message:", OPENING)):
        return False
    return sorted(_NUMBER.findall(wording)) == sorted(_NUMBER.findall(text))


def first_line(answer: str) -> str:
    """What the model answered, without what it went on to say, and without quotes around it."""
    lines = answer.strip().splitlines()
    return lines[0].strip().strip("\"'“”‘’「」`").strip() if lines else ""


def longest(item: Item) -> int | None:
    """The place of the shopper's longest message, the later of equals; None where none is worth another wording."""
    places = [at for at, turn in enumerate(item.turns) if turn.speaker == "user"]
    place = max(places, key=lambda at: (len(item.turns[at].text), at), default=None)
    if place is None or not SHORTEST <= len(item.turns[place].text.strip()) <= LONGEST:
        return None
    return place


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
