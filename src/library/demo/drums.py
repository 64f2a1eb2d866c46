"""Drums and cymbals of the demo library, computed as the pitched instruments are.

In: tuning (MIDI pitch), level and sample rate; the length is the drum's own. Out: float32 (frames,).
A drum's noise has a fixed seed, so a kit sounds the same at every hit, as a drum machine does.
"""

import numpy as np
from scipy.signal import butter, sosfilt

from src.library.demo.synth import CEILING_HZ, Instrument, Samples, decay, frequency, gate, seconds_axis

CYMBAL_GAIN = 0.5
"""Peak of a cymbal at level 1: beside the drums, metal is quiet, and its partials are the hardest to predict."""


def _noise(frames: int, rate_hz: int, low_hz: float, high_hz: float, seed: int) -> Samples:
    white = np.random.default_rng(seed).standard_normal(frames)
    edges = [low_hz, min(high_hz, 0.45 * rate_hz)]
    return np.asarray(sosfilt(butter(2, edges, "bandpass", fs=rate_hz, output="sos"), white), dtype=np.float32)


def _swept(start_hz: float, end_hz: float, fall_s: float, frames: int, rate_hz: int) -> Samples:
    """A sine whose pitch falls from start to end, as a membrane's does when it is struck."""
    t = np.arange(frames) / rate_hz
    hz = end_hz + (start_hz - end_hz) * np.exp(-t / fall_s)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(hz) / rate_hz), dtype=np.float32)


def _metal(frames: int, rate_hz: int, low_hz: float, partials: int, seed: int) -> Samples:
    """Inharmonic partials of a cymbal between low_hz and the ceiling."""
    rng = np.random.default_rng(seed)
    high_hz = min(CEILING_HZ, 0.45 * rate_hz)
    t = seconds_axis(frames, rate_hz)
    hz = rng.uniform(low_hz, high_hz, partials).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, partials).astype(np.float32)
    sound = np.zeros(frames, dtype=np.float32)
    for one_hz, one_phase in zip(hz, phase, strict=True):
        sound += np.sin(np.float32(2 * np.pi) * one_hz * t + one_phase)
    return sound


def _finish(sound: Samples, level: float, rate_hz: int) -> Samples:
    sound = sound * gate(len(sound), rate_hz, 0.0005, 0.02)
    return np.asarray(sound * np.float32(level / np.abs(sound).max()), dtype=np.float32)


def kick(pitch: float, _seconds: float, level: float, rate_hz: int) -> Samples:
    """Bass drum: a fast sweep down to `pitch`."""
    frames = int(0.28 * rate_hz)
    hz = frequency(pitch)
    body = _swept(3.5 * hz, hz, 0.025, frames, rate_hz) * decay(frames, rate_hz, 0.075)
    click = _swept(1800.0, 400.0, 0.004, frames, rate_hz) * decay(frames, rate_hz, 0.004)
    return _finish(body + np.float32(0.35) * click, level, rate_hz)


def snare(pitch: float, _seconds: float, level: float, rate_hz: int) -> Samples:
    """Two membrane modes and the rattle of the wires."""
    frames = int(0.26 * rate_hz)
    hz = frequency(pitch)
    body = _swept(1.5 * hz, hz, 0.012, frames, rate_hz) * decay(frames, rate_hz, 0.06)
    body += np.float32(0.5) * _swept(2.2 * hz, 1.8 * hz, 0.012, frames, rate_hz) * decay(frames, rate_hz, 0.04)
    wires = _noise(frames, rate_hz, 900.0, 5500.0, 11) * decay(frames, rate_hz, 0.055)
    return _finish(body + wires * np.float32(0.5), level, rate_hz)


def clap(pitch: float, _seconds: float, level: float, rate_hz: int) -> Samples:
    """Three quick bursts and a tail."""
    frames = int(0.24 * rate_hz)
    t = seconds_axis(frames, rate_hz)
    bursts = sum(
        np.exp(-np.maximum(t - at, 0) / tau) * (t >= at) for at, tau in ((0, 0.004), (0.011, 0.004), (0.023, 0.05))
    )
    noise = _noise(frames, rate_hz, 0.7 * frequency(pitch + 24), 2.5 * frequency(pitch + 24), 12)
    return _finish(np.asarray(noise * bursts, dtype=np.float32), level, rate_hz)


def tom(pitch: float, _seconds: float, level: float, rate_hz: int) -> Samples:
    """Tom-tom tuned to `pitch`."""
    frames = int(0.4 * rate_hz)
    hz = frequency(pitch)
    return _finish(_swept(1.6 * hz, hz, 0.05, frames, rate_hz) * decay(frames, rate_hz, 0.12), level, rate_hz)


def closed_hat(_pitch: float, _seconds: float, level: float, rate_hz: int) -> Samples:
    """Hi-hat, closed."""
    frames = int(0.09 * rate_hz)
    return _finish(_metal(frames, rate_hz, 3800.0, 8, 13) * decay(frames, rate_hz, 0.018), CYMBAL_GAIN * level, rate_hz)


def open_hat(_pitch: float, _seconds: float, level: float, rate_hz: int) -> Samples:
    """Hi-hat, open."""
    frames = int(0.4 * rate_hz)
    return _finish(_metal(frames, rate_hz, 3600.0, 10, 13) * decay(frames, rate_hz, 0.09), CYMBAL_GAIN * level, rate_hz)


def crash(_pitch: float, _seconds: float, level: float, rate_hz: int) -> Samples:
    """Crash cymbal."""
    frames = int(1.3 * rate_hz)
    return _finish(_metal(frames, rate_hz, 1300.0, 22, 14) * decay(frames, rate_hz, 0.22), CYMBAL_GAIN * level, rate_hz)


def ride(_pitch: float, _seconds: float, level: float, rate_hz: int) -> Samples:
    """Ride cymbal: a ping over a short wash."""
    frames = int(0.4 * rate_hz)
    ping = _metal(frames, rate_hz, 3600.0, 7, 15) * decay(frames, rate_hz, 0.03)
    wash = _metal(frames, rate_hz, 2400.0, 22, 16) * decay(frames, rate_hz, 0.09)
    return _finish(ping + np.float32(0.35) * wash, CYMBAL_GAIN * level, rate_hz)


DRUMS: dict[str, Instrument] = {
    "kick": kick,
    "snare": snare,
    "clap": clap,
    "tom": tom,
    "closed hat": closed_hat,
    "open hat": open_hat,
    "crash": crash,
    "ride": ride,
}
