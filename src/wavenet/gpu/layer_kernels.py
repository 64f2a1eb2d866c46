"""The stack of layers for training as Triton kernels: a layer reads its input once, whatever it computes on the way.

Rows are positions in time, columns channels, of one clip each: hidden (frames + span, R), both (frames, 2D) with the
filter in the first D columns. A tile holds `block` positions; its columns are the taps of the filter side by side, so
that all taps are one product. Sums over positions are partial sums of a fixed set of tiles for each program, which the
caller adds up: the same in every run. Products are of float32 to float32's accuracy (three passes in TF32), or of
bfloat16, always with float32 sums.
"""

import triton
import triton.language as tl

VARYING = ("frames", "scored", "dilation")
"""Differ from layer to layer: one kernel is compiled for all."""


@triton.jit  # type: ignore[untyped-decorator]
def _product(left, right, half: tl.constexpr):  # type: ignore[no-untyped-def]
    if half:
        return tl.dot(left.to(tl.bfloat16), right.to(tl.bfloat16))
    return tl.dot(left, right, input_precision="tf32x3")


@triton.jit  # type: ignore[untyped-decorator]
def _tile(  # type: ignore[no-untyped-def]
    start, rows, first, stride, width, dilation, held: tl.constexpr, padded: tl.constexpr, taps: tl.constexpr,
    count, offset,
):  # fmt: skip
    """Columns `width` of each tap beside each other: row t of tap k is row t + offset + k · dilation of `start`."""
    columns = tl.arange(0, held * padded)
    tap, channel = columns // padded, columns % padded
    at = rows[:, None] + offset + tap[None, :] * dilation
    there = (at >= 0) & (at < count) & (tap < taps)[None, :] & (channel < width)[None, :]
    return tl.load(start + at.to(tl.int64) * stride + first + channel[None, :], mask=there, other=0.0).to(tl.float32)


@triton.jit  # type: ignore[untyped-decorator]
def _filter(  # type: ignore[no-untyped-def]
    kernel, first, residual: tl.constexpr, depth: tl.constexpr, held: tl.constexpr, wide: tl.constexpr,
    deep: tl.constexpr, taps: tl.constexpr,
):  # fmt: skip
    """The filter's (or gate's) weights as (taps · R, D), rows padded as `_tile` pads its columns."""
    rows, d = tl.arange(0, held * wide), tl.arange(0, deep)
    tap, r = rows // wide, rows % wide
    there = ((tap < taps) & (r < residual))[:, None] & (d < depth)[None, :]
    return tl.load(
        kernel + (tap * residual + r)[:, None] * (2 * depth) + first + d[None, :], mask=there, other=0.0
    )  # fmt: skip


@triton.jit  # type: ignore[untyped-decorator]
def _activations(  # type: ignore[no-untyped-def]
    x, kernel, shift, residual: tl.constexpr, depth: tl.constexpr, held: tl.constexpr, wide: tl.constexpr,
    deep: tl.constexpr, taps: tl.constexpr, half: tl.constexpr,
):  # fmt: skip
    """tanh of the filter and sigmoid of the gate, each (block, D)."""
    d = tl.arange(0, deep)
    filtered = _product(x, _filter(kernel, 0, residual, depth, held, wide, deep, taps), half)
    gate = _product(x, _filter(kernel, depth, residual, depth, held, wide, deep, taps), half)
    filtered += tl.load(shift + d, mask=d < depth, other=0.0)[None, :]
    gate += tl.load(shift + depth + d, mask=d < depth, other=0.0)[None, :]
    return 2.0 * tl.sigmoid(2.0 * filtered) - 1.0, tl.sigmoid(gate)


