"""A release at work: items in, one prediction each out. Spark and the bare loop of the benches call the same code."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from kdsl import tally
from kdsl.dialogue import Item
from kdsl.errors import ErrorCode, ReleaseError
from kdsl.fusion.cascade import DEAR
from kdsl.fusion.decide import Decision, decide, votes_of
from kdsl.fusion.fusion import Fusion
from kdsl.models.voter import Explains, LogProbs, Voter, kind
from kdsl.release import Release
from kdsl.rules.fired import RuleFired

Key = tuple[str, str]
"""Item id and task."""
DEAD = 8  # so many items in a row are not all hostile


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the release says of one item: a decision, or the code of what is wrong with the item."""

    decision: Decision
    error_code: str | None = None
    rules_fired: tuple[RuleFired, ...] | None = None  # None: no voter that has rules was asked
    ruleset_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one voter says of one item, and the rules behind it if it has any."""

    log_probs: LogProbs
    rules_fired: tuple[RuleFired, ...] | None = None
    heard: bool = True
    """False: it was not asked, or failed where it has no say. That is no vote, and none is kept."""


@dataclass
class Predictor:
    """The voters of a release, loaded once a process; a dear one that is asked of no item is not among them."""

    labels: Mapping[str, tuple[str, ...]]
    units: Mapping[str, str]
    voters: Mapping[str, Mapping[str, Voter]]
    fusions: Mapping[str, Fusion]
    max_turn_chars: int
    language: str = "en"
    failed: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """By task and voter, the new items on which it failed since it last answered one, whatever the batches were."""

    @classmethod
    def load(cls, release: Release, max_turn_chars: int, *, dear_alone: bool = False) -> "Predictor":
        """Load the voters of a verified release that `predict` asks, or with `dear_alone` the one of `ask_dear`."""
        tasks = {name: release.taxonomy.task(name) for name in release.manifest.voters}
        fusions = {name: release.fusion(name) for name in tasks}
        return cls(
            labels={name: task.label_names for name, task in tasks.items()},
            units={name: task.asked_of for name, task in tasks.items()},
            voters={
                name: {
                    voter: kind(voter).load(release.folder(name, voter), task)
                    for voter in release.manifest.voters[name]
                    if (voter == DEAR if dear_alone else voter != DEAR or not _spared(fusions[name]))
                }
                for name, task in tasks.items()
            },
            fusions=fusions,
            max_turn_chars=max_turn_chars,
            language=release.taxonomy.language,
        )

    def predict(self, items: Sequence[Item], *, again: Collection[Key] = frozenset()) -> list[Prediction]:
        """One prediction an item, in the items' order; a bad item gets its code, the others are not touched by it.

        Args:
            items: of any of the tasks.
            again: those that failed before, so that another failure says nothing of the model.

        Raises:
            ReleaseError: a voter failed on `DEAD` new items and more in a row, in one batch or several: it is dead.
        """
        predictions = self._refusals(items)
        for task, places in _by_task(items, predictions).items():
            batch = [items[place] for place in places]
            said = self._said(task, batch, again)
            failed = [any(answers[row] is None for answers in said.values()) for row in range(len(batch))]
            kept = [row for row, bad in enumerate(failed) if not bad]
            told = {name: [answer for row in kept if (answer := answers[row])] for name, answers in said.items()}
            voices = {name: self._voice(task, answers) for name, answers in told.items()}
            heard = {name: np.array([answer.heard for answer in answers]) for name, answers in told.items()}
            name, voter = self._explaining(task)
            why = [answer.rules_fired for answer in told[name]] if name else [None] * len(kept)
            facts = voter.facts_of([fired or () for fired in why]) if voter else None
            decisions = decide(self.fusions[task], voices, facts, heard) if kept else []
            fingerprint = voter.fingerprint if voter else None
            for row, decision, fired in zip(kept, decisions, why, strict=True):
                predictions[places[row]] = Prediction(decision, None, fired, fingerprint)
            for row, bad in enumerate(failed):
                if bad:
                    predictions[places[row]] = _refused(ErrorCode.VOTER_FAILED)
        return [prediction for prediction in predictions if prediction is not None]

    def ask_dear(self, items: Sequence[Item], *, again: Collection[Key] = frozenset()) -> list[Prediction]:
        """What the dear voter alone says, of items that a cascade spared it: one vote each, and no label.

        Raises:
            ReleaseError: as `predict`.
        """
        predictions = self._refusals(items)
        for task, places in _by_task(items, predictions).items():
            answers = self._ask(DEAR, self.voters[task][DEAR], [items[place] for place in places], again)
            heard = iter(votes_of(self.fusions[task], DEAR, self._voice(task, [one for one in answers if one])))
            for place, answer in zip(places, answers, strict=True):
                predictions[place] = (
                    Prediction(Decision(None, None, True, None, (next(heard),)))
                    if answer
                    else _refused(ErrorCode.VOTER_FAILED)
                )
        return [prediction for prediction in predictions if prediction is not None]

    def _refusals(self, items: Sequence[Item]) -> list[Prediction | None]:
        return [_refused(fault(item, self.units[item.task], self.max_turn_chars)) for item in items]

    def _said(self, task: str, batch: Sequence[Item], again: Collection[Key]) -> dict[str, list[Answer | None]]:
        """By voter what it says of each item, None where it failed and has a say."""
        fusion, voters = self.fusions[task], dict(self.voters[task])
        dear = voters.pop(DEAR, None) if fusion.cascade else None
        said = {name: self._heard(name, voter, batch, again) for name, voter in voters.items()}
        if fusion.cascade is None:
            return said
        asked = np.zeros(len(batch), dtype=bool)
        fit = [row for row in range(len(batch)) if all(answers[row] is not None for answers in said.values())]
        if fit:
            told = {name: [answer for row in fit if (answer := said[name][row])] for name in said}
            asked[fit] = fusion.asks({name: self._voice(task, answers) for name, answers in told.items()})
        rows = np.flatnonzero(asked).tolist()
        answered = iter(self._heard(DEAR, dear, [batch[row] for row in rows], again) if dear and rows else ())
        return {**said, DEAR: [next(answered) if sent else self._unheard(task) for sent in asked.tolist()]}

    def _heard(self, name: str, voter: Voter, batch: Sequence[Item], again: Collection[Key]) -> list[Answer | None]:
        """What it says of each item; where one that has no say fails it is not heard, and that costs nothing."""
        task = batch[0].task
        if name not in self.fusions[task].idle or isinstance(voter, Explains):  # whose rules may overrule nevertheless
            return self._ask(name, voter, batch, again)
        answers = self._ask(name, voter, batch, again, vital=False)
        tally.add(tally.UNHEARD, answers.count(None))
        return [answer or self._unheard(task) for answer in answers]

    def _unheard(self, task: str) -> Answer:
        return Answer(np.full(len(self.labels[task]), np.nan), heard=False)

    def _voice(self, task: str, answers: Sequence[Answer]) -> LogProbs:
        return np.array([answer.log_probs for answer in answers]).reshape(len(answers), len(self.labels[task]))

    def _explaining(self, task: str) -> tuple[str, Explains] | tuple[None, None]:
        """The task's voter that can tell why, by name."""
        for name, voter in self.voters[task].items():
            if isinstance(voter, Explains):
                return name, voter
        return None, None

    def _ask(
        self, name: str, voter: Voter, batch: Sequence[Item], again: Collection[Key], *, vital: bool = True
    ) -> list[Answer | None]:
        """What it says of each item, None where it failed; a `vital` one may not fail for ever."""
        begun, key = time.monotonic(), (batch[0].task, name)
        try:
            answers: list[Answer | None] = [*self._answers(voter, batch)]
            self.failed[key] = 0
            return answers
        except Exception as error:
            singly = [self._ask_one(voter, item) for item in batch]
            if any(answer is not None for answer in singly):
                self.failed[key] = 0
                return singly
            new = sum((item.item_id, item.task) not in again for item in batch)
            self.failed[key] += new
            if vital and new and self.failed[key] >= DEAD:
                raise ReleaseError(
                    f"voter {name}: {type(error).__name__} on {self.failed[key]} items in a row; the model is broken, "
                    "not the items. Check its files and the log, then run the same command again."
                ) from error
            return singly
        finally:
            if name == DEAR:
                tally.add(tally.DEAR_ITEMS, len(batch))
                tally.add(tally.DEAR_MS, round(1000 * (time.monotonic() - begun)))

    def _ask_one(self, voter: Voter, item: Item) -> Answer | None:
        try:
            return self._answers(voter, [item])[0]
        except Exception:  # noqa: BLE001 - whatever one hostile item sets off, it costs that item only
            return None

    def _answers(self, voter: Voter, items: Sequence[Item]) -> list[Answer]:
        if isinstance(voter, Explains):
            return [Answer(*said) for said in zip(*voter.explained(items, self.language), strict=True)]
        return [Answer(row) for row in voter.log_probs(items)]


