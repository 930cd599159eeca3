"""The kernels in Triton's interpreter: they compute what the library computes. `test_gpu.py` runs them on a GPU."""

import copy
import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers.models.qwen2_vl import modeling_qwen2_vl as library

from kdsl.models import fast, fused, packed
from kdsl.models.mllm import Scorer

pytest.importorskip("triton", reason="this PyTorch came without Triton")
SHAPES = [(2, 3, 5, 8), (1, 12, 7, 80), (3, 4, 1, 128)]  # rows, heads, length, size


@pytest.fixture
def interpreted(monkeypatch):
    """The kernels, run by Triton's interpreter on the CPU."""
    import triton

    monkeypatch.setenv("TRITON_INTERPRET", "1")
    core = triton.language.core
    for name, value in list(vars(core).items()):  # what the interpreter changes there, it leaves changed
        monkeypatch.setattr(core, name, value)
    for name in ("max", "sum"):  # of Triton's own, read when it was imported
        monkeypatch.setattr(triton.language, name, triton.jit(getattr(triton.language, name).fn))
    return _read_anew()


def _read_anew():
    """The module of the kernels, which Triton reads as the environment tells it to when they are defined."""
    made = importlib.util.spec_from_file_location("kernels_read_anew", fused.__file__.replace("fused", "kernels"))
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return module


@pytest.mark.parametrize("shape", SHAPES)
def test_rotations_are_those_of_the_library(interpreted, shape):
    torch.manual_seed(1)
    rows, heads, length, size = shape
    states = torch.randn(rows, length, heads, size).transpose(1, 2)
    cos, sin = torch.randn(rows, length, size), torch.randn(rows, length, size)
    ours = interpreted.rotate(states, cos, sin)
    assert ours.is_contiguous()
    torch.testing.assert_close(ours, library.apply_rotary_pos_emb(states, states, cos, sin)[0])
    patches = torch.randn(length, heads, size)
    theirs, _ = library.apply_rotary_pos_emb_vision(patches, patches, cos[0], sin[0])
    ours = interpreted.rotate(patches.transpose(0, 1)[None], cos[:1], sin[:1], by_token=True)[0].transpose(0, 1)
    assert ours.is_contiguous()
    torch.testing.assert_close(ours, theirs)


def test_activations_are_those_of_the_library(interpreted):
    gates, up = torch.randn(3, 5, 777), torch.randn(3, 5, 777)
    torch.testing.assert_close(interpreted.gate(gates, up), torch.nn.functional.silu(gates) * up)
    torch.testing.assert_close(interpreted.quick_gelu(gates), gates * torch.sigmoid(1.702 * gates))


@pytest.mark.parametrize("size", [8, 80])
def test_layer_norms_are_those_of_the_library(interpreted, size):
    torch.manual_seed(1)
    states = 3 * torch.randn(2, 7, size) + 100  # far from 0: the spread is taken around the mean
    weight, bias = torch.randn(size), torch.randn(size)
    wanted = torch.nn.functional.layer_norm(states, (size,), weight, bias, 1e-6)
    torch.testing.assert_close(interpreted.layer_norm(states, weight, bias, 1e-6), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("heads", "kinds", "size"), [(4, 2, 8), (6, 1, 24), (2, 2, 16)])
@pytest.mark.parametrize("before", [0, 5, 70])
def test_rows_in_one_attend_to_what_they_share_and_to_themselves(interpreted, heads, kinds, size, before):
    """Against scaled dot products row by row; more than one block of queries and of keys among them."""
    torch.manual_seed(1)
    lengths, scale = [3, 1, 90, 17], 0.3
    mask = (torch.arange(90) >= 90 - torch.tensor(lengths)[:, None]).long()
    model = SimpleNamespace(dtype=torch.float32, device=torch.device("cpu"), config=_Heads(heads, kinds))
    shared = (torch.randn(1, kinds, before, size), torch.randn(1, kinds, before, size))
    asked = torch.randn(1, sum(lengths), heads, size).transpose(1, 2)
    keys, values = (torch.randn(1, sum(lengths), kinds, size).transpose(1, 2) for _ in "kv")
    how = packed.laid_out(model, mask)
    assert len(how.blocks) > len(lengths)
    found = interpreted.attend(asked, keys, values, how, shared=shared if before else None, scale=scale)
    start = 0
    for length in lengths:
        here = slice(start, start + length)
        seen = [torch.cat([old, new[:, :, here]], 2) for old, new in zip(shared, (keys, values), strict=True)]
        causal = torch.ones(length, before + length, dtype=torch.bool).tril(before)
        told = torch.nn.functional.scaled_dot_product_attention(
            asked[:, :, here], *seen, attn_mask=causal, scale=scale, enable_gqa=True
        )
        torch.testing.assert_close(found[:, here], told.transpose(1, 2))
        start += length
    assert start == found.shape[1]


class _Heads:
    """What `packed` reads of a configuration."""

    def __init__(self, heads: int, kinds: int) -> None:
        self.num_attention_heads, self.num_key_value_heads = heads, kinds

    def get_text_config(self) -> "_Heads":
        return self


