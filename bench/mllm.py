"""Label scoring against one full prefill a row, and against greedy generation with the same batch.

The model is a Qwen2-VL with random weights made on the spot: speed needs no training. On a GPU it has the shape of
Qwen2-VL-7B (`--shape 7b`), on CPU a small one; without a GPU the GPU part is said not to have been run.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from kdsl.demo.miniature import build
from kdsl.demo.miniature.recipe import Shape
from kdsl.dialogue import Item, Turn
from kdsl.models.batching import collate, padding_efficiency, plan
from kdsl.models.mllm import ModelSettings, Scorer
from kdsl.taxonomy import Task

SHAPES = {
    "small": Shape(256, 768, 6, 4, 2, 64, 2, 4, 600),
    "2b": Shape(1_536, 8_960, 28, 12, 2, 1_280, 32, 16, 600),
    "7b": Shape(3_584, 18_944, 28, 28, 4, 1_280, 32, 16, 600),
}
WORDS = ("order", "parcel", "refund", "where", "cancel", "card", "coupon", "late", "broken", "size", "address", "today")
GENERATED = 8  # tokens
PEAK = 989e12  # bf16 FLOP/s of an H200, dense


def main() -> None:
    """Print a table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default=None, help="default: 7b on a GPU, small on CPU")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--shared", type=int, default=400, help="tokens of the shared prompt")
    parser.add_argument("--own", type=int, default=80, help="tokens of one item")
    args = parser.parse_args()
    import torch

    gpu = torch.cuda.is_available()
    shape = args.shape or ("7b" if gpu else "small")
    with tempfile.TemporaryDirectory() as folder:
        scorer, task, items = _made(Path(folder), SHAPES[shape], args)
    scorer.score(task, items[:8], {})
    cached, seconds = _timed(lambda: scorer.score(task, items, {}))
    full, full_seconds = _timed(lambda: scorer.score(task, items, {}, reuse_prefix=False))
    said, said_seconds = _timed(lambda: _generated(scorer, task, items))
    labels, full_labels = cached.log_probs.argmax(1), full.log_probs.argmax(1)
    agreed = float((labels == full_labels).mean())
    alike = float(
        np.mean([first == scorer.plan(task).tokens[label] for first, label in zip(said, labels, strict=True)])
    )
    per_row = cached.counts["tokens"] / len(items)
    shared = len(scorer.plan(task).shared[0])
    print(
        f"shape {shape} on {scorer.loaded.model.device}: {len(items)} rows, {shared} shared, {per_row:.0f} own tokens"
    )
    print(f"cached prefix   {len(items) / seconds:10.1f} rows/s")
    print(f"full prefill    {len(items) / full_seconds:10.1f} rows/s, the same labels in {agreed:.3f}")
    print(f"generate {GENERATED:2}     {len(items) / said_seconds:10.1f} rows/s, the same label in {alike:.3f}")
    padding = padding_efficiency(*_batches(scorer, task, items))
    figures = [
        _figure("mllm: rows/s over one full prefill a row", full_seconds / seconds, 5.0),
        _figure("mllm: rows/s over greedy generate", said_seconds / seconds, 8.0),
        _figure("mllm: share of rows with the label of a full prefill", agreed, 1.0),
        _figure("mllm: padding efficiency", padding, 0.9),
    ]
    if gpu:
        flops = 2 * _multiplying(scorer.loaded.model) * per_row * len(items) / seconds
        figures.append(_figure("mllm: model FLOPs utilisation", flops / PEAK, 0.5))
    else:
        print("not run, no GPU here: model FLOPs utilisation, the 2B and 7B shapes")
    print(json.dumps(figures))


def _made(folder: Path, shape: Shape, args: argparse.Namespace) -> tuple[Scorer, Task, list[Item]]:
    known = build.tokenizer([" ".join(WORDS)] * 4, shape.vocabulary)
    model = build.model(shape, known, seed=1)
    for value in model.parameters():
        if value.ndim > 1 and shape is SHAPES["small"]:
            value.data *= 1.2  # or all labels of fresh weights score alike
    build.save(folder, model, known)
    scorer = Scorer.load(ModelSettings(path=str(folder), max_pixels=200_704, min_pixels=3_136, batch_tokens=16_384))
    task = _task(scorer, args.shared)
    dice = Random(1)
    items = []
    for at in range(args.rows):
        words = dice.choices(WORDS, k=max(1, round(args.own * dice.uniform(0.7, 1.3)) - 8))
        items.append(Item(str(at), task.name, (Turn("user", " ".join(words)),)))
    return scorer, task, items


def _task(scorer: Scorer, tokens: int) -> Task:
    """A task of eight labels whose shared part has about so many tokens."""
    dice, words = Random(2), 1
    while True:
        labels = [{"name": f"label_{at}", "description": " ".join(dice.choices(WORDS, k=words))} for at in range(8)]
        task = Task.model_validate({"name": "intent", "asked_of": "conversation", "question": "?", "labels": labels})
        if len(scorer.plan(task).shared[0]) >= tokens:
            return task
        words += 1


def _generated(scorer: Scorer, task: Task, items: list[Item]) -> list[int]:
    """First tokens of greedy generation, in the same batches, with the whole prompt in every row."""
    import torch

    first = [0] * len(items)
    asked = scorer.plan(task)
    encoded = [scorer.encode(item, {}) for item in items]
    _, batches = _batches(scorer, task, items)
    with torch.inference_mode():
        for batch in batches:
            whole = [
                type(encoded[at])(
                    asked.shared[0] + encoded[at].ids, (0,) * (len(asked.shared[0]) + len(encoded[at].ids))
                )
                for at in batch
            ]
            given = collate(whole, scorer.pad, scorer.loaded.model.device)
            said = scorer.loaded.model.generate(
                input_ids=given.ids,
                attention_mask=given.mask,
                do_sample=False,
                max_new_tokens=GENERATED,
                min_new_tokens=GENERATED,
                pad_token_id=scorer.pad,
            )
            for at, row in zip(batch, said[:, given.ids.shape[1]].tolist(), strict=True):
                first[at] = row
    return first


def _batches(scorer: Scorer, task: Task, items: list[Item]) -> tuple[list[int], list[list[int]]]:
    lengths = [len(scorer.encode(item, {}).ids) for item in items]
    shared = len(scorer.plan(task).shared[0])
    return lengths, plan(lengths, budget=scorer.settings.batch_tokens, window=scorer.settings.window, shared=shared)


def _multiplying(model: Any) -> int:
    """Weights of the language part that multiply: no embeddings, no norms, no head over the vocabulary."""
    return sum(value.numel() for name, value in model.model.language_model.layers.named_parameters() if value.ndim > 1)


def _timed(what: Callable[[], Any]) -> tuple[Any, float]:
    import torch

    begun = time.monotonic()
    found = what()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.monotonic() - begun


def _figure(name: str, value: float, aim: float) -> dict[str, object]:
    return {"bench": name, "value": round(value, 4), "aim": aim, "met": value >= aim}


if __name__ == "__main__":
    main()
