"""The mean of what was learned after each of the last steps of a training: steadier than the last alone.

Polyak and Juditsky (1992); of neural networks, Izmailov et al. (2018).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Mean:
    """A running mean of some parameters, (parameter by parameter) in their order; `count` is of how many steps."""

    def __init__(self) -> None:
        self.count = 0
        self._values: list[torch.Tensor] = []

    def add(self, learned: "Sequence[torch.Tensor]") -> None:
        """Put the parameters as they stand into the mean."""
        self.count += 1
        if not self._values:
            self._values = [value.detach().clone() for value in learned]
        for mean, value in zip(self._values, learned, strict=True):
            mean.lerp_(value.detach(), 1 / self.count)

    @contextmanager
    def inside(self, learned: "Sequence[torch.Tensor]") -> Iterator[None]:
        """Let the parameters hold the mean, if there is one, for the time of a block."""
        now = [value.detach().clone() for value in learned]
        for value, mean in zip(learned, self._values or now, strict=True):
            value.data.copy_(mean)
        yield
        for value, own in zip(learned, now, strict=True):
            value.data.copy_(own)

    def state(self) -> "dict[str, torch.Tensor]":
        """The values, to be saved."""
        return {f"mean/{at}": value.cpu().clone() for at, value in enumerate(self._values)}

    def restore(self, found: "Mapping[str, torch.Tensor]", count: int, device: "torch.device") -> None:
        """Go on from what `state` gave after `count` steps."""
        self._values = [found[f"mean/{at}"].to(device) for at in range(len(found)) if f"mean/{at}" in found]
        self.count = count if self._values else 0
