"""An acoustic fingerprint: the same for a recording and its copies, different for other recordings.

In: sound, mono. Out: one 32-bit word for each hop of a grid. Each bit says whether the energy difference between two
neighbouring bands rises or falls, which does not depend on level. After Haitsma and Kalker, "A Highly Robust Audio
Fingerprinting System" (ISMIR 2002).
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

BANDS = 33
SILENT = 1e-10
"""Mean power of a frame (about -94 dBFS) below which it has no word."""

Words = NDArray[np.uint32]
"""(n,) one word for each hop; 0 marks silence."""


@dataclass(frozen=True)
class Grid:
    """Where and how finely the sound is looked at."""

    rate_hz: int
    """The sound is resampled to this first."""
    frame: int
    hop: int
    lag: int
    """Energies are compared with those this many hops earlier."""
    lowest_hz: float
    highest_hz: float

    @property
    def hop_s(self) -> float:
        """Time from a word to the next."""
        return self.hop / self.rate_hz


SONGS = Grid(5000, 4096, 500, 4, 150.0, 2200.0)
"""For whole songs: long, smooth frames and a coarse hop, so that two minutes take 5 kB."""
STRETCHES = Grid(8000, 2048, 256, 1, 200.0, 3400.0)
"""For stretches of a second or more: 32 words a second."""


def fingerprint(mono: NDArray[np.floating], rate_hz: int, grid: Grid) -> Words:
    """Words (n,) uint32 of `mono` (samples,)."""
    x = np.asarray(mono, dtype=np.float32)
    samples = soxr.resample(x, rate_hz, grid.rate_hz, "LQ") if rate_hz != grid.rate_hz else x
    count = (len(samples) - grid.frame) // grid.hop + 1
    if count <= grid.lag:
        return np.zeros(0, dtype=np.uint32)
    window = np.hanning(grid.frame).astype(np.float32)
    edges = np.geomspace(grid.lowest_hz, grid.highest_hz, BANDS + 1) * grid.frame / grid.rate_hz
    low, high = int(edges[0]), int(edges[-1]) + 1
    first_bins = np.round(edges).astype(int)[:-1] - low
    frames = np.lib.stride_tricks.sliding_window_view(samples, grid.frame)[:: grid.hop][:count]
    energy = np.empty((count, BANDS), dtype=np.float32)
    for first in range(0, count, 64):
        spectrum = np.fft.rfft(frames[first : first + 64] * window, axis=1)[:, low:high]
        energy[first : first + 64] = np.add.reduceat(np.square(np.abs(spectrum)), first_bins, axis=1)
    slope = energy[:, :-1] - energy[:, 1:]
    bits = slope[grid.lag :] > slope[: -grid.lag]
    words = bits @ (np.uint32(1) << np.arange(BANDS - 1, dtype=np.uint32))
    words[energy[grid.lag :].sum(axis=1) < SILENT * grid.frame**2] = 0
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
