"""The network's weights as the CPU's products want them, and gradients back in the network's own shapes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from src.wavenet import mulaw
from src.wavenet.cpu.lanes import padded
from src.wavenet.shape import WaveNetConfig

Array = npt.NDArray[np.float32] | npt.NDArray[np.uint16]

_IN_PRODUCTS = ("dilated.weight", "dense.weight", "skip.weight", "postprocess1.weight", "postprocess2.weight")


@dataclass(frozen=True)
class Block:
    """One memory, seen by torch for products and by numba for loops (uint16 for bfloat16)."""

    tensor: torch.Tensor
    array: Array

    @staticmethod
    def zeros(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> "Block":
        tensor = torch.zeros(shape, dtype=dtype)
        if dtype == torch.bfloat16:
            return Block(tensor, tensor.view(torch.int16).numpy().view(np.uint16))
        return Block(tensor, tensor.numpy())


class Packing:
    """Shapes of the packed weights: R, D, S and Q padded to whole lanes, filter and gate each on its own."""

    def __init__(self, config: WaveNetConfig) -> None:
        self.config = config

        def whole(size: int) -> tuple[int, int]:
            return size, size

        def lanes(size: int) -> tuple[int, int]:
            return size, padded(size)

        layer, tap, half = whole(len(config.dilations)), whole(config.filter_width), whole(2)
        first = whole(config.initial_filter_width) if config.scalar_input else tap
        residual, depth = lanes(config.residual_channels), lanes(config.dilation_channels)
        skip, code = lanes(config.skip_channels), lanes(config.quantization_channels)
        axes = {
            "causal.weight": (first, whole(config.quantization_channels), residual),
            "dilated.weight": (layer, tap, residual, half, depth),
            "dilated.bias": (layer, half, depth),
            "dense.weight": (layer, depth, residual),
            "dense.bias": (layer, residual),
            "skip.weight": (layer, depth, skip),
            "skip.bias": (skip,),
            "postprocess1.weight": (skip, skip),
            "postprocess1.bias": (skip,),
            "postprocess2.weight": (skip, code),
            "postprocess2.bias": (code,),
        }
        self.inner = {name: tuple(size for size, _ in sizes) for name, sizes in axes.items()}
        self.outer = {name: tuple(size for _, size in sizes) for name, sizes in axes.items()}
        waveform = mulaw.decode(np.arange(config.quantization_channels), config.quantization_channels)
        self.waveform = torch.from_numpy(waveform)[None, :, None]

    def weights(self, dtype: torch.dtype) -> dict[str, Block]:
        """Room for the weights: `dtype` in products, float32 elsewhere. Padded codes have no probability."""
        blocks = {
            name: Block.zeros(shape, dtype if name in _IN_PRODUCTS else torch.float32)
            for name, shape in self.outer.items()
        }
        blocks["postprocess2.bias"].tensor[self.config.quantization_channels :] = -1e30
        return blocks

    def gradients(self) -> dict[str, Block]:
        """Room for gradients of all packed weights, float32."""
        return {name: Block.zeros(shape) for name, shape in self.outer.items()}

    def fill(self, blocks: Mapping[str, Block], parameters: Mapping[str, torch.Tensor]) -> None:
        """Copy the network's parameters into packed weights."""
        for name, inner in self.inner.items():
            if name not in parameters:
                continue
            value = parameters[name].detach()
            if name == "skip.bias":
                value = value.sum(0)  # the layers' skip biases only ever act together
            if name == "causal.weight" and self.config.scalar_input:
                value = value * self.waveform  # the causal layer is a table over the codes either way
            self._cut(name, blocks[name].tensor).copy_(value.view(inner))

    def unpacked(self, name: str, gradient: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """A packed gradient in the shape of its parameter."""
        value = self._cut(name, gradient)
        if name == "skip.bias":
            return value.expand(like.shape).contiguous()
        if name == "causal.weight" and self.config.scalar_input:
            return (value * self.waveform).sum(1, keepdim=True)
        return value.reshape(like.shape)

    def _cut(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor[tuple(slice(size) for size in self.inner[name])]
