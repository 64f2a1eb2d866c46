"""Does a generation contain a stretch of a training song?

In: audio and its rate. Out: fingerprints (frames,) uint32, and the longest stretch in which two fingerprints nearly
agree. The fingerprint is that of Haitsma and Kalker (ISMIR 2002): of each frame 32 bits, the signs of the change over
time of the difference between neighbouring bands, which do not depend on level.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from src.evaluate import spectra
from src.evaluate.spectra import Audio

FRAME_S, HOP_S = 0.256, 0.032
BANDS = 33
LOW_HZ, HIGH_HZ = 200.0, 3400.0
SILENT_POWER = 1e-6
"""A frame below -60 dBFS has no fingerprint: it counts as differing in 16 of 32 bits, as unrelated audio does."""
RUN_FRAMES = 32
"""About 1 s: the bits of so many frames are compared together; nothing shorter counts as a match."""
ERROR_SHARE = 0.30
"""Share of differing bits below which they nearly agree; unrelated audio has 0.5, give or take 0.04."""

EDGE_FRAMES, EDGE_ERROR_SHARE = 8, 0.35
"""The ends of a match are cut until so many frames there differ in no more than this share of their bits."""


@dataclass(frozen=True)
class Fingerprint:
    """32 bits a frame, and which frames are loud enough to have a fingerprint."""

    bits: NDArray[np.uint32]
    loud: NDArray[np.bool_]


@dataclass(frozen=True)
class Match:
    """The longest near-match: its length and where it begins in both, in seconds; 0 s if there is none of 1 s."""

    duration_s: float
    start_s: float
    song_start_s: float


def fingerprint(audio: Audio, rate_hz: int) -> Fingerprint:
    """(frames,) of 0.256 s every 0.032 s."""
    length, hop = round(FRAME_S * rate_hz), round(HOP_S * rate_hz)
    power = spectra.power_spectrogram(audio, length, hop)
    edges = np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1)
    cuts = np.searchsorted(np.fft.rfftfreq(length, 1 / rate_hz), edges)
    bands = np.log(np.add.reduceat(power, cuts, axis=1)[:, :BANDS] + 1e-12)
    change = np.diff(np.diff(bands, axis=1), axis=0)
    bits = (change > 0) @ (np.uint32(1) << np.arange(BANDS - 1, dtype=np.uint32))
    loud = power[1:].sum(axis=1) > SILENT_POWER
    return Fingerprint(bits.astype(np.uint32), loud)


def longest_match(heard: Fingerprint, song: Fingerprint) -> Match:
    """The longest stretch of `heard` that nearly agrees with a stretch of `song` of the same speed."""
    most = int(32 * RUN_FRAMES * ERROR_SHARE)
    run, start, other = _search(heard.bits, heard.loud, song.bits, song.loud, RUN_FRAMES, most)
    if not run:
        return Match(0.0, 0.0, 0.0)
    # Windows of a second that nearly agree reach up to half a second past the copy: cut the ends that do not agree.
    differ = np.unpackbits((heard.bits[start : start + run] ^ song.bits[other : other + run]).view(np.uint8)) != 0
    share = differ.reshape(run, 32).mean(axis=1)
    near = np.flatnonzero(np.convolve(share, np.full(EDGE_FRAMES, 1 / EDGE_FRAMES), mode="valid") <= EDGE_ERROR_SHARE)
    if len(near) == 0:
        return Match(0.0, 0.0, 0.0)
    first, last = int(near[0]), int(near[-1]) + EDGE_FRAMES
    return Match((last - first) * HOP_S, (start + first) * HOP_S, (other + first) * HOP_S)


@numba.njit(nogil=True, cache=True)
def _differing(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    """How many of 32 bits are set."""
    x = x - ((x >> np.uint32(1)) & np.uint32(0x55555555))
    x = (x & np.uint32(0x33333333)) + ((x >> np.uint32(2)) & np.uint32(0x33333333))
    x = (x + (x >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return np.int32(np.uint32(x * np.uint32(0x01010101)) >> np.uint32(24))


@numba.njit(nogil=True, cache=True)
def _search(a, a_loud, b, b_loud, length, most):  # type: ignore[no-untyped-def]  # pragma: no cover
    """(frames, start in a, start in b) of the longest run of windows with at most `most` differing bits."""
    best, best_a, best_b = 0, 0, 0
    differ = np.zeros(len(a) + 1, np.int32)
    for shift in range(-(len(b) - length), len(a) - length + 1):
        # On this diagonal a[i] stands beside b[i - shift].
        first = max(0, shift)
        count = min(len(a), len(b) + shift) - first
        for k in range(count):
            i = first + k
            differ[k] = _differing(a[i] ^ b[i - shift]) if a_loud[i] and b_loud[i - shift] else 16
        total = np.int32(0)
        for k in range(length - 1):
            total += differ[k]
        run = 0
        for k in range(length - 1, count):
            total += differ[k]
            run = run + 1 if total <= most else 0
            if run and run + length - 1 > best:
                best = run + length - 1
                best_a = first + k - best + 1
                best_b = best_a - shift
            total -= differ[k - length + 1]
    return best, best_a, best_b
