"""The see-saw of a miniature on the made-up shop: joint against one adapter a task, over seeds (`kdsl/seesaw_runs.py`).

It learns from the shop's history and holds a part of it out, as `./spark-submit.sh seesaw` does on a lake.
"""

import argparse
import json
import logging
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from bench.miniature import _few, _read
from jobs.seesaw import report
from kdsl import config, seesaw_runs, taxonomy
from kdsl.demo import shop
from kdsl.dialogue import Item
from kdsl.folds import group_keys
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_voter import contents_of
from kdsl.ocr import Reader
from kdsl.seesaw import OF


def main() -> None:
    """Print the verdict and the figures; write `seesaw.json` and `seesaw.svg`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("small", "large"), default="large")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=120, help="of each task")
    parser.add_argument("--examples", type=int, default=20, help="a label, a quarter of them held out")
    parser.add_argument("--into", type=Path, default=Path("seesaw"))
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("kdsl").setLevel(logging.INFO)
    settings = config.load(["conf/miniature.yaml"], environment={})
    tasks = taxonomy.load(settings.taxonomy)
    with tempfile.TemporaryDirectory() as folder:
        history = _read(shop.write(Path(folder), seed=7).history)
    model = getattr(settings.fit, args.model)
    lora = model.lora.model_copy(
        update={"steps": args.steps, "held_out": 0.25, "evaluate_every": max(1, args.steps // 6)}
    )
    reader = Reader(settings.reader, threads=1)
    lessons = []
    for task in tasks.tasks:
        few = [(_read_by(reader, item), label) for item, label in _few(history[task.name], args.examples)]
        items, gold = [item for item, _ in few], [label for _, label in few]
        lessons.append(Lesson(task, items, gold, group_keys(items), contents_of(items)))
    seeds = range(settings.fit.seed, settings.fit.seed + args.seeds)
    found = seesaw_runs.measure(
        lambda: Scorer.to_train(model.model),
        lessons,
        lora,
        seeds,
        voter=args.model,
    )
    report(found, args.into)
    figures = [
        {"bench": f"{args.model}: own adapter less joint one, {task}", **asdict(found.gain(task))}
        for task in found.tasks
    ]
    for name, of in (
        ("own adapter and rules less own", found.rules_gain),
        ("own adapter and rules less joint", found.whole_gain),
    ):
        figures += [{"bench": f"{args.model}: {name}, {task}", **asdict(of(task))} for task in found.tasks]
    figures += [{"bench": f"{args.model}: cosine of the tasks' {of}s", **asdict(found.cosine(of))} for of in OF]
    print(json.dumps(figures))


def _read_by(reader: Reader, item: Item) -> Item:
    """A picture to classify with its text, for the rules; the model looks at the picture itself."""
    if item.turns:
        return item
    pictures = [replace(reader.read(one.content or b""), content=one.content) for one in item.pictures]
    return replace(item, pictures=tuple(pictures))


if __name__ == "__main__":
    main()
