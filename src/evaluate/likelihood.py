"""How well codes are predicted: Markov and unigram baselines, windows to score, bits per sample.

In: mu-law codes (time,) in 0..Q-1. Out: counts, models, bits. Bits are -log2 of the probability given to the sample
that came; log2(Q) = 8 for the uniform model over 256 codes.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Codes = NDArray[Any]
"""Integer codes of any width; long ones are kept as uint8."""
Floats = NDArray[np.float64]

SMOOTHING = 0.01
"""Added to every count, so that a code never seen after another still has a probability."""


def count_pairs(codes: Codes, channels: int = 256) -> NDArray[np.int64]:
    """How often code b follows code a: (channels, channels) int64."""
    if len(codes) < 2:
        return np.zeros((channels, channels), dtype=np.int64)
    wide = codes.astype(np.int64)
    flat = np.bincount(wide[:-1] * channels + wide[1:], minlength=channels * channels)
    return flat.reshape(channels, channels)


def markov_bits(counts: NDArray[np.int64], smoothing: float = SMOOTHING) -> Floats:
    """Bits of code b after code a under the first-order Markov model with these counts: (channels, channels)."""
    smooth = counts + smoothing
    bits: Floats = -np.log2(smooth / smooth.sum(axis=1, keepdims=True))
    return bits


def unigram_bits(counts: NDArray[np.int64], smoothing: float = SMOOTHING) -> Floats:
    """Bits of code b whatever came before, from pair counts: (channels,)."""
    smooth = counts.sum(axis=0) + smoothing
    bits: Floats = -np.log2(smooth / smooth.sum())
    return bits


@dataclass(frozen=True)
class Window:
    """Samples start .. start+length of a clip are scored, each with `context` real samples before the first."""

    start: int
    length: int


def spread_windows(frames: int, context: int, total: int, length: int) -> list[Window]:
    """Windows of `length` samples spread evenly over a clip, `total` samples in all, none before `context`.

    Deterministic. A clip too short for `total` is scored once from `context` to its end; one with nothing beyond
    `context` gives no window.
    """
    room = frames - context
    if room <= 0:
        return []
    if room <= total:
        starts = range(context, frames, length)
        return [Window(start, min(length, frames - start)) for start in starts]
    count = max(1, math.ceil(total / length))
    if count == 1:
        return [Window(context + (room - min(length, room)) // 2, min(length, room))]
    gaps = (room - min(length, room)) / (count - 1)
    return [Window(context + round(k * gaps), min(length, room)) for k in range(count)]


def target_bits(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Bits of each target: logits (batch, time, channels) and targets (batch, time) to (batch, time) float32."""
    nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return nats.view(targets.shape) / math.log(2)


def position_edges(receptive_field: int) -> list[tuple[int, int]]:
    """Ranges of context length, doubling: (1, 1), (2, 3), (4, 7) … up to the receptive field."""
    edges, low = [], 1
    while low <= receptive_field:
        edges.append((low, min(2 * low - 1, receptive_field)))
        low *= 2
    return edges
