"""Text models of other families: scored as they score themselves, whatever is padded beside an item."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch

from kdsl.demo.miniature import build
from kdsl.dialogue import Item, Turn
from kdsl.errors import ConfigError
from kdsl.models import adapter
from kdsl.models.codes import codes
from kdsl.models.frame import SYSTEM, frame
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings
from kdsl.models.prompt import Limits, Prompter
from kdsl.taxonomy import Task

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def _scorer(tiny_text, folder, config, model) -> Scorer:
    from transformers import AutoTokenizer

    known = AutoTokenizer.from_pretrained(tiny_text)
    torch.manual_seed(1)
    made = model(config(vocab_size=len(known), max_position_embeddings=1_024, initializer_range=0.3, **SMALL))
    if (head := made.get_output_embeddings()).bias is not None:
        torch.nn.init.normal_(head.bias, std=2.0)
    made.save_pretrained(folder)
    known.save_pretrained(folder)
    return Scorer.load(ModelSettings(path=str(folder), device="cpu"))


def _items(*words: int) -> list[Item]:
    return [Item(str(n), "intent", (Turn("user", " ".join(["where is it"] * n)),)) for n in words]


def test_a_model_that_sees_a_window_alone_scores_an_item_alike_in_any_batch(tiny_text, tmp_path, intent):
    from transformers import MistralConfig, MistralForCausalLM

    def config(**sizes):
        return MistralConfig(**sizes, num_key_value_heads=1, sliding_window=16)

    scorer = _scorer(tiny_text, tmp_path / "window", config, MistralForCausalLM)
    items = _items(1, 4, 12)
    together = scorer.score(intent, items, {}).log_probs
    alone = np.concatenate([scorer.score(intent, [item], {}).log_probs for item in items])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_qwen2_vl_that_sees_a_window_alone_repeats_the_shared_part(tiny, tmp_path, intent):
    """Its family is known, and this of it stands in its configuration."""
    folder = shutil.copytree(tiny, tmp_path / "window")
    config = json.loads((folder / "config.json").read_text())
    kinds = ["sliding_attention"] * config["text_config"]["num_hidden_layers"]
    config["text_config"] |= {"use_sliding_window": True, "sliding_window": 16, "layer_types": kinds}
    (folder / "config.json").write_text(json.dumps(config))
    scorer = Scorer.load(ModelSettings(path=str(folder), device="cpu"))
    assert not scorer.loaded.prefixes
    items = _items(1, 4, 12)
    together = scorer.score(intent, items, {}).log_probs
    alone = np.concatenate([scorer.score(intent, [item], {}).log_probs for item in items])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def by_its_own_forward(scorer: Scorer, task: Task, item: Item) -> np.ndarray:
    asked = scorer.plan(task)
    with torch.inference_mode():
        ids = torch.tensor([[*asked.shared[0], *scorer.encode(item, {}).ids]])
        logits = scorer.loaded.model(input_ids=ids).logits[0, -1, list(asked.tokens)]
    return logits[list(asked.orders[0])].double().log_softmax(0).numpy()


HEADS = {
    "phi": ("Phi", {}),  # a bias
    "granite": ("Granite", {"logits_scaling": 4.0, "embedding_multiplier": 3.0, "residual_multiplier": 0.5}),
    "cohere": ("Cohere", {"logit_scale": 0.25}),
    "cohere2": ("Cohere2", {"logit_scale": 0.25}),
    "gemma2": ("Gemma2", {"final_logit_softcapping": 1.0, "head_dim": 16, "num_key_value_heads": 1}),
    "hyperclovax": ("HyperCLOVAX", {"logits_scaling": 4.0}),
    "minicpm3": ("MiniCPM3", {"dim_model_base": 8, "num_key_value_heads": 2}),
}


@pytest.mark.parametrize("family", HEADS)
def test_what_a_family_does_behind_its_head_is_part_of_the_logits(tiny_text, tmp_path, intent, family):
    """Biases, factors and bounds: codes used to get what the head's rows alone gave them."""
    import transformers

    name, more = HEADS[family]
    config = partial(getattr(transformers, f"{name}Config"), **more)
    scorer = _scorer(tiny_text, tmp_path / family, config, getattr(transformers, f"{name}ForCausalLM"))
    (item,) = _items(2)
    wanted = by_its_own_forward(scorer, intent, item)
    np.testing.assert_allclose(scorer.score(intent, [item], {}).log_probs[0], wanted, atol=1e-4)
    assert np.ptp(wanted) > 0.01


# As Gemma's: no system turn.
TURNS = (
    "{% for message in messages %}{% if message.role == 'system' %}SYSTEM{% else %}"
    "<|im_start|>{{ message.content | trim }}<|im_end|>{% endif %}{% endfor %}<|im_start|>"
)


@pytest.mark.parametrize("refusal", ["{{ raise_exception('System role not supported') }}", ""])
def test_a_template_without_a_system_turn_gets_its_text_before_the_user_s(intent, refusal):
    """At load there was a bare error of jinja."""
    known = build.tokenizer(["where is it"] * 3, 300)
    known.chat_template = TURNS.replace("SYSTEM", refusal)
    prompter = Prompter(known, None, Limits())
    shared = known.decode(prompter.shared(intent, codes(known, 4), range(4)))
    assert shared.startswith(f"<|im_start|>{SYSTEM}\n\nWhy?\nA. where\n")
    assert known.decode(prompter.own(_items(1)[0], {}).ids).endswith("<|im_end|><|im_start|>")


