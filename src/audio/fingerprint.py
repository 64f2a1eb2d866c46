"""An acoustic fingerprint: the same for a recording and its re-encoded copies, different for other recordings.

In: the beginning of a song, mono. Out: one 32-bit word for each tenth of a second. Each bit says whether the energy
difference between two neighbouring bands rises or falls. After Haitsma and Kalker, "A Highly Robust Audio
Fingerprinting System" (ISMIR 2002), with longer, smoother frames and a coarser hop, so that two minutes take 5 kB.
"""

import numpy as np
import soxr
from numpy.typing import NDArray

RATE_HZ = 5000
HOP = 500
FRAME = 4096
LAG = 4
"""Energies are compared with those this many hops earlier."""
BANDS = 33
LOWEST_HZ, HIGHEST_HZ = 150.0, 2200.0
LENGTH_S = 120.0
"""Only the beginning of a song is looked at."""

Words = NDArray[np.uint32]


def fingerprint(mono: NDArray[np.float32], rate_hz: int) -> Words:
    """Words (n,) uint32 of the first `LENGTH_S` of `mono` (frames,); 0 marks silence. About n = 10 per second."""
    start = mono[: int(LENGTH_S * rate_hz)]
    samples = soxr.resample(start, rate_hz, RATE_HZ, "LQ") if rate_hz != RATE_HZ else start
    count = (len(samples) - FRAME) // HOP + 1
    if count <= LAG:
        return np.zeros(0, dtype=np.uint32)
    window = np.hanning(FRAME).astype(np.float32)
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) * FRAME / RATE_HZ
    low, high = int(edges[0]), int(edges[-1]) + 1
    first_bins = np.round(edges).astype(int)[:-1] - low
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP][:count]
    energy = np.empty((count, BANDS), dtype=np.float32)
    for first in range(0, count, 64):
        spectrum = np.fft.rfft(frames[first : first + 64] * window, axis=1)[:, low:high]
        energy[first : first + 64] = np.add.reduceat(np.square(np.abs(spectrum)), first_bins, axis=1)
    slope = energy[:, :-1] - energy[:, 1:]
    bits = slope[LAG:] > slope[:-LAG]
    words = bits @ (np.uint32(1) << np.arange(BANDS - 1, dtype=np.uint32))
    floor = 1e-10 * FRAME**2
    words[energy[LAG:].sum(axis=1) < floor] = 0
    return np.asarray(words, dtype=np.uint32)


def error_rate(a: Words, b: Words, lag: int) -> tuple[float, int]:
    """(share of differing bits, words compared) of `a` against `b` shifted by `lag` words; silence is not compared."""
    first = a[max(lag, 0) :]
    second = b[max(-lag, 0) :]
    length = min(len(first), len(second))
    first, second = first[:length], second[:length]
    heard = (first != 0) & (second != 0)
    compared = int(heard.sum())
    if not compared:
        return 1.0, 0
    return float(np.bitwise_count(first[heard] ^ second[heard]).sum()) / (32 * compared), compared
