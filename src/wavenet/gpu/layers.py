"""The stack of layers with its gradient, for training on a GPU: what the skip product takes, from the first layer's
output. `layer_kernels.py` has the arithmetic of one layer.

Kept for the gradient are the layers' inputs alone (float32); activations are computed again. With `recompute` only
every eighth input is kept and the others come from it again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import triton

from src.wavenet.gpu import layer_kernels
from src.wavenet.shape import WaveNetConfig

BLOCK = 64
"""Positions of a tile."""

PROGRAMS = 256
"""Of a clip, that share the sums over positions: part of the arithmetic, so one number for every GPU."""

KEPT = 8
"""With `recompute`, one input of so many is kept."""


def gated(
    config: WaveNetConfig,
    parameters: Mapping[str, torch.Tensor],
    hidden: torch.Tensor,
    embedded: torch.Tensor | None,
    frames: int,
    *,
    bfloat16: bool,
    recompute: bool,
) -> torch.Tensor:
    """The activations of all layers side by side: (batch, frames, layers · D), bfloat16 or float32.

    hidden: (batch, time, R) float32, the first layer's output. embedded: (batch, C) of the genres, or None.
    frames: positions that are scored, the last ones. Differentiable in parameters, hidden and embedded.
    """
    kernel = parameters["dilated.weight"]
    shift = hidden.new_zeros(len(kernel), len(hidden), kernel.shape[-1])
    if config.use_biases:
        shift = shift + parameters["dilated.bias"][:, None]
    if embedded is not None:
        shift = shift + embedded.float() @ parameters["condition.weight"]
    dense = parameters["dense.weight"]
    bias = parameters.get("dense.bias", dense.new_zeros(len(dense), dense.shape[-1]))
    result: torch.Tensor = _Stack.apply(  # type: ignore[no-untyped-call]
        hidden.float().contiguous(), kernel, shift.contiguous(), dense, bias, config.dilations, frames, bfloat16,
        KEPT if recompute else 1,
    )  # fmt: skip
    return result


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        kernel: torch.Tensor,
        shift: torch.Tensor,
        dense: torch.Tensor,
        bias: torch.Tensor,
        dilations: Sequence[int],
        scored: int,
        bfloat16: bool,
        kept: int,
    ) -> torch.Tensor:
        ctx.layers = _Layers(kernel, shift, dense, bias, dilations, scored, bfloat16)
        ctx.kept = kept
        result = hidden.new_empty(
            len(hidden), scored, len(dilations) * dense.shape[1], dtype=torch.bfloat16 if bfloat16 else torch.float32
        )
        inputs = []
        for layer in range(len(dilations)):
            if layer % kept == 0:
                inputs.append(hidden)
            hidden = ctx.layers.forward(layer, hidden, result)
        ctx.save_for_backward(*inputs)
        return result

    @staticmethod
    def backward(ctx: Any, of_gated: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        layers: _Layers = ctx.layers
        of_gated = of_gated.contiguous()
        aside = torch.empty_like(of_gated) if ctx.kept > 1 else of_gated
        sums = layers.sums()
        # What the last layer hands on is not used.
        of_hidden = of_gated.new_zeros(len(of_gated), layers.scored, layers.residual, dtype=torch.float32)
        for first in reversed(range(0, len(layers.dilations), ctx.kept)):
            inputs = [ctx.saved_tensors[first // ctx.kept]]
            for layer in range(first, min(first + ctx.kept, len(layers.dilations)) - 1):
                inputs.append(layers.forward(layer, inputs[-1], aside))
            for layer in reversed(range(first, first + len(inputs))):
                of_hidden = layers.backward(layer, inputs.pop(), of_gated, of_hidden, sums)
        of_kernel, of_shift, of_dense, of_bias = sums
        return (
            of_hidden, of_kernel.sum((1, 2)), of_shift.sum(2), of_dense.sum((1, 2)), of_bias.sum((1, 2)),
            None, None, None, None,
        )  # fmt: skip


class _Layers:
    """Starts the kernels of one stack."""

    def __init__(
        self,
        kernel: torch.Tensor,
        shift: torch.Tensor,
        dense: torch.Tensor,
        bias: torch.Tensor,
        dilations: Sequence[int],
        scored: int,
        bfloat16: bool,
    ) -> None:
        self.kernel, self.shift, self.dense, self.bias = kernel, shift, dense, bias
        self.dilations, self.scored, self.bfloat16 = dilations, scored, bfloat16
        self.taps, self.residual, both = kernel.shape[1:]
        self.depth = both // 2

    def _settings(self) -> dict[str, Any]:
        """What every kernel is compiled for; a product needs 16 rows and columns."""
        return {
            "residual": self.residual,
            "depth": self.depth,
            "held": triton.next_power_of_2(self.taps),
            "wide": max(16, triton.next_power_of_2(self.residual)),
            "deep": max(16, triton.next_power_of_2(self.depth)),
            "taps": self.taps,
            "block": BLOCK,
            "half": self.bfloat16,
        }

    def _frames(self, layer: int) -> int:
        """Positions that a layer puts out."""
        return self.scored + (self.taps - 1) * sum(self.dilations[layer + 1 :])

    def forward(self, layer: int, hidden: torch.Tensor, gated: torch.Tensor) -> torch.Tensor:
        """Fill this layer's columns of gated; returns the next layer's input."""
        frames = self._frames(layer)
        following = hidden.new_empty(len(hidden), frames, self.residual)
        layer_kernels.forward[triton.cdiv(frames, BLOCK), len(hidden)](
            hidden, self.kernel[layer], self.shift[layer], self.dense[layer], self.bias[layer],
            gated[..., layer * self.depth :], following, frames, self.scored, gated.shape[-1], self.dilations[layer],
            **self._settings(),
        )  # fmt: skip
        return following

    def sums(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The programs' parts of the gradients of kernel, shift, dense and its bias: (layers, clips, programs, …)."""
        shape = (len(self.dilations), self.shift.shape[1], PROGRAMS)
        kernel, both = self.kernel.shape[1:], 2 * self.depth
        new = self.kernel.new_empty
        return (
            new(*shape, *kernel), new(*shape, both), new(*shape, self.depth, self.residual), new(*shape, self.residual)
        )  # fmt: skip

    def backward(
        self,
        layer: int,
        hidden: torch.Tensor,
        of_gated: torch.Tensor,
        of_following: torch.Tensor,
        sums: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        """The gradient of this layer's input; its parts of the weights' go to `sums`."""
        frames, dilation, settings = self._frames(layer), self.dilations[layer], self._settings()
        of_both = hidden.new_empty(len(hidden), frames, 2 * self.depth)
        activation = hidden.new_empty(len(hidden), frames, self.depth)
        layer_kernels.backward[triton.cdiv(frames, BLOCK), len(hidden)](
            hidden, self.kernel[layer], self.shift[layer], self.dense[layer], of_gated[..., layer * self.depth :],
            of_following, of_both, activation, frames, self.scored, of_gated.shape[-1], dilation, **settings
        )  # fmt: skip
        layer_kernels.sums[PROGRAMS, len(hidden)](
            hidden, activation, of_both, of_following, *(part[layer] for part in sums), frames, dilation, **settings,
            num_stages=1,
        )  # fmt: skip
        of_hidden = torch.empty_like(hidden)
        layer_kernels.to_input[triton.cdiv(hidden.shape[1], BLOCK), len(hidden)](
            of_both, of_following, self.kernel[layer], of_hidden, frames, dilation, **settings
        )  # fmt: skip
        return of_hidden