def test_a_template_that_refuses_the_user_too_is_refused():
    known = build.tokenizer(["where is it"] * 3, 300)
    known.name_or_path = "/models/odd"
    known.chat_template = "{{ raise_exception('not today') }}"
    with pytest.raises(ConfigError, match=r"chat template of /models/odd does not take a user turn .*not today.*mend"):
        frame(known, pictures=False)


def test_a_model_without_layers_to_adapt_is_refused(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=16, n_embd=8, n_layer=1, n_head=1))
    with pytest.raises(ConfigError, match=r"gpt2 has no layer of .* post_train: false"):
        adapter.wrap(model, rank=2, alpha=2, dropout=0.0, vision=False, seed=1)


RECURRENT = {  # layers that keep more than keys and values, and positions that are told otherwise or not at all
    "lfm2": ("Lfm2", {"layer_types": ["conv", "full_attention"], "num_key_value_heads": 1}),
    "jamba": ("Jamba", {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "num_key_value_heads": 1}),
    "mamba": ("Mamba", {"state_size": 8}),
    "mpt": ("Mpt", {"d_model": 32, "n_layers": 2, "n_heads": 2}),
}


@pytest.mark.parametrize("family", RECURRENT)
def test_families_that_cannot_go_on_from_a_shared_part_repeat_it(tiny_text, tmp_path, intent, family):
    """They ended in an IndexError or an AttributeError at the first item."""
    import transformers

    name, more = RECURRENT[family]
    config = partial(getattr(transformers, f"{name}Config"), **more)
    scorer = _scorer(tiny_text, tmp_path / family, config, getattr(transformers, f"{name}ForCausalLM"))
    items = _items(1, 4, 2)
    wanted = [by_its_own_forward(scorer, intent, item) for item in items]
    np.testing.assert_allclose(scorer.score(intent, items, {}).log_probs, wanted, atol=1e-4)
    assert not scorer.loaded.prefixes


@pytest.mark.parametrize("name", ["Rwkv", "RecurrentGemma"])
def test_a_model_whose_answers_depend_on_padding_is_refused(tiny_text, tmp_path, name):
    """It scored without a word, and otherwise beside other items."""
    import transformers

    config, model = getattr(transformers, f"{name}Config"), getattr(transformers, f"{name}ForCausalLM")
    known = partial(config, **({"attention_hidden_size": 32} if name == "Rwkv" else {"num_key_value_heads": 1}))
    with pytest.raises(ConfigError, match="an answer depends on the padding of its batch"):
        _scorer(tiny_text, tmp_path / name, known, model)


DATED = (
    "{% for message in messages %}<|im_start|>{% if message.role == 'system' %}{{ strftime_now('%d %b %Y') }} "
    "{% endif %}{{ message.content }}<|im_end|>{% endfor %}<|im_start|>"
    "{% if enable_thinking is not defined %}<think>{% endif %}"
)


def test_a_template_that_tells_the_date_asks_the_same_every_day_and_nothing_is_thought_aloud(monkeypatch):
    from transformers.utils import chat_template_utils as templates

    known = build.tokenizer(["where is it"] * 3, 300)
    known.chat_template = DATED
    found = set()
    for day in (1, 2):

        class Day(templates.datetime):
            @classmethod
            def now(cls, *_, day=day):
                return cls(2026, 1, day)

        monkeypatch.setattr(templates, "datetime", Day)
        assert f"0{day} Jan 2026" in known.apply_chat_template([{"role": "system", "content": ""}], tokenize=False)
        found.add(frame(known, pictures=False))
    (one,) = found
    assert f"<|im_start|>26 Jul 2024 {SYSTEM}" in one.before
    assert one.behind.endswith("<|im_start|>")


def test_without_a_template_a_prompt_begins_as_the_tokenizer_begins_every_text(intent):
    from tokenizers.processors import TemplateProcessing

    known = build.tokenizer(["where is it"] * 3, 300)
    known.chat_template = None
    plain = Prompter(known, None, Limits()).shared(intent, codes(known, 4), range(4))
    known.add_special_tokens({"bos_token": "<bos>"})
    assert frame(known, pictures=False).before.startswith(SYSTEM)  # it has one, and does not put it
    begins = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", known.bos_token_id)])
    known.backend_tokenizer.post_processor = begins
    begun = Prompter(known, None, Limits()).shared(intent, codes(known, 4), range(4))
    assert tuple(begun) == (known.bos_token_id, *plain)


def test_weights_that_would_not_be_rounded_are_not_called_so(tiny_text, tmp_path):
    from transformers import FalconConfig, FalconForCausalLM

    whole = _scorer(tiny_text, tmp_path / "falcon", FalconConfig, FalconForCausalLM)
    with pytest.raises(ConfigError, match=r"weights: int8 given, and of this falcon only 0 of .* leave weights at"):
        Scorer.load(whole.settings.model_copy(update={"weights": "int8"}))
