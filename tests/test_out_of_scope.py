"""With a wanted precision a release abstains from what lies outside of every label: the made-up shop, without Spark."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest

from kdsl import taxonomy, training
from kdsl.config import FitSettings
from kdsl.demo import shop
from kdsl.dialogue import Item, Turn
from kdsl.fusion.nested import refit
from kdsl.taxonomy import Taxonomy
from kdsl.training import Learned

DEMO = taxonomy.load("conf/taxonomies/demo.yaml")
SETTINGS = FitSettings(voters=("linear",), encoder="", folds=2)


@dataclass
class Told:
    """Dialogues and their intents, empty for a matter outside of every label."""

    items: list[Item]
    intents: np.ndarray


def told(n: int, seed: int, part: shop.Part) -> Told:
    records = list(shop.dialogues(n, seed, part=part))
    talks = [tuple(Turn(turn["speaker"], turn["text"]) for turn in record["turns"]) for record in records]
    ids = [f"{part}-{record['conversation_id']}" for record in records]
    intents = np.array([record.get("labels", {}).get("intent", "") for record in records])
    return Told([Item(i, "intent", turns) for i, turns in zip(ids, talks, strict=True)], intents)


@pytest.fixture(scope="module")
def learned() -> Learned:
    history = told(400, 3, "history")
    examples = [(item, intent) for item, intent in zip(history.items, history.intents.tolist(), strict=True) if intent]
    only = Taxonomy(name=DEMO.name, tasks=(DEMO.task("intent"),))
    return training.train(only, {"intent": examples}, SETTINGS, lambda name: nullcontext())["intent"]


def test_a_wanted_precision_leaves_most_of_what_is_outside_of_every_label_unlabelled(learned: Learned) -> None:
    nights = told(900, 4, "nights")
    outside = nights.intents == ""
    said = {name: voter.log_probs(nights.items) for name, voter in learned.voters.items()}
    always = learned.fusion(said)
    assert (always.label >= 0).all()  # without it every matter gets a label
    shares = []
    for precision in (0.9, 0.95):
        fusion, _ = refit(learned.held, seed=SETTINGS.seed, precision=precision)
        silent = fusion(said).label < 0
        print(
            f"\nprecision {precision}: silent on {silent[outside].mean():.0%} of {outside.sum()} dialogues outside, on "
            f"{silent[~outside].mean():.0%} of {(~outside).sum()} others"
        )
        shares.append((silent[outside].mean(), silent[~outside].mean()))
    (some, few), (most, little) = shares
    assert 0 < some < most
    assert few <= little < 0.15
    assert most > 0.5
