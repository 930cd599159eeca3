"""Monte Carlo tree search over partial rules: PUCT, progressive widening, shared statistics for transpositions.

Selection is PUCT as in D. Silver et al., Mastering the game of Go without human knowledge, Nature 550 (2017); children
open by visits as in A. Couetoux et al., Continuous upper confidence trees, LION 5 (2011). Rules have no opponent and no
chance, so a state is evaluated once, by stopping there, and its value blends the mean with the best found below it.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from kdsl.rules.atom import Words
from kdsl.rules.partial import MAX_GROUPS, MAX_SIZE, Partial, Pool
from kdsl.rules.reward import Reward, Score

EXPLORE = 1.2  # weight of the prior
WIDEN_FACTOR, WIDEN_POWER = 2.0, 0.6  # a state of N visits has 2 N^0.6 actions open
BEST_SHARE = 0.7  # of the best value below in a state's value; the rest is the mean
MAX_ACTIONS = 80  # of one state, by prior
MAX_DEPTH = 8
LOOK, PROPOSED = 8.0, 0.25  # in the prior: of a state's reward as a share of the best so far, of the proposer's score
NOISE = 0.25  # largest change of a score by the seed


@dataclass(slots=True)
class Node:
    """A state with its statistics, whichever way it was reached; `parent` is the first way, for the record."""

    state: Partial
    score: Score
    parent: Partial | None
    action: str
    found_at: int
    visits: int = 0
    total: float = 0.0
    best: float = 0.0
    actions: Iterator[tuple[float, str, Partial]] | None = None
    edges: list["Edge"] = field(default_factory=list)


@dataclass(slots=True)
class Edge:
    """An open action: its prior, how often it was taken, and where it leads."""

    prior: float
    action: str
    child: Node
    visits: int = 0


class Tree:
    """One search of one label with one reward. `run` may be called again to search on."""

    def __init__(self, pool: Pool, reward: Reward, seed: int) -> None:
        self._pool = pool
        self._reward = reward
        noise = random.Random(seed)  # noqa: S311 - no secret
        self._noise = [noise.uniform(-NOISE, NOISE) for _ in pool.conditions]
        self._adds: list[tuple[float, int, tuple[int, ...]]] = []  # score, mask, conditions
        self._words: dict[str, list[tuple[float, int, int]]] = {}  # by field, what an atom may be widened with
        for score, add in pool.adds:
            judged = pool.fired(Partial(tuple((i,) for i in add)))
            self._adds.append((score + self._noise[add[0]], judged, add))
            atom = pool.conditions[add[0]].atom
            if len(add) == 1 and isinstance(atom, Words):
                self._words.setdefault(atom.field, []).append((score + self._noise[add[0]], judged, add[0]))
        self.nodes: dict[Partial, Node] = {}
        self.iterations = 0
        self.looked = 0  # steps judged before they were opened or left
        self._scale = 1e-9  # largest reward so far; values are compared as shares of it
        self.root = self._node(Partial(), None, "start")
        self.root.best = 0.0

    def run(self, iterations: int) -> None:
        """Search on for so many iterations. Interrupted, everything found so far stays."""
        for _ in range(iterations):
            self.iterations += 1
            self._iterate()

    def found(self, most: int) -> list[Node]:
        """The best states met with a reward above 0, best first; of those that fire alike the shortest alone."""
        good = [node for node in self.nodes.values() if node.score.reward > 0 and node.state.groups]
        out: dict[int, Node] = {}
        for node in sorted(good, key=lambda node: (-node.score.reward, node.state.size, node.found_at)):
            if len(out) == most:
                break
            out.setdefault(self._pool.fired(node.state), node)
        return list(out.values())

    def _iterate(self) -> None:
        path = [self.root]
        node = self.root
        while len(path) <= MAX_DEPTH and node.visits:
            edge = self._select(node)
            if edge is None:
                break
            edge.visits += 1
            node = edge.child
            path.append(node)
        value = node.best if node.visits else node.score.reward
        self._scale = max(self._scale, value)
        for passed in {id(one): one for one in path}.values():
            passed.visits += 1
            passed.total += value
            passed.best = max(passed.best, value)

    def _select(self, node: Node) -> Edge | None:
        if node.actions is None:
            node.actions = self._actions(node)
        room = WIDEN_FACTOR * node.visits**WIDEN_POWER
        while len(node.edges) < room:
            step = next(node.actions, None)
            if step is None:
                break
            prior, action, state = step
            node.edges.append(Edge(prior, action, self._node(state, node.state, action)))
        root = math.sqrt(node.visits)
        return max(node.edges, key=lambda edge: self._puct(edge, root), default=None)

    def _puct(self, edge: Edge, root: float) -> float:
        child = edge.child
        value = child.score.reward  # stopping there is known once the state is open
        if child.visits:
            value = BEST_SHARE * child.best + (1 - BEST_SHARE) * child.total / child.visits
        return value / self._scale + EXPLORE * edge.prior * root / (1 + edge.visits)

    def _node(self, state: Partial, parent: Partial | None, action: str) -> Node:
        if state not in self.nodes:
            score = self._reward(self._pool.fired(state), state.size)
            self.nodes[state] = Node(state, score, parent, action, self.iterations, best=score.reward)
        return self.nodes[state]

    def _actions(self, node: Node) -> Iterator[tuple[float, str, Partial]]:
        """(prior, action, state) by prior; only steps that change what fires and keep an open positive.

        To judge a state takes microseconds, so every step is looked at before one is opened: the prior joins what the
        proposer said with the reward of stopping there.
        """
        looked: dict[Partial, tuple[float, float, str]] = {}
        for score, action, state in self._steps(node.state, self._pool.fired(node.state)):
            if state not in looked:
                looked[state] = self._reward(self._pool.fired(state), state.size).reward, score, action
        self.looked += len(looked)
        scale = max([self._scale, *(reward for reward, _, _ in looked.values())])
        scored = [
            (LOOK * reward / scale + PROPOSED * s, action, state) for state, (reward, s, action) in looked.items()
        ]
        scored = sorted(scored, key=lambda step: -step[0])[:MAX_ACTIONS]
        weights = [math.exp(max(-30.0, logit - scored[0][0])) for logit, _, _ in scored]
        total = sum(weights)
        for weight, (_, action, state) in zip(weights, scored, strict=True):
            yield weight / total, action, state

    def _steps(self, state: Partial, fired: int) -> Iterator[tuple[float, str, Partial]]:
        positives, open_ = self._reward.positives, self._reward.open_
        conditions = self._pool.conditions
        used = {i for group in state.groups for i in group}  # a word asked for twice says nothing more
        if state.size < MAX_SIZE:
            for score, judged, add in self._adds:
                left = fired & judged
                if (
                    used.isdisjoint(add)
                    and left & open_
                    and left != fired
                    and len(state.groups) + len(add) <= MAX_GROUPS
                ):
                    groups = tuple(sorted({*state.groups, *((i,) for i in add)}))
                    yield score, "add", Partial(groups, state.against)
            yield from self._widenings(state, fired)
            wrong = fired & ~positives
            for i in self._pool.against if wrong else ():
                hit = conditions[i].judged & fired
                if hit & wrong and (fired & ~hit) & open_ and i not in state.against:
                    lost = (hit & positives).bit_count()
                    score = conditions[i].score + self._noise[i] + math.log((hit & wrong).bit_count()) - 2 * lost
                    yield score, "negate", Partial(state.groups, tuple(sorted({*state.against, i})))
        if state.size > 1:
            yield from ((0.5, "drop", smaller) for smaller in _drops(state))

    def _widenings(self, state: Partial, fired: int) -> Iterator[tuple[float, str, Partial]]:
        conditions = self._pool.conditions
        used = {i for group in state.groups for i in group}
        for at, group in enumerate(state.groups):
            rest = self._pool.fired(Partial(state.groups[:at] + state.groups[at + 1 :], state.against))
            missed = rest & ~fired & self._reward.open_
            for score, judged, i in self._words.get(conditions[group[0]].atom.field, ()) if missed else ():
                if judged & missed and i not in used:
                    groups = (*state.groups[:at], tuple(sorted((*group, i))), *state.groups[at + 1 :])
                    yield score, "widen", Partial(tuple(sorted(groups)), state.against)


def _drops(state: Partial) -> Iterator[Partial]:
    for at, group in enumerate(state.groups):
        others = state.groups[:at] + state.groups[at + 1 :]
        if others:
            yield Partial(others, state.against)
        if len(group) > 1:
            for i in group:
                yield Partial(tuple(sorted((*others, tuple(j for j in group if j != i)))), state.against)
    for i in state.against:
        yield Partial(state.groups, tuple(j for j in state.against if j != i))