@triton.jit(do_not_specialize=VARYING)  # type: ignore[untyped-decorator]
def forward(  # type: ignore[no-untyped-def]
    hidden, kernel, shift, dense, dense_bias, gated, following, frames, scored, gated_row, dilation,
    residual: tl.constexpr, depth: tl.constexpr, held: tl.constexpr, wide: tl.constexpr, deep: tl.constexpr,
    taps: tl.constexpr, block: tl.constexpr, half: tl.constexpr,
):  # fmt: skip
    """gated: of the last `scored` positions, a matrix of `gated_row` columns. following: the next layer's input."""
    clip = tl.program_id(1).to(tl.int64)
    span = (taps - 1) * dilation
    before = frames + span
    rows = tl.program_id(0) * block + tl.arange(0, block)
    d, r = tl.arange(0, deep), tl.arange(0, wide)
    inside, in_d, in_r = rows < frames, d < depth, r < residual
    hidden += clip * before * residual
    x = _tile(hidden, rows, 0, residual, residual, dilation, held, wide, taps, before, 0)
    filtered, gate = _activations(
        x, kernel, shift + clip * 2 * depth, residual, depth, held, wide, deep, taps, half
    )  # fmt: skip
    activation = filtered * gate
    row = (clip * scored + rows - (frames - scored)) * gated_row
    tl.store(
        gated + row[:, None] + d[None, :], activation.to(gated.dtype.element_ty),
        mask=(inside & (rows >= frames - scored))[:, None] & in_d[None, :],
    )  # fmt: skip
    weights = tl.load(dense + d[:, None] * residual + r[None, :], mask=in_d[:, None] & in_r[None, :], other=0.0)
    y = _product(activation, weights, half) + tl.load(dense_bias + r, mask=in_r, other=0.0)[None, :]
    y += _tile(hidden, rows, 0, residual, residual, dilation, 1, wide, 1, before, span)
    at = (clip * frames + rows) * residual
    tl.store(following + at[:, None] + r[None, :], y, mask=inside[:, None] & in_r[None, :])


@triton.jit(do_not_specialize=VARYING)  # type: ignore[untyped-decorator]
def backward(  # type: ignore[no-untyped-def]
    hidden, kernel, shift, dense, of_gated, of_following, of_both, activation, frames, scored, gated_row, dilation,
    residual: tl.constexpr, depth: tl.constexpr, held: tl.constexpr, wide: tl.constexpr, deep: tl.constexpr,
    taps: tl.constexpr, block: tl.constexpr, half: tl.constexpr,
):  # fmt: skip
    """The gradient of what filter and gate are made from, (frames, 2D), and the activation (frames, D) once more."""
    clip = tl.program_id(1).to(tl.int64)
    before = frames + (taps - 1) * dilation
    rows = tl.program_id(0) * block + tl.arange(0, block)
    d, r = tl.arange(0, deep), tl.arange(0, wide)
    inside, in_d, in_r = rows < frames, d < depth, r < residual
    hidden += clip * before * residual
    x = _tile(hidden, rows, 0, residual, residual, dilation, held, wide, taps, before, 0)
    filtered, gate = _activations(
        x, kernel, shift + clip * 2 * depth, residual, depth, held, wide, deep, taps, half
    )  # fmt: skip
    row = (clip * scored + rows - (frames - scored)) * gated_row
    change = tl.load(
        of_gated + row[:, None] + d[None, :],
        mask=(inside & (rows >= frames - scored))[:, None] & in_d[None, :], other=0.0,
    ).to(tl.float32)  # fmt: skip
    turned = tl.load(dense + d[None, :] * residual + r[:, None], mask=in_r[:, None] & in_d[None, :], other=0.0)
    of_following += clip * frames * residual
    change += _product(_tile(of_following, rows, 0, residual, residual, 0, 1, wide, 1, frames, 0), turned, half)
    kept = inside[:, None] & in_d[None, :]
    row = clip * frames + rows
    tl.store(activation + row[:, None] * depth + d[None, :], filtered * gate, mask=kept)
    of_both += row[:, None] * (2 * depth) + d[None, :]
    tl.store(of_both, change * gate * (1.0 - filtered * filtered), mask=kept)
    tl.store(of_both + depth, change * filtered * gate * (1.0 - gate), mask=kept)


