"""What a release says of items that were voted on before: models' votes as stored, rules asked again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kdsl.child import RULES
from kdsl.dialogue import Item
from kdsl.fusion.cascade import DEAR
from kdsl.fusion.fusion import Fusion
from kdsl.manifest import Manifest
from kdsl.models import rule_voter
from kdsl.models.rule_voter import RulesVoter
from kdsl.release import Release

Stored = Mapping[str, Sequence[float] | None]
"""Digest of a voter -> its log-probabilities, None where it abstained."""


@dataclass(frozen=True)
class Says:
    """The label (None: abstains) of one item; not `known` where the vote of a model that it asks is not stored."""

    known: bool
    label: str | None = None


@dataclass(frozen=True)
class Revoter:
    """The fusions and rules of a release, and the digests of its models that have a say."""

    fusions: Mapping[str, Fusion]
    rules: Mapping[str, RulesVoter]
    digests: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls, release: Release) -> "Revoter":
        """Load rules and fusions; no model is loaded."""
        tasks = release.manifest.voters
        fusions = {task: release.fusion(task) for task in tasks}
        return cls(
            fusions=fusions,
            rules={
                task: rule_voter.load(release.folder(task, RULES), release.taxonomy.task(task))
                for task, voters in tasks.items()
                if RULES in voters
            },
            digests={
                task: {voter: digest for voter, digest in voters.items() if voter in fusions[task].speakers}
                for task, voters in model_digests(release.manifest).items()
            },
        )

    def says(self, task: str, items: Sequence[Item], votes: Sequence[Stored]) -> list[Says]:
        """The label of each item of a task, from what is stored of it."""
        digests, fusion = self.digests[task], self.fusions[task]
        always = [digest for voter, digest in digests.items() if fusion.cascade is None or voter != DEAR]
        known = [row for row, stored in enumerate(votes) if all(digest in stored for digest in always)]
        out = [Says(False)] * len(items)
        if not known:
            return out
        voices = [{voter: votes[row].get(digest) for voter, digest in digests.items()} for row in known]
        facts = None
        if task in self.rules:
            asked = [items[row] for row in known]
            for voice, log_probs in zip(voices, self.rules[task].log_probs(asked), strict=True):
                voice[RULES] = log_probs.tolist()
            facts = self.rules[task].facts(asked) if fusion.may_overrule else None
        fused = fusion.of_stored(voices, facts)
        for row, label, asked in zip(known, fused.label.tolist(), fused.asked.tolist(), strict=True):
            if not asked or all(digest in votes[row] for digest in digests.values()):
                out[row] = Says(True, fusion.labels[label] if label >= 0 else None)
        return out


def model_digests(manifest: Manifest) -> dict[str, dict[str, str]]:
    """By task and voter the digest that its votes carry, of voters that are not asked again."""
    return {
        task: {voter: manifest.voter_digest(task, voter) for voter in voters if voter != RULES}
        for task, voters in manifest.voters.items()
    }


@lru_cache(maxsize=2)
def revoter(path: str, release_id: str) -> Revoter:  # noqa: ARG001 - the id keeps apart what a path held before
    """The revoter of a release directory, loaded once in the life of a process."""
    return Revoter.load(Release.open(Path(path)))
