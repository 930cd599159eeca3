"""The voters `small` and `large`: a multimodal model with an adapter of its own, behind the protocol of every voter."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdsl.dialogue import Item
from kdsl.errors import ConfigError, ReleaseError
from kdsl.features import has_anything
from kdsl.models import adapter, checkpoint
from kdsl.models.adapter import Adapted
from kdsl.models.base import Base, shared
from kdsl.models.codes import Code, named
from kdsl.models.lessons import Lesson
from kdsl.models.lora import post_train
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings, MllmSettings
from kdsl.models.model_settings import ModelSettings
from kdsl.models.progress import identity
from kdsl.models.shots import Shot, chosen
from kdsl.models.voter import Fit, LogProbs, Voter, must_teach
from kdsl.taxonomy import Task

FILE = "mllm.json"
NAMES = ("small", "large")


class Saved(BaseModel):
    """What `mllm.json` holds: how to load the base model, and whether there is an adapter beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    model: ModelSettings
    fingerprint: str
    task: str
    digest: str
    labels: tuple[str, ...] = Field(min_length=2)
    adapted: bool
    shots: tuple[Shot, ...] = ()
    codes: tuple[str, ...] = ()  # of the labels in their order; none: the tokenizer's first ones


@dataclass
class MllmVoter:
    """A loaded model for one task."""

    task: Task
    scorer: Scorer
    adapted: Adapted | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    base: Base | None = None  # where voters share a model
    worn: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's label names, in taxonomy order."""
        return self.task.label_names

    def log_probs(self, items: Sequence[Item]) -> LogProbs:
        """Log-probabilities, shape (len(items), len(labels)); a row of NaN where there is nothing to see."""
        votes = np.full((len(items), len(self.labels)), np.nan)
        seen = [row for row, item in enumerate(items) if has_anything(item)]
        some = [items[row] for row in seen]
        if self.base is not None:
            self.base.put_on(self.worn)
        votes[seen] = self.scorer.score(self.task, some, contents_of(some)).log_probs
        return votes

    def drop(self) -> None:
        """Give the model's memory back, for a voter that shares it with nobody."""
        self.scorer.drop()

    def save(self, folder: Path) -> None:
        """Write the adapter and where its base model is; the base model itself stays where it is."""
        folder.mkdir(parents=True, exist_ok=True)
        saved = Saved(
            model=self.scorer.settings,
            fingerprint=self.scorer.loaded.fingerprint,
            task=self.task.name,
            digest=adapter.digest(self.task),
            labels=self.labels,
            adapted=self.adapted is not None,
            shots=self.scorer.prompter.shots,
            codes=tuple(code.text for code in self.scorer.verbalizers.get(self.task.name, ())),
        )
        (folder / FILE).write_text(saved.model_dump_json(indent=1) + "\n", encoding="utf-8")
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def fit_of(name: str) -> Fit:
    """The `fit` of the voter of that name, which finds its settings under that name among the options."""

    def fit(
        task: Task,
        items: Sequence[Item],
        gold: Sequence[str],
        groups: Sequence[str],
        *,
        seed: int,
        beside: Sequence[Lesson] = (),
        **options: MllmSettings,
    ) -> MllmVoter:
        """Load the base model and post-train it, where the settings say so; the order of the items does not matter.

        The adapter learns the lessons `beside` too, those of other tasks.

        Raises:
            ConfigError: no path, no model there that can be loaded, a foreign label, too few labels with examples,
                shots for an adapter of several tasks, or a task that cannot be asked of this model.
        """
        settings = options[name]
        if not settings.path:
            raise ConfigError(
                f"fit.{name}.path is empty and fit.voters names {name}; give the folder of a checkpoint, as "
                "/models/Qwen2-VL-2B-Instruct, or take the voter out."
            )
        if settings.post_train:
            must_teach(task, items, gold)
        if beside and settings.shots:
            raise ConfigError(
                f"fit.{name}.shots: {settings.shots} given beside lora.joint; examples in the prompt are of one task. "
                "Set shots: 0, or lora.joint: false."
            )
        scorer = Scorer.to_train(settings.model)
        lesson = Lesson(task, items, gold, groups, contents_of(items))
        lesson = _shown(scorer, lesson, post_train=settings.post_train, seed=seed)
        scorer.plan(task)  # refused here, and not at the first item
        if not settings.post_train:
            return MllmVoter(task, scorer.ready())
        return _taught(scorer, [lesson, *beside], settings, settings.lora, seed=seed)

    return fit


def again_of(name: str) -> Fit:
    """What fits the voter of that name on all examples once it was fitted on some: see `LoraSettings.refit`."""

    def again(
        first: MllmVoter, task: Task, items: Sequence[Item], gold: Sequence[str], groups: Sequence[str],
        *, seed: int, beside: Sequence[Lesson] = (), **options: MllmSettings,
    ) -> Voter:  # fmt: skip
        settings = options[name]
        if settings.lora.refit == "never" or not settings.post_train:
            return first
        first.drop()  # a GPU has room for one model that learns
        if settings.lora.refit == "anew":
            return fit_of(name)(task, items, gold, groups, seed=seed, beside=beside, **options)
        scorer = Scorer.to_train(settings.model)  # the other one's weights hold the first adapter
        scorer.verbalizers = first.scorer.verbalizers  # what the adapter learned to say
        lesson = _shown(scorer, Lesson(task, items, gold, groups, contents_of(items)), post_train=True, seed=seed)
        start = first.files[adapter.WEIGHTS]
        return _taught(scorer, [lesson, *beside], settings, settings.lora.going_on, seed=seed, start=start)

    return again