@pytest.mark.slow
def test_a_fused_model_gives_the_same_scores(
    interpreted, monkeypatch, scorer, settings, intent, scene, dialogues, pictures, contents
):
    plain = {task.name: scorer.score(task, items, contents) for task, items in _few(intent, dialogues, scene, pictures)}
    monkeypatch.setattr(fused, "kernels", lambda _: interpreted)
    calls = []
    monkeypatch.setattr(
        interpreted, "attend", lambda *a, _made=interpreted.attend, **more: calls.append(more) or _made(*a, **more)
    )
    model = copy.deepcopy(scorer.loaded.model)
    assert fused.fuse(model)
    changed = {type(part).__name__ for part in model.modules() if "forward" in vars(part)}
    assert changed >= {"Qwen2VLAttention", "VisionAttention", "Qwen2MLP", "VisionMlp", "LayerNorm"}
    loaded = copy.copy(scorer.loaded)
    object.__setattr__(loaded, "model", model)
    ours = Scorer(loaded, settings)
    for task, items in _few(intent, dialogues, scene, pictures):
        theirs = plain[task.name].log_probs
        np.testing.assert_allclose(ours.score(task, items, contents).log_probs, theirs, atol=1e-5)
        whole = ours.score(task, items, contents, reuse_prefix=False).log_probs
        np.testing.assert_allclose(whole, theirs, atol=1e-5)
    assert {call["shared"] is not None for call in calls} == {
        True,
        False,
    }  # behind shared keys, and with nothing before


def test_a_gpu_without_a_compiler_has_no_kernels(caplog):
    fused.kernels.cache_clear()
    if torch.cuda.is_available():
        pytest.skip("a GPU is here, and its kernels can be made")
    assert fused.kernels("cuda") is None
    assert "No kernels can be made" in caplog.text
    fused.kernels.cache_clear()
    assert fused.kernels("cpu") is None


def test_a_mask_is_repeated_once_a_pass():
    mask = torch.tensor([[[[True, False], [True, True]]]])
    made = fast._repeated(mask, 3, torch.float32)
    assert made.shape == (1, 1, 6, 2)
    assert fast._repeated(mask, 3, torch.float32) is made
    assert torch.equal(made == 0, mask.repeat(1, 1, 3, 1))
    assert torch.isfinite(made).all()
    assert fast._repeated(mask.clone(), 3, torch.float32) is not made


def test_a_model_of_other_layers_stays_as_it_is():
    from transformers import GemmaConfig, GemmaForCausalLM, GPT2Config, GPT2LMHeadModel

    sizes = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 8}
    made = GemmaForCausalLM(GemmaConfig(**sizes, intermediate_size=8, num_key_value_heads=1))
    for model in (made, GPT2LMHeadModel(GPT2Config(vocab_size=16, n_embd=8, n_layer=1, n_head=1))):
        fast.narrow(model)
        assert not fast.narrows(model)
        assert not any("forward" in vars(part) for part in model.modules())


def test_patches_go_through_one_product(tiny):
    from transformers import AutoModelForImageTextToText

    made = AutoModelForImageTextToText.from_pretrained(tiny).model.visual.patch_embed
    given = torch.randn(60, made.in_channels * made.temporal_patch_size * made.patch_size**2)
    wanted = made(given)
    fast.flatten_patches(torch.nn.ModuleList([made]))
    assert "forward" in vars(made)
    torch.testing.assert_close(made(given), wanted, atol=1e-4, rtol=0)


def _few(intent, dialogues, scene, pictures):
    return (intent, dialogues[:1]), (scene, pictures[:1])


@pytest.mark.parametrize("kind", ["bf16", "fp32"])
def test_the_kernels_compile_for_a_gpu_that_is_not_here(monkeypatch, kind):
    """The interpreter takes more than the compiler does; ptxas comes with Triton."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    kernels = _read_anew()
    sizes = {"BLOCK": 2_048, "HALF": 64, "HEADS": 32, "WIDE": 128, "SIZE": 128, "GROUPS": 7}
    sizes |= {"PLACES": 128, "KEYS": 64} if kind == "bf16" else {"PLACES": 32, "KEYS": 32}
    tensors = {"gates", "up", "values", "states", "weight", "bias", "cos", "sin", "out"}
    tensors |= {"query", "key", "value", "shared_key", "shared_value"}
    others = {"starts": "*i32", "blocks": "*i32", "scale": "fp32", "epsilon": "fp32"} | dict.fromkeys(
        sizes, "constexpr"
    )
    for made in (kernels._gate, kernels._quick_gelu, kernels._layer_norm, kernels._rotate, kernels._attend):
        asked = {name: f"*{kind}" if name in tensors else others.get(name, "i32") for name in made.arg_names}
        known = {(at,): sizes[name] for at, name in enumerate(made.arg_names) if name in sizes}
        source = ASTSource(fn=made, signature=asked, constexprs=known)
        assert compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 8}).asm["cubin"]
