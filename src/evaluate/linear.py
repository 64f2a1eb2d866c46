"""An adaptive linear predictor: what the next sample costs who only follows the waveform. Nothing in it is trained.

In: mu-law codes and the windows to score. Out: bits per sample, comparable with the network's: both are -log2 of a
probability over the same codes, given the same past. Each prediction is fitted on the last `context` samples alone (the
network's receptive field): 32 coefficients by least squares (the covariance method; Makhoul, Proc. IEEE 63,
1975), and over what they leave a mixture of logistic distributions, as lossless codecs adapt theirs to recent errors.
"""

import math
from collections.abc import Sequence
from functools import cache

import numba
import numpy as np

import src.wavenet.cpu  # noqa: F401 - it says where numba keeps what it compiled
from src.evaluate.likelihood import Codes, Floats, Window

TAPS = 32
LEAST_CONTEXT = 4 * TAPS
"""A network with a shorter receptive field is compared with a predictor that looks back so far: fewer fit nothing."""
REFIT = 8
"""The coefficients are fitted anew every so many samples."""
RIDGE = 1e-3
"""Of the mean power, added to the diagonal: short, nearly periodic pasts have no unique solution."""
MEMORIES = (8.0, 32.0, 128.0, 512.0)
"""Over so many samples each the size of recent errors is remembered."""
WIDTHS = (0.3, 0.55, 1.0)
"""Each of these sizes times each of these is the width of a part of the mixture."""
WEIGHT_MEMORY = 256.0
"""Over so many samples the parts' weights are learned."""
LEAST_SHARE = 1e-3
"""Share of the probability that is spread evenly over all codes: no sample costs more than 18 bits."""


def mean_bits(codes: Codes, windows: Sequence[Window], context: int, channels: int = 256) -> float:
    """Mean bits per sample over the windows.

    codes: (time,) of one clip; every window has at least `context` samples before it.
    """
    levels, edges = scale(channels)
    look = max(context, LEAST_CONTEXT)
    total = sum(_total_bits(codes, w.start, w.length, look, levels, edges) for w in windows)
    return float(total / sum(window.length for window in windows))


@cache
def scale(channels: int) -> tuple[Floats, Floats]:
    """The value of each code (channels,), and the edges of the codes' cells (channels + 1,), the outermost infinite."""
    mu = channels - 1

    def expand(companded: Floats) -> Floats:
        expanded: Floats = np.sign(companded) * np.expm1(np.abs(companded) * math.log1p(mu)) / mu
        return expanded

    levels = expand(2 * np.arange(channels) / mu - 1)
    edges = expand((2 * np.arange(channels + 1) - 1) / mu - 1)
    edges[0], edges[-1] = -np.inf, np.inf
    return levels, edges


@numba.njit(nogil=True, cache=True)
def _total_bits(codes, start, length, context, levels, edges):  # type: ignore[no-untyped-def]  # pragma: no cover
    # `past` real samples stand before the scored ones, and silence before these.
    past = min(start, context)
    x = np.zeros(TAPS + past + length)
    for k in range(past + length):
        x[TAPS + k] = levels[codes[start - past + k]]
    parts = len(MEMORIES) * len(WIDTHS)
    weights = np.full(parts, 1.0 / parts)
    likely = np.empty(parts)
    errors = np.full(len(MEMORIES), 1e-4)
    taps = np.zeros(TAPS)
    products = np.zeros((TAPS + 1, TAPS + 1))
    bits = 0.0
    for t in range(TAPS, TAPS + past + length):
        code = codes[start - past + t - TAPS]
        if t % REFIT == 0 and t >= 2 * TAPS:
            _fit(products, taps)
        expected = 0.0
        for k in range(TAPS):
            expected += taps[k] * x[t - 1 - k]
        low, high = edges[code] - expected, edges[np.int64(code) + 1] - expected
        if low > 0:  # the tail whose values do not round to 1
            low, high = -high, -low
        total = 0.0
        for m in range(len(MEMORIES)):
            size = math.sqrt(errors[m]) + 1e-6
            for w in range(len(WIDTHS)):
                width = size * WIDTHS[w]
                share = 1.0 / (1.0 + math.exp(-high / width)) - 1.0 / (1.0 + math.exp(-low / width))
                likely[m * len(WIDTHS) + w] = share + 1e-12
                total += weights[m * len(WIDTHS) + w] * (share + 1e-12)
        if t >= TAPS + past:
            bits -= math.log2((1 - LEAST_SHARE) * total + LEAST_SHARE / len(levels))
        for k in range(parts):
            weights[k] += (weights[k] * likely[k] / total - weights[k]) / WEIGHT_MEMORY
            weights[k] = max(weights[k], 1e-4)
        error = (x[t] - expected) ** 2
        for m in range(len(MEMORIES)):
            errors[m] += (error - errors[m]) / MEMORIES[m]
        for i in range(TAPS + 1):
            for j in range(i + 1):
                products[i, j] += x[t - i] * x[t - j]
        old = t - context
        if old >= TAPS:
            for i in range(TAPS + 1):
                for j in range(i + 1):
                    products[i, j] -= x[old - i] * x[old - j]
    return bits


@numba.njit(nogil=True, cache=True)
def _fit(products, taps):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Solve the normal equations of `products` (the lower half of the sums of x[t-i] x[t-j]) by Cholesky."""
    ridge = RIDGE * products[0, 0] + 1e-9
    root = np.zeros((TAPS, TAPS))
    for i in range(TAPS):
        for j in range(i + 1):
            rest = products[i + 1, j + 1] + (ridge if i == j else 0.0)
            for k in range(j):
                rest -= root[i, k] * root[j, k]
            if i == j:
                root[i, i] = math.sqrt(max(rest, ridge * 1e-3))
            else:
                root[i, j] = rest / root[j, j]
    for i in range(TAPS):
        rest = products[i + 1, 0]
        for k in range(i):
            rest -= root[i, k] * taps[k]
        taps[i] = rest / root[i, i]
    for i in range(TAPS - 1, -1, -1):
        rest = taps[i]
        for k in range(i + 1, TAPS):
            rest -= root[k, i] * taps[k]
        taps[i] = rest / root[i, i]
