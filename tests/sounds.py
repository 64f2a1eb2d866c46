"""Short music files made for the tests: any format, any tag, each with sound of its own."""

import io
import subprocess
from functools import cache
from pathlib import Path

import mutagen
import mutagen.id3
import numpy as np
import soundfile
from numpy.typing import NDArray

from src.audio.ffmpeg import executable

RATE_HZ = 16_000


def notes(seed: int, duration_s: float, rate_hz: int = RATE_HZ, channels: int = 1) -> NDArray[np.float32]:
    """Plucked notes of random pitch over faint noise, (frames, channels): a different song for each seed."""
    random = np.random.default_rng(seed)
    frames = round(duration_s * rate_hz)
    time_s = np.arange(rate_hz // 4) / rate_hz
    song = random.normal(0, 0.003, frames)
    for start in range(0, frames, rate_hz // 4):
        pitches_hz = 110 * 2 ** (random.integers(0, 36, 3) / 12)
        pluck = (
            np.sin(2 * np.pi * pitches_hz[:, None] * time_s).sum(0) * np.exp(-7 * time_s) * random.uniform(0.05, 0.2)
        )
        song[start : start + len(time_s)] += pluck[: frames - start]
    sides = random.uniform(0.6, 1.0, channels)
    return (song[:, None] * sides).astype(np.float32)


def write(
    path: Path, seed: int, duration_s: float = 3.2, rate_hz: int = RATE_HZ, channels: int = 1, **more: str
) -> Path:
    """Write a file libsndfile writes: wav, flac, aiff, ogg, mp3 (subtype= and format= as in soundfile)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, notes(seed, duration_s, rate_hz, channels), rate_hz, **more)
    return path


def encode(path: Path, seed: int, *options: str, duration_s: float = 3.2, rate_hz: int = 44_100) -> Path:
    """Write a file that ffmpeg writes; options stand before the output."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = io.BytesIO()
    soundfile.write(wave, notes(seed, duration_s, rate_hz, 2), rate_hz, format="WAV")
    run_ffmpeg(wave.getvalue(), "-i", "pipe:0", *options, str(path))
    return path


def run_ffmpeg(data: bytes, *arguments: str) -> None:
    """Run ffmpeg quietly."""
    subprocess.run([executable(), "-y", "-v", "error", *arguments], input=data, check=True, capture_output=True)


def tagged(genre: str | None = "Rock", date: str | None = "1999") -> list[str]:
    """ffmpeg's options for these tags."""
    pairs = [("genre", genre), ("date", date)]
    return [part for name, value in pairs if value is not None for part in ("-metadata", f"{name}={value}")]


def tag(path: Path, genre: str | list[str] | None = "Rock", date: str | None = "1999") -> Path:
    """Write tags with mutagen: ID3 into mp3, wav and aiff, comments into flac and ogg."""
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    genres = [genre] if isinstance(genre, str) else genre
    if isinstance(file.tags, mutagen.id3.ID3):
        if genres:
            file.tags.add(mutagen.id3.TCON(encoding=3, text=genres))
        if date:
            file.tags.add(mutagen.id3.TDRC(encoding=3, text=[date]))
    else:
        if genres:
            file["genre"] = genres
        if date:
            file["date"] = [date]
    file.save()
    return path


@cache
def mp3_bytes(seed: int, duration_s: float = 3.2) -> bytes:
    """A bare MP3 without tags."""
    out = io.BytesIO()
    soundfile.write(out, notes(seed, duration_s), RATE_HZ, format="MP3")
    return out.getvalue()


def id3v1(genre: int, year: str = "1999") -> bytes:
    """An ID3v1 tag."""
    return b"TAG" + bytes(90) + year.encode().ljust(4, b"\0") + bytes(30) + bytes([genre])


def id3v2(frames: dict[str, str], version: int = 3, padding: int = 0) -> bytes:
    """An ID3v2 tag with plain Latin-1 text frames."""
    body = b""
    for name, text in frames.items():
        content = b"\0" + text.encode("latin-1")
        if version == 2:
            body += name.encode() + len(content).to_bytes(3, "big") + content
        else:
            body += name.encode() + len(content).to_bytes(4, "big") + bytes(2) + content
    body += bytes(padding)
    size = len(body)
    return b"ID3" + bytes([version, 0, 0, size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + body
