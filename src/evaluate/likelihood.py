"""How well codes are predicted: by the network, by Markov and unigram models; the windows that are scored.

In: mu-law codes (time,) in 0..Q-1; a network (codes (batch, time) int64, genre (batch,) int64 → logits (batch, time -
receptive field + 1, Q)). Out: counts, models, bits. Bits are -log2 of the probability given to the sample that came;
log2(Q) = 8 for the uniform model over 256 codes. Memory is bounded by `CHUNK_SAMPLES` whatever the clip's length.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Codes = NDArray[Any]
"""Integer codes of any width; long ones are kept as uint8."""
Floats = NDArray[np.float64]

Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CHUNK_SAMPLES = 4_000
"""Predictions made in one forward pass: few enough for the cache, and with 256 codes their logits take 4 MB."""
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


def window_bits(
    network: Network,
    receptive_field: int,
    codes: Codes,
    windows: Sequence[Window],
    genre: int,
    done: Callable[[int], None] = lambda samples: None,
) -> Floats:
    """Bits of each sample of the windows under a genre: (samples,), the windows one after the other.

    codes: (time,) of one clip; every window has at least `receptive_field` samples before it. `done` is told the
    number of predictions after each forward pass.
    """
    rows = [np.zeros(0)]
    for logits, targets in _passes(network, receptive_field, codes, windows, genre):
        rows.append(target_bits(logits, targets)[0].double().numpy())
        done(targets.numel())
    return np.concatenate(rows)


def window_entropies(
    network: Network,
    receptive_field: int,
    codes: Codes,
    windows: Sequence[Window],
    genre: int,
    done: Callable[[int], None] = lambda samples: None,
) -> tuple[Floats, Floats]:
    """`window_bits`, and the entropy of each prediction in bits: (samples,) each.

    A network that knows what it does not know pays on average what it expects to pay.
    """
    costs, entropies = [np.zeros(0)], [np.zeros(0)]
    for logits, targets in _passes(network, receptive_field, codes, windows, genre):
        nats = torch.log_softmax(logits[0], dim=1)
        costs.append(target_bits(logits, targets)[0].double().numpy())
        entropies.append(-(nats.exp() * nats).sum(dim=1).double().numpy() / math.log(2))
        done(targets.numel())
    return np.concatenate(costs), np.concatenate(entropies)


def _passes(
    network: Network, receptive_field: int, codes: Codes, windows: Sequence[Window], genre: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Logits (1, time, channels) and targets (1, time) of one forward pass after the other."""
    most = max(CHUNK_SAMPLES, 2 * receptive_field)  # what is computed of the context again is the smaller part
    for window in windows:
        for start in range(window.start, window.start + window.length, most):
            length = min(most, window.start + window.length - start)
            piece = torch.from_numpy(codes[start - receptive_field : start + length].astype(np.int64))[None]
            with torch.inference_mode():
                logits = network(piece[:, :-1], torch.tensor([genre]))
            yield logits, piece[:, receptive_field:]


def position_edges(receptive_field: int) -> list[tuple[int, int]]:
    """Ranges of context length, doubling: (1, 1), (2, 3), (4, 7) … up to the receptive field."""
    edges, low = [], 1
    while low <= receptive_field:
        edges.append((low, min(2 * low - 1, receptive_field)))
        low *= 2
    return edges


def context_bits(
    network: Network,
    receptive_field: int,
    codes: Codes,
    starts: Sequence[int],
    genre: int,
    silence: int,
) -> Floats:
    """Bits by length of real context: (starts, ranges), the ranges those of `position_edges`.

    From each start the clip's samples follow a receptive field of silence, so the prediction of the c-th sample after
    the first sees c real samples. Silence cut off abruptly is a context too, an odd one: compare the ranges of a few
    samples with care.
    """
    edges = position_edges(receptive_field)
    rows = np.stack([codes[start : start + receptive_field + 1] for start in starts]).astype(np.int64)
    means = np.zeros((len(starts), len(edges)))
    size = max(1, CHUNK_SAMPLES // receptive_field)
    for first in range(0, len(starts), size):
        real = torch.from_numpy(rows[first : first + size])
        quiet = torch.full((len(real), receptive_field - 1), silence, dtype=torch.int64)
        batch = torch.cat([quiet, real], dim=1)
        with torch.inference_mode():
            logits = network(batch[:, :-1], torch.full((len(real),), genre))
            bits = target_bits(logits, real[:, 1:]).double().numpy()
        for column, (low, high) in enumerate(edges):
            means[first : first + size, column] = bits[:, low - 1 : high].mean(axis=1)
    return means
