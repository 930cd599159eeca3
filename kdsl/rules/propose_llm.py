"""The language-model proposer: it is shown examples, and its answer is hostile text until each line is checked.

Prompts hold texts of customers and go to a local model only; nothing of prompt or answer is logged.
"""

import re
from collections.abc import Callable, Sequence

from kdsl.rules.atom import Atom, Expression, Words
from kdsl.rules.errors import RuleError
from kdsl.rules.examples import Examples, rows_of
from kdsl.rules.propose import Proposal
from kdsl.taxonomy import Task

MAX_ANSWER = 4_000  # characters read of an answer
MAX_LINES = 60
MAX_PROPOSALS = 40
SHOWN, SHOWN_CHARS = 4, 200  # examples of a kind, and characters of each
SCORE = 3.0

_EXPRESSION = re.compile(r"/(.{1,300})/")
_BULLET = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")
_QUOTES = "\"'“”‘’「」`"

Generate = Callable[[str], str]


class FromModel:
    """Proposes the words and expressions that a model names. `generate` takes a prompt and returns text.

    One call a label and set of rows; the answer is kept, so that the search asks once.
    """

    name = "llm"

    def __init__(self, task: Task, generate: Generate, field: str) -> None:
        self._task = task
        self._generate = generate
        self._field = field
        self._answers: dict[tuple[str, int], tuple[Proposal, ...]] = {}

    def propose(self, label: str, examples: Examples, rows: int) -> Sequence[Proposal]:
        """What the model named, and stands in at least one row of the mask."""
        if self._field not in examples.texts:
            return []
        key = label, rows
        if key not in self._answers:
            answer = self._generate(self.prompt(label, examples, rows))
            atoms = [atom for atom in read_answer(answer, self._field) if examples.mask(atom) & rows]
            self._answers[key] = tuple(Proposal((atom,), SCORE, self.name) for atom in atoms)
        return self._answers[key]

    def prompt(self, label: str, examples: Examples, rows: int) -> str:
        """The question: what the label means, a few of its texts and the nearest texts of other labels."""
        texts = examples.texts[self._field]
        positives = rows_of(examples.where(label) & rows)
        others = _nearest(positives, rows_of(rows & ~examples.where(label)), texts)
        told = {one.name: one for one in self._task.labels}.get(label)
        lines = [f"Label: {label}"]
        if told is not None and told.description:
            lines.append(f"Meaning: {told.description}")
        lines += ["Texts with this label:", *(_shown(texts[row]) for row in positives[:SHOWN])]
        lines += ["Texts with other labels:", *(_shown(texts[row]) for row in others[:SHOWN])]
        lines.append("Name words or short phrases found in the first texts and not in the others, one a line.")
        lines.append("A pattern may be given between slashes, as /refund.{0,10}late/.")
        return "\n".join(lines) + "\n"


def read_answer(answer: object, field: str) -> list[Atom]:
    """Atoms of a model's answer; lines that are too long, empty or refused by the language are left out.

    The answer is cut before it is split, and each line before anything is compiled.
    """
    if not isinstance(answer, str):
        return []
    atoms: dict[Atom, None] = {}
    for raw in answer[:MAX_ANSWER].splitlines()[:MAX_LINES]:
        line = _BULLET.sub("", raw.strip()).strip().strip(_QUOTES).strip()
        if not line or len(line) > 302 or not line.isprintable():
            continue
        try:
            if found := _EXPRESSION.fullmatch(line):
                atoms[Expression(field, found[1])] = None
            elif any(char.isalnum() for char in line) and len(line) <= 40:
                atoms[Words(field, "any_of", (line,))] = None
        except RuleError:
            continue
    return list(atoms)[:MAX_PROPOSALS]


def _nearest(positives: Sequence[int], others: Sequence[int], texts: Sequence[str]) -> list[int]:
    wanted = {texts[row][i : i + 2] for row in positives for i in range(len(texts[row]) - 1)}

    def likeness(row: int) -> float:
        grams = {texts[row][i : i + 2] for i in range(len(texts[row]) - 1)}
        return len(grams & wanted) / (1 + len(grams | wanted))

    return sorted(others, key=lambda row: (-likeness(row), row))


def _shown(text: str) -> str:
    return "- " + text[:SHOWN_CHARS]
