"""What a clip looks like and how it is embedded: its waveform as an outline, its spectrogram, its level, an MP3.

In: a sound file that `src.generate` (or an import) wrote, or samples. Out: arrays, a PNG, a small sound file.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from src.base.errors import Problem

COLUMNS = 400
"""Columns of a waveform's outline and of a spectrogram."""
BANDS = 112
"""Rows of a spectrogram."""
LOWEST_HZ = 50.0
RANGE_DB = 70.0
"""Levels further than this below the brightest are all black."""
SILENT_DBFS = -80.0

MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

_PALETTE = np.array(
    # From night through violet and ember to paper; lightness rises evenly, so it also reads in grey.
    [
        (16, 15, 20),
        (36, 30, 58),
        (78, 42, 92),
        (138, 52, 96),
        (196, 74, 78),
        (232, 124, 72),
        (246, 184, 104),
        (253, 240, 206),
    ],
    np.float64,
)


@dataclass(frozen=True)
class Sound:
    """A clip as the page shows it."""

    samples: NDArray[np.float32]
    """(n,) in -1..1."""
    rate_hz: int
    rms_dbfs: float
    """Level over the whole clip; a full-scale sine has -3.01. Never below -120."""
    peak_dbfs: float
    low: NDArray[np.float64]
    """(columns,) least sample of each column, -1..1."""
    high: NDArray[np.float64]
    """(columns,) greatest sample of each column."""
    levels_db: NDArray[np.float64]
    """(bands, columns) spectrogram, lowest band first."""

    seam_s: float = 0.0
    """Seconds at its beginning that are a song's, not generated."""

    @property
    def duration_s(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate_hz

    @property
    def silent(self) -> bool:
        """Whether there is nothing to hear."""
        return self.peak_dbfs <= SILENT_DBFS


def read(path: Path, primer_frames: int = 0, frames: int | None = None, *, with_primer: bool = False) -> Sound:
    """Read a sound file and draw it, its primer only if that may be heard. frames: how many it should have, if known.

    Raises `Problem` for a file that is missing, not audio, shorter than it says, or empty behind its primer.
    """
    again = "Make it again with: python -m src.generate"
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz, expected = file.samplerate, frames or file.frames
            samples = file.read(dtype="float64", always_2d=True).mean(axis=1)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = "does not exist" if not path.exists() else f"cannot be read as audio ({error})"
        raise Problem(f"{path} {reason}. {again}") from None
    if len(samples) < expected:
        raise Problem(f"{path} is cut short: {len(samples)} of {expected} samples. {again}")
    if len(samples) <= primer_frames:
        raise Problem(f"{path} is empty. {again}")
    if not with_primer:
        samples, primer_frames = samples[primer_frames:], 0
    if not np.isfinite(samples).all():
        raise Problem(f"{path} holds values that are not numbers. {again}")
    return draw(samples, rate_hz, primer_frames / rate_hz)


def draw(samples: NDArray[np.float64], rate_hz: int, seam_s: float = 0.0) -> Sound:
    """samples: (n,) in -1..1, n >= 1."""
    edges = np.linspace(0, len(samples), COLUMNS + 1).astype(int)
    starts = np.minimum(edges[:-1], len(samples) - 1)
    peak = float(np.abs(samples).max())
    return Sound(
        samples=samples.astype(np.float32),
        rate_hz=rate_hz,
        rms_dbfs=_decibels(float(np.sqrt(np.mean(samples**2)))),
        peak_dbfs=_decibels(peak),
        low=np.minimum.reduceat(samples, starts),
        high=np.maximum.reduceat(samples, starts),
        levels_db=spectrogram(samples, rate_hz),
        seam_s=seam_s,
    )


def white_noise(frames: int, rate_hz: int, seed: int = 0) -> Sound:
    """Noise of evenly drawn mu-law codes, as an untrained network would emit: the floor of every measure."""
    even = np.random.default_rng(seed).uniform(-1, 1, frames)
    return draw(np.sign(even) * (256 ** np.abs(even) - 1) / 255, rate_hz)


def embed(sound: Sound, folder: Path, name: str) -> str:
    """Write the clip as an MP3 (a WAV at a rate that MP3 does not have); returns the file's name."""
    if sound.rate_hz not in MP3_RATES_HZ:
        soundfile.write(folder / f"{name}.wav", sound.samples, sound.rate_hz, subtype="PCM_16")
        return f"{name}.wav"
    settings = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.5}
    soundfile.write(folder / f"{name}.mp3", sound.samples, sound.rate_hz, **settings)
    return f"{name}.mp3"


