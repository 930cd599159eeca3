"""Text models of other families: scored as they score themselves, whatever is padded beside an item."""

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
