"""The taxonomy proposer: words of the label's name, description and aliases that its examples use."""

from collections.abc import Sequence

from kdsl.rules.atom import Words
from kdsl.rules.examples import Examples
from kdsl.rules.propose import Proposal
from kdsl.rules.terms import terms_of
from kdsl.taxonomy import Task
from kdsl.text import normalise

NAME, ALIAS, DESCRIPTION = 3.0, 3.0, 1.5  # scores: a name says more than a description
MAX_PROPOSALS = 60


class FromTaxonomy:
    """Proposes what the shop wrote about its labels; it needs no example of the label to do so."""

    name = "taxonomy"

    def __init__(self, task: Task) -> None:
        self._labels = {label.name: label for label in task.labels}

    def propose(self, label: str, examples: Examples, rows: int) -> Sequence[Proposal]:
        """Words of the label that stand in at least one row of the mask, most telling first."""
        known = self._labels.get(label)
        if known is None:
            return []
        sources = [(known.name, NAME), *((alias, ALIAS) for alias in known.aliases), (known.description, DESCRIPTION)]
        found: dict[tuple[str, str], float] = {}
        for name, how in examples.matching.items():
            for text, score in sources:
                for term in terms_of(normalise(text), how):
                    mask = examples.word_mask(name, term) & rows
                    if mask and len(term) > 1:
                        rare = 1 - mask.bit_count() / max(1, rows.bit_count())
                        found[name, term] = max(found.get((name, term), 0.0), score * rare)
        best = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_PROPOSALS]
        return [Proposal((Words(field, "any_of", (term,)),), score, self.name) for (field, term), score in best]
