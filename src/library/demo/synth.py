"""Pitched instruments of the demo library: each note is computed, no recording is used.

In: pitch (MIDI number, 69 = 440 Hz), length, loudness and sample rate. Out: one note as float32 samples of
shape (frames,), with a peak of about 1 at level 1. Same arguments, same samples.

Sounds are band-limited wavetables under envelopes: harmonics stop at `CEILING_HZ`, because the study listens
at 16 kHz. Distortion is tanh of a few harmonics that share one period, so it stays tonal.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

Samples = NDArray[np.float32]
Instrument = Callable[[float, float, float, int], Samples]
"""(pitch, seconds, level 0..1, rate_hz) → float32 (frames,); frames include the release after `seconds`."""

CEILING_HZ = 7600.0
TABLE_FRAMES = 4096

VOWELS_HZ = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (300.0, 2200.0, 2960.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (320.0, 870.0, 2240.0),
}
"""First three formants (Peterson and Barney 1952, men)."""


def frequency(pitch: float) -> float:
    """Hertz of a MIDI pitch number."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def harmonic_count(hz: float, rate_hz: int) -> int:
    """How many harmonics of `hz` stay below the ceiling and the Nyquist frequency."""
    return max(1, int(min(CEILING_HZ, 0.45 * rate_hz) / hz))


def tone(amplitudes: NDArray[np.floating], hz: float | NDArray[np.float64], frames: int, rate_hz: int) -> Samples:
    """Sum of harmonics by table lookup: `amplitudes[k]` is the (k+1)-th harmonic's.

    hz: one frequency, or one for each frame (vibrato, glide).
    """
    spectrum = np.zeros(TABLE_FRAMES // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(amplitudes) + 1] = -0.5j * TABLE_FRAMES * amplitudes
    table: Samples = np.fft.irfft(spectrum).astype(np.float32)
    rise = np.roll(table, -1) - table
    if isinstance(hz, np.ndarray):
        phase = np.cumsum(hz) * (TABLE_FRAMES / rate_hz)
    else:
        phase = np.arange(frames, dtype=np.float64) * (hz * TABLE_FRAMES / rate_hz)
    whole = phase.astype(np.int64)
    part = (phase - whole).astype(np.float32)
    whole &= TABLE_FRAMES - 1
    return np.asarray(table[whole] + part * rise[whole])


def seconds_axis(frames: int, rate_hz: int) -> Samples:
    """Time of each frame in seconds."""
    return np.arange(frames, dtype=np.float32) / np.float32(rate_hz)


def decay(frames: int, rate_hz: int, tau_s: float) -> Samples:
    """exp(-t / tau)."""
    return np.asarray(np.exp(seconds_axis(frames, rate_hz) * np.float32(-1.0 / tau_s)))


def gate(frames: int, rate_hz: int, attack_s: float, release_s: float) -> Samples:
    """1 with a smooth rise at the beginning and a smooth fall to 0 at the end."""
    envelope = np.ones(frames, dtype=np.float32)
    rise = min(frames, max(2, int(attack_s * rate_hz)))
    fall = min(frames, max(2, int(release_s * rate_hz)))
    envelope[:rise] *= 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, rise, dtype=np.float32))
    envelope[-fall:] *= 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fall, dtype=np.float32))
    return envelope


def lowpass(samples: Samples, hz: float, rate_hz: int, order: int = 2) -> Samples:
    """Butterworth low-pass."""
    sections = butter(order, min(hz, 0.45 * rate_hz), fs=rate_hz, output="sos")
    return np.asarray(sosfilt(sections, samples), dtype=np.float32)


def vibrato(hz: float, frames: int, rate_hz: int, cents: float, rate_of_hz: float = 5.4) -> NDArray[np.float64]:
    """A frequency for each frame: straight at first, swinging after a quarter of a second."""
    t = np.arange(frames) / rate_hz
    depth = cents * np.clip((t - 0.15) / 0.3, 0.0, 1.0)
    return np.asarray(hz * (1.0 + depth * (np.log(2.0) / 1200.0) * np.sin(2 * np.pi * rate_of_hz * t)))


def _peak(samples: Samples, level: float) -> Samples:
    return np.asarray(samples * np.float32(level / max(1e-9, float(np.abs(samples).max()))))


def _struck(
    pitch: float, seconds: float, level: float, rate_hz: int, *,
    slope: float, even: float, tau_s: float, bright_s: float, release_s: float, brightness: float,
) -> Samples:  # fmt: skip
    """A struck or plucked string: a bright spectrum that fades fast over a dull one that rings."""
    hz = frequency(pitch)
    # Low strings ring longer than high ones, roughly as the square root of the period.
    tau_s *= (220.0 / hz) ** 0.5
    frames = int((min(seconds, 4 * tau_s) + release_s) * rate_hz)
    k = np.arange(1, min(24, harmonic_count(hz, rate_hz)) + 1)
    color = np.where(k % 2 == 0, even, 1.0) / k**slope
    dull = tone(color * np.exp(-(k - 1) / 2.0), hz, frames, rate_hz)
    bright = tone(color * (k > 1), hz, frames, rate_hz)
    string = dull * decay(frames, rate_hz, tau_s)
    string += bright * decay(frames, rate_hz, bright_s) * np.float32(brightness * (0.3 + 0.7 * level))
    return _peak(string * gate(frames, rate_hz, 0.003, release_s), level)


