"""The chain of layers for one sample, as one Triton kernel: one program per stream, the residual in registers."""

import torch
import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def _chain(  # type: ignore[no-untyped-def]
    hidden, before, kernel, dense, dense_bias, hiddens, gated, streams, layers, streams_of_one,
    residual: tl.constexpr, depth: tl.constexpr, wide: tl.constexpr, deep: tl.constexpr,
):  # fmt: skip
    stream = tl.program_id(0)
    first = (stream // streams_of_one) * layers  # of the stream's network
    r = tl.arange(0, wide)
    d = tl.arange(0, deep)
    in_r, in_d = r < residual, d < depth
    square = in_r[:, None] & in_d[None, :]
    x = tl.load(hidden + stream * residual + r, mask=in_r, other=0.0)
    for layer in range(layers):
        tl.store(hiddens + (layer * streams + stream) * residual + r, x, mask=in_r)
        at = kernel + (first + layer) * residual * 2 * depth + r[:, None] * (2 * depth) + d[None, :]
        start = before + (layer * streams + stream) * 2 * depth + d
        filtered = tl.load(start, mask=in_d, other=0.0)
        gate = tl.load(start + depth, mask=in_d, other=0.0)
        filtered += tl.sum(x[:, None] * tl.load(at, mask=square, other=0.0), 0)
        gate += tl.sum(x[:, None] * tl.load(at + depth, mask=square, other=0.0), 0)
        # tanh(f) · sigmoid(g), tanh by the sigmoid of 2f
        activation = (2.0 * tl.sigmoid(2.0 * filtered) - 1.0) * tl.sigmoid(gate)
        tl.store(gated + stream * layers * depth + layer * depth + d, activation, mask=in_d)
        out = dense + (first + layer) * depth * residual + d[None, :] * residual + r[:, None]
        x += tl.load(dense_bias + (first + layer) * residual + r, mask=in_r, other=0.0)
        x += tl.sum(activation[None, :] * tl.load(out, mask=square, other=0.0), 1)


def chain(
    hidden: torch.Tensor, before: torch.Tensor, kernel: torch.Tensor, dense: torch.Tensor, dense_bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """hidden (streams, R), before (layers, streams, 2D), kernel (networks, layers, R, 2D), dense (networks, layers, D,
    R), dense_bias (networks, layers, R), all contiguous float32 → every layer's input (layers, streams, R), gated
    (streams, layers · D). The streams are those of the first network, then those of the second, equally many."""
    layers, streams, both = before.shape
    residual, depth = hidden.shape[1], both // 2
    hiddens = hidden.new_empty(layers, streams, residual)
    gated = hidden.new_empty(streams, layers * depth)
    _chain[(streams,)](
        hidden, before, kernel, dense, dense_bias, hiddens, gated, streams, layers, streams // len(kernel),
        residual, depth, triton.next_power_of_2(residual), triton.next_power_of_2(depth), num_warps=4,
    )  # fmt: skip
    return hiddens, gated
