"""Codes and batches."""

import gc
import weakref
from random import Random
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import Qwen2VLConfig

from kdsl.demo.miniature import build
from kdsl.errors import ConfigError
from kdsl.models import adapter, memory
from kdsl.models.batching import plan
from kdsl.models.codes import codes, orders


@pytest.mark.parametrize("n", [2, 26, 27, 62, 77])
def test_every_label_gets_one_token_of_its_own(scorer, n):
    found = codes(scorer.loaded.tokenizer, n)
    assert len({code.token for code in found}) == len({code.text for code in found}) == n
    for code in found:
        assert scorer.loaded.tokenizer.encode(code.text) == [code.token]


def test_the_first_codes_are_the_capital_letters(scorer):
    assert "".join(code.text for code in codes(scorer.loaded.tokenizer, 26)) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_a_tokenizer_that_folds_case_gives_no_two_labels_one_code():
    from tokenizers import normalizers

    known = build.tokenizer(["where is it"] * 3, 300)
    known.backend_tokenizer.normalizer = normalizers.Lowercase()
    assert known.encode("A") == known.encode("a")
    found = codes(known, 30)
    assert len({code.token for code in found}) == 30
    assert {code.text.lower() for code in found} == {code.text for code in found}


def test_nobody_keeps_a_tokenizer_whose_codes_were_asked_for():
    known = build.tokenizer(["where is it"] * 3, 300)
    codes(known, 4)
    there = weakref.ref(known)
    del known
    gc.collect()
    assert there() is None


@pytest.mark.parametrize(("kept", "n"), [("ABCDE", 7), ("ABCDE", 25), ("ABCDE", 90), ("", 400)])
def test_more_labels_than_codes_get_several_tokens_and_no_code_begins_another(scorer, monkeypatch, kept, n):
    known = scorer.loaded.tokenizer
    if kept:
        monkeypatch.setattr("kdsl.models.codes._candidates", lambda _: iter(kept))
    found = codes(known, n)
    paths = {code.path for code in found}
    assert len(paths) == len({code.text for code in found}) == n
    assert not any(path[:at] in paths for path in paths for at in range(1, len(path)))
    for code in found:
        assert tuple(known.encode(code.text)) == code.path
    assert any(code.more for code in found)
    assert sum(not code.more for code in found) > 0 or len(kept) ** 2 <= n


def test_a_tokenizer_that_keeps_nothing_whole_is_refused(scorer, monkeypatch):
    monkeypatch.setattr("kdsl.models.codes._candidates", lambda _: iter("A"))
    with pytest.raises(ConfigError, match=r"keeps 1 codes .* make 1 codes, and the task has 3 labels; split the task"):
        codes(scorer.loaded.tokenizer, 3)


@given(st.integers(2, 80).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_permutations_are_permutations_and_differ(case):
    n, permutations = case
    found = orders(n, permutations)
    assert len(set(found)) == permutations
    assert all(sorted(order) == list(range(n)) for order in found)


def test_too_many_permutations_are_refused():
    with pytest.raises(ConfigError, match="permutations: 4 given; 1 to 3"):
        orders(3, 4)


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 2_000), st.integers(1, 40), st.integers(0, 50))
def test_each_item_is_in_one_batch_within_the_budget(lengths, budget, window, shared):
    batches = plan(lengths, budget=budget, window=window, shared=shared)
    assert sorted(at for batch in batches for at in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[at] for at in batch) + shared
        assert len(batch) == 1 or len(batch) * longest <= budget
        assert len({at // window for at in batch}) == 1


def test_sorting_by_length_wastes_little():
    lengths = [20 + int(Random(at).triangular(0, 160)) for at in range(1_000)]
    assert efficiency(lengths, plan(lengths, budget=4_096, window=256)) >= 0.9
    unsorted = [list(range(at, at + 20)) for at in range(0, 1_000, 20)]
    assert efficiency(lengths, unsorted) < 0.8


def efficiency(lengths, batches):
    """Share of the tokens in padded batches that are no padding."""
    return sum(lengths) / sum(len(batch) * max(lengths[at] for at in batch) for batch in batches)


@pytest.mark.parametrize(
    ("card", "copied"), [(80, True), (40, True), (24, False), (17.8, False), (17.6, False), (17.1, False)]
)
def test_adapters_get_weights_of_their_own_where_no_batch_gets_smaller(monkeypatch, card, copied):
    """A made-up card, in GB, with a 7B on it: two tasks want 13 GB more."""
    config = Qwen2VLConfig(
        text_config={
            "hidden_size": 3_584,
            "intermediate_size": 18_944,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
        }
    )
    weights = 8_290_000_000
    model = SimpleNamespace(
        device=torch.device("cuda:0"), dtype=torch.bfloat16, config=config, num_parameters=lambda: weights
    )
    free, kept = int(card * 10**9) - 2 * weights, 10**8
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free - kept, int(card * 10**9)))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2 * weights)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 2 * weights + kept)  # torch gives these away again
    passing = adapter.PASSING * 18_944 * 3_584
    assert memory.spares(model, 13 * 10**9, passing) == copied
    assert memory.spares(model, 0, passing) == (free >= passing)
    assert memory.spares(model, 0, free)
    assert not memory.spares(model, 0, free + 1)
    assert not memory.spares(model, free, 0)
    assert memory.batch_tokens(model) >= memory.LEAST
