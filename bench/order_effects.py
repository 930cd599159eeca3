"""What it changes which label has which code: a bias of small models for a place in the list, and what averaging mends.

The miniatures' settings list no labels (`labels: none`): each label is a token that post-training ties it to, and
another assignment means nothing. So here the labels are listed in the prompt, and the model is asked of the made-up
shop's nights as it is, taught with each label always at the same code, and taught with codes that move.
`--smollm2 FOLDER` asks SmolLM2 as it is of eight labels of Bitext instead (see `bench.smollm2`). Printed: the share of
answers that change when every code is shifted to another label, and weighted F1 with 1, 2, 4 and 8 averaged.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from bench.miniature import Examples, _few, _fitted, _read, _score
from bench.rule_data import text_data
from bench.smollm2 import SEED, TAUGHT, _item
from kdsl import config, taxonomy
from kdsl.demo import shop
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import MllmSettings
from kdsl.models.mllm_voter import MllmVoter, contents_of
from kdsl.models.plan import Plan
from kdsl.models.voter import LogProbs
from kdsl.taxonomy import Task

SHIFTS = 8  # assignments, evenly apart
AVERAGED = (1, 2, 4, 8)
WAYS = {"as it is": None, "codes fixed": 0.0, "codes move": 1.0}  # share of steps whose codes move


@dataclass(frozen=True)
class Asked:
    """A model, and what it is asked of."""

    title: str
    task: Task
    scorer: Scorer
    examples: Examples


class OneOrder(Scorer):
    """The scorer with one of its permutations alone."""

    nth = 0

    def plan(self, task: Task) -> Plan:
        """As `Scorer.plan`, of one assignment."""
        whole = super().plan(task)
        one = slice(self.nth, self.nth + 1)
        return replace(whole, orders=whole.orders[one], shared=whole.shared[one])


def main() -> None:
    """Print two lines and more of each model, and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conf", default="conf/miniature.yaml", help="whose settings the model has, but for labels")
    parser.add_argument("--model", choices=("small", "large"), default="large")
    parser.add_argument("--labels", choices=("named", "described"), default="named", help="how they are listed")
    parser.add_argument("--taught", nargs="+", choices=tuple(WAYS), default=list(WAYS))
    parser.add_argument("--examples", type=int, default=20, help="a label")
    parser.add_argument("--seed", type=int, default=7, help="of the shop; 7 is that of the demo")
    parser.add_argument("--smollm2", metavar="FOLDER", help="the converted checkpoint, in place of a miniature")
    parser.add_argument("--rows", type=int, default=200, help="texts that SmolLM2 is asked of")
    args = parser.parse_args()
    figures: list[dict[str, object]] = []
    for one in _smollm2(args) if args.smollm2 else _miniatures(args):
        said = _said(one)
        answers = [votes.argmax(1) for votes in said]
        moved = float(np.mean([(other != answers[0]).mean() for other in answers[1:]]))
        alike = float(np.mean([len(set(row)) == 1 for row in zip(*answers, strict=True)]))
        print(f"{one.title}: {moved:.3f} of answers change, {alike:.3f} are the same in all {SHIFTS}", flush=True)
        figures.append({"bench": f"{one.title}: share of answers that change", "value": moved, "n": len(one.examples)})
        for k in AVERAGED:
            mean = np.mean(said[:: SHIFTS // k], axis=0)  # as `Scorer` averages, but for a constant a row
            found = _score(one.task, mean, one.examples)
            print(f"  {k} averaged: weighted F1 {found}", flush=True)
            figures.append({"bench": f"{one.title}: weighted F1, {k} averaged"} | asdict(found))
    print(json.dumps(figures))


def _said(asked: Asked) -> list[LogProbs]:
    """Log-probabilities (items, labels) by assignment, the first being that of the taxonomy's order."""
    if len(asked.task.labels) < SHIFTS:
        raise SystemExit(
            f"task {asked.task.name} has {len(asked.task.labels)} labels; {SHIFTS} assignments want as many."
        )
    settings = asked.scorer.settings.model_copy(update={"permutations": SHIFTS})
    one, said = OneOrder(asked.scorer.loaded, settings), []
    items = [item for item, _ in asked.examples]
    for one.nth in range(SHIFTS):
        said.append(one.score(asked.task, items, contents_of(items)).log_probs)
    return said


def _miniatures(args: argparse.Namespace) -> Iterator[Asked]:
    settings = config.load([args.conf], environment={})
    with tempfile.TemporaryDirectory() as folder:
        files = shop.write(Path(folder), seed=args.seed)
        history, nights = _read(files.history), _read(files.nights)
    for task in taxonomy.load(settings.taxonomy).tasks:
        for way in args.taught:
            model = _listed(getattr(settings.fit, args.model), args.labels, WAYS[way])
            variant = "as_it_is" if WAYS[way] is None else "augmented"
            voter, _ = _fitted(task, _few(history[task.name], args.examples), model, variant, settings.fit.seed)
            assert isinstance(voter, MllmVoter)
            yield Asked(f"{args.model}, {task.name}, {way}", task, voter.scorer, nights[task.name])


def _listed(model: MllmSettings, labels: str, moving: float | None) -> MllmSettings:
    """The model's settings with labels in the prompt."""
    augment = model.lora.augment.model_copy(update={"shuffle_codes": moving or 0.0})
    return model.model_copy(update={"labels": labels, "lora": model.lora.model_copy(update={"augment": augment})})


def _smollm2(args: argparse.Namespace) -> Iterator[Asked]:
    data = text_data("bitext", SEED)
    task = data.task.model_copy(update={"labels": data.task.labels[:TAUGHT]})
    known: Sequence[int] = [row for row, gold in enumerate(data.gold) if gold in task.label_names][: args.rows]
    model = MllmSettings(path=args.smollm2, device="cpu", own_tokens=128, labels=args.labels)
    examples = [(_item(row, data.texts[row]), data.gold[row]) for row in known]
    yield Asked(f"smollm2, eight labels of Bitext, labels {args.labels}", task, Scorer.load(model.model), examples)


if __name__ == "__main__":
    main()
