"""Peak and loudness of a clip, and the gain to a wanted loudness.

In: mono samples. Out: dBFS and LUFS. Source: ITU-R BS.1770-4; the K-weighting filters are redesigned for the clip's
rate from the analogue prototypes (their published coefficients hold at 48 kHz only).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import signal

FLOOR_DB = -120.0
"""Stands for silence, which has no finite level."""


def peak_dbfs(samples: NDArray[np.float32]) -> float:
    """Largest absolute sample of (frames,), in dB relative to full scale."""
    peak = float(np.abs(samples).max(initial=0.0))
    return max(FLOOR_DB, 20 * math.log10(peak)) if peak > 0 else FLOOR_DB


def integrated_lufs(samples: NDArray[np.float32], rate_hz: int) -> float:
    """Gated loudness of mono samples (frames,): blocks of 400 ms, gates at -70 LUFS and 10 LU below the mean."""
    weighted = _k_weighted(samples, rate_hz)
    hop = rate_hz // 10
    count = len(weighted) // hop
    if count < 4:
        power = np.array([np.mean(np.square(weighted))]) if len(weighted) else np.zeros(1)
    else:
        tenths = np.square(weighted[: count * hop]).reshape(count, hop).mean(axis=1, dtype=np.float64)
        power = np.convolve(tenths, np.full(4, 0.25), mode="valid")
    loud = power[power > _power(-70.0)]
    if not len(loud):
        return FLOOR_DB
    gated = loud[loud > loud.mean() / 10]
    return -0.691 + 10 * math.log10(float(gated.mean()))


def gain_to(wanted_lufs: float, lufs: float, peak: float) -> float:
    """Linear gain that brings `lufs` to `wanted_lufs`, less where the peak (dBFS) would pass -1 dBFS."""
    if lufs <= FLOOR_DB:
        return 1.0
    return float(10 ** (min(wanted_lufs - lufs, -1.0 - peak) / 20))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


def _k_weighted(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float64]:
    weighted = samples.astype(np.float64)
    for b, a in _k_filters(rate_hz):
        weighted = signal.lfilter(b, a, weighted)
    return weighted


def _k_filters(rate_hz: int) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """(b, a) of a shelf for the head and of a high-pass: analogue prototypes that give BS.1770's values at 48 kHz."""
    gain, quality, corner_hz = 3.999843853973347, 0.7071752369554196, 1681.974450955533
    k = math.tan(math.pi * min(corner_hz, 0.45 * rate_hz) / rate_hz)
    high, mid = 10 ** (gain / 20), 10 ** (gain / 20 * 0.4996667741545416)
    shelf = (high + mid * k / quality + k * k, 2 * (k * k - high), high - mid * k / quality + k * k)
    shelf_a = (1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k)
    quality, corner_hz = 0.5003270373238773, 38.13547087602444
    k = math.tan(math.pi * corner_hz / rate_hz)
    high_pass_a = (1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k)
    return [(shelf, shelf_a), ((1.0, -2.0, 1.0), tuple(value / high_pass_a[0] for value in high_pass_a))]
