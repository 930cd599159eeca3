"""The kernels in Triton's interpreter: they compute what the library computes. `test_gpu.py` runs them on a GPU."""

import copy
import importlib.util

import numpy as np
import pytest
import torch
from transformers.models.qwen2_vl import modeling_qwen2_vl as library

from kdsl.models import fast, fused
from kdsl.models.mllm import Scorer

pytest.importorskip("triton", reason="this PyTorch came without Triton")
SHAPES = [(2, 3, 5, 8), (1, 12, 7, 80), (3, 4, 1, 128)]  # rows, heads, length, size


@pytest.fixture(scope="module")
def interpreted():
    """The kernels, run by Triton's interpreter on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        yield _read_anew()


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
    ours = interpreted.rotate(patches.transpose(0, 1)[None], cos[:1], sin[:1])[0].transpose(0, 1)
    torch.testing.assert_close(ours, theirs)


def test_activations_are_those_of_the_library(interpreted):
    gates, up = torch.randn(3, 5, 777), torch.randn(3, 5, 777)
    torch.testing.assert_close(interpreted.gate(gates, up), torch.nn.functional.silu(gates) * up)
    torch.testing.assert_close(interpreted.quick_gelu(gates), gates * torch.sigmoid(1.702 * gates))


@pytest.mark.parametrize("shape", SHAPES)
def test_states_stand_behind_the_shared_ones(interpreted, shape):
    rows, heads, length, size = shape
    shared, own = torch.randn(1, heads, 37, size), torch.randn(rows, length, heads, size).transpose(1, 2)
    assert torch.equal(interpreted.joined(shared, own), torch.cat([shared.expand(rows, -1, -1, -1), own], dim=2))


@pytest.mark.slow
def test_a_fused_model_gives_the_same_scores(
    interpreted, monkeypatch, scorer, settings, intent, scene, dialogues, pictures, contents
):
    plain = {task.name: scorer.score(task, items, contents) for task, items in _few(intent, dialogues, scene, pictures)}
    monkeypatch.setattr(fused, "kernels", lambda _: interpreted)
    model = copy.deepcopy(scorer.loaded.model)
    assert fused.fuse(model)
    changed = {type(part).__name__ for part in model.modules() if "forward" in vars(part)}
    assert changed >= {"Qwen2VLAttention", "VisionAttention", "Qwen2MLP", "VisionMlp"}
    loaded = copy.copy(scorer.loaded)
    object.__setattr__(loaded, "model", model)
    ours = Scorer(loaded, settings)
    for task, items in _few(intent, dialogues, scene, pictures):
        theirs = plain[task.name].log_probs
        np.testing.assert_allclose(ours.score(task, items, contents).log_probs, theirs, atol=1e-5)


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
    sizes = {"BLOCK": 2_048, "HALF": 64, "HEADS": 32, "WIDE": 128, "SIZE": 128, "PLACES": 16}
    tensors = {"gates", "up", "values", "states", "cos", "sin", "shared", "own", "out"}
    for made in (kernels._gate, kernels._quick_gelu, kernels._rotate, kernels._join):
        asked = {
            name: "constexpr" if name in sizes else f"*{kind}" if name in tensors else "i32" for name in made.arg_names
        }
        known = {(at,): sizes[name] for at, name in enumerate(made.arg_names) if name in sizes}
        source = ASTSource(fn=made, signature=asked, constexprs=known)
        assert compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
