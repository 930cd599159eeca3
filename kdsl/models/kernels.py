"""Triton kernels for a GPU: gates, the quick GELU, layer norms, rotations of position, attention of packed rows.

Import this module where there is a GPU alone: Triton reads the source of its functions when they are defined, and a
PyTorch built for the CPU has no Triton. All compute in float32 and round once, to the type they were given.
"""

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from torch import Tensor

    from kdsl.models.packed import Packed

BLOCK = 2_048  # elements of one program
KEYS = 64  # keys that attention reads at a time
LOG2E = 1.4426950408889634  # powers of two are quicker than those of e


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


def layer_norm(states: "Tensor", weight: "Tensor", bias: "Tensor", epsilon: float) -> "Tensor":
    """Layer norm (Ba et al., 2016) over the last dimension; weight and bias have its shape."""
    states = states.contiguous()
    out, size = torch.empty_like(states), states.shape[-1]
    _layer_norm[(states.numel() // size,)](
        states, weight, bias, out, epsilon, SIZE=size, WIDE=triton.next_power_of_2(size)
    )
    return out


def rotate(states: "Tensor", cos: "Tensor", sin: "Tensor", *, by_token: bool = False) -> "Tensor":
    """Rotary positions (Su et al., 2021), the two halves of a state being the parts of its numbers.

    Args:
        states: (rows, heads, length, size), with any strides but one of 1 along the size.
        cos: (rows, length, size) or, the same for all rows, (1, length, size).
        sin: the same shape.
        by_token: all heads of a token lie one behind another, and not all tokens of a head.

    Returns:
        (rows, heads, length, size), contiguous but for `by_token`.
    """
    rows, heads, length, size = states.shape
    cos, sin = cos.expand(rows, length, size).contiguous(), sin.expand(rows, length, size).contiguous()
    laid = (rows, length, heads, size) if by_token else states.shape
    out = torch.empty(laid, dtype=states.dtype, device=states.device)
    out = out.transpose(1, 2) if by_token else out
    if states.stride(-1) != 1:
        states = states.contiguous()
    _rotate[(rows * length,)](
        states, cos, sin, out, heads, length, *states.stride()[:3], *out.stride()[:3],
        HALF=size // 2, HEADS=triton.next_power_of_2(heads), WIDE=triton.next_power_of_2(size // 2),
    )  # fmt: skip
    return out


def attend(
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    packed: "Packed",
    *,
    shared: "tuple[Tensor, Tensor] | None",
    scale: float,
) -> "Tensor":
    """Causal attention within each of the packed rows, and of all of them to keys that they share.

    One pass with a running maximum (FlashAttention-2: Dao, 2023). What is shared is read as it is and repeated for no
    row; the queries of a row that share a key (GQA) lie in one block.

    Args:
        query: (1, heads, tokens, size), the rows one behind another; like key and value with a stride of 1 at the end.
        key: (1, heads / groups, tokens, size).
        value: the same shape.
        packed: where the rows lie.
        shared: keys and values before every row, (1, heads / groups, before, size) contiguous; None: there are none.
        scale: of the products.

    Returns:
        (1, tokens, heads, size), contiguous.
    """
    _, heads, tokens, size = query.shape
    kinds = key.shape[1]
    query, key, value = (part if part.stride(-1) == 1 else part.contiguous() for part in (query, key, value))
    first, second = shared or (key, value)
    out = query.new_empty((1, tokens, heads, size))
    wide = max(16, triton.next_power_of_2(size))
    _attend[(len(packed.blocks), kinds)](
        query, key, value, first, second, out, packed.starts, packed.blocks, first.shape[2] if shared else 0,
        scale * LOG2E, *query.stride()[1:3], *key.stride()[1:3], *value.stride()[1:3],
        GROUPS=heads // kinds, HEADS=heads, SIZE=size, WIDE=wide, PLACES=packed.places, KEYS=min(KEYS, packed.places),
        num_warps=8 if packed.places > 64 else 4, num_stages=2,
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
def _layer_norm(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    states, weight, bias, out, epsilon, SIZE: tl.constexpr, WIDE: tl.constexpr
):
    """One program a row, which it reads once."""
    row, at = tl.program_id(0).to(tl.int64) * SIZE, tl.arange(0, WIDE)
    there = at < SIZE
    x = tl.load(states + row + at, there, 0.0).to(tl.float32)
    apart = tl.where(there, x - tl.sum(x, 0) / SIZE, 0.0)
    normed = apart / tl.sqrt(tl.sum(apart * apart, 0) / SIZE + epsilon)
    scale = tl.load(weight + at, there, 0.0).to(tl.float32)
    tl.store(out + row + at, normed * scale + tl.load(bias + at, there, 0.0).to(tl.float32), there)


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
def _attend(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    query, key, value, shared_key, shared_value, out, starts, blocks, before, scale,
    query_head, query_token, key_head, key_token, value_head, value_token,
    GROUPS: tl.constexpr, HEADS: tl.constexpr, SIZE: tl.constexpr, WIDE: tl.constexpr, PLACES: tl.constexpr,
    KEYS: tl.constexpr,
):  # fmt: skip
    """One program some queries of one row that share a key: the heads of a token, then those of the next one."""
    row, first = tl.load(blocks + tl.program_id(0) * 2), tl.load(blocks + tl.program_id(0) * 2 + 1)
    begin = tl.load(starts + row)
    length = tl.load(starts + row + 1) - begin
    kind = tl.program_id(1)
    place = first + tl.arange(0, PLACES)
    token, head = place // GROUPS, kind * GROUPS + place % GROUPS
    at, column = tl.arange(0, WIDE), tl.arange(0, KEYS)
    here = at < SIZE
    there = (token < length)[:, None] & here[None, :]
    stood = (begin + token).to(tl.int64)[:, None]
    asked = tl.load(query + stood * query_token + head.to(tl.int64)[:, None] * query_head + at[None, :], there, 0.0)
    highest = tl.full((PLACES,), float("-inf"), tl.float32)
    total = tl.full((PLACES,), 0.0, tl.float32)
    found = tl.full((PLACES, WIDE), 0.0, tl.float32)
    for start in range(0, before, KEYS):
        known = start + column < before
        offset = (kind.to(tl.int64) * before + start + column) * SIZE
        keys = tl.load(shared_key + offset[None, :] + at[:, None], known[None, :] & here[:, None], 0.0)
        values = tl.load(shared_value + offset[:, None] + at[None, :], known[:, None] & here[None, :], 0.0)
        product = tl.dot(asked, keys, input_precision="ieee") * scale
        product = tl.where(known[None, :], product, float("-inf"))
        highest, total, found = _with_these(product, values, highest, total, found)
    end = tl.minimum(length, (first + PLACES - 1) // GROUPS + 1)
    key += begin.to(tl.int64) * key_token + kind.to(tl.int64) * key_head
    value += begin.to(tl.int64) * value_token + kind.to(tl.int64) * value_head
    for start in range(0, end, KEYS):
        mine = start + column
        known = mine < length
        offset = mine.to(tl.int64)
        keys = tl.load(key + offset[None, :] * key_token + at[:, None], known[None, :] & here[:, None], 0.0)
        values = tl.load(value + offset[:, None] * value_token + at[None, :], known[:, None] & here[None, :], 0.0)
        product = tl.dot(asked, keys, input_precision="ieee") * scale
        product = tl.where(known[None, :] & (mine[None, :] <= token[:, None]), product, float("-inf"))
        highest, total, found = _with_these(product, values, highest, total, found)
    found = found / total[:, None]
    tl.store(out + (stood * HEADS + head[:, None]) * SIZE + at[None, :], found, there)


@triton.jit
def _with_these(product, values, highest, total, found):  # type: ignore[no-untyped-def]
    """The sums of a softmax, under its highest exponent so far, with some more keys."""
    higher = tl.maximum(highest, tl.max(product, 1))
    share = tl.exp2(product - higher[:, None])
    fade = tl.exp2(highest - higher)
    found = found * fade[:, None] + tl.dot(share.to(values.dtype), values, input_precision="ieee")
    return higher, total * fade + tl.sum(share, 1), found
