"""The search of one label: rounds of tree search, each on the positives that the rounds before left open."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from kdsl.rules.errors import RuleError
from kdsl.rules.examples import Examples
from kdsl.rules.partial import Partial, Pool, pool_of
from kdsl.rules.propose import Proposer
from kdsl.rules.provenance import Provenance
from kdsl.rules.record import Candidate
from kdsl.rules.reward import Reward
from kdsl.rules.rule import Rule
from kdsl.rules.tree import Node, Tree

MAX_ROUNDS = 6
KEPT = 25  # best states of a round that become candidates


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates of one label, in the order of the rounds; `trees` and `pool` are what was searched, for drawings."""

    candidates: tuple[Candidate, ...]
    trees: tuple[Tree, ...]
    pool: Pool | None = None
    interrupted: bool = False


def search_label(
    task: str,
    label: str,
    examples: Examples,
    rows: int,
    proposers: Sequence[Proposer],
    *,
    budget: int,
    seed: int,
    fold: int = -1,
) -> Found:
    """Search rules for a label on the rows of a mask; nothing outside the mask is looked at.

    Args:
        budget: iterations over all rounds: half of what is left goes to each round, the rest to the last.
        seed: with `task`, `label` and `fold` it decides everything; the order of labels and the cores do not.
        fold: number kept in the record.
    """
    proposals = [p for proposer in proposers for p in proposer.propose(label, examples, rows)]
    pool = pool_of(proposals, label, examples, rows)
    positives = examples.where(label) & rows
    open_, left = positives, budget
    rounds = max(1, min(MAX_ROUNDS, positives.bit_count()))
    candidates: dict[Rule, Candidate] = {}
    trees: list[Tree] = []
    interrupted = False
    for at in range(rounds):
        share = left if at == rounds - 1 else (left + 1) // 2
        if not (share and open_ and pool.adds):
            break
        tree = Tree(pool, Reward(positives, open_), _seed(seed, task, label, fold, at))
        trees.append(tree)
        try:
            tree.run(share)
        except KeyboardInterrupt:  # the best so far is an answer
            interrupted = True
        left -= share
        best = tree.found(KEPT)
        for node in best:
            one = _candidate(node, pool, task=task, label=label, spent=budget - left - share, fold=fold)
            if one is not None:
                candidates.setdefault(one.rule, one)
        if interrupted or not best:
            break
        open_ &= ~pool.fired(best[0].state)
    return Found(tuple(candidates.values()), tuple(trees), pool, interrupted)


def rule_of(pool: Pool, state: Partial, task: str, label: str) -> Rule | None:
    """The partial rule as a rule; None where it is empty or contradicts itself."""
    try:
        return Rule(task, label, pool.atoms(state), "learned", Provenance(source="search"))
    except RuleError:
        return None


def _candidate(node: Node, pool: Pool, *, task: str, label: str, spent: int, fold: int) -> Candidate | None:
    rule = rule_of(pool, node.state, task, label)
    if rule is None:
        return None
    parent = rule_of(pool, node.parent, task, label) if node.parent is not None else None
    used = {*(i for group in node.state.groups for i in group), *node.state.against}
    return Candidate(
        rule=rule,
        parent=parent.rule_id if parent else "",
        action=node.action,
        proposers=tuple(sorted({pool.conditions[i].proposer for i in used})),
        judged=pool.fired(node.state),
        right=node.score.right,
        reward=node.score.reward,
        budget=spent + node.found_at,
        fold=fold,
    )


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big")