def _bowed(
    pitch: float, seconds: float, level: float, rate_hz: int, *,
    slope: float, attack_s: float, release_s: float, cents: float, harmonics: int,
) -> Samples:  # fmt: skip
    """A bowed string or a wind: a steady spectrum with a soft attack and vibrato; louder is brighter."""
    hz = frequency(pitch)
    frames = int((seconds + release_s) * rate_hz)
    k = np.arange(1, min(harmonics, harmonic_count(hz, rate_hz)) + 1)
    color = 1.0 / k ** (slope + 0.6 * (1.0 - level))
    sound = tone(color, vibrato(hz, frames, rate_hz, cents), frames, rate_hz)
    return _peak(sound * gate(frames, rate_hz, min(attack_s, 0.5 * seconds), release_s), level)


def _distorted(
    pitch: float, seconds: float, level: float, rate_hz: int, *,
    drive: float, cutoff_hz: float, tau_s: float, intervals: tuple[float, ...], cents: float = 0.0,
    cut: float = 0.0,
) -> Samples:  # fmt: skip
    """An overdriven guitar: strings at pure ratios through tanh and a loudspeaker's low-pass.

    intervals: frequency ratios of the strings to the root; 3/2 (pure, not tempered) keeps the whole chord
    periodic in two periods of the root.
    """
    hz = frequency(pitch)
    frames = int((seconds + 0.05) * rate_hz)
    k = np.arange(1, 7)
    strings = np.zeros(frames, dtype=np.float32)
    for ratio in intervals:
        usable = k[: max(1, min(len(k), harmonic_count(hz * ratio, rate_hz)))]
        color = np.sin(np.pi * usable * 0.23) / usable**1.3
        line = vibrato(hz * ratio, frames, rate_hz, cents) if cents else hz * ratio
        strings += tone(color, line, frames, rate_hz)
    strings *= np.float32(1.0 / len(intervals)) * decay(frames, rate_hz, tau_s)
    sound = lowpass(np.tanh(np.float32(drive) * strings), cutoff_hz * (0.7 + 0.3 * level), rate_hz, order=4)
    # A guitar's loudspeaker has little below 150 Hz: the bass keeps that place.
    sound -= np.float32(cut) * lowpass(sound, 220.0, rate_hz, order=1)
    return _peak(sound * gate(frames, rate_hz, 0.004, 0.045), level)


def _voice(
    pitch: float, seconds: float, level: float, rate_hz: int, *, vowel: str, cents: float, drive: float
) -> Samples:
    """A sung or shouted vowel: the glottis's harmonics weighted by three formants."""
    hz = frequency(pitch)
    frames = int((seconds + 0.06) * rate_hz)
    k = np.arange(1, min(40, harmonic_count(hz, rate_hz)) + 1)
    formants = sum(
        weight / (1.0 + ((k * hz - center) / width) ** 2)
        for center, width, weight in zip(VOWELS_HZ[vowel], (90.0, 120.0, 180.0), (1.0, 0.5, 0.15), strict=True)
    )
    sound = tone((0.04 + np.asarray(formants)) / k**0.5, vibrato(hz, frames, rate_hz, cents), frames, rate_hz)
    if drive:
        sound = lowpass(np.tanh(np.float32(drive) * _peak(sound, 1.0)), 5000.0, rate_hz)
    return _peak(sound * gate(frames, rate_hz, 0.025, 0.06), level)


def _electric_piano(pitch: float, seconds: float, level: float, rate_hz: int) -> Samples:
    """Frequency modulation: a soft bar with a bell-like tine that dies away."""
    hz = frequency(pitch)
    frames = int((min(seconds, 3.0) + 0.25) * rate_hz)
    angle = seconds_axis(frames, rate_hz).astype(np.float64) * (2 * np.pi * hz)
    index = (0.4 + 1.2 * level) * decay(frames, rate_hz, 0.35)
    bar = np.sin(angle + index * np.sin(angle)).astype(np.float32) * decay(frames, rate_hz, 1.1)
    return _peak(bar * gate(frames, rate_hz, 0.005, 0.2), level)


