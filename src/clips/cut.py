"""The clip of a song: its first two minutes of sound, mono, at the study's rate.

In: a decoder (`decode.Sound`) and the clips section of the parameters. Out: int16 samples. Pure but for the decoder
it reads from, and it reads no further than the clip needs.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from src.audio import loudness
from src.audio.downmix import Downmix
from src.audio.sound import Samples, Sound, Undecodable
from src.config import ClipsParams

WINDOW_S = 0.02
"""Silence is judged on the RMS of windows of this length."""


@dataclass(frozen=True)
class Cut:
    """One clip and its levels."""

    samples: NDArray[np.int16]
    """(frames,)"""
    peak_dbfs: float
    loudness_lufs: float


def cut(sound: Sound, params: ClipsParams, mix: Downmix) -> Cut:
    """Take the clip of a song; `mix` makes its channels one.

    Leading and trailing parts whose short-term RMS is below `trim_dbfs` are left out; the clip is shorter than
    `duration_s` if the rest is. Raises `Undecodable` if nothing is above the threshold.
    """
    mono = audible(sound, params.duration_s, params.trim_dbfs, mix)
    if sound.rate_hz != params.rate_hz:
        mono = soxr.resample(mono, sound.rate_hz, params.rate_hz, "HQ")
    mono = mono[: round(params.duration_s * params.rate_hz)]
    if params.loudness_lufs is not None:
        level = loudness.integrated_lufs(mono, params.rate_hz)
        mono = mono * np.float32(loudness.gain_to(params.loudness_lufs, level, loudness.peak_dbfs(mono)))
    samples = quantise(mono)
    final: Samples = samples.astype(np.float32) * np.float32(1 / 32768)
    return Cut(samples, loudness.peak_dbfs(final), loudness.integrated_lufs(final, params.rate_hz))


def quantise(samples: Samples) -> NDArray[np.int16]:
    """Float samples in -1..1 to 16 bit, by rounding and without dither: the same input gives the same bytes."""
    return np.asarray(np.clip(np.rint(samples * np.float32(32768)), -32768, 32767), dtype=np.int16)


def audible(sound: Sound, duration_s: float, trim_dbfs: float, mix: Downmix) -> Samples:
    """The first `duration_s` (and a little more, for the resampler) of a song from its first audible window, (frames,).

    Decodes no further. Raises `Undecodable` for a song without an audible window.
    """
    window = max(1, round(WINDOW_S * sound.rate_hz))
    threshold = 10 ** (trim_dbfs / 10)
    wanted = round((duration_s + 0.1) * sound.rate_hz)
    parts: list[Samples] = []
    held: Samples = np.zeros(0, dtype=np.float32)
    have = 0
    for block in sound.blocks:
        mono = mix(block)
        if not parts:
            # Still silent: keep whole windows, so that the cut falls on the song's own window grid.
            held = np.concatenate([held, mono])
            loud = _loud_windows(held, window, threshold)
            if not len(loud):
                held = held[len(held) // window * window :]
                continue
            mono = held[loud[0] * window :]
        parts.append(mono)
        have += len(mono)
        if have >= wanted:
            break
    if not parts:
        raise Undecodable("silent")
    song = np.concatenate(parts)[:wanted]
    last = _loud_windows(song, window, threshold)
    end = len(song) // window * window
    # A tail shorter than a window is kept if the window before it is audible.
    return song if last[-1] == end // window - 1 else song[: (last[-1] + 1) * window]


def _loud_windows(samples: Samples, window: int, threshold: float) -> NDArray[np.intp]:
    whole = samples[: len(samples) // window * window].reshape(-1, window)
    return np.flatnonzero(np.einsum("ij,ij->i", whole, whole) > threshold * window)
