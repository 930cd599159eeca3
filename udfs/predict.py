"""A release over Arrow batches: rules, small and large model in one `mapInArrow` stage, loaded once a worker."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from kdsl.arrow import items_of
from kdsl.dialogue import Item
from kdsl.fusion.decide import Decision
from kdsl.predict import Key, Prediction, predictor
from kdsl.rules.fired import RuleFired
from kdsl.unseen import marked
from udfs import gpu
from udfs.counted import Adds, told
from udfs.placed import placed
from udfs.unquoted import Batches, unquoted

VOTE = pa.struct([("voter", pa.string()), ("label", pa.string()), ("score", pa.float64()), ("abstained", pa.bool_())])
SAID = pa.struct([("voter", pa.string()), ("log_probs", pa.list_(pa.float32()))])
MATCH = pa.struct([("field", pa.string()), ("words", pa.string()), ("start", pa.int32()), ("stop", pa.int32())])
RULE_FIRED = pa.struct([("rule_id", pa.string()), ("sentence", pa.string()), ("matches", pa.list_(MATCH))])
PREDICTED = pa.schema(
    [
        ("item_id", pa.string()),
        ("task", pa.string()),
        ("event_date", pa.date32()),
        ("input_hash", pa.string()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("abstained", pa.bool_()),
        ("decided_by", pa.string()),
        ("votes", pa.list_(VOTE)),
        ("said", pa.list_(SAID)),
        ("rules_fired", pa.list_(RULE_FIRED)),
        ("ruleset_fingerprint", pa.string()),
        ("error_code", pa.string()),
    ]
)
_CARRIED = ("item_id", "task", "event_date", "input_hash")


def predict_batches(
    path: str,
    release_id: str,
    max_turn_chars: int,
    image_root: str = "",
    *,
    dear_alone: bool = False,
    counts: Adds | None = None,
) -> Callable[[Batches], Batches]:
    """A function for `mapInArrow` over items with event_date and input_hash: one row of `PREDICTED` an item.

    A column `again` may tell which of them failed before. With `dear_alone` nobody but the dear voter is asked, and
    rows have its vote and no label; `counts` gets what workers count. Where a picture of an item was not there, its
    `input_hash` is marked (`kdsl.unseen`). The weights travel by path: every worker opens the release directory itself,
    verifies it, and keeps it.
    """

    @unquoted
    def predict(batches: Batches) -> Batches:
        gpu.claim()
        release = predictor(placed(path), release_id, max_turn_chars, dear_alone)
        ask = release.ask_dear if dear_alone else release.predict
        for batch in batches:
            if batch.num_rows:
                items = items_of(batch, image_root)
                labelled = label_batch(_marked(batch, items), ask(items, again=_again(batch)))
                if counts is not None:
                    told(counts)
                yield labelled

    return predict


def label_batch(batch: pa.RecordBatch, predictions: Sequence[Prediction]) -> pa.RecordBatch:
    """The rows of `PREDICTED` for a batch of items and their predictions, in the same order."""
    columns: list[Any] = [batch.column(name).cast(PREDICTED.field(name).type) for name in _CARRIED]
    decisions = [prediction.decision for prediction in predictions]
    votes = [
        [{"voter": v.voter, "label": v.label, "score": v.score, "abstained": v.abstained} for v in decision.votes]
        for decision in decisions
    ]
    columns += [
        pa.array([decision.label for decision in decisions], pa.string()),
        pa.array([decision.score for decision in decisions], pa.float64()),
        pa.array([decision.abstained for decision in decisions], pa.bool_()),
        pa.array([decision.decided_by for decision in decisions], pa.string()),
        pa.array(votes, pa.list_(VOTE)),
        pa.array([_said(decision) for decision in decisions], pa.list_(SAID)),
        pa.array([_fired(prediction.rules_fired) for prediction in predictions], pa.list_(RULE_FIRED)),
        pa.array([prediction.ruleset_fingerprint for prediction in predictions], pa.string()),
        pa.array([prediction.error_code for prediction in predictions], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=PREDICTED)


def _marked(batch: pa.RecordBatch, items: Sequence[Item]) -> pa.RecordBatch:
    at = batch.schema.get_field_index("input_hash")
    hashes = zip(batch.column(at).to_pylist(), items, strict=True)
    return batch.set_column(at, "input_hash", pa.array([marked(*pair) for pair in hashes], pa.string()))


def _again(batch: pa.RecordBatch) -> set[Key]:
    if "again" not in batch.schema.names:
        return set()
    rows = batch.select(["item_id", "task", "again"]).to_pylist()
    return {(row["item_id"], row["task"]) for row in rows if row["again"]}


def _said(decision: Decision) -> list[dict[str, Any]]:
    return [{"voter": v.voter, "log_probs": v.log_probs} for v in decision.votes]


def _fired(rules: Sequence[RuleFired] | None) -> list[dict[str, Any]] | None:
    if rules is None:
        return None
    return [
        {
            "rule_id": rule.rule_id,
            "sentence": rule.sentence,
            "matches": [
                {"field": match.field, "words": match.what, "start": match.start, "stop": match.end}
                for match in rule.matches
            ],
        }
        for rule in rules
    ]
