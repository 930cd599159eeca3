"""Made-up dialogues and a question of as many tokens as asked, for benches of models with random weights."""

import argparse
from collections.abc import Sequence
from random import Random

from bench import random_models
from kdsl.dialogue import Item, Turn
from kdsl.models.batching import Encoded, plan
from kdsl.models.checkpoint import Loaded
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings
from kdsl.taxonomy import Task

WORDS = ("order", "parcel", "refund", "where", "cancel", "card", "coupon", "late", "broken", "size", "address", "today")


def parser(description: str | None, *, shape: str, rows: int) -> argparse.ArgumentParser:
    """The options of such a bench; `shape` and `rows` are what it takes on a CPU unless told otherwise."""
    import torch

    gpu = torch.cuda.is_available()
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "--shape", choices=random_models.SHAPES, default="7b" if gpu else shape, help="default here: %(default)s"
    )
    made.add_argument("--rows", type=int, default=512 if gpu else rows, help="of a task; default here: %(default)s")
    made.add_argument("--shared", type=int, default=400, help="tokens of the shared prompt")
    made.add_argument("--own", type=int, default=80, help="tokens of one item")
    return made


def model(shape: str, device: str) -> Loaded:
    """A model with random weights whose tokenizer knows the words."""
    most = ModelSettings(path=shape).max_pixels
    return random_models.loaded(random_models.SHAPES[shape], [" ".join(WORDS)] * 4, device, max_pixels=most)


def dialogues(rows: int, own: int) -> list[Item]:
    """Dialogues of about that many tokens, three tenths more or less; what frames them takes fifteen."""
    dice = Random(1)
    told = [dice.choices(WORDS, k=max(1, round(own * dice.uniform(0.7, 1.3)) - 15)) for _ in range(rows)]
    return [Item(str(at), "intent", (Turn("user", " ".join(words)),)) for at, words in enumerate(told)]


def task_of(scorer: Scorer, tokens: int, name: str = "intent") -> Task:
    """A task of eight labels whose shared part has about so many tokens."""
    dice, words = Random(2), 1
    while True:
        labels = [{"name": f"label_{at}", "description": " ".join(dice.choices(WORDS, k=words))} for at in range(8)]
        task = Task.model_validate({"name": name, "asked_of": "conversation", "question": "?", "labels": labels})
        if len(scorer.plan(task).shared[0]) >= tokens:
            return task
        words += 1


def batches_of(scorer: Scorer, task: Task, encoded: Sequence[Encoded]) -> list[list[int]]:
    """The places of the items in each batch; in `inference_mode`."""
    lengths, repeated = [len(item.ids) for item in encoded], scorer.repeated(scorer.plan(task))
    return plan(lengths, budget=scorer.budget, window=scorer.settings.window, shared=repeated)
