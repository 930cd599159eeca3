"""A child of a release: the same voters with rules as people left them, fused anew on held-out votes; no model runs."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kdsl import release
from kdsl.dialogue import Item
from kdsl.fusion.facts import joined, out_of_fold
from kdsl.fusion.fusion import Fusion
from kdsl.fusion.held_out import HeldOut
from kdsl.fusion.left_out import left_out
from kdsl.fusion.nested import Verdict, refit
from kdsl.manifest import Asking, Score, now
from kdsl.manifest import id_of as id_from
from kdsl.models import rule_fit, rule_voter
from kdsl.models.rule_voter import RulesVoter
from kdsl.release import Release, Saves
from kdsl.rules.ruleset import RuleSet

RULES = "rules"


@dataclass(frozen=True)
class Stored:
    """A voter as files: saved by copying them, loaded by nobody."""

    folder: Path

    def save(self, folder: Path) -> None:
        """Copy the files."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)


@dataclass(frozen=True)
class Task:
    """What an edit makes of one task."""

    voter: RulesVoter
    held: HeldOut
    fusion: Fusion
    verdict: Verdict


def id_of(parent: Release, by_hand: RuleSet) -> str:
    """The child's id: that of its parent and of what people did."""
    return id_from({"parent": parent.manifest.release_id, "by_hand": by_hand.to_dict()})


def tasks_of(parent: Release, by_hand: RuleSet) -> list[str]:
    """Tasks whose rules stand otherwise in the release than people want them."""
    out = []
    for task, voters in parent.manifest.voters.items():
        if RULES in voters:
            have = {rule.rule_id: rule.state for rule in rules_of(parent, task).rules}
            wanted = [rule for rule in by_hand.rules if rule.task == task]
            if any(have.get(rule.rule_id) != rule.state for rule in wanted):
                out.append(task)
    return out


def rules_of(parent: Release, task: str) -> RuleSet:
    """The rules of a task in a release; none where no voter has rules.

    Raises:
        ReleaseError: the voter's files cannot be used.
    """
    if RULES not in parent.manifest.voters.get(task, ()):
        return RuleSet(parent.taxonomy.name)
    return rule_voter.read_rules(parent.folder(task, RULES), parent.taxonomy.task(task))


def weights_of(parent: Release, task: str) -> dict[str, float]:
    """The weights of a task's active rules by rule id, in log-odds; none where no voter has rules.

    Raises:
        ReleaseError: the voter's files cannot be used.
    """
    if RULES not in parent.manifest.voters.get(task, ()):
        return {}
    return rule_voter.read_weights(parent.folder(task, RULES), parent.taxonomy.task(task))


def mint(parent: Release, by_hand: RuleSet, items: Mapping[str, Mapping[str, Item]]) -> Release:
    """Write the child beside its parent; found and not written again where it is there already.

    Args:
        parent: the release whose rules were edited.
        by_hand: all that people did to rules of its taxonomy.
        items: by task and id, what is still at hand of the examples that the parent learned from.

    Raises:
        ReleaseError: the parent was learned without a record of its search, or none of its examples is at hand.
    """
    root, release_id = parent.path.parent, id_of(parent, by_hand)
    if (root / release_id).is_dir():
        return Release.open(root / release_id)
    changed = {task: _amended(parent, task, by_hand, items.get(task, {})) for task in tasks_of(parent, by_hand)}
    old = parent.manifest
    manifest = old.model_copy(
        update={
            "release_id": release_id,
            "parent": old.release_id,
            "created_at": now(),
            "scores": {**old.scores, **{task: Score.of(new.verdict.scores) for task, new in changed.items()}},
            "uses": {**old.uses, **{task: new.verdict.uses for task, new in changed.items()}},
            "gains": {**old.gains, **{task: Score.of(new.verdict.differences) for task, new in changed.items()}},
            "left_out": {**old.left_out, **{task: Score.of(new.verdict.left_out) for task, new in changed.items()}},
            "asking": {
                **old.asking,
                **{task: Asking.of(new.fusion, new.verdict) for task, new in changed.items() if new.verdict.curve},
            },
            "files": {},
        }
    )
    stored: dict[str, dict[str, Saves]] = {
        task: {name: Stored(parent.folder(task, name)) for name in names} for task, names in old.voters.items()
    }
    return release.write(
        root,
        manifest,
        parent.taxonomy,
        {**stored, **{task: {**stored[task], RULES: new.voter} for task, new in changed.items()}},
        learned=parent.learned(),
        fused={
            task: (changed[task].fusion, changed[task].held)
            if task in changed
            else (parent.fusion(task), parent.held_out(task))
            for task in stored
        },
        seen={task: seen for task in stored if (seen := parent.inputs(task))},
    )


def _amended(parent: Release, task: str, by_hand: RuleSet, items: Mapping[str, Item]) -> Task:
    held = parent.held_out(task)
    known = [row for row, item_id in enumerate(held.ids) if item_id in items]
    voter, said = rule_fit.amended(
        parent.folder(task, RULES),
        parent.taxonomy.task(task),
        by_hand,
        items=[items[held.ids[row]] for row in known],
        gold=[held.labels[held.gold[row]] for row in known],
        groups=[held.groups[row] for row in known],
    )
    votes = np.full((len(held.ids), len(held.labels)), np.nan)
    votes[known] = said
    asked = np.zeros(len(held.ids), dtype=bool)
    asked[known] = True
    settings = parent.manifest.settings
    folds = held.folds(settings["folds"], settings["seed"])  # those of `kdsl.learn.hear`
    by_person = [rule.rule_id for rule in voter.rules.active() if rule.provenance.source == "person"]
    theirs = voter.facts([items[held.ids[row]] for row in known]).of(by_person)
    unseen = {(rule, item_id) for rule, said in voter.unseen.items() for item_id, _ in said}
    pairs = zip(theirs.rule.tolist(), theirs.row.tolist(), strict=True)
    theirs = theirs.where(np.array([(rule, held.ids[known[at]]) in unseen for rule, at in pairs], dtype=bool))
    banned = [rule.rule_id for rule in voter.rules.rules if not rule.active]
    kept = held.facts.without([*banned, *by_person])
    facts = joined(
        [(np.arange(len(held.ids)), kept), (np.array(known), out_of_fold(theirs, held.gold[known], folds[known]))]
    )
    held = held.with_voter(RULES, votes, asked, facts)
    budget = {"precision": settings.get("precision"), "share": settings.get("large_share", 1.0)}
    fusion, verdict = refit(held, seed=settings["seed"], **budget)
    verdict = replace(verdict, left_out=left_out(held, verdict.idle, seed=settings["seed"]))
    return Task(voter, held, fusion, verdict)
