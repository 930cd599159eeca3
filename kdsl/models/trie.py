"""Labels whose codes are several tokens: a trie of tokens, and the probability of a path through it.

log p(label) is the sum, over the nodes that its code passes, of the log-softmax over the tokens that go on from there.
No code begins another, so every label is a leaf: their probabilities sum to 1, and nothing else is possible. The root
is the step that codes of one token need anyway; of each further node the tokens are run behind the item's own cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kdsl.models import head, prefix
from kdsl.models.codes import Code
from kdsl.models.prefix import Kept

if TYPE_CHECKING:
    import torch

Path = tuple[int, ...]


@dataclass(frozen=True)
class Trie:
    """Inner nodes by the tokens that lead to them, the root first, each with the tokens that go on from there."""

    nodes: dict[Path, tuple[int, ...]]
    paths: tuple[Path, ...]
    """The codes' tokens, in the order of the codes."""

    @classmethod
    def of(cls, codes: Sequence[Code]) -> "Trie":
        """The trie of codes of which none begins another."""
        nodes: dict[Path, dict[int, None]] = {(): {}}
        for code in codes:
            for depth, token in enumerate(code.path):
                nodes.setdefault(code.path[:depth], {})[token] = None
        return cls({path: tuple(tokens) for path, tokens in nodes.items()}, tuple(code.path for code in codes))

    @property
    def deep(self) -> bool:
        """Whether any code has more than one token."""
        return len(self.nodes) > 1

    def log_probs(self, model: Any, last: "torch.Tensor", kept: Kept, *, budget: int) -> "torch.Tensor":
        """Log-probabilities, float64 (rows, codes).

        Args:
            model: the one that `last` and `kept` come from.
            last: states behind each row's last token, (rows, size).
            kept: keys and values of the batch.
            budget: tokens, those in the cache counted, that one call of the model may hold.
        """
        import torch

        steps: dict[Path, torch.Tensor] = {(): self._step(model, last, ())}
        rows = len(last)
        for depth in sorted({len(path) for path in self.nodes if path}):
            there = [path for path in self.nodes if len(path) == depth]
            many = max(1, budget // (rows * (kept.length + depth)))
            for at in range(0, len(there), many):
                some = there[at : at + many]
                states = prefix.further(model, kept, some).view(rows, len(some), -1)
                steps |= {path: self._step(model, states[:, nth], path) for nth, path in enumerate(some)}
        sums = [
            torch.stack([steps[path[:at]][:, self.nodes[path[:at]].index(token)] for at, token in enumerate(path)]).sum(
                0
            )
            for path in self.paths
        ]
        return torch.stack(sums, dim=1)

    def loss(self, model: Any, states: "torch.Tensor", gold: Sequence[int]) -> "torch.Tensor":
        """Mean of -log p; states (rows, length, size) are of prompts and all of their codes but the last token."""
        import torch

        losses = []
        for row, place in enumerate(gold):
            path = self.paths[place]
            for at, token in enumerate(path):
                step = self._step(model, states[row, at - len(path)][None], path[:at])
                losses.append(-step[0, self.nodes[path[:at]].index(token)])
        return torch.stack(losses).sum() / len(gold)

    def _step(self, model: Any, states: "torch.Tensor", path: Path) -> "torch.Tensor":
        import torch

        tokens = torch.tensor(self.nodes[path], device=states.device)
        return head.over(model, states, tokens).double().log_softmax(1)
