"""Windows of audio as points: what an embedding is, and a hand-made one from statistics of log-mel bands.

In: audio (time,) and its rate. Out: points (windows, dims). Nothing in the hand-made one is learned; the trained one
is in musicnn.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

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
    """(windows, 16): means and standard deviations over 1 s of the first 8 cepstral coefficients of 40 log-mel bands.

    In dB; coefficient 0 is the mean of the bands. A clip shorter than a window gives none.
    """
    hop = max(1, rate_hz // 100)
    bands = spectra.log_mel_db(audio, rate_hz, 1024, hop, 40)
    cepstrum = fft.dct(bands.astype(np.float64), axis=1, norm="ortho")[:, :COEFFICIENTS] / np.sqrt(40)
    length, step = round(WINDOW_S * rate_hz / hop) - 1024 // hop, max(1, round(hop_s * rate_hz / hop))
    if len(audio) < round(WINDOW_S * rate_hz) or length < 2:
        return np.zeros((0, 2 * COEFFICIENTS))
    windows = np.lib.stride_tricks.sliding_window_view(cepstrum, length, axis=0)[::step]
    return np.concatenate([windows.mean(axis=2), windows.std(axis=2)], axis=1)


Embed = Callable[[Audio, int, float], Points]
"""(audio, rate in Hz, hop in s) → points (windows, dims)."""


@dataclass(frozen=True)
class Embedding:
    """A way to turn audio into points."""

    name: str
    """`logmel` gives the measures frechet_logmel and distance_logmel."""
    embed: Embed
    hop_s: float
    """Hop in generations and pieces, which are short: windows overlap."""
    song_hop_s: float
    """Hop in whole songs: windows do not overlap."""
    together: int
    """So many overlapping windows are resampled together."""
    pieces: int | None = None
    """Pieces of a held-out song that are embedded, None for all; where it is a number, none of training songs are."""
    axes: int | None = None
    """Keep the first principal axes of the training songs: a covariance of 200 dimensions needs more windows."""


LOG_MEL = Embedding("logmel", log_mel_statistics, HOP_S, WINDOW_S, WINDOWS_TOGETHER)


def trained(embed: Embed) -> Embedding:
    """musicnn: 3 s patches, ten seconds apart in songs; costly, so one piece of each held-out song."""
    return Embedding("musicnn", embed, hop_s=0.32, song_hop_s=10.0, together=9, pieces=1, axes=16)