@triton.jit(do_not_specialize=VARYING)  # type: ignore[untyped-decorator]
def sums(  # type: ignore[no-untyped-def]
    hidden, activation, of_both, of_following, of_kernel, of_shift, of_dense, of_bias, frames, dilation,
    residual: tl.constexpr, depth: tl.constexpr, held: tl.constexpr, wide: tl.constexpr, deep: tl.constexpr,
    taps: tl.constexpr, block: tl.constexpr, half: tl.constexpr,
):  # fmt: skip
    """This program's part of the gradients of kernel (taps, R, 2D), shift (2D), dense (D, R) and its bias (R)."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    clip = tl.program_id(1).to(tl.int64)
    before = frames + (taps - 1) * dilation
    hidden += clip * before * residual
    activation += clip * frames * depth
    of_both += clip * frames * 2 * depth
    of_following += clip * frames * residual
    to_kernel, to_shift = tl.zeros((held * wide, 2 * deep), tl.float32), tl.zeros((2 * deep,), tl.float32)
    to_dense, to_bias = tl.zeros((deep, wide), tl.float32), tl.zeros((wide,), tl.float32)
    for tile in range(program, tl.cdiv(frames, block), programs):
        rows = tile * block + tl.arange(0, block)
        x = _tile(hidden, rows, 0, residual, residual, dilation, held, wide, taps, before, 0)
        change = _tile(of_both, rows, 0, 2 * depth, 2 * depth, 0, 1, 2 * deep, 1, frames, 0)
        to_kernel += _product(tl.trans(x), change, half)
        to_shift += tl.sum(change, 0)
        gated = _tile(activation, rows, 0, depth, depth, 0, 1, deep, 1, frames, 0)
        y = _tile(of_following, rows, 0, residual, residual, 0, 1, wide, 1, frames, 0)
        to_dense += _product(tl.trans(gated), y, half)
        to_bias += tl.sum(y, 0)
    mine = clip * programs + program
    k, both, d, r = tl.arange(0, held * wide), tl.arange(0, 2 * deep), tl.arange(0, deep), tl.arange(0, wide)
    tap, channel = k // wide, k % wide
    at = ((mine * taps + tap) * residual + channel) * (2 * depth)
    there = ((tap < taps) & (channel < residual))[:, None] & (both < 2 * depth)[None, :]
    tl.store(of_kernel + at[:, None] + both[None, :], to_kernel, mask=there)
    tl.store(of_shift + mine * 2 * depth + both, to_shift, mask=both < 2 * depth)
    at = (mine * depth + d) * residual
    tl.store(of_dense + at[:, None] + r[None, :], to_dense, mask=(d < depth)[:, None] & (r < residual)[None, :])
    tl.store(of_bias + mine * residual + r, to_bias, mask=r < residual)


@triton.jit(do_not_specialize=VARYING)  # type: ignore[untyped-decorator]
def to_input(  # type: ignore[no-untyped-def]
    of_both, of_following, kernel, of_hidden, frames, dilation, residual: tl.constexpr, depth: tl.constexpr,
    held: tl.constexpr, wide: tl.constexpr, deep: tl.constexpr, taps: tl.constexpr, block: tl.constexpr,
    half: tl.constexpr,
):  # fmt: skip
    """The gradient of a layer's input (frames + span, R), gathered from the positions that used it."""
    clip = tl.program_id(1).to(tl.int64)
    span = (taps - 1) * dilation
    before = frames + span
    rows = tl.program_id(0) * block + tl.arange(0, block)
    r = tl.arange(0, wide)
    in_r = r < residual
    of_both += clip * frames * 2 * depth
    columns = tl.arange(0, held * deep)
    tap, d = columns // deep, columns % deep
    there = ((tap < taps) & (d < depth))[:, None] & in_r[None, :]
    weights = kernel + (tap * residual)[:, None] * (2 * depth) + r[None, :] * (2 * depth) + d[:, None]
    x = _product(
        _tile(of_both, rows, 0, 2 * depth, depth, -dilation, held, deep, taps, frames, 0),
        tl.load(weights, mask=there, other=0.0), half,
    )  # fmt: skip
    x += _product(
        _tile(of_both, rows, depth, 2 * depth, depth, -dilation, held, deep, taps, frames, 0),
        tl.load(weights + depth, mask=there, other=0.0), half,
    )  # fmt: skip
    x += _tile(of_following + clip * frames * residual, rows, 0, residual, residual, 0, 1, wide, 1, frames, -span)
    at = (clip * before + rows) * residual
    tl.store(of_hidden + at[:, None] + r[None, :], x, mask=(rows < before)[:, None] & in_r[None, :])
