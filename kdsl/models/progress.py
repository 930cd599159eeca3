"""The state of an unfinished post-training, written so that a kill at any moment leaves a whole one behind."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.models.adapter import Progress, digest
from kdsl.models.lessons import Lesson

if TYPE_CHECKING:
    import torch

LEARNING = 2  # another number where the same settings and examples lead to another adapter than before
_FIELDS = ("step", "best_step", "best_score", "best_likelihood", "misses", "ended", "losses", "curve", "codes")


@dataclass
class State:
    """Where a run stands, its best adapter so far, and, as loaded, the optimizer's moments."""

    step: int = 0
    best_step: int = 0
    best_score: float = -1.0
    best_likelihood: float = float("-inf")
    misses: int = 0
    ended: bool = False
    losses: list[float] = field(default_factory=list)  # of the steps since the last point of the curve
    curve: list[Progress] = field(default_factory=list)
    codes: dict[str, list[str]] = field(default_factory=dict)  # of labels, by task, where they were chosen
    best: "dict[str, torch.Tensor]" = field(default_factory=dict)
    moments: "dict[str, torch.Tensor]" = field(default_factory=dict)


def identity(base: str, shown: Mapping[str, Any], lessons: Sequence[Lesson], settings: Any, seed: int) -> str:
    """SHA-256 over everything that a run's result follows from: base model, how it is shown what, settings, seed."""
    told = [LEARNING, base, shown, seed, settings.model_dump(mode="json")]
    for lesson in lessons:
        rows = sorted(zip(map(_told, lesson.items), lesson.gold, lesson.groups, strict=True))
        told += [digest(lesson.task), rows]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _told(item: Item) -> tuple[Any, ...]:
    turns = [(turn.speaker, turn.text, turn.image_ids) for turn in item.turns]
    return item.item_id, turns, [picture.sha256 for picture in item.pictures]


def save(folder: Path, whose: str, state: State, moments: "dict[str, torch.Tensor]") -> None:
    """Write a state beside the last one, move it into place at once, and only then remove the older ones."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"step-{state.step:08d}"
    draft = folder / f"draft-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    best = {f"best/{name}": value for name, value in state.best.items()}
    save_file(moments | best, draft / "state.safetensors")
    told = {name: getattr(state, name) for name in _FIELDS} | {"run": whose}
    (draft / "state.json").write_text(json.dumps(told), encoding="utf-8")
    shutil.rmtree(made, ignore_errors=True)
    draft.rename(made)
    for other in folder.glob("step-*"):
        if other != made:
            shutil.rmtree(other, ignore_errors=True)


def latest(folder: Path, whose: str) -> State | None:
    """The last whole state; None where there is none.

    Raises:
        ConfigError: it belongs to a run with other examples, settings, seed or base model.
    """
    from safetensors.torch import load_file

    made = sorted(folder.glob("step-*"))
    if not made:
        return None
    told = json.loads((made[-1] / "state.json").read_text(encoding="utf-8"))
    if told["run"] != whose:
        raise ConfigError(
            f"fit: {folder} holds the state of a run with other examples, settings, seed or base model; delete it to "
            "begin anew."
        )
    found = load_file(made[-1] / "state.safetensors")
    state = State(**{name: told[name] for name in _FIELDS})
    state.curve = [Progress(*point) for point in state.curve]
    state.best = {name.removeprefix("best/"): value for name, value in found.items() if name.startswith("best/")}
    state.moments = {name: value for name, value in found.items() if not name.startswith("best/")}
    return state


def clear(folder: Path) -> None:
    """Remove the states of a finished run."""
    shutil.rmtree(folder, ignore_errors=True)
