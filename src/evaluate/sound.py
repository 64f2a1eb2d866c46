"""What a clip sounds like, in figures.

In: audio (time,) in [-1, 1], its rate in Hz, the number of mu-law codes. Out: name → figure (NaN where it does not
exist, such as the centroid of silence). `src/evaluate/catalogue.py` says what each name means and its unit.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from src.evaluate import spectra
from src.evaluate.likelihood import Codes, count_pairs
from src.evaluate.spectra import Audio

SILENCE_DBFS = -60.0
"""A 20 ms frame quieter than this is silent."""
CLIPPED = 0.99
"""A sample this far out is clipped; the outermost mu-law codes decode to 1."""
FLOOR_DBFS = -100.0
ONSET_FRAME_S, PITCH_FRAME_S = 0.032, 0.256
ONSET_RISE_DB = 2.0
"""An onset rises this much above the ordinary change from frame to frame, on average over the mel bands."""
STEADY = 0.3
"""Tempo strength below which there is no tempo to tell; 8 s of white noise reach 0.2."""

Values = dict[str, float]


def measure(audio: Audio, rate_hz: int, codes: Codes) -> Values:
    """Every sound measure of a clip. codes: (time,) the mu-law codes of the same samples."""
    return {
        **level_measures(audio, rate_hz),
        **spectrum_measures(audio, rate_hz),
        **code_measures(codes),
        **rhythm_measures(audio, rate_hz),
        "tonal_clarity": tonal_clarity(audio, rate_hz),
        **drift_measures(audio, rate_hz),
    }


def decibels(power: float) -> float:
    """Power as dB of full scale (a full-scale sine: -3.01), floored at -100."""
    return max(FLOOR_DBFS, 10 * float(np.log10(max(power, 1e-30))))


def level_measures(audio: Audio, rate_hz: int) -> Values:
    """Level, its range, silence, clipping and stuck samples."""
    x = np.asarray(audio, dtype=np.float64)
    if len(x) == 0:
        names = ("rms", "dynamic_range", "silence_share", "clipping_share", "longest_constant_run", "zero_crossings")
        return dict.fromkeys(names, float("nan"))
    frame = max(1, rate_hz // 50)
    power = (spectra.frames(x, frame, frame).astype(np.float64) ** 2).mean(axis=1)
    levels = np.maximum(10 * np.log10(np.maximum(power, 1e-30)), FLOOR_DBFS)
    changes = np.flatnonzero(np.diff(x) != 0)
    edges = np.concatenate([[-1], changes, [len(x) - 1]])
    signs = np.sign(x)
    signs = signs[signs != 0]
    return {
        "rms": decibels(float(np.mean(x**2))),
        "dynamic_range": float(np.percentile(levels, 95) - np.percentile(levels, 10)),
        "silence_share": float(np.mean(levels < SILENCE_DBFS)),
        "clipping_share": float(np.mean(np.abs(x) >= CLIPPED)),
        "longest_constant_run": float(np.diff(edges).max() / rate_hz),
        "zero_crossings": float(np.count_nonzero(np.diff(signs)) * rate_hz / len(x)),
    }


def spectrum_measures(audio: Audio, rate_hz: int) -> Values:
    """Flatness, centroid and roll-off of the mean power spectrum (Welch, 64 ms, half overlap).

    Flatness is the geometric over the arithmetic mean of that spectrum. On the 2019 generations this gives 0.997 for
    step 20 and 0.04 to 0.32 for step 15000, as published; a mean of each frame's own flatness would give 0.56 for
    white noise whatever its length. White noise stays a little below 1 because each frame's mean is taken away.
    """
    length = spectra.samples(spectra.FRAME_S, rate_hz)
    power = spectra.mean_spectrum(audio, length)
    total = float(power.sum())
    if total <= 1e-14:
        return dict.fromkeys(("spectral_flatness", "spectral_centroid", "spectral_rolloff"), float("nan"))
    frequency = np.fft.rfftfreq(length, 1 / rate_hz)
    flatness = np.exp(np.mean(np.log(np.maximum(power, total * 1e-20)))) / (total / len(power))
    return {
        "spectral_flatness": float(flatness),
        "spectral_centroid": float((power * frequency).sum() / total),
        "spectral_rolloff": float(frequency[np.searchsorted(np.cumsum(power), 0.85 * total)]),
    }


def code_measures(codes: Codes, channels: int = 256) -> Values:
    """Entropy of the codes, and of a code given the one before it, in bits."""
    if len(codes) < 2:
        return {"code_entropy": float("nan"), "conditional_entropy": float("nan")}
    pairs = count_pairs(codes, channels)
    before = entropy_bits(pairs.sum(axis=1))
    return {
        "code_entropy": entropy_bits(np.bincount(codes, minlength=channels)),
        "conditional_entropy": max(0.0, entropy_bits(pairs.ravel()) - before),
    }


def entropy_bits(counts: NDArray[np.int64]) -> float:
    """Entropy of the distribution these counts were drawn from, by Grassberger's estimator (physics/0307138).

    A plain count of 8 s of white noise would miss a third of a bit of 16: most pairs of codes come once or never.
    """
    n = counts[counts > 0].astype(np.float64)
    total = n.sum()
    sign = np.where(n % 2 == 0, 1.0, -1.0)
    corrected = special.digamma(n) + 0.5 * sign * (special.digamma((n + 1) / 2) - special.digamma(n / 2))
    return max(0.0, float((np.log(total) - (n * corrected).sum() / total) / np.log(2)))


def onset_envelope(audio: Audio, rate_hz: int) -> NDArray[np.float64]:
    """How much louder the mel bands get from one 10 ms frame to the one 20 ms later, dB on average: (frames,)."""
    bands = spectra.log_mel_db(audio, rate_hz, spectra.samples(ONSET_FRAME_S, rate_hz), max(1, rate_hz // 100), 24)
    rise = np.maximum(0, bands[2:] - bands[:-2]).mean(axis=1)
    return np.asarray(rise, dtype=np.float64)


def rhythm_measures(audio: Audio, rate_hz: int) -> Values:
    """Onsets a second; how strongly the onsets repeat at a tempo between 40 and 240 beats a minute, and that tempo.

    An onset is the highest frame of the 50 ms on either side and rises `ONSET_RISE_DB` above the clip's median.
    Tempo strength is the highest normalised autocorrelation of the onset envelope in that range.
    """
    none = {"onset_rate": float("nan"), "tempo_strength": float("nan"), "tempo": float("nan")}
    rise = onset_envelope(audio, rate_hz)
    if len(rise) < 20:
        return none
    near = np.lib.stride_tricks.sliding_window_view(np.pad(rise, 5), 11).max(axis=1)
    peaks = np.flatnonzero((rise >= near) & (rise > np.median(rise) + ONSET_RISE_DB))
    starts = peaks[np.diff(peaks, prepend=-100) > 5]
    values = {**none, "onset_rate": len(starts) * rate_hz / len(audio)}
    if len(rise) < 320:
        return values
    # Beats fall between frames: without smoothing only every few beats would meet again.
    smooth = np.convolve(rise, spectra.hann(8) / 4, mode="same")
    x = smooth - smooth.mean()
    energy = float(x @ x)
    if energy <= 0.01 * len(x):  # changes of 0.1 dB are no rhythm
        return {**values, "tempo_strength": 0.0}
    lags = np.arange(25, 151)
    strength = np.array([float(x[lag:] @ x[:-lag]) / energy * len(x) / (len(x) - lag) for lag in lags])
    best = float(strength.max())
    # Twice the beat correlates as well as the beat: take the shortest lag that is nearly as strong.
    first = int(np.flatnonzero(strength >= 0.9 * best)[0]) if best > 0 else int(strength.argmax())
    while first + 1 < len(strength) and strength[first + 1] > strength[first]:
        first += 1
    values["tempo_strength"] = min(1.0, max(0.0, best))
    return {**values, "tempo": 6000.0 / float(lags[first])} if best >= STEADY else values


def tonal_clarity(audio: Audio, rate_hz: int) -> float:
    """How much of the twelve pitch classes' power few of them hold: 0 all alike (noise), 1 a single one (a sine).

    1 - entropy / log 12 of the pitch classes' power in 0.26 s frames, 80 Hz to 2 kHz, weighted by the frames' power.
    """
    length = spectra.samples(PITCH_FRAME_S, rate_hz)
    power = spectra.power_spectrogram(audio, length, length // 2).astype(np.float64)
    frequency = np.fft.rfftfreq(length, 1 / rate_hz)
    chosen = (frequency >= 80) & (frequency <= 2000)
    pitch = np.round(12 * np.log2(frequency[chosen] / 440)).astype(int) % 12
    widths = np.bincount(pitch, minlength=12)
    chroma = power[:, chosen] @ (np.arange(12) == pitch[:, None]) / widths
    total = chroma.sum(axis=1)
    if total.sum() <= 1e-13:
        return float("nan")
    share = chroma[total > 0] / total[total > 0, None]
    clarity = 1 + (share * np.log(np.maximum(share, 1e-30))).sum(axis=1) / np.log(12)
    return float(np.average(clarity, weights=total[total > 0]))


def drift_measures(audio: Audio, rate_hz: int) -> Values:
    """The last quarter of the clip against the first: change of level, and mean difference of the mel bands."""
    quarter, length = len(audio) // 4, spectra.samples(spectra.FRAME_S, rate_hz)
    if quarter < length:
        return {"drift_level": float("nan"), "drift_spectrum": float("nan")}
    first, last = audio[:quarter], audio[-quarter:]
    bank = spectra.mel_bank(rate_hz, length, 32)
    bands = [
        10
        * np.log10(
            np.maximum(spectra.power_spectrogram(part, length, length // 2).mean(axis=0) @ bank, spectra.POWER_FLOOR)
        )
        for part in (first, last)
    ]
    levels = [decibels(float(np.mean(np.asarray(part, dtype=np.float64) ** 2))) for part in (first, last)]
    return {"drift_level": levels[1] - levels[0], "drift_spectrum": float(np.abs(bands[1] - bands[0]).mean())}
