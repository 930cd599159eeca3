"""LoRA post-training on few examples: the loss is on the code of the right label, exactly what scoring reads.

A step is a function of the seed and its number, and all state is written as safetensors and JSON: a run that was
killed goes on to the same adapter, and on CPU the same seed gives the same adapter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdsl.models import adapter, progress
from kdsl.models.adapter import Adapted
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.progress import State
from kdsl.models.tuning import Tuning

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run reports: the step, its mean loss, and held-out weighted F1 where it was looked at."""

    step: int
    loss: float
    score: float | None


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

    Args:
        scorer: the loaded base model; it is changed, and scores with the adapter afterwards.
        lessons: one a task; steps take them in turn.
        settings: how.
        seed: of everything drawn.
        folder: gets the adapter; `folder/unfinished` holds the state to go on from, and is removed at the end.
        report: called after each step.
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
        state.step += 1
        score = None
        if state.step % settings.evaluate_every == 0 or state.step == settings.steps:
            score = run.look(state)
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
    )
    adapter.put(run.wrapped, state.best)
    adapter.save(folder, state.best, facts)
    progress.clear(folder / "unfinished")
    run.close()
    return facts
