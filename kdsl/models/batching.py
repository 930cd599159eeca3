"""Batches by tokens and not by rows: items of similar length together, padded at the left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Encoded:
    """The tokens that one item adds to the shared prompt. `kinds` is 1 where a picture's feature goes, else 0.

    `pictures` names the pictures in the order of their tokens; `cut` counts turns and pictures left out as too long.
    """

    ids: tuple[int, ...]
    kinds: tuple[int, ...]
    pictures: tuple[str, ...] = ()
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of items on the CPU, each (rows, length) int64: token ids, mask (0: padding), kinds; pictures row by row.

    `positions` are those of the items alone, from 0 on, once `kdsl.models.positions.placed` has worked them out.
    """

    ids: "torch.Tensor"
    mask: "torch.Tensor"
    kinds: "torch.Tensor"
    pictures: tuple[str, ...]
    positions: "torch.Tensor | None" = None


def plan(lengths: Sequence[int], *, budget: int, window: int, shared: int = 0) -> list[list[int]]:
    """Which items go together: sorted by length within a window, rows times (longest + shared) at most `budget`.

    Args:
        lengths: own tokens of each item.
        budget: tokens of one batch, padding counted; an item longer than it makes a batch of one.
        window: so many items in a row are sorted together.
        shared: tokens of the shared prompt that a row's key-value cache repeats.

    Returns:
        Batches of places in `lengths`; each place is in exactly one. Longest first: memory runs out at once or never.
    """
    batches: list[list[int]] = []
    for start in range(0, len(lengths), window):
        order = sorted(range(start, min(start + window, len(lengths))), key=lambda at: (-lengths[at], at))
        batch: list[int] = []
        for at in order:
            if batch and (len(batch) + 1) * (lengths[batch[0]] + shared) > budget:
                batches.append(batch)
                batch = []
            batch.append(at)
        batches.append(batch)
    return [batch for batch in batches if batch]


def collate(items: Sequence[Encoded], pad: int) -> Batch:
    """Stack items, padded at the left: the answer is read behind the last token of every row."""
    import torch

    longest = max(len(item.ids) for item in items)
    shape = (len(items), longest)
    ids = torch.full(shape, pad, dtype=torch.long)
    mask, kinds = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    for row, item in enumerate(items):
        start = longest - len(item.ids)
        ids[row, start:] = torch.tensor(item.ids)
        mask[row, start:] = 1
        kinds[row, start:] = torch.tensor(item.kinds)
    pictures = tuple(name for item in items for name in item.pictures)
    return Batch(ids, mask, kinds, pictures)
