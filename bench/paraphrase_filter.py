"""What the filter behind paraphrases lets pass (`kdsl/models/paraphrase.py`): messages of the made-up shop stand in for
what a model writes, those of the same intent for good wordings, those of another intent for wrong ones.
"""

import argparse
import json
import tempfile
from pathlib import Path
from random import Random

from bench.miniature import _few, _read
from kdsl import taxonomy
from kdsl.demo import shop
from kdsl.metrics import Estimate
from kdsl.models.paraphrase import Draft, agreeing, longest
from kdsl.rules.provenance import wilson_low

SHOP = Path(__file__).parents[1] / "conf" / "taxonomies" / "demo.yaml"


def main() -> None:
    """Print the share of each kind that passes, with its 95 % Wilson interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--examples", type=int, default=8, choices=range(1, 16), metavar="N", help="a label, 15 at most"
    )
    parser.add_argument("--seed", type=int, default=7, help="of the shop and of what is put in place of what")
    args = parser.parse_args()
    task = taxonomy.load(SHOP).task("intent")
    with tempfile.TemporaryDirectory() as folder:
        history = _read(shop.write(Path(folder), seed=args.seed).history)["intent"]
    every = [(item, label, place) for item, label in history if (place := longest(item)) is not None]
    chosen = {item.item_id for item, _ in _few(history, args.examples)}
    taught = [one for one in every if one[0].item_id in chosen]
    others = [(item.turns[place].text, label) for item, label, place in every if item.item_id not in chosen]
    learned = [(label, item.turns[place].text) for item, label, place in taught]
    figures = []
    for same in (True, False):
        dice = Random(args.seed)
        drafts = [
            Draft(label, item, place, dice.choice([text for text, of in others if (of == label) == same]))
            for item, label, place in taught
        ]
        passed = len(agreeing(task, learned, drafts))
        low, high = wilson_low(passed, len(drafts)), 1 - wilson_low(len(drafts) - passed, len(drafts))
        found = Estimate(passed / len(drafts), low, high, len(drafts))
        name = f"messages of {'the same' if same else 'another'} intent that pass"
        print(f"{name}: {found}", flush=True)
        figures.append({"bench": f"paraphrase filter: {name}", "value": found.value, "low": low, "high": high})
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