def fault(item: Item, unit: str, max_turn_chars: int) -> str | None:
    """The code of what makes an item unfit to be labelled, None for a fit one; `unit` is what its task is asked of."""
    if unit == "image":
        return item.pictures[0].error_code if item.pictures else ErrorCode.IMAGE_MISSING
    if not any(turn.text.strip() or turn.image_ids for turn in item.turns):
        return ErrorCode.EMPTY_DIALOGUE
    if not any(turn.speaker == "user" for turn in item.turns):
        return ErrorCode.NO_USER_TURN
    if any(len(turn.text) > max_turn_chars for turn in item.turns):
        return ErrorCode.TURN_TOO_LONG
    return None


@lru_cache(maxsize=2)
def predictor(path: str, release_id: str, max_turn_chars: int, dear_alone: bool = False) -> Predictor:
    """The predictor of a release directory, loaded once in the life of a process."""
    release = Release.open(Path(path))
    if release.manifest.release_id != release_id:
        raise ReleaseError(
            f"release {release_id}: {path} holds {release.manifest.release_id}; copy the right one there."
        )
    tally.add(tally.LOADS)
    return Predictor.load(release, max_turn_chars, dear_alone=dear_alone)


def _spared(fusion: Fusion) -> bool:
    """Whether the dear voter is asked of no item."""
    return fusion.cascade is not None and fusion.cascade.asks_nobody


def _refused(code: str | None) -> Prediction | None:
    return None if code is None else Prediction(Decision(None, None, False, None, ()), str(code))


def _by_task(items: Sequence[Item], predictions: Iterable[Prediction | None]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, (item, prediction) in enumerate(zip(items, predictions, strict=True)):
        if prediction is None:
            places[item.task].append(place)
    return places
