"""What makes a `rules` voter: the search over labelled items, or a saved one under the hands of people."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kdsl.dialogue import Item
from kdsl.errors import ReleaseError
from kdsl.models.rule_voter import RECORD_FILE, RulesVoter, load
from kdsl.models.voter import LogProbs, must_teach
from kdsl.rules.amend import amend
from kdsl.rules.errors import RuleError
from kdsl.rules.examples import Examples, examples_of
from kdsl.rules.learn import BUDGET, FOLDS, Learned, learn
from kdsl.rules.propose import Proposer
from kdsl.rules.propose_llm import FromModel
from kdsl.rules.propose_statistics import Statistics
from kdsl.rules.propose_taxonomy import FromTaxonomy
from kdsl.rules.record import Record
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.taxonomy import Task


def fit(
    task: Task,
    items: Sequence[Item],
    gold: Sequence[str],
    groups: Sequence[str],
    *,
    seed: int,
    rules_budget: int = BUDGET,
    rules_model: str = "",
    taxonomy: str = "",
    by_hand: RuleSet | None = None,
    proposers: Sequence[Proposer] = (),
) -> RulesVoter:
    """Learn from labelled items; `groups` are keys of near-duplicates. The order of the items does not matter.

    Args:
        rules_budget: iterations of the tree search, a label and fold.
        rules_model: folder of a language model that names conditions too; none where empty.
        taxonomy: name that the rule file carries; the task's name where empty.
        by_hand: rules of people, see `kdsl.rules.learn`.
        proposers: more of them, beside statistics and the taxonomy.

    Raises:
        ConfigError: no item, or a gold label that is not the task's.
    """
    must_teach(task, items, gold)
    examples = _examples(items, gold, groups, by_hand.rules if by_hand else ())
    folds = max(2, min(FOLDS, len(set(groups))))
    found = learn(
        task.name,
        task.label_names,
        examples,
        [Statistics(), FromTaxonomy(task), *_models(task, rules_model), *proposers],
        taxonomy=taxonomy or task.name,
        seed=seed,
        budget=rules_budget,
        folds=folds,
        by_hand=by_hand,
    )
    return _voter(task, found)


def _models(task: Task, path: str) -> list[Proposer]:
    if not path:
        return []
    from kdsl.models.writer import open_writer

    return [FromModel(task, open_writer(path), "ocr" if task.asked_of == "image" else "user")]


def amended(
    folder: Path, task: Task, by_hand: RuleSet, *, items: Sequence[Item], gold: Sequence[str], groups: Sequence[str]
) -> tuple[RulesVoter, LogProbs]:
    """The saved voter under the hands of people, without a search: its rules with what they changed and nothing else.

    Args:
        folder: the saved voter.
        by_hand: rules that people pinned, wrote, edited or banned.
        items: what is still at hand of the examples that it was learned from, with their gold and groups.

    Returns:
        The voter, and the log-probabilities (items, labels) of its kind out of fold, in the order of the items.

    Raises:
        ReleaseError: the files cannot be used, or none of the examples is at hand.
    """
    current = load(folder, task)
    examples = _examples(items, gold, groups, (*by_hand.rules, *current.rules.rules))
    changed = amend(_record(folder), current.rules, by_hand, examples)
    rows = {example: row for row, (example, _) in enumerate(changed.learned.record.rows)}
    votes = np.full((len(items), len(task.labels)), np.nan)
    known = [at for at, item in enumerate(items) if item.item_id in rows]
    votes[known] = changed.log_probs[[rows[items[at].item_id] for at in known]]
    return _voter(task, changed.learned), votes


def _record(folder: Path) -> Record:
    try:
        return Record.from_dict(json.loads((folder / RECORD_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuleError) as error:
        raise ReleaseError(
            f"{RECORD_FILE} in {folder} cannot be used ({type(error).__name__}: {error}); without the record of the "
            "search rules cannot be edited. Run fit again: it takes up every edit."
        ) from error


def _voter(task: Task, found: Learned) -> RulesVoter:
    return RulesVoter(
        task,
        found.rules,
        weights=dict(found.weights),
        log_prior=found.log_prior,
        calibration=found.calibration,
        record=found.record,
    )


def _examples(items: Sequence[Item], gold: Sequence[str], groups: Sequence[str], by_hand: Iterable[Rule]) -> Examples:
    """In the order of the ids; fields that people's rules read are kept even where they hold little."""
    order = sorted(range(len(items)), key=lambda i: items[i].item_id)
    keep = {name for rule in by_hand for name in rule.fields}
    return examples_of([items[i] for i in order], [gold[i] for i in order], [groups[i] for i in order], keep)
