"""What a step of post-training costs: seconds an example and memory, with and without gradient checkpointing.

The model is a Qwen2-VL of a real shape with random weights on a GPU, a small one on CPU; what it learns is not
looked at.
"""

import argparse
import json
import time
from random import Random

from bench import prompts
from bench.prompts import WORDS
from bench.random_models import SHAPES
from kdsl.dialogue import Item, Turn
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.model_settings import ModelSettings
from kdsl.models.tuning import Tuning
from kdsl.taxonomy import Task

LABELS = WORDS[:8]
WARM = 3  # steps before the clock runs


def main() -> None:
    """Print a line for each way, and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default=None, help="default: 2b on a GPU, small on CPU")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rows", type=int, default=8, help="examples of a step")
    parser.add_argument("--own", type=int, default=200, help="tokens of an example beside the shared ones")
    args = parser.parse_args()
    import torch

    gpu = torch.cuda.is_available()
    shape = args.shape or ("2b" if gpu else "small")
    print(f"shape {shape} on {torch.cuda.get_device_name() if gpu else 'CPU'}")
    figures = []
    for checkpointing in (False, True):
        made = prompts.model(shape, "cuda:0" if gpu else "cpu")
        run = Tuning(
            Scorer(made, ModelSettings(path=shape)),
            [_lesson(args.own)],
            LoraSettings(steps=args.steps + WARM, rows=args.rows, checkpointing=checkpointing, held_out=0.0),
            seed=1,
        )
        if gpu:
            torch.cuda.reset_peak_memory_stats()
        for step in range(WARM):
            run.step(step)
        begun = time.monotonic()
        for step in range(WARM, WARM + args.steps):
            run.step(step)
        each = (time.monotonic() - begun) / args.steps / args.rows
        name = "with" if checkpointing else "without"
        told = f"{name} checkpointing: {each:.3f} s an example"
        figures.append({"bench": f"post-training {name} checkpointing: seconds an example", "value": round(each, 4)})
        if gpu:
            peak = torch.cuda.max_memory_allocated() / 2**30
            told += (
                f", {peak:.1f} GiB at most, weights {sum(p.nbytes for p in made.model.parameters()) / 2**30:.1f} GiB"
            )
            figures.append({"bench": f"post-training {name} checkpointing: GiB", "value": round(peak, 2)})
        print(told, flush=True)
        del run, made
        if gpu:
            torch.cuda.empty_cache()
    print(json.dumps(figures))


def _lesson(own: int) -> Lesson:
    labels = [{"name": name, "description": f"the shopper says {name}"} for name in LABELS]
    task = Task.model_validate({"name": "intent", "asked_of": "conversation", "question": "?", "labels": labels})
    dice = Random(1)
    items, gold = [], []
    for at in range(160):
        words = dice.choices(WORDS[8:], k=own - 16)
        words.insert(dice.randrange(len(words)), LABELS[at % len(LABELS)])
        items.append(Item(str(at), "intent", (Turn("user", " ".join(words)),)))
        gold.append(LABELS[at % len(LABELS)])
    return Lesson(task, items, gold, [item.item_id for item in items], {})


if __name__ == "__main__":
    main()
