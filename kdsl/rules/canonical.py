"""The one form of a conjunction: single words of a field gathered, bounds tightened, atoms sorted."""

import math
from collections.abc import Sequence

from kdsl.rules.atom import Atom, Comparison, Expression, Words, sort_key
from kdsl.rules.errors import RuleError
from kdsl.rules.matching import occurs


def conjunction(atoms: Sequence[Atom]) -> tuple[Atom, ...]:
    """Equal tuples for conjunctions that say the same by regrouping words, bounds or order.

    Raises:
        RuleError: two atoms cannot hold together.
    """
    kept: set[Atom] = set()
    wanted: dict[str, set[str]] = {}
    unwanted: dict[str, set[str]] = {}
    bounds: dict[str, list[Comparison]] = {}
    for atom in atoms:
        if isinstance(atom, Comparison):
            bounds.setdefault(atom.field, []).append(atom)
        elif isinstance(atom, Words) and atom.op == "none_of":
            unwanted.setdefault(atom.field, set()).update(atom.words)
        elif isinstance(atom, Words) and (atom.op == "all_of" or len(atom.words) == 1):
            wanted.setdefault(atom.field, set()).update(atom.words)
        else:
            kept.add(atom)
    kept |= {Words(field, "all_of", tuple(words)) for field, words in wanted.items()}
    kept |= {Words(field, "none_of", tuple(words)) for field, words in unwanted.items()}
    for comparisons in bounds.values():
        kept.update(_tightest(comparisons))
    _refuse_contradiction(kept, wanted, unwanted)
    return tuple(sorted(kept, key=sort_key))


def _refuse_contradiction(kept: set[Atom], wanted: dict[str, set[str]], unwanted: dict[str, set[str]]) -> None:
    for field, words in unwanted.items():
        for word in sorted(wanted.get(field, ())):
            if hit := _inside(words, word):
                raise RuleError(_never(f"{field} must hold {word!r} and must not hold {hit!r}"))
        for atom in kept:
            if not isinstance(atom, Words) or atom.op != "any_of" or atom.field != field:
                continue
            if len(atom.words) > 1 and all(_inside(words, word) for word in atom.words):
                raise RuleError(_never(f"{field} must hold one of {list(atom.words)} and none_of rules each out"))
    expressions = [atom for atom in kept if isinstance(atom, Expression)]
    for atom in expressions:
        if not atom.negative and Expression(atom.field, atom.pattern, negative=True) in expressions:
            raise RuleError(_never(f"{atom.field} must match {atom.pattern!r} and must not"))


def _inside(words: set[str], text: str) -> str | None:
    # Borders of words hold inside a longer word too, so this is right for both kinds of matching.
    return next((word for word in sorted(words) if occurs(word, text, "words")), None)


def _never(why: str) -> str:
    return f"{why}: the rule can never fire; drop one of the two conditions"


def _tightest(comparisons: list[Comparison]) -> list[Comparison]:
    low, low_open, high, high_open = -math.inf, False, math.inf, False
    for atom in comparisons:
        if atom.op in (">", ">=", "=="):
            low, low_open = max((low, low_open), (atom.value, atom.op == ">"))
        if atom.op in ("<", "<=", "=="):
            negated, closed = min((high, not high_open), (atom.value, atom.op != "<"))
            high, high_open = negated, not closed
    field = comparisons[0].field
    if low > high or (low == high and (low_open or high_open)):
        said = " and ".join(f"{atom.op} {atom.value:g}" for atom in comparisons)
        raise RuleError(_never(f"{field} cannot be {said} at once"))
    if low == high:
        return [Comparison(field, "==", low)]
    out = []
    if low > -math.inf:
        out.append(Comparison(field, ">" if low_open else ">=", low))
    if high < math.inf:
        out.append(Comparison(field, "<" if high_open else "<=", high))
    return out
