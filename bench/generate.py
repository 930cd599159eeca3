"""Label scoring against greedy generation of eight tokens, each in a Python UDF of Spark: the same rows and batches.

The model is one of `bench.random_models`, made in the worker. The whole stage is timed, Spark's part and the
tokens of prompts too, once the worker has run it before. The stage has one task, since one task owns a model.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bench import lakes, prompts
from kdsl import config
from kdsl.config import Settings
from kdsl.dialogue import Item, Turn
from kdsl.models.batching import Encoded, collate
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings
from kdsl.taxonomy import Task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

GENERATED = 8  # tokens
TIMES = 3
GPU = Path(__file__).parents[1] / "conf" / "gpu.yaml"
WAYS = ("scored", "generated")


def generated(scorer: Scorer, task: Task, items: Sequence[Item]) -> tuple[Any, Any]:
    """First tokens of greedy generation, and the codes it likes best there; the whole prompt stands in every row."""
    import torch

    first, best = np.zeros(len(items), int), np.zeros(len(items), int)
    asked = scorer.plan(task)
    encoded = [scorer.encode(item, {}) for item in items]
    model = scorer.loaded.model
    with torch.inference_mode():
        for batch in prompts.batches_of(scorer, task, encoded):
            whole = [asked.shared[0] + encoded[at].ids for at in batch]
            given = collate([Encoded(ids, (0,) * len(ids)) for ids in whole], scorer.pad)
            said = model.generate(
                input_ids=given.ids.to(model.device),
                attention_mask=given.mask.to(model.device),
                do_sample=False,
                max_new_tokens=GENERATED,
                min_new_tokens=GENERATED,
                pad_token_id=scorer.pad,
                return_dict_in_generate=True,
                output_logits=True,
            )
            first[batch] = said.sequences[:, given.ids.shape[1]].cpu()
            best[batch] = said.logits[0][:, list(asked.tokens)].argmax(1).cpu()
    return first, best


def main() -> None:
    """Print the ratio, and how often both say the same."""
    args = prompts.parser(__doc__, shape="mid", rows=64).parse_args()
    import torch

    shape, rows = args.shape, args.rows
    with lakes.workplace("generate") as root:
        spark = lakes.start("generate", _settings(root))
        told = [(item.item_id, item.turns[0].text) for item in prompts.dialogues(rows, args.own)]
        asked = spark.createDataFrame(told, "item_id string, text string").coalesce(1).cache()
        asked.count()
        found = {way: _timed(asked, _stage(way, shape, args.shared)) for way in WAYS}
        spark.stop()
    (labels, seconds), (best, said_seconds) = found["scored"], found["generated"]
    alike = float(np.mean([labels[name][0] == best[name][0] for name, _ in told]))
    free = float(np.mean([bool(best[name][1]) for name, _ in told]))
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{rows} rows in a UDF, shape {shape} on {name}, {args.shared} shared and about {args.own} own tokens")
    print(f"scored      {rows / seconds:8.1f} rows/s")
    print(
        f"generated   {rows / said_seconds:8.1f} rows/s, {GENERATED} tokens each; of the codes it likes the "
        f"same one best in {alike:.3f}, its first token is a code in {free:.3f}"
    )
    ratio, same = "generate: rows/s over greedy generate, both in a UDF", "generate: share of rows with the same label"
    aims = [lakes.figure(ratio, said_seconds / seconds, 8.0, at_most=False)]
    print(json.dumps([*aims, lakes.figure(same, alike, 1.0, at_most=False)]))


def _settings(root: Path) -> Settings:
    """As many rows come in one Arrow batch as `conf/gpu.yaml` says, where there is a GPU."""
    import torch

    chosen = lakes.settings(root, encoder=False)
    return (
        chosen.model_copy(update={"label": config.load([GPU], environment={}).label})
        if torch.cuda.is_available()
        else chosen
    )


def _timed(asked: "DataFrame", stage: Callable[..., Any]) -> tuple[dict[str, tuple[int, bool]], float]:
    """What the stage says by item, and the median of its seconds after one run that makes the model."""
    seconds = []
    for _ in range(1 + TIMES):
        begun = time.monotonic()
        said = asked.mapInArrow(stage, "item_id string, label int, code boolean").collect()
        seconds.append(time.monotonic() - begun)
    return {row.item_id: (row.label, row.code) for row in said}, statistics.median(seconds[1:])


def _stage(way: str, shape: str, shared: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer, task = _asked(shape, shared)
        for batch in batches:
            rows = batch.to_pylist()
            items = [Item(row["item_id"], task.name, (Turn("user", row["text"]),)) for row in rows]
            if way == "scored":
                labels, codes = scorer.score(task, items, {}).log_probs.argmax(1), np.ones(len(items), bool)
            else:
                first, labels = generated(scorer, task, items)
                codes = np.isin(first, scorer.plan(task).tokens)
            yield pa.RecordBatch.from_pydict(
                {"item_id": batch["item_id"], "label": pa.array(labels, pa.int32()), "code": pa.array(codes)}
            )

    return stage


@lru_cache(maxsize=1)
def _asked(shape: str, shared: int) -> tuple[Scorer, Task]:
    """The model and what it is asked, made once a worker."""
    import torch

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    scorer = Scorer(prompts.model(shape, device), ModelSettings(path=shape))
    return scorer, prompts.task_of(scorer, shared)


if __name__ == "__main__":
    # Workers find what is kept between stages in a module that has a name of its own.
    from bench import generate  # noqa: PLW0406  # this file runs as __main__, which they do not have

    generate.main()
