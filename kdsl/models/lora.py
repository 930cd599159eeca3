"""LoRA post-training on few examples: the loss is on the code of the right label, exactly what scoring reads.

A step is a function of the seed and its number, and all state is written as safetensors and JSON: a run that was
killed goes on to the same adapter, and on CPU the same seed gives the same adapter.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from kdsl.models import adapter, progress
from kdsl.models.adapter import Adapted, Progress
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.progress import State
from kdsl.models.tuning import Tuning

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)


def post_train(
    scorer: Scorer,
    lessons: Sequence[Lesson],
    settings: LoraSettings,
    *,
    seed: int,
    folder: Path,
    report: Callable[[Progress], None] = lambda _: None,
    start: "Mapping[str, torch.Tensor] | None" = None,
) -> Adapted:
    """Train one adapter on one task or on several jointly, write it into `folder`, and merge it into the model.

    Every `settings.evaluate_every` steps a point of the learning curve is logged, and kept beside the adapter.

    Args:
        scorer: the loaded base model; it is changed, and scores with the adapter afterwards.
        lessons: one a task; steps take them in turn.
        settings: how.
        seed: of everything drawn.
        folder: gets the adapter; `folder/unfinished` holds the state to go on from, and is removed at the end.
        report: called after each step, with the loss of that step.
        start: weights of an adapter to go on from; None: a fresh one.

    Returns:
        What was written.

    Raises:
        ConfigError: too few labels have examples, or `folder/unfinished` is of another run.
    """
    run = Tuning(scorer, lessons, settings, seed)
    state = progress.latest(folder / "unfinished", run.identity) or State()
    if start is not None:
        adapter.put(run.wrapped, dict(start))
    run.restore(state)
    while state.step < settings.steps and not state.ended:
        loss = run.step(state.step)
        state.losses.append(loss)
        state.step += 1
        score = None
        if state.step % settings.evaluate_every == 0 or state.step == settings.steps:
            score = run.look(state)
            state.curve.append(Progress(state.step, round(fmean(state.losses), 6), score))
            state.losses.clear()
            _LOG.info(_line([one.task.name for one in lessons], state.curve[-1], settings.steps))
        report(Progress(state.step, loss, score))
        if state.step % settings.save_every == 0:
            progress.save(folder / "unfinished", run.identity, state, run.moments())
    facts = Adapted(
        base=scorer.loaded.fingerprint,
        tasks={one.task.name: adapter.digest(one.task) for one in lessons},
        rank=settings.rank,
        alpha=settings.alpha,
        vision=settings.vision,
        steps=state.best_step,
        score=round(max(0.0, state.best_score), 6),
        paraphrases=sum(len(kept) for one in run.courses for kept in one.wordings.values()),
        curve=tuple(state.curve),
    )
    adapter.put(run.wrapped, state.best)
    adapter.save(folder, state.best, facts)
    progress.clear(folder / "unfinished")
    run.close()
    return facts


def _line(tasks: Sequence[str], at: Progress, steps: int) -> str:
    held_out = "" if at.score is None else f", held-out weighted F1 {at.score:.3f}"
    return f"post-training on {' and '.join(tasks)}: step {at.step} of {steps}, loss {at.loss:.3f}{held_out}"
