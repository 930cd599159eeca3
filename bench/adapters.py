"""Two tasks on one base model, an adapter each: added to weights of their own, or beside the weights they share.

Rows a second of both tasks in turn, and of the bare model, one model of `bench.random_models` with random adapters.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from bench import lakes, prompts
from kdsl.dialogue import Item
from kdsl.models import adapter, memory
from kdsl.models.adapter import Adapted
from kdsl.models.base import Base
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings
from kdsl.taxonomy import Task

RANK, TIMES = 16, 5
WAYS = {"own weights": True, "beside": False}  # whether there is room for copies


def main() -> None:
    """Print rows a second, and what weights of their own bring."""
    args = prompts.parser(__doc__, shape="mid", rows=48).parse_args()
    import torch

    gpu, shape = torch.cuda.is_available(), args.shape
    items = prompts.dialogues(args.rows, args.own)
    device = "cuda:0" if gpu else "cpu"
    with lakes.workplace("adapters") as root:
        tasks = _taught(root, shape, device, args.shared)
        ways = {way: _worn(root, shape, device, tasks, items, room) for way, room in WAYS.items()}
        bare = Scorer(prompts.model(shape, device), ModelSettings(path=shape))
        ways["bare"] = _rate(lambda: [(bare.forget(), bare.score(task, items, {})) for task in tasks])
    rows = len(items) * len(tasks)
    print(f"{rows} rows of two tasks, shape {shape} on {torch.cuda.get_device_name() if gpu else 'CPU'}")
    for way, seconds in ways.items():
        print(f"{way:12} {rows / seconds:8.1f} rows/s")
    print(
        json.dumps(
            [
                lakes.figure(
                    "adapters: own weights / beside, rows/s", ways["beside"] / ways["own weights"], 1.0, at_most=False
                ),
                lakes.figure(
                    "adapters: own weights / bare, rows/s", ways["bare"] / ways["own weights"], 0.97, at_most=False
                ),
            ]
        )
    )


def _worn(root: Path, shape: str, device: str, tasks: list[Task], items: list[Item], room: bool) -> float:
    """Seconds in which both tasks are asked of one base model, each with its adapter on."""
    base = Base(prompts.model(shape, device))
    scorer = Scorer(base.loaded, ModelSettings(path=shape))
    names = {task.name: base.join(root / task.name, task) for task in tasks}
    with patch.object(memory, "spares", lambda *_: room):
        base.settle()

    def asked() -> None:
        for task in tasks:
            base.put_on(names[task.name])
            scorer.forget()  # its shared part was run with the other adapter
            scorer.score(task, items, {})

    seconds = _rate(asked)
    scorer.drop()
    return seconds


def _rate(what: Callable[[], object]) -> float:
    """Seconds of one call, the median: by the clock on a GPU, of the processor on a CPU."""
    import torch

    gpu = torch.cuda.is_available()
    clock = time.monotonic if gpu else time.process_time
    seconds = []
    for _ in range(1 + TIMES):
        begun = clock()
        what()
        if gpu:
            torch.cuda.synchronize()
        seconds.append(clock() - begun)
    return statistics.median(seconds[1:])


def _taught(root: Path, shape: str, device: str, shared: int) -> list[Task]:
    """Two tasks with a random adapter each in the folder of its name."""
    import torch

    loaded = prompts.model(shape, device)
    scorer = Scorer(loaded, ModelSettings(path=shape))
    tasks = [prompts.task_of(scorer, shared, name) for name in ("first", "second")]
    wrapped = adapter.wrap(loaded.model, rank=RANK, alpha=2 * RANK, dropout=0.0, vision=False, seed=1)
    for task in tasks:
        found = {name: torch.randn_like(value) * 0.01 for name, value in adapter.weights(wrapped).items()}
        facts = Adapted(
            base=loaded.fingerprint, tasks={task.name: adapter.digest(task)}, rank=RANK, alpha=2 * RANK, vision=False,
            steps=0, score=0.0,
        )  # fmt: skip
        adapter.save(root / task.name, found, facts)
    scorer.drop()
    return tasks


if __name__ == "__main__":
    main()
