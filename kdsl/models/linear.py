"""The `linear` voter: logistic regressions over views of an item, pooled; seconds to learn, CPU only.

Each member sees one or several blocks (kdsl.models.blocks). Every label's name, aliases and description are training
texts beside the examples, so a label without examples keeps a voice: a label's score is a weighted sum of an item's
similarities (products in the blocks, vectors of the encoder among them) to the rows learned from, these texts among
them. How much these weigh, how loudly each
view speaks in a member, how strongly it is regularised and how much it counts in the log-linear pool are chosen by
cross-validation inside `fit`. Fixed for all data are which blocks a member may see (`MEMBERS`), the pull of the pool
to equal weights and the share below which a member is left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.features import has_anything
from kdsl.folds import assign
from kdsl.models import stored
from kdsl.models.blocks import Block, Seen, new_block
from kdsl.models.choose import (
    INNER_FOLDS,
    MEMBERS,
    Chosen,
    Member,
    Problem,
    apart,
    choose,
    finish,
    logits_of,
    sample,
    scaled,
)
from kdsl.models.encoder import PACKAGED, optional
from kdsl.models.logistic import Matrix, fit_pool, log_softmax
from kdsl.models.voter import LogProbs, must_teach
from kdsl.taxonomy import Task
from kdsl.text import normalise

FORMAT = 1
# How strongly the pool's weights are drawn to equal ones, in nats of the examples' loss.
POOL_RIDGE = 4.0
# Members with less than this share of the pool's weight are left out.
NEGLIGIBLE = 0.03


class LinearVoter:
    """A fitted voter of one task."""

    def __init__(
        self, task: Task, members: Sequence[Member], blocks: Mapping[str, Block], encoder_spec: str, encoder_name: str
    ) -> None:
        self.task = task.name
        self.labels = task.label_names
        self.members = list(members)
        self.blocks = dict(blocks)
        self.encoder_spec = encoder_spec
        self.encoder_name = encoder_name

    def log_probs(self, items: Sequence[Item]) -> LogProbs:
        """Log-probabilities (n, labels); an item without a word or a readable picture is abstained from (NaN)."""
        if not items:
            return np.zeros((0, len(self.labels)))
        seen = Seen.of(items)
        rows = {name: block.rows(seen) for name, block in self.blocks.items()}
        pooled = np.zeros((len(items), len(self.labels)))
        for member in self.members:
            pooled += member.weight * log_softmax(logits_of(scaled(member.parts, rows), member.coefficients))
        votes = log_softmax(pooled)
        votes[[not has_anything(item) for item in items]] = np.nan
        return votes

    def save(self, folder: Path) -> None:
        """Write `linear.json` and `linear.npz` into the folder."""
        arrays: dict[str, Any] = {}
        blocks: dict[str, Any] = {}
        for name, block in self.blocks.items():
            blocks[name], own = block.state()
            arrays |= {f"{name}:{key}": value for key, value in own.items()}
        for number, member in enumerate(self.members):
            arrays[f"member/{number}"] = member.coefficients
        data = {
            "format": FORMAT,
            "task": self.task,
            "labels": self.labels,
            "encoder": {"spec": self.encoder_spec, "name": self.encoder_name},
            "members": [
                {"parts": m.parts, "weight": m.weight, "c": m.c, "label_share": m.label_share} for m in self.members
            ],
            "blocks": blocks,
        }
        stored.save(folder, "linear", data, arrays)


def load(folder: Path, task: Task) -> LinearVoter:
    """Read a saved voter.

    Raises:
        ReleaseError: a file is missing or broken, or it was made for another task, other labels or another encoder.
    """
    return stored.load(folder, "linear", task, _restore, version=FORMAT)


def fit(
    task: Task,
    items: Sequence[Item],
    gold: Sequence[str],
    groups: Sequence[str],
    *,
    seed: int,
    encoder: str = PACKAGED,
) -> LinearVoter:
    """Learn from labelled items; `groups` are keys of near-duplicates, `encoder` a name, a folder, or "" for none.

    The result does not depend on the order of the items.

    Raises:
        ConfigError: no item, a gold label that is not the task's, or no such encoder.
    """
    items, gold, groups = _in_order(task, items, gold, groups)
    meaning = optional(encoder)
    seen = Seen.of(items)
    label_texts, label_of = texts_of_labels(task)
    y = np.array([task.label_names.index(label) for label in gold], dtype=np.int64)
    problem = Problem(y, label_of, len(task.labels))
    chosen = sample([item.item_id for item in items], gold, groups, seed)
    folds = assign(
        [items[row].item_id for row in chosen],
        [gold[row] for row in chosen],
        [groups[row] for row in chosen],
        folds=INNER_FOLDS,
        seed=seed,
    )
    choosing = Problem(y[chosen], label_of, len(task.labels))
    at_hand = np.concatenate([chosen, len(y) + np.arange(len(label_of))])
    blocks: dict[str, Block] = {}
    rows: dict[str, Any] = {}
    members: list[Member] = []
    votes: list[Matrix] = []
    so_far = Chosen()
    for groups_of_blocks in apart(MEMBERS[task.asked_of], seen, meaning is not None):
        names = [name for group in groups_of_blocks for name in group]
        for name in names:
            if name not in blocks:
                blocks[name] = new_block(name, meaning)
                rows[name] = _stack(blocks[name].fit(seen, label_texts))
        member, vote = choose(choosing, folds, groups_of_blocks, {n: rows[n][at_hand] for n in names}, so_far)
        members.append(member)
        votes.append(vote)
    weights = fit_pool(votes, choosing.gold, ridge=POOL_RIDGE)
    for member, weight in zip(members, weights, strict=True):
        member.weight = float(weight)
    members = [member for member in members if member.weight >= NEGLIGIBLE * weights.sum()]
    used = {name for member in members for name, _ in member.parts}
    for member in members:
        finish(problem, member, scaled(member.parts, rows))
    kept = {name: block for name, block in blocks.items() if name in used}
    return LinearVoter(task, members, kept, encoder, meaning.name if meaning else "")


def _in_order(
    task: Task, items: Sequence[Item], gold: Sequence[str], groups: Sequence[str]
) -> tuple[list[Item], list[str], list[str]]:
    """Sorted by id, checked."""
    must_teach(task, items, gold)
    order = sorted(range(len(items)), key=lambda row: items[row].item_id)
    return [items[row] for row in order], [gold[row] for row in order], [groups[row] for row in order]


def texts_of_labels(task: Task) -> tuple[list[str], NDArray[np.int64]]:
    """Names, aliases and descriptions of the labels, each once a label, and the label of each."""
    pairs = [
        (normalise(text), number)
        for number, label in enumerate(task.labels)
        for text in dict.fromkeys((label.name, *label.aliases, label.description))
        if text
    ]
    return [text for text, _ in pairs], np.array([number for _, number in pairs], dtype=np.int64)


def _stack(parts: tuple[Any, Any]) -> Any:
    from scipy import sparse

    return sparse.vstack([sparse.csr_matrix(part) for part in parts]).tocsr()


def _restore(data: Mapping[str, Any], arrays: Mapping[str, Any], task: Task) -> LinearVoter:
    spec = str(data["encoder"]["spec"])
    meaning = optional(spec) if spec and any(name.startswith("meaning/") for name in data["blocks"]) else None
    name = str(data["encoder"]["name"])
    if meaning is not None and meaning.name != name:
        raise ValueError(f"made with encoder {name!r}, found {meaning.name!r}")
    blocks: dict[str, Block] = {}
    for block_name, values in data["blocks"].items():
        blocks[block_name] = new_block(block_name, meaning)
        prefix = f"{block_name}:"
        own = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        blocks[block_name].restore(values, own)
    members = []
    for number, m in enumerate(data["members"]):
        coefficients = arrays[f"member/{number}"]
        parts = tuple((str(name), float(scale)) for name, scale in m["parts"])
        shape = (sum(blocks[name].width for name, _ in parts) + 1, len(task.labels))
        if coefficients.shape != shape:
            raise ValueError(f"member {number} has coefficients of shape {coefficients.shape}, not {shape}")
        members.append(Member(parts, coefficients, float(m["weight"]), m["c"], m["label_share"]))
    return LinearVoter(task, members, blocks, spec, name)