def bytes_per_s(rate_hz: int) -> int:
    """Of an embedded clip, rounded up."""
    if rate_hz not in MP3_RATES_HZ:
        return 2 * rate_hz
    return 4_300 if rate_hz < 16_000 else 10_500 if rate_hz <= 24_000 else 20_500


def spectrogram(samples: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    """Power spectrogram on a logarithmic frequency axis: (bands, columns) in dB, a full-scale sine at 0.

    Hann windows of 64 ms; each column is the mean power of the windows that begin in it (at least one), each
    row the mean power of the bins in its band, so that white noise is one even colour.
    """
    size = max(256, 2 ** round(np.log2(0.064 * rate_hz)))
    padded = np.pad(samples, (size // 2, size))
    hop = max(1, min(size // 4, len(samples) // COLUMNS))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(samples) : hop]
    window = np.hanning(size)
    power = np.empty((len(frames), size // 2 + 1))
    for begin in range(0, len(frames), 512):
        block = np.fft.rfft(frames[begin : begin + 512] * window, axis=1)
        power[begin : begin + 512] = np.abs(block) ** 2
    power /= (window.sum() / 2) ** 2
    starts = np.minimum(np.linspace(0, len(frames), COLUMNS + 1).astype(int)[:-1], len(frames) - 1)
    counts = np.maximum(np.diff(np.append(starts, len(frames))), 1)[:, None]
    columns = np.add.reduceat(power, starts, axis=0) / counts
    hertz = np.geomspace(LOWEST_HZ, rate_hz / 2, BANDS + 1)
    bins = np.minimum((hertz / rate_hz * size).astype(int), size // 2)
    widths = np.maximum(np.diff(bins), 1)
    rows = (np.add.reduceat(columns, bins[:-1], axis=1) / widths).T
    return np.asarray(10 * np.log10(np.maximum(rows, 1e-14)))


def brightest(sounds: Iterable[Sound]) -> float:
    """The level in dB that is drawn lightest, one for all clips that are compared: almost nothing is above it."""
    levels = [np.percentile(sound.levels_db, 99.5) for sound in sounds]
    return float(max(levels, default=0.0))


def image(levels_db: NDArray[np.float64], ceiling_db: float) -> bytes:
    """A spectrogram as a PNG with a palette: time to the right, frequency upwards, louder is lighter."""
    scale = np.clip((levels_db[::-1] - ceiling_db) / RANGE_DB + 1, 0, 1)
    # 48 levels are as many as the eye tells apart here, and half the bytes of 256.
    indexed = Image.fromarray(np.round(scale * 47).astype(np.uint8), mode="P")
    indexed.putpalette(np.round(colours()).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    indexed.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def colours() -> NDArray[np.float64]:
    """(48, 3) red, green, blue in 0..255."""
    positions = np.linspace(0, len(_PALETTE) - 1, 48)
    return np.stack([np.interp(positions, range(len(_PALETTE)), _PALETTE[:, i]) for i in range(3)], axis=1)


def outline(sound: Sound, full: float = 1.0, columns: int = 200) -> str:
    """The waveform as the `d` of an SVG path in a box of `columns` × 100; an amplitude of `full` fills its height."""
    edges = np.linspace(0, COLUMNS, columns + 1).astype(int)[:-1]
    high = np.maximum.reduceat(sound.high, edges)
    low = np.minimum.reduceat(sound.low, edges)
    # A silent stretch still shows as a hairline.
    upper = np.minimum(50 - 50 * np.clip(high / full, -1, 1), 49.6)
    lower = np.maximum(50 - 50 * np.clip(low / full, -1, 1), 50.4)
    forward = "L".join(f"{x} {y:.1f}" for x, y in enumerate(upper))
    back = "L".join(f"{x} {y:.1f}" for x, y in reversed(list(enumerate(lower))))
    return f"M{forward}L{back}Z"


def _decibels(amplitude: float) -> float:
    return max(20 * float(np.log10(max(amplitude, 1e-12))), -120.0)
