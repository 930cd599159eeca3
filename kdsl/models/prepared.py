"""A lesson made ready for one model: pictures decoded, what cannot be shown left out, some held out, some reworded."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from kdsl.errors import BadRow
from kdsl.models import paraphrase
from kdsl.models.lessons import Course, Lesson, course
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.pixels import Decoder, Scaled, finished

_LOG = logging.getLogger(__name__)


def prepared(scorer: Scorer, lesson: Lesson, settings: LoraSettings, seed: int) -> Course:
    """What a model draws its examples from.

    Raises:
        ConfigError: fewer than two labels have examples that can be shown.
    """
    # Before examples are changed: a change of what is not read would be none.
    lesson = replace(lesson, items=[scorer.prompter.read_of(item) for item in lesson.items])
    decoder = Decoder(scorer.pixels, scorer.settings.threads)
    names = sorted({picture.sha256 for one in lesson.items for picture in one.pictures})
    pictures, _ = finished(decoder.start(names, lesson.contents))
    decoder.close()
    kept = _readable(scorer, lesson, pictures)
    readable = Lesson(
        lesson.task,
        [lesson.items[at] for at in kept],
        [lesson.gold[at] for at in kept],
        [lesson.groups[at] for at in kept],
        lesson.contents,
    )
    made = course(readable, pictures, share=settings.held_out, seed=seed)
    wanted = settings.augment.paraphrases
    return paraphrase.told(scorer, made, wanted, seed) if wanted else made


def _readable(scorer: Scorer, lesson: Lesson, pictures: Mapping[str, Scaled]) -> list[int]:
    """Places of the examples that can be shown; how many cannot is logged."""
    room = scorer.plan(lesson.task).room
    kept = []
    for at, item in enumerate(lesson.items):
        try:
            scorer.encode(item, pictures, room)
            kept.append(at)
        except BadRow:
            continue
    if lost := len(lesson.items) - len(kept):
        most = min(room, scorer.settings.own_tokens)
        _LOG.warning(
            f"post-training on {lesson.task.name}: {lost} of {len(lesson.items)} examples are left out: no picture "
            f"that can be read, or more than {most} tokens (own_tokens)"
        )
    return kept
