"""The rule learners that people would pick instead, behind one form: fit on yes/no columns, score new rows.

`wittgenstein` (RIPPER) and `imodels` (skope-rules) are needed for this benchmark only and are in no dependency list.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kdsl.rules.atom import Words
from kdsl.rules.engine import Engine
from kdsl.rules.examples import Examples
from kdsl.rules.partial import MAX_GROUPS, MAX_SIZE, Partial, Pool, pool_of
from kdsl.rules.record import Candidate
from kdsl.rules.reward import Reward
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.search import KEPT, MAX_ROUNDS, Found, rule_of

FEATURES_A_LABEL = 25  # wittgenstein takes minutes a label from some thousand columns on

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Fitted:
    """`scores(x)` is (rows, labels), 0 where the learner says nothing of a label."""

    scores: Callable[[Bools], NDArray[np.float64]]
    rules: int
    conditions: int


def features(examples: Examples, labels: Sequence[str], proposers: Sequence) -> list[Rule]:
    """The conditions that our search may use, each as a rule of one condition: the columns of the other learners."""
    chosen: dict[Rule, None] = {}
    for label in labels:
        proposals = [p for proposer in proposers for p in proposer.propose(label, examples, examples.all_rows)]
        single = [p for p in sorted(proposals, key=lambda p: -p.score) if len(p.atoms) == 1 and not p.against]
        for proposal in single[:FEATURES_A_LABEL]:
            chosen[Rule("t", "x", proposal.atoms)] = None
    return list(chosen)


def matrix(rules: Sequence[Rule], examples: Examples, columns: dict) -> Bools:
    """Which conditions hold on which rows, (rows, conditions)."""
    engine = Engine(RuleSet("t", tuple(rules), dict(examples.matching)))
    fired = engine.evaluate(columns)
    x = np.zeros((len(fired), len(engine.rules)), bool)
    x[fired.rows(), fired.indices] = True
    return x


def ripper(x: Bools, y: NDArray[np.int64], n_labels: int, seed: int) -> Fitted:
    """RIPPER (W. Cohen, ICML 1995), one label against the rest; the most precise rule that fires decides."""
    import wittgenstein

    frame = pd.DataFrame(x.astype(int), columns=[f"f{i}" for i in range(x.shape[1])])
    found: list[tuple[int, list[tuple[int, int]]]] = []
    for label in np.unique(y):
        model = wittgenstein.RIPPER(random_state=seed)
        try:
            model.fit(frame, y=(y == label).astype(int), pos_class=1)
        except (IndexError, ValueError, ZeroDivisionError):  # too few rows to grow or prune on: no rule
            continue
        for rule in model.ruleset_.rules:
            conds = [(int(str(cond.feature)[1:]), int(cond.val)) for cond in rule.conds]
            if conds:
                found.append((int(label), conds))
    return _ordered(found, x, y, n_labels)


def skope(x: Bools, y: NDArray[np.int64], n_labels: int, seed: int) -> Fitted:
    """skope-rules, one label against the rest; the most precise rule that fires decides."""
    from imodels import SkopeRulesClassifier

    found: list[tuple[int, list[tuple[int, int]]]] = []
    names = [f"f{i}" for i in range(x.shape[1])]
    for label in np.unique(y):
        model = SkopeRulesClassifier(random_state=seed, max_depth_duplication=2)
        model.fit(x.astype(float), (y == label).astype(int), feature_names=names)
        for rule in model.rules_:
            text = str(rule)
            conds = [(int(m[1]), int(m[2] == ">")) for m in re.finditer(r"f(\d+) (<=|>) 0\.5", text)]
            if conds:
                found.append((int(label), conds))
    return _ordered(found, x, y, n_labels)


def decision_tree(x: Bools, y: NDArray[np.int64], n_labels: int, seed: int, conditions: int) -> Fitted:
    """A decision tree (CART) with as many inner nodes as `conditions`."""
    from sklearn.tree import DecisionTreeClassifier

    model = DecisionTreeClassifier(max_leaf_nodes=max(2, conditions + 1), random_state=seed).fit(x, y)

    def scores(new: Bools) -> NDArray[np.float64]:
        out = np.zeros((len(new), n_labels))
        out[:, model.classes_] = model.predict_proba(new)
        return out

    return Fitted(scores, model.get_n_leaves(), model.tree_.node_count - model.get_n_leaves())


def _ordered(found: list[tuple[int, list[tuple[int, int]]]], x: Bools, y: NDArray[np.int64], n_labels: int) -> Fitted:
    def fires(conds: list[tuple[int, int]], rows: Bools) -> Bools:
        return np.all([rows[:, i] == bool(value) for i, value in conds], axis=0)

    precision = []
    for label, conds in found:
        held = fires(conds, x)
        precision.append((1 + (y[held] == label).sum()) / (2 + held.sum()))

    def scores(new: Bools) -> NDArray[np.float64]:
        out = np.zeros((len(new), n_labels))
        for (label, conds), share in zip(found, precision, strict=True):
            held = fires(conds, new)
            out[held, label] = np.maximum(out[held, label], share)
        return out

    return Fitted(scores, len(found), sum(len(conds) for _, conds in found))


def greedy_label(
    task: str, label: str, examples: Examples, rows: int, proposers: Sequence, *, budget: int, fold: int = -1, **_: int
) -> Found:
    """Greedy search with the search's own proposals and reward, and as many rewards looked at as a tree has states.

    From the best single condition: the best of all additions, widenings and negations, until none helps; then again
    on the positives left open.
    """
    proposals = [p for proposer in proposers for p in proposer.propose(label, examples, rows)]
    pool = pool_of(proposals, label, examples, rows)
    positives = examples.where(label) & rows
    open_, left = positives, budget
    candidates: dict[Rule, Candidate] = {}
    for _ in range(min(MAX_ROUNDS, positives.bit_count())):
        reward = Reward(positives, open_)
        seen: dict[Partial, float] = {}
        state, best = Partial(), 0.0
        while left > 0:
            steps = list(_steps(pool, state))[:left]
            left -= len(steps)
            for step in steps:
                seen[step] = reward(pool.fired(step), step.size).reward
            top = max(steps, key=lambda step: seen[step], default=None)
            if top is None or seen[top] <= best:
                break
            state, best = top, seen[top]
        good = sorted((s for s in seen if seen[s] > 0), key=lambda s: (-seen[s], s.size))[:KEPT]
        for one in good:
            rule = rule_of(pool, one, task, label)
            if rule is not None and rule not in candidates:
                score = reward(pool.fired(one), one.size)
                candidates[rule] = Candidate(
                    rule, "", "greedy", (), pool.fired(one), score.right, score.reward, budget - left, fold
                )
        if not state.groups or left <= 0:
            break
        open_ &= ~pool.fired(state)
    return Found(tuple(candidates.values()), ())


def _steps(pool: Pool, state: Partial):
    if state.size >= MAX_SIZE:
        return
    for _, add in pool.adds:
        groups = tuple(sorted({*state.groups, *((i,) for i in add)}))
        if len(groups) <= MAX_GROUPS and groups != state.groups:
            yield Partial(groups, state.against)
    for at, group in enumerate(state.groups):
        for _, add in pool.adds:
            same = pool.conditions[add[0]].atom.field == pool.conditions[group[0]].atom.field
            if len(add) == 1 and add[0] not in group and same and isinstance(pool.conditions[add[0]].atom, Words):
                groups = (*state.groups[:at], tuple(sorted((*group, add[0]))), *state.groups[at + 1 :])
                yield Partial(tuple(sorted(groups)), state.against)
    if state.groups:
        for i in pool.against:
            if i not in state.against:
                yield Partial(state.groups, tuple(sorted((*state.against, i))))
