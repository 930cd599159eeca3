"""What rounding to bf16 costs a model with real weights: labels of texts in bf16 and float32, cached and in full.

    python -m bench.rounding smollm2 --data bitext banking77

The checkpoint is that of `bench.smollm2`, asked as it is about all labels; the texts lie in ../shared. Its weights
are rounded to bf16 throughout; "float32" computes with them in float32. On a GPU the full prefill runs in two layouts,
packed and padded: how often these two agree says what bf16 leaves open by itself.
"""

import argparse
import json
from unittest.mock import patch

import numpy as np

from bench.rule_data import text_data
from kdsl.dialogue import Item, Turn
from kdsl.models import packed
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings
from kdsl.models.voter import LogProbs
from kdsl.rules.provenance import wilson_low

SEED = 7


def main() -> None:
    """Print how often two ways say the same label, and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="folder of a text-only model")
    parser.add_argument("--data", nargs="+", default=["bitext", "banking77"], choices=["bitext", "banking77"])
    parser.add_argument("--rows", type=int, default=1_000, help="texts of each data set")
    args = parser.parse_args()
    import torch

    scorer = Scorer.load(ModelSettings(path=args.checkpoint, own_tokens=128))
    figures = []
    for name in args.data:
        data = text_data(name, SEED)
        rows = data.splits[0][1][: args.rows]
        items = [Item(str(row), data.task.name, (Turn("user", data.texts[row]),)) for row in rows]

        def asked(dtype: "torch.dtype", *, reuse: bool, packs: bool = True) -> LogProbs:
            scorer.loaded.model.to(dtype)
            scorer.forget()
            with patch.object(packed, "packs", packed.packs if packs else lambda _: False):
                return scorer.score(data.task, items, {}, reuse_prefix=reuse).log_probs  # noqa: B023  # called here

        found = {
            "bf16 cached": asked(torch.bfloat16, reuse=True),
            "bf16 full": asked(torch.bfloat16, reuse=False),
            "bf16 full, padded": asked(torch.bfloat16, reuse=False, packs=False),
            "float32 cached": asked(torch.float32, reuse=True),
            "float32 full": asked(torch.float32, reuse=False),
        }
        for one, other in (
            ("float32 cached", "float32 full"),
            ("bf16 cached", "bf16 full"),
            ("bf16 full", "bf16 full, padded"),
            ("bf16 cached", "float32 full"),
            ("bf16 full", "float32 full"),
        ):
            same = found[one].argmax(1) == found[other].argmax(1)
            low = wilson_low(int(same.sum()), len(same))
            told = f"{name}, {len(data.task.labels)} labels: {one} and {other}"
            print(f"{told}: the same label in {same.mean():.4f} of {len(same)}, lower bound {low:.4f}", flush=True)
            figures.append(
                {
                    "bench": f"rounding: {told}",
                    "value": round(float(np.mean(same)), 4),
                    "aim": 1.0,
                    "met": bool(same.all()),
                }
            )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
