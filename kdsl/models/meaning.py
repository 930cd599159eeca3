"""The `meaning` voter: which label's examples lie nearest in what the encoder makes of an item's words.

A linear discriminant (Fisher 1936; shrunken covariance, Friedman 1989) over sentence vectors of several views side by
side. With few examples a label it errs elsewhere than logistic regression on n-grams. All labels are held equally
likely beforehand, and every label's name, aliases and description count as examples, so one without examples keeps a
voice. Closed form: it learns in less than a second once the texts are encoded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.models import stored
from kdsl.models.blocks import Meaning, Seen
from kdsl.models.encoder import PACKAGED, optional
from kdsl.models.linear import texts_of_labels
from kdsl.models.logistic import log_softmax
from kdsl.models.voter import LogProbs, must_teach
from kdsl.taxonomy import Task

FORMAT = 1
# Views by what the task is asked of. The agent's last words tell what the shopper's were taken for.
VIEWS: Mapping[str, tuple[str, ...]] = {
    "conversation": ("last_user", "recent_user", "last_agent"),
    "image": ("ocr_large", "ocr"),
}
# Share of the covariance that is replaced by equal variances: there are more dimensions than examples. From .7 to .95
# it makes no difference beyond chance.
SHRINKAGE = 0.9
Matrix = NDArray[np.float64]


class MeaningVoter:
    """A fitted voter of one task; without an encoder it abstains from everything."""

    def __init__(self, task: Task, spec: str, name: str, blocks: Sequence[Meaning], coefficients: Matrix) -> None:
        self.task, self.labels = task.name, task.label_names
        self.encoder_spec, self.encoder_name = spec, name
        self.blocks = list(blocks)
        self.coefficients = coefficients

    def log_probs(self, items: Sequence[Item]) -> LogProbs:
        """Log-probabilities (n, labels); an item without a word in any of the views is abstained from (NaN)."""
        votes = np.full((len(items), len(self.labels)), np.nan)
        if not items or not self.blocks:
            return votes
        seen = Seen.of(items)
        wordy = np.array([any(seen.texts[block.view][row] for block in self.blocks) for row in range(len(items))])
        rows = np.hstack([block.rows(seen) for block in self.blocks])
        votes[wordy] = log_softmax(rows @ self.coefficients[:-1] + self.coefficients[-1])[wordy]
        return votes

    def save(self, folder: Path) -> None:
        """Write `meaning.json` and `meaning.npz` into the folder."""
        data = {
            "format": FORMAT,
            "task": self.task,
            "labels": self.labels,
            "encoder": {"spec": self.encoder_spec, "name": self.encoder_name},
            "views": [block.view for block in self.blocks],
        }
        arrays: dict[str, Any] = {"coefficients": self.coefficients}
        for block in self.blocks:
            arrays |= {f"{block.view}:{key}": value for key, value in block.state()[1].items()}
        stored.save(folder, "meaning", data, arrays)


def fit(
    task: Task,
    items: Sequence[Item],
    gold: Sequence[str],
    groups: Sequence[str],  # noqa: ARG001 - nothing is chosen here
    *,
    seed: int,  # noqa: ARG001 - nothing is drawn
    encoder: str = PACKAGED,
) -> MeaningVoter:
    """Learn from labelled items; `encoder` is a name, a folder, or "" for none.

    Raises:
        ConfigError: no item, a gold label that is not the task's, or no such encoder.
    """
    must_teach(task, items, gold)
    model = optional(encoder)
    if model is None:
        return MeaningVoter(task, encoder, "", [], np.zeros((1, len(task.labels))))
    order = sorted(range(len(items)), key=lambda row: items[row].item_id)
    seen = Seen.of([items[row] for row in order])
    texts, label_of = texts_of_labels(task)
    blocks = [Meaning(view, model) for view in VIEWS[task.asked_of] if any(seen.texts[view])]
    sides = [block.fit(seen, texts) for block in blocks]
    taught = [task.label_names.index(gold[row]) for row in order]
    rows = np.hstack([np.vstack(side) for side in sides]) if sides else np.zeros((len(taught) + len(texts), 0))
    classes = np.concatenate([np.array(taught, dtype=np.int64), label_of])
    return MeaningVoter(task, encoder, model.name, blocks, discriminant(rows, classes, len(task.labels)))


def discriminant(rows: Matrix, classes: NDArray[np.int64], size: int) -> Matrix:
    """Coefficients (width + 1, size), the intercept last, of log p(class | row) up to a constant of the row.

    Args:
        rows: (n, width), at least one of each class.
        classes: (n,), from 0 to size - 1.
        size: number of classes.
    """
    means = np.stack([rows[classes == one].mean(axis=0) for one in range(size)])
    off = (rows - means[classes]) / np.sqrt(len(rows))
    floor = max(SHRINKAGE * float((off**2).sum()) / max(rows.shape[1], 1), 1e-12)
    # (floor I + (1 - s) off' off)^-1 by way of the rows, of which there are fewer (Woodbury).
    inner = off @ off.T + floor / (1 - SHRINKAGE) * np.eye(len(off))
    scaled = (means - np.linalg.solve(inner, off @ means.T).T @ off) / floor
    return np.vstack([scaled.T, -0.5 * (means * scaled).sum(axis=1)])


def load(folder: Path, task: Task) -> MeaningVoter:
    """Read a saved voter.

    Raises:
        ReleaseError: a file is missing or broken, or it was made for another task, other labels or another encoder.
    """
    return stored.load(folder, "meaning", task, _restore, version=FORMAT)


def _restore(data: Mapping[str, Any], arrays: Mapping[str, Any], task: Task) -> MeaningVoter:
    spec, name = str(data["encoder"]["spec"]), str(data["encoder"]["name"])
    model = optional(spec)
    if model is not None and model.name != name:
        raise ValueError(f"made with encoder {name!r}, found {model.name!r}")
    blocks: list[Meaning] = []
    for view in data["views"]:
        if model is None:
            raise ValueError("views without an encoder")
        block = Meaning(str(view), model)
        block.restore({}, {key: arrays[f"{view}:{key}"] for key in ("mean", "spread")})
        blocks.append(block)
    coefficients = arrays["coefficients"]
    shape = (sum(block.width for block in blocks) + 1, len(task.labels))
    if coefficients.shape != shape:
        raise ValueError(f"coefficients of shape {coefficients.shape}, not {shape}")
    return MeaningVoter(task, spec, name, blocks, coefficients)
