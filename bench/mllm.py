"""Label scoring against one full prefill a row; on a GPU more. Against generation: `bench.generate`.

The model is a Qwen2-VL with random weights made on the spot: speed needs no training. On a GPU it has the shape of
Qwen2-VL-7B (or `--shape 2b`), on CPU a small one. Parts that need a GPU are said not to have been run without one:
rows of a picture of 448 x 448 and 200 tokens, float32, a card without room for the batch, and what takes the time.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np

from bench import prompts, random_models
from kdsl.dialogue import Item, Picture, Turn
from kdsl.images import sha256
from kdsl.models import int8, packed
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings
from kdsl.taxonomy import Task

# bf16 FLOP/s of a card by its vendor's data sheet, dense
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
SIDE = 448  # pixels
SPARED = 4 << 30  # bytes that are left on a card to run out of memory
PARTS = ("text", "pictures", "float32", "starved", "kernels", "int8")


def main() -> None:
    """Print a table and the figures."""
    parser = prompts.parser(__doc__, shape="small", rows=128)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=None, help="default: all that can be run")
    parser.add_argument("--batch-tokens", type=int, default=None, help="default: by the device's memory")
    parser.add_argument("--window", type=int, default=256, help="rows that are sorted by length together")
    args = parser.parse_args()
    import torch

    gpu = torch.cuda.is_available()
    shape = args.shape
    settings = ModelSettings(
        path=shape, batch_tokens=args.batch_tokens or "auto", window=args.window, threads=8 if gpu else 2
    )
    scorer = Scorer(prompts.model(shape, "cuda:0" if gpu else "cpu"), settings)
    task = prompts.task_of(scorer, args.shared)
    parts: dict[str, Callable[[], list[dict[str, object]]]] = {
        "text": lambda: _text(scorer, task, args),
        "pictures": lambda: _pictures(scorer, task, args),
        "kernels": lambda: _kernels(scorer, task, args),
        "starved": lambda: _starved(scorer, task, args),
        "float32": lambda: _float32(scorer, task, args),
        "int8": lambda: _int8(scorer, task, args),
    }
    wanted = args.parts or (PARTS[:-1] if gpu else ("text", "int8"))
    figures = []
    print(
        f"shape {shape} on {torch.cuda.get_device_name() if gpu else 'CPU'}, {scorer.budget:,} tokens a batch at most"
    )
    for name, part in parts.items():
        if name in wanted:
            figures += part()
    if not gpu:
        print("not run, no GPU here: model FLOPs utilisation, pictures, the 2B and 7B shapes")
    print(json.dumps(figures))


def _text(scorer: Scorer, task: Task, args: argparse.Namespace) -> list[dict[str, object]]:
    items = prompts.dialogues(args.rows, args.own)
    scorer.score(task, items, {})  # every shape of a batch once
    cached, seconds = _timed(lambda: scorer.score(task, items, {}), times=3)
    full, full_seconds = _timed(lambda: scorer.score(task, items, {}, reuse_prefix=False))
    agreed = _alike(cached.log_probs, full.log_probs)
    per_row, shared = cached.counts["tokens"] / len(items), len(scorer.plan(task).shared[0])
    print(f"{len(items)} rows, {shared} shared and {per_row:.0f} own tokens, {cached.counts['batches']} batches")
    print(
        f"cached prefix   {len(items) / seconds:10.1f} rows/s; of all tokens not run {shared / (shared + per_row):.3f}"
    )
    print(f"full prefill    {len(items) / full_seconds:10.1f} rows/s; the same label in {agreed:.3f}")
    if scorer.loaded.model.device.type == "cuda":
        with patch.object(packed, "packs", lambda _: False):
            padded, padded_seconds = _timed(lambda: scorer.score(task, items, {}), times=3)
        alike = _alike(cached.log_probs, padded.log_probs)
        print(f"padded rows     {len(items) / padded_seconds:10.1f} rows/s; the same label in {alike:.3f}")
    print(
        f"top two labels apart where the full prefill differs: {_apart(cached.log_probs, full.log_probs)}", flush=True
    )
    figures = [
        _figure("rows/s over one full prefill a row", full_seconds / seconds, 5.0),
        _figure("share of rows with the label of a full prefill", agreed, 1.0),
        _figure("padding efficiency", cached.counts["tokens"] / cached.counts["run_tokens"], 0.9),
    ]
    return figures + _utilised("text", scorer, len(items) / seconds, per_row, shared, patches=0)


def _pictures(scorer: Scorer, task: Task, args: argparse.Namespace) -> list[dict[str, object]]:
    contents = {sha256(content): content for content in (_picture(at) for at in range(args.rows // 2))}
    items = [
        Item(
            str(at), task.name, (Turn("user", " ".join(Random(at).choices(prompts.WORDS, k=171)), ("i",)),), (picture,)
        )
        for at, picture in enumerate(Picture(name, SIDE, SIDE) for name in contents)
    ]
    scorer.score(task, items, contents)
    cached, seconds = _timed(lambda: scorer.score(task, items, contents), times=2)
    per_row, shared = cached.counts["tokens"] / len(items), len(scorer.plan(task).shared[0])
    rate = len(items) / seconds
    print(
        f"pictures: {len(items)} rows, {per_row:.0f} own tokens, {cached.counts['batches']} batches: {rate:.1f} rows/s"
    )
    return _utilised("a picture and 200 tokens", scorer, rate, per_row, shared, patches=(SIDE // 14) ** 2)


def _float32(scorer: Scorer, task: Task, args: argparse.Namespace) -> list[dict[str, object]]:
    """Cached and full again without rounding to bf16; the model stays in float32."""
    items = prompts.dialogues(32, args.own)
    scorer.loaded.model.float()
    scorer.forget()
    cached = scorer.score(task, items, {}).log_probs
    full = scorer.score(task, items, {}, reuse_prefix=False).log_probs
    print(f"float32: cached and full differ by {np.abs(cached - full).max():.2g} at most", flush=True)
    return [_figure("float32: share with the label of a full prefill", _alike(cached, full), 1.0)]


def _int8(scorer: Scorer, task: Task, args: argparse.Namespace) -> list[dict[str, object]]:
    """Rounded weights against full ones on a CPU; the model stays rounded."""
    items = prompts.dialogues(args.rows, args.own)
    scorer.score(task, items, {})
    full, seconds = _timed(lambda: scorer.score(task, items, {}), times=3)
    int8.quantise(scorer.loaded.model)
    scorer.forget()
    scorer.score(task, items, {})
    rounded, rounded_seconds = _timed(lambda: scorer.score(task, items, {}), times=3)
    alike, ratio = _alike(full.log_probs, rounded.log_probs), seconds / rounded_seconds
    rate = len(items) / rounded_seconds
    print(f"int8 weights    {rate:10.1f} rows/s, {ratio:.2f} times those of full ones; same label in {alike:.3f}")
    return [
        _figure("int8: rows/s over full weights", ratio, 1.0),
        _figure("int8: share of rows with the same label", alike, 1.0),
    ]


def _starved(scorer: Scorer, task: Task, args: argparse.Namespace) -> list[dict[str, object]]:
    """A card that is full but for a little, and a budget of tokens that knows nothing of it."""
    import torch

    items = prompts.dialogues(args.rows, args.own)
    plain = scorer.score(task, items, {}).log_probs
    greedy = Scorer(scorer.loaded, scorer.settings.model_copy(update={"batch_tokens": 10**9, "window": 65_536}))
    torch.cuda.empty_cache()
    ballast = torch.empty(torch.cuda.mem_get_info()[0] - SPARED, dtype=torch.uint8, device="cuda")
    scored, seconds = _timed(lambda: greedy.score(task, items, {}))
    del ballast
    torch.cuda.empty_cache()
    print(
        f"starved: {SPARED >> 30} GiB left, {len(items)} rows asked for at once, halved {scored.counts['halved']} times"
    )
    print(
        f"starved: {len(items) / seconds:.1f} rows/s, the same label in {_alike(plain, scored.log_probs):.3f}",
        flush=True,
    )
    return [_figure("starved: rows with a score", float((~np.isnan(scored.log_probs)).all(1).mean()), 1.0)]


def _kernels(scorer: Scorer, task: Task, args: argparse.Namespace) -> list[dict[str, object]]:
    """What takes the time on the GPU."""
    from torch.profiler import ProfilerActivity, profile

    items = prompts.dialogues(scorer.settings.window, args.own)
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        scorer.score(task, items, {})
    print(seen.key_averages().table(sort_by="self_cuda_time_total", row_limit=14, max_name_column_width=60), flush=True)
    return []


def _picture(seed: int) -> bytes:
    """A JPEG file of the side that fits the model."""
    from PIL import Image

    image = Image.frombytes("RGB", (12, 12), Random(seed).randbytes(432)).resize((SIDE, SIDE))
    target = io.BytesIO()
    image.save(target, "JPEG")
    return target.getvalue()


def _utilised(
    what: str, scorer: Scorer, rate: float, own: float, shared: int, *, patches: int
) -> list[dict[str, object]]:
    """Model FLOPs utilisation at that many rows a second; nothing on a CPU or an unknown card."""
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = next((peak for card, peak in PEAKS.items() if card in name), None)
    if peak is None:
        return []
    each = random_models.flops(scorer.loaded.model, own=own, shared=shared, patches=patches)
    print(f"{what}: {each / 1e12:.2f} TFLOP a row; the limit of {peak / 1e12:.0f} TFLOP/s is {peak / each:.0f} rows/s")
    print(f"{what}: {rate * each / 1e12:.0f} TFLOP/s, {rate * each / peak:.3f} of the peak", flush=True)
    return [_figure(f"{what}: model FLOPs utilisation", rate * each / peak, 0.5)]


def _alike(one: Any, other: Any) -> float:
    return float((one.argmax(1) == other.argmax(1)).mean())


def _apart(one: Any, other: Any) -> str:
    """How far apart the two best labels are where two computations prefer different ones."""
    rows = one[one.argmax(1) != other.argmax(1)]
    if not len(rows):
        return "it differs nowhere"
    ranked = np.sort(rows, axis=1)
    return f"{(ranked[:, -1] - ranked[:, -2]).max():.3g} at most, in {len(rows)} rows"


def _timed(what: Callable[[], Any], times: int = 1) -> tuple[Any, float]:
    """The last result, and the median of the seconds: by the clock on a GPU, of the processor on a CPU."""
    import torch

    gpu = torch.cuda.is_available()
    clock = time.monotonic if gpu else time.process_time  # a CPU may have other work to do
    seconds = []
    for _ in range(times):
        begun = clock()
        found = what()
        if gpu:
            torch.cuda.synchronize()
        seconds.append(clock() - begun)
    return found, statistics.median(seconds)


def _figure(name: str, value: float, aim: float) -> dict[str, object]:
    return {"bench": f"mllm: {name}", "value": round(value, 4), "aim": aim, "met": value >= aim}


if __name__ == "__main__":
    main()