def _organ(pitch: float, seconds: float, level: float, rate_hz: int) -> Samples:
    """Drawbars 88 8000 008 of a tonewheel organ."""
    hz = frequency(pitch)
    frames = int((seconds + 0.06) * rate_hz)
    drawbars = np.array([1.0, 0.8, 0.7, 0.4, 0.0, 0.15, 0.0, 0.3])[: harmonic_count(hz, rate_hz)]
    return _peak(tone(drawbars, hz, frames, rate_hz) * gate(frames, rate_hz, 0.012, 0.06), level)


def _sub_bass(pitch: float, seconds: float, level: float, rate_hz: int) -> Samples:
    """The long, gliding bass drum of a drum machine, played as a bass."""
    frames = int((seconds + 0.08) * rate_hz)
    t = seconds_axis(frames, rate_hz).astype(np.float64)
    angle = 2 * np.pi * np.cumsum(frequency(pitch) * (1.0 + 1.6 * np.exp(-t * 45.0))) / rate_hz
    sound = np.tanh(1.8 * np.sin(angle)).astype(np.float32) * decay(frames, rate_hz, 0.9)
    return _peak(sound * gate(frames, rate_hz, 0.004, 0.07), level)


def _timpani(pitch: float, seconds: float, level: float, rate_hz: int) -> Samples:
    """A tuned membrane: preferred modes at 1, 1.5, 2 and 2.44 times the pitch (Rossing 1982)."""
    hz = frequency(pitch)
    frames = int(1.6 * rate_hz)
    t = seconds_axis(frames, rate_hz)
    modes = ((1.0, 1.0, 0.6), (1.5, 0.5, 0.35), (2.0, 0.35, 0.25), (2.44, 0.2, 0.15))
    sound = sum(
        np.float32(gain) * np.sin(np.float32(2 * np.pi * hz * ratio) * t) * decay(frames, rate_hz, tau_s)
        for ratio, gain, tau_s in modes
    )
    return _peak(np.asarray(sound, dtype=np.float32) * gate(frames, rate_hz, 0.004, 0.2), level)


POWER_CHORD = (1.0, 1.5, 2.0)

PITCHED: dict[str, Instrument] = {
    "piano": partial(_struck, slope=1.1, even=0.9, tau_s=1.1, bright_s=0.16, release_s=0.25, brightness=0.6),
    "harpsichord": partial(_struck, slope=0.9, even=1.0, tau_s=0.5, bright_s=0.3, release_s=0.1, brightness=1.0),
    "pizzicato": partial(_struck, slope=1.3, even=0.6, tau_s=0.18, bright_s=0.05, release_s=0.08, brightness=0.7),
    "clean guitar": partial(_struck, slope=1.3, even=0.7, tau_s=0.8, bright_s=0.25, release_s=0.12, brightness=0.8),
    "bass": partial(_struck, slope=1.3, even=0.8, tau_s=0.6, bright_s=0.12, release_s=0.05, brightness=0.7),
    "violin": partial(_bowed, slope=1.5, attack_s=0.07, release_s=0.16, cents=14.0, harmonics=16),
    "cello": partial(_bowed, slope=1.4, attack_s=0.09, release_s=0.2, cents=9.0, harmonics=20),
    "flute": partial(_bowed, slope=2.1, attack_s=0.05, release_s=0.12, cents=10.0, harmonics=6),
    "pad": partial(_bowed, slope=1.7, attack_s=0.3, release_s=0.4, cents=4.0, harmonics=10),
    "crunch guitar": partial(_distorted, drive=3.5, cutoff_hz=3000.0, tau_s=1.6, intervals=POWER_CHORD, cut=0.6),
    "heavy guitar": partial(_distorted, drive=9.0, cutoff_hz=3800.0, tau_s=2.5, intervals=POWER_CHORD, cut=0.85),
    "muted guitar": partial(_distorted, drive=8.0, cutoff_hz=2600.0, tau_s=0.07, intervals=(1.0, 1.5), cut=0.7),
    "punk guitar": partial(_distorted, drive=6.0, cutoff_hz=4400.0, tau_s=1.2, intervals=(1.0, 1.5, 2.0, 3.0), cut=0.8),
    "lead guitar": partial(_distorted, drive=5.0, cutoff_hz=4200.0, tau_s=2.0, intervals=(1.0,), cents=16.0),
    "fuzz bass": partial(_distorted, drive=3.0, cutoff_hz=1500.0, tau_s=0.8, intervals=(1.0,)),
    "electric piano": _electric_piano,
    "organ": _organ,
    "sub bass": _sub_bass,
    "timpani": _timpani,
    **{f"voice {v}": partial(_voice, vowel=v, cents=18.0, drive=0.0) for v in VOWELS_HZ},
    **{f"rap {v}": partial(_voice, vowel=v, cents=0.0, drive=1.5) for v in VOWELS_HZ},
    **{f"shout {v}": partial(_voice, vowel=v, cents=30.0, drive=5.0) for v in VOWELS_HZ},
}  # fmt: skip
