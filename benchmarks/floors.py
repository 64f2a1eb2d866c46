"""What a step or a sample cannot be faster than on this machine: its matrix products alone, its weights read once."""

from collections.abc import Callable

import torch

from src.wavenet.network import WaveNet
from src.wavenet.shape import WaveNetConfig


def products(config: WaveNetConfig, rows: int, frames: int, threads: int, device: str = "cpu") -> Callable[[], object]:
    """The products of a training step and nothing else: forward, and for the gradients of both factors.

    rows: of the batch. frames: scored samples of a row. Float32, random numbers; buffers are shared among layers.
    """
    torch.set_num_threads(threads)
    before, shapes = frames, []
    for dilation in reversed(config.dilations):
        shapes += [
            (before * rows, config.filter_width * config.residual_channels, 2 * config.dilation_channels),
            (before * rows, config.dilation_channels, config.residual_channels),
        ]
        before += (config.filter_width - 1) * dilation
    skip, scored = config.skip_channels, frames * rows
    shapes += [
        (scored, len(config.dilations) * config.dilation_channels, skip),
        (scored, skip, skip),
        (scored, skip, config.quantization_channels),
    ]
    random = torch.rand(max(m * max(k, n) for m, k, n in shapes), device=device)
    weights = torch.rand(max(k * n for _, k, n in shapes), device=device)
    out = torch.empty_like(random)
    small = torch.empty_like(weights)

    def step() -> None:
        for m, k, n in shapes:
            left, right = random[: m * k].view(m, k), weights[: k * n].view(k, n)
            torch.mm(left, right, out=out[: m * n].view(m, n))
            change = random[: m * n].view(m, n)
            torch.mm(change, right.T, out=out[: m * k].view(m, k))
            torch.mm(left.T, change, out=small[: k * n].view(k, n))

    return step


def weights_read(model: WaveNet, frames: int) -> Callable[[], object]:
    """Reading every weight once for each of `frames` samples, on one thread: what a group of streams shares."""
    torch.set_num_threads(1)
    names = ("dilated", "dense", "skip", "postprocess")
    used = torch.cat([value.detach().flatten() for name, value in model.named_parameters() if name.startswith(names)])

    def read() -> None:
        for _ in range(frames):
            torch.dot(used, used)

    return read
