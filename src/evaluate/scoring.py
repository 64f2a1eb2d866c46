"""Scores codes with a network: bits per sample of windows, under each genre, and by length of context.

In: a network (codes (batch, time) int64, genre (batch,) int64 → logits (batch, time - receptive field + 1, Q)) and the
codes of a clip. Out: bits. Memory is bounded by `CHUNK_SAMPLES` whatever the clip's length.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from src.evaluate.likelihood import Codes, Floats, Window, position_edges, target_bits

Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CHUNK_SAMPLES = 4_000
"""Predictions made in one forward pass: few enough for the cache, and with 256 codes their logits take 4 MB."""


def window_bits(
    network: Network,
    receptive_field: int,
    codes: Codes,
    windows: Sequence[Window],
    genres: Sequence[int],
    done: Callable[[int], None] = lambda samples: None,
) -> Floats:
    """Mean bits per sample of each window under each genre: (genres, windows).

    codes: (time,) of one clip; every window has at least `receptive_field` samples before it. `done` is told the
    number of predictions after each forward pass.
    """
    totals = np.zeros((len(genres), len(windows)))
    if not windows:
        return totals
    weights = np.array([window.length for window in windows], dtype=np.float64)
    for index, start, length in _pieces(windows, max(1, CHUNK_SAMPLES // len(genres))):
        piece = torch.from_numpy(codes[start - receptive_field : start + length].astype(np.int64))
        batch = piece.expand(len(genres), -1)
        with torch.inference_mode():
            logits = network(batch[:, :-1], torch.tensor(genres))
            bits = target_bits(logits, batch[:, receptive_field:])
        totals[:, index] += bits.double().sum(dim=1).numpy()
        done(length * len(genres))
    return totals / weights


def _pieces(windows: Sequence[Window], most: int) -> Iterator[tuple[int, int, int]]:
    """(index of the window, start, length), no piece longer than `most`."""
    for index, window in enumerate(windows):
        for offset in range(0, window.length, most):
            yield index, window.start + offset, min(most, window.length - offset)


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
