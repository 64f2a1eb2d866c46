"""Power spectra, mel bands and levels that several measures share.

In: audio (time,) float in [-1, 1] and its rate in Hz. Out: arrays of power.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Audio = NDArray[np.float32] | NDArray[np.float64]
Floats32 = NDArray[np.float32]

FRAME_S = 0.064
"""Of most spectra; frames are lengths of time, so that the same sound measures the same at another rate."""
POWER_FLOOR = 1e-10
"""Power below which a band counts as silent (-100 dB of full scale)."""


def samples(duration_s: float, rate_hz: int) -> int:
    """An even number of samples that lasts about so long."""
    return 2 * round(duration_s * rate_hz / 2)


def frames(audio: Audio, length: int, hop: int) -> NDArray[np.float32]:
    """Overlapping frames (frames, length) as a view; a clip shorter than one frame is padded with zeros to one."""
    x = np.ascontiguousarray(audio, dtype=np.float32)
    if len(x) < length:
        x = np.pad(x, (0, length - len(x)))
    return np.lib.stride_tricks.sliding_window_view(x, length)[::hop]


@cache
def hann(length: int) -> Floats32:
    """Periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def power_spectrogram(audio: Audio, length: int, hop: int) -> Floats32:
    """Power of Hann-windowed frames: (frames, length // 2 + 1); a full-scale sine peaks at 1/4."""
    window = hann(length)
    spectrum = fft.rfft(frames(audio, length, hop) * window, axis=1)
    power: Floats32 = (spectrum.real**2 + spectrum.imag**2) / np.float32(window.sum() ** 2)
    return power


@cache
def mel_bank(rate_hz: int, length: int, bands: int, low_hz: float = 40.0) -> Floats32:
    """Triangular mel filters of peak 1: (length // 2 + 1, bands), from `low_hz` to half the rate.

    Mel as in O'Shaughnessy 1987: 2595 log10(1 + f / 700). A band narrower than two bins takes its nearest bin.
    """
    top = 2595 * np.log10(1 + rate_hz / 2 / 700)
    bottom = 2595 * np.log10(1 + low_hz / 700)
    edges = 700 * (10 ** (np.linspace(bottom, top, bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(length, 1 / rate_hz)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank = np.maximum(0, np.minimum(rise, fall))
    for band in np.flatnonzero(bank.sum(axis=0) == 0):
        bank[np.argmin(np.abs(bins[:, 0] - edges[band + 1])), band] = 1
    return bank.astype(np.float32)


def log_mel_db(audio: Audio, rate_hz: int, length: int, hop: int, bands: int) -> Floats32:
    """Mel band powers in dB, floored at -100: (frames, bands)."""
    power = power_spectrogram(audio, length, hop) @ mel_bank(rate_hz, length, bands)
    levels: Floats32 = 10 * np.log10(np.maximum(power, np.float32(POWER_FLOOR)))
    return levels


def mean_spectrum(audio: Audio, length: int = 1024) -> NDArray[np.float64]:
    """Welch's mean one-sided power spectrum: (length // 2 + 1,), bins at `numpy.fft.rfftfreq(length, 1 / rate)`.

    Hann frames of `length` samples overlapping by half, each less its mean (P. D. Welch, IEEE Trans. Audio
    Electroacoustics 15, 1967); every bin but the first and the last stands for two.
    scipy.signal.welch gives the same to 1e-7, which would change the sixth digit of some figures.
    """
    piece = frames(audio, length, length // 2)
    spectrum = fft.rfft((piece - piece.mean(axis=1, keepdims=True)) * hann(length), axis=1)
    power = (spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2).mean(axis=0)
    power[1:-1] *= 2
    scaled: NDArray[np.float64] = power / float(hann(length).sum() ** 2)
    return scaled
