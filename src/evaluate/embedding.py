"""Windows of audio as points: a hand-made embedding from statistics of log-mel bands.

In: audio (time,) and its rate. Out: (windows, 16): of each 1 s window, the means and the standard deviations over time
of the first 8 cepstral coefficients of 40 log-mel bands, in dB (coefficient 0 is the mean of the bands). Nothing in
it is learned; a trained one is in musicnn.py.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from src.evaluate import spectra
from src.evaluate.spectra import Audio

WINDOW_S = 1.0
HOP_S = 0.25
"""Generations are short: overlapping windows use them better. `WINDOWS_TOGETHER` of them are one independent piece."""
WINDOWS_TOGETHER = 4
COEFFICIENTS = 8

Points = NDArray[np.float64]


def log_mel_statistics(audio: Audio, rate_hz: int, hop_s: float = HOP_S) -> Points:
    """(windows, 16); a clip shorter than a window gives none."""
    hop = max(1, rate_hz // 100)
    bands = spectra.log_mel_db(audio, rate_hz, 1024, hop, 40)
    cepstrum = fft.dct(bands.astype(np.float64), axis=1, norm="ortho")[:, :COEFFICIENTS] / np.sqrt(40)
    length, step = round(WINDOW_S * rate_hz / hop) - 1024 // hop, max(1, round(hop_s * rate_hz / hop))
    if len(audio) < round(WINDOW_S * rate_hz) or length < 2:
        return np.zeros((0, 2 * COEFFICIENTS))
    windows = np.lib.stride_tricks.sliding_window_view(cepstrum, length, axis=0)[::step]
    return np.concatenate([windows.mean(axis=2), windows.std(axis=2)], axis=1)
