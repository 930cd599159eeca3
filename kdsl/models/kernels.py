"""Triton kernels for a GPU: gated activations, the quick GELU, rotations of position, keys behind shared ones.

Import this module where there is a GPU alone: Triton reads the source of its functions when they are defined, and a
PyTorch built for the CPU has no Triton. All compute in float32 and round once, to the type they were given.
"""

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 2_048  # elements of one program
PLACES = 16  # tokens of one program that copies


def gate(gates: "Tensor", up: "Tensor") -> "Tensor":
    """SiLU of the gates times `up`, of the same shape."""
    gates, up = gates.contiguous(), up.contiguous()
    out = torch.empty_like(gates)
    _gate[(triton.cdiv(out.numel(), BLOCK),)](gates, up, out, out.numel(), BLOCK)
    return out


def quick_gelu(values: "Tensor") -> "Tensor":
    """The values times the logistic function of 1.702 times them (Hendrycks and Gimpel, 2016)."""
    values = values.contiguous()
    out = torch.empty_like(values)
    _quick_gelu[(triton.cdiv(out.numel(), BLOCK),)](values, out, out.numel(), BLOCK)
    return out


def rotate(states: "Tensor", cos: "Tensor", sin: "Tensor") -> "Tensor":
    """Rotary positions (Su et al., 2021), the two halves of a state being the parts of its numbers.

    Args:
        states: (rows, heads, length, size), with any strides but one of 1 along the size.
        cos: (rows, length, size) or, the same for all rows, (1, length, size).
        sin: the same shape.

    Returns:
        (rows, heads, length, size), contiguous.
    """
    rows, heads, length, size = states.shape
    cos, sin = cos.expand(rows, length, size).contiguous(), sin.expand(rows, length, size).contiguous()
    out = torch.empty(states.shape, dtype=states.dtype, device=states.device)
    if states.stride(-1) != 1:
        states = states.contiguous()
    _rotate[(rows * length,)](
        states, cos, sin, out, heads, length, *states.stride()[:3], *out.stride()[:3],
        HALF=size // 2, HEADS=triton.next_power_of_2(heads), WIDE=triton.next_power_of_2(size // 2),
    )  # fmt: skip
    return out


def joined(shared: "Tensor", own: "Tensor") -> "Tensor":
    """States of each row behind those that all rows share, as `torch.cat` would put them.

    Args:
        shared: (1, heads, before, size), contiguous.
        own: (rows, heads, length, size), with any strides but one of 1 along the size.

    Returns:
        (rows, heads, before + length, size), contiguous.
    """
    rows, heads, length, size = own.shape
    before = shared.shape[2]
    shared = shared.contiguous()
    if own.stride(-1) != 1:
        own = own.contiguous()
    out = own.new_empty((rows, heads, before + length, size))
    _join[(rows * heads, triton.cdiv(before + length, PLACES))](
        shared, own, out, heads, before, before + length, *own.stride()[:3],
        SIZE=size, WIDE=triton.next_power_of_2(size), PLACES=PLACES,
    )  # fmt: skip
    return out


# A kernel is given addresses, sizes and strides by place, and without types: Triton would read them as its own.


@triton.jit  # type: ignore[untyped-decorator]
def _gate(gates, up, out, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = at < n
    x = tl.load(gates + at, there).to(tl.float32)
    y = tl.load(up + at, there).to(tl.float32)
    tl.store(out + at, x / (1.0 + tl.exp(-x)) * y, there)


@triton.jit  # type: ignore[untyped-decorator]
def _quick_gelu(values, out, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = at < n
    x = tl.load(values + at, there).to(tl.float32)
    tl.store(out + at, x / (1.0 + tl.exp(-1.702 * x)), there)


@triton.jit  # type: ignore[untyped-decorator]
def _rotate(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    states, cos, sin, out, heads, length,
    row_in, head_in, place_in, row_out, head_out, place_out,
    HALF: tl.constexpr, HEADS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One program a place: all its heads turn by the same angles."""
    token = tl.program_id(0).to(tl.int64)
    row, place = token // length, token % length
    at, head = tl.arange(0, WIDE), tl.arange(0, HEADS).to(tl.int64)
    here = at < HALF
    low_cos = tl.load(cos + token * 2 * HALF + at, here).to(tl.float32)[None, :]
    high_cos = tl.load(cos + token * 2 * HALF + HALF + at, here).to(tl.float32)[None, :]
    low_sin = tl.load(sin + token * 2 * HALF + at, here).to(tl.float32)[None, :]
    high_sin = tl.load(sin + token * 2 * HALF + HALF + at, here).to(tl.float32)[None, :]
    there = (head < heads)[:, None] & here[None, :]
    given = states + row * row_in + place * place_in + head[:, None] * head_in + at[None, :]
    low = tl.load(given, there).to(tl.float32)
    high = tl.load(given + HALF, there).to(tl.float32)
    made = out + row * row_out + place * place_out + head[:, None] * head_out + at[None, :]
    tl.store(made, low * low_cos - high * low_sin, there)
    tl.store(made + HALF, high * high_cos + low * high_sin, there)


@triton.jit  # type: ignore[untyped-decorator]
def _join(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    shared, own, out, heads, before, whole, row_in, head_in, place_in,
    SIZE: tl.constexpr, WIDE: tl.constexpr, PLACES: tl.constexpr,
):  # fmt: skip
    """One program some places of one head of one row."""
    one = tl.program_id(0).to(tl.int64)
    row, head = one // heads, one % heads
    place, at = tl.program_id(1).to(tl.int64) * PLACES + tl.arange(0, PLACES), tl.arange(0, WIDE)
    here = (at < SIZE)[None, :]
    first, later = (place < before)[:, None] & here, ((place >= before) & (place < whole))[:, None] & here
    given = tl.load(shared + (head * before + place[:, None]) * SIZE + at[None, :], first, 0.0)
    own += row * row_in + head * head_in
    added = tl.load(own + (place[:, None] - before) * place_in + at[None, :], later, 0.0)
    tl.store(out + (one * whole + place[:, None]) * SIZE + at[None, :], tl.where(first, given, added), first | later)
