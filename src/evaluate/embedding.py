"""Sounds as points: what an embedding is, and a hand-made one from statistics of log-mel bands.

In: audio (time,) and its rate. Out: points (windows, dims). Nothing in the hand-made one is learned; the trained ones
are in musicnn.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from src.evaluate import spectra
from src.evaluate.spectra import Audio

WINDOW_S = 1.0
COEFFICIENTS = 8

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Embedding:
    """A way to turn audio into points."""

    name: str
    """`logmel` gives the measures frechet_logmel, kernel_logmel and so on."""
    embed: Callable[[Audio, int], Points]
    """(audio, rate in Hz) → points (windows, dims); none for a clip shorter than a window."""


def log_mel_statistics(audio: Audio, rate_hz: int) -> Points:
    """(windows, 16): means and standard deviations over 1 s of the first 8 cepstral coefficients of 40 log-mel bands.

    In dB; coefficient 0 is the mean of the bands. Windows do not overlap.
    """
    hop, frame = max(1, rate_hz // 100), spectra.samples(spectra.FRAME_S, rate_hz)
    length = round(WINDOW_S * rate_hz / hop) - frame // hop
    if len(audio) < round(WINDOW_S * rate_hz) or length < 2:
        return np.zeros((0, 2 * COEFFICIENTS))
    bands = spectra.log_mel_db(audio, rate_hz, frame, hop, 40)
    cepstrum = fft.dct(bands.astype(np.float64), axis=1, norm="ortho")[:, :COEFFICIENTS] / np.sqrt(40)
    windows = np.lib.stride_tricks.sliding_window_view(cepstrum, length, axis=0)[:: round(WINDOW_S * rate_hz / hop)]
    return np.concatenate([windows.mean(axis=2), windows.std(axis=2)], axis=1)


LOG_MEL = Embedding("logmel", log_mel_statistics)
