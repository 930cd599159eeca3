"""The voters `small` and `large`: a multimodal model with an adapter of its own, behind the protocol of every voter."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdsl.dialogue import Item
from kdsl.errors import ReleaseError
from kdsl.models import adapter
from kdsl.models.adapter import Adapted
from kdsl.models.lessons import Lesson
from kdsl.models.lora import LoraSettings, Progress, post_train
from kdsl.models.mllm import ModelSettings, Scorer
from kdsl.models.voter import LogProbs
from kdsl.taxonomy import Task

FILE = "mllm.json"


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


@dataclass
class MllmVoter:
    """A loaded model for one task. `contents` gives the bytes of pictures by SHA-256, for items that carry none."""

    task: Task
    scorer: Scorer
    adapted: Adapted | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's label names, in taxonomy order."""
        return self.task.label_names

    def log_probs(self, items: Sequence[Item]) -> LogProbs:
        """Log-probabilities, shape (len(items), len(labels)); a row of NaN where an item could not be read."""
        return self.scorer.score(self.task, items, self.contents).log_probs

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
        )
        (folder / FILE).write_text(saved.model_dump_json(indent=1) + "\n", encoding="utf-8")
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


@dataclass(frozen=True)
class Fitting:
    """`fit` of a voter kind, with what the settings say about the model: see `kdsl.models.voter.Fit`.

    Args:
        model: the base model, and how it scores.
        lora: how it is post-trained; None: it labels as it is, by descriptions alone.
        contents: bytes of the items' pictures by SHA-256.
        work: where an unfinished run keeps its state, so that it can go on; empty: a folder that goes with the process.
        report: gets the progress.
    """

    model: ModelSettings
    lora: LoraSettings | None
    contents: Mapping[str, bytes] = field(default_factory=dict)
    work: str = ""
    report: Callable[[Progress], None] | None = None

    def __call__(
        self, task: Task, items: Sequence[Item], gold: Sequence[str], groups: Sequence[str], *, seed: int
    ) -> MllmVoter:
        """Post-train on labelled items.

        Raises:
            ConfigError: the model cannot be loaded, or too few labels have examples.
        """
        scorer = Scorer.load(self.model)
        if self.lora is None:
            return MllmVoter(task, scorer, contents=self.contents)
        lesson = Lesson(task, items, gold, groups, self.contents)
        with tempfile.TemporaryDirectory() as passing:
            folder = Path(self.work or passing)
            adapted = post_train(scorer, [lesson], self.lora, seed=seed, folder=folder, report=self.report or _quiet)
            files = {name: (folder / name).read_bytes() for name in (adapter.WEIGHTS, adapter.FACTS)}
        return MllmVoter(task, scorer, adapted, files, self.contents)


def load(folder: Path, task: Task, contents: Mapping[str, bytes] | None = None) -> MllmVoter:
    """Read what `save` wrote, load the base model and merge the adapter into it.

    Raises:
        ReleaseError: the directory is damaged, or made for another base model or other labels.
        ConfigError: the base model cannot be loaded.
    """
    try:
        saved = Saved.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ReleaseError(f"voter: {folder} holds no readable {FILE}; run fit again.") from error
    if saved.task != task.name or saved.digest != adapter.digest(task):
        raise ReleaseError(
            f"voter: {folder} was made for other labels of task {saved.task!r} than the taxonomy has; run fit again."
        )
    scorer = Scorer.load(saved.model)
    if scorer.loaded.fingerprint != saved.fingerprint:
        raise ReleaseError(
            f"voter: the model in {saved.model.path} is not the one that {folder} was made with; put the same "
            "checkpoint there, or run fit again."
        )
    voter = MllmVoter(task, scorer, contents=contents or {})
    if saved.adapted:
        adapter.load_into(scorer.loaded.model, scorer.loaded.fingerprint, folder, task)
        voter.adapted = adapter.facts_of(folder)
        voter.files = {name: (folder / name).read_bytes() for name in (adapter.WEIGHTS, adapter.FACTS)}
    return voter


def _quiet(_: Progress) -> None:
    pass