def _shown(scorer: Scorer, lesson: Lesson, *, post_train: bool, seed: int) -> Lesson:
    """Show some of the examples in the prompt from now on, and learn from the others."""
    settings, least = scorer.settings, 1 if post_train else 0
    each = 0 if settings.labels == "none" else settings.shots  # such a prompt has no place for them
    read = [scorer.prompter.read_of(item) for item in lesson.items]
    shown = chosen(lesson.task, read, lesson.gold, each, least=least, seed=seed)
    scorer.prompter.shots = tuple(shown.values())
    kept = [at for at, item in enumerate(lesson.items) if item.item_id not in shown]
    return replace(
        lesson,
        items=[lesson.items[at] for at in kept],
        gold=[lesson.gold[at] for at in kept],
        groups=[lesson.groups[at] for at in kept],
    )


def _taught(
    scorer: Scorer,
    lessons: Sequence[Lesson],
    settings: MllmSettings,
    lora: LoraSettings,
    *,
    seed: int,
    start: bytes | None = None,
) -> MllmVoter:
    """The voter of the first lesson's task."""
    from safetensors.torch import load as weights_of

    learned = sorted(lessons, key=lambda lesson: lesson.task.name)  # all tasks of a joint adapter get the same one
    task = lessons[0].task
    lora = lora.model_copy(update={"steps": lora.steps * len(learned)})  # each task gets as many as alone
    with tempfile.TemporaryDirectory() as passing:
        # Of one task and one start: a joint adapter's runs are alike, and may be under way at the same time.
        begun = hashlib.sha256((start or b"") + task.name.encode()).hexdigest()[:16]
        run = identity(scorer.loaded.fingerprint, scorer.settings.shown, learned, lora, seed)
        folder = Path(settings.unfinished or passing) / f"{run}-{begun}"
        known = None if start is None else weights_of(start)
        adapted = post_train(scorer, learned, lora, seed=seed, folder=folder, start=known)
        files = {name: (folder / name).read_bytes() for name in (adapter.WEIGHTS, adapter.FACTS)}
        shutil.rmtree(folder)
    return MllmVoter(task, scorer.ready(), adapted, files)


def _codes(tokenizer: Any, saved: Saved, folder: Path) -> tuple[Code, ...]:
    found = named(tokenizer, saved.codes)
    if len(found) != len(saved.labels):
        raise ReleaseError(
            f"voter: {folder / FILE} names {len(saved.codes)} codes, {len(found)} of which are tokens of their own to "
            f"the model in {saved.model.path}; {len(saved.labels)} labels need one each. Run fit again."
        )
    return found


def fingerprints(settings: Mapping[str, MllmSettings]) -> dict[str, str]:
    """What tells the models of these voters apart: other weights at the same path are another model.

    Raises:
        ConfigError: there is no checkpoint at a path.
    """
    return {
        name: checkpoint.fingerprint(checkpoint.folder_of(one.path, allow_download=one.allow_download))
        for name, one in settings.items()
        if one.path
    }


def device(folder: Path) -> str | None:
    """What `device` the voter saved in a folder asks for; None where it is of another kind."""
    file = folder / FILE
    return Saved.model_validate_json(file.read_text(encoding="utf-8")).model.device if file.is_file() else None


def contents_of(items: Sequence[Item]) -> dict[str, bytes]:
    """The files of the items' pictures by SHA-256, those that are there."""
    return {
        picture.sha256: picture.content
        for item in items
        for picture in item.pictures
        if picture.content is not None and not picture.error_code
    }


def load(folder: Path, task: Task) -> MllmVoter:
    """Read what `save` wrote; voters of one base model share it, each with its own adapter.

    Raises:
        ReleaseError: the directory is damaged, or made for another base model or other labels.
        ConfigError: the base model cannot be loaded, or the task cannot be asked of it.
    """
    try:
        saved = Saved.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ReleaseError(f"voter: {folder} holds no readable {FILE}; run fit again.") from error
    if saved.task != task.name or saved.digest != adapter.digest(task):
        raise ReleaseError(
            f"voter: {folder} was made for other labels of task {saved.task!r} than the taxonomy has; run fit again."
        )
    rounded = saved.model.weights == "int8"  # with its adapter in them: nobody else can use such weights
    own = folder if saved.adapted else None
    base = Base(saved.model.loaded()) if rounded else shared(saved.model, own)
    if base.loaded.fingerprint != saved.fingerprint:
        raise ReleaseError(
            f"voter: the model in {saved.model.path} is not the one that {folder} was made with; put the same "
            "checkpoint there, or run fit again."
        )
    scorer = Scorer(base.loaded, saved.model)
    scorer.prompter.shots = saved.shots
    if saved.codes:
        scorer.verbalizers[task.name] = _codes(base.loaded.tokenizer, saved, folder)
    scorer.plan(task)
    worn = base.join(own, task)
    if rounded:
        base.settle()
        scorer.ready()
    if not saved.adapted:
        return MllmVoter(task, scorer, base=base, worn=worn)
    files = {
        name: (folder / name).read_bytes() for name in (adapter.WEIGHTS, adapter.FACTS) if (folder / name).exists()
    }
    return MllmVoter(task, scorer, adapter.facts_of(folder), files, base, worn)
