"""A search tree as text: the most visited states, indented by the action that led there."""

from kdsl.rules.atom import Comparison, Expression
from kdsl.rules.partial import Partial, Pool
from kdsl.rules.tree import Node, Tree


def draw(tree: Tree, pool: Pool, *, most_children: int = 3, depth: int = 3, least_visits: int = 3) -> str:
    """One line a state: action, condition, visits, judged right / fired, reward; a state met again is not opened."""
    lines: list[str] = []
    drawn: set[Partial] = set()

    def line(node: Node, action: str, level: int) -> None:
        again = node.state in drawn
        drawn.add(node.state)
        said = _said(node.state, pool) or "(any text)"
        score = node.score
        note = "  (met above)" if again and level else ""
        lines.append(
            f"{'   ' * level}{action:<6} {said}  visits {node.visits}, right {score.right}/{score.fired}, "
            f"reward {score.reward:.2f}, best below {node.best:.2f}{note}"
        )
        if again or level == depth:
            return
        edges = sorted(node.edges, key=lambda edge: -edge.visits)[:most_children]
        for edge in edges:
            if edge.visits >= least_visits:
                line(edge.child, edge.action, level + 1)

    line(tree.root, "start", 0)
    return "\n".join(lines)


def _said(state: Partial, pool: Pool) -> str:
    parts = []
    for atom in pool.atoms(state):
        if isinstance(atom, Comparison):
            parts.append(f"{atom.field} {atom.op} {atom.value:g}")
        elif isinstance(atom, Expression):
            parts.append(f"/{atom.pattern}/")
        else:
            words = " | ".join(atom.words)
            parts.append(f"not [{words}]" if atom.negative else f"[{words}]")
    return " and ".join(parts)
