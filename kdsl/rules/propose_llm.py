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
MAX_PHRASE, LEAST_PART = 80, 4  # characters of what is named, and of a part of it that is worth a look
SHOWN, SHOWN_CHARS = 4, 200  # examples of a kind, and characters of each
SCORE = 3.0

_EXPRESSION = re.compile(r"/(.{1,300})/")
_BULLET = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")
_QUOTES = "\"'“”‘’「」`"

QUESTION = "Words or patterns found in the first texts and not in the others, one a line:"
EXAMPLE = f"""Label: greeting
Meaning: says hello
Texts with this label:
- hello, is anybody there?
- good morning, i would like to talk to somebody
Texts with other labels:
- where is my parcel?
{QUESTION}
- hello
- good morning
- /good (morning|day)/
"""

Generate = Callable[[str], str]


class FromModel:
    """Proposes the words and expressions that a model names.

    `generate` takes a prompt, of which the last line is how the answer begins, and returns how it goes on.

    One call a label and set of rows; the answer is kept, so that the search asks once.
    """

    name = "llm"

    def __init__(self, task: Task, generate: Generate, field: str) -> None:
        self._task = task
        self._generate = generate
        self._field = field
        self._answers: dict[tuple[str, int], tuple[Proposal, ...]] = {}

    def propose(self, label: str, examples: Examples, rows: int) -> Sequence[Proposal]:
        """What the model named and stands in at least one row of the mask; of other phrases the parts that do."""
        if self._field not in examples.texts:
            return []
        key = label, rows
        if key not in self._answers:
            answer = self._generate(self.prompt(label, examples, rows))
            found: dict[Atom, None] = {}
            for atom in read_answer(answer, self._field):
                if examples.mask(atom) & rows:
                    found[atom] = None
                elif isinstance(atom, Words):
                    found |= dict.fromkeys(_parts(atom, examples, examples.where(label) & rows))
            self._answers[key] = tuple(Proposal((atom,), SCORE, self.name) for atom in list(found)[:MAX_PROPOSALS])
        return self._answers[key]

    def prompt(self, label: str, examples: Examples, rows: int) -> str:
        """The question: what the label means, a few of its texts and the nearest texts of other labels.

        A worked example comes first and the last line begins the answer: small models go on in the form they find.
        """
        texts = examples.texts[self._field]
        positives = rows_of(examples.where(label) & rows)
        others = _nearest(positives, rows_of(rows & ~examples.where(label)), texts)
        told = {one.name: one for one in self._task.labels}.get(label)
        lines = [EXAMPLE, f"Label: {label}"]
        if told is not None and told.description:
            lines.append(f"Meaning: {told.description}")
        lines += ["Texts with this label:", *(_shown(texts[row]) for row in positives[:SHOWN])]
        lines += ["Texts with other labels:", *(_shown(texts[row]) for row in others[:SHOWN])]
        return "\n".join([*lines, QUESTION, "-"])


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
            elif any(char.isalnum() for char in line) and len(line) <= MAX_PHRASE:
                atoms[Words(field, "any_of", (line,))] = None
        except RuleError:
            continue
    return list(atoms)[:MAX_PROPOSALS]


def _parts(atom: Words, examples: Examples, positives: int) -> list[Atom]:
    """The longest runs of a phrase's words that stand in texts of the label; small models quote from memory."""
    words, at = atom.words[0].split(), 0
    found: list[Atom] = []
    while at < len(words):
        for end in range(len(words), at, -1):
            run = " ".join(words[at:end])
            if len(run) >= LEAST_PART and examples.word_mask(atom.field, run) & positives:
                found.append(Words(atom.field, "any_of", (run,)))
                at = end - 1
                break
        at += 1
    return found


def _nearest(positives: Sequence[int], others: Sequence[int], texts: Sequence[str]) -> list[int]:
    wanted = {texts[row][i : i + 2] for row in positives for i in range(len(texts[row]) - 1)}

    def likeness(row: int) -> float:
        grams = {texts[row][i : i + 2] for i in range(len(texts[row]) - 1)}
        return len(grams & wanted) / (1 + len(grams | wanted))

    return sorted(others, key=lambda row: (-likeness(row), row))


def _shown(text: str) -> str:
    return "- " + text[:SHOWN_CHARS]
