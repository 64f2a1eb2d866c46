"""The reference's generated WAVs. In: a file of its generate.py. Out: its codes without the primer, checked.

generate.py starts from a receptive field of silence and one random code and writes them in front of what it generates;
every sample is one of the mu-law values. A file that is anything else is read all the same and says so.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.audio.decode import open_sound
from src.audio.sound import Undecodable
from src.base.errors import Problem, Unread

LONGEST_S = 3600
GRID_TOLERANCE = 2e-6
"""float32 arithmetic of another library differs by this much; mu-law values are 1.7e-4 apart where they are closest."""


@dataclass(frozen=True)
class Generated:
    """One generated clip."""

    rate_hz: int
    codes: NDArray[np.int64]
    """(frames,) mu-law codes, without the primer."""
    audio: NDArray[np.float32]
    """(frames,) the same as samples."""
    primer_frames: int
    """Frames taken off the beginning."""
    on_grid: bool
    """Whether every sample is a mu-law value."""
    off_grid: float
    """The largest distance of a sample from the nearest one."""


def read(path: Path, receptive_field: int, channels: int = 256) -> Generated:
    """Read a WAV file. receptive_field: frames of the primer to expect.

    Raises `Problem` if it cannot be decoded, is empty or longer than an hour.
    """
    from src.wavenet import mulaw

    parts = []
    try:
        with open_sound(path, "wav") as sound:
            rate_hz = sound.rate_hz
            for block in sound.blocks:
                parts.append(block.mean(axis=1))
                if sum(len(part) for part in parts) > LONGEST_S * rate_hz:
                    raise Problem(f"{path.name} is longer than an hour; it was not imported.")
    except Undecodable as error:
        raise Problem(f"{path.name} cannot be read as audio: {error}.") from None
    except OSError as error:
        raise Problem(f"{path.name} cannot be read: {error.strerror}.") from None
    except Unread as error:
        raise Problem(f"{path.name} cannot be read just now: {error}.") from None
    samples = np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
    if not len(samples) or not np.isfinite(samples).all():
        raise Problem(f"{path.name} holds no samples, or some that are not numbers; it was not imported.")
    codes = mulaw.encode(samples, channels)
    off_grid = float(np.abs(mulaw.decode(codes, channels) - samples).max())
    primer = primer_of(codes, receptive_field, channels)
    if primer == len(codes):
        raise Problem(f"{path.name} holds nothing but its primer; it was not imported.")
    return Generated(rate_hz, codes[primer:], samples[primer:], primer, off_grid <= GRID_TOLERANCE, off_grid)


def primer_of(codes: NDArray[np.int64], receptive_field: int, channels: int = 256) -> int:
    """Frames in front of what was generated: a receptive field if all but its last are silence, else none."""
    from src.wavenet import mulaw

    quiet = codes[: receptive_field - 1]
    whole = len(quiet) == receptive_field - 1 and len(codes) >= receptive_field
    return receptive_field if whole and receptive_field > 1 and bool((quiet == mulaw.silence(channels)).all()) else 0


def named(path: Path, genres: tuple[str, ...]) -> tuple[str, int] | None:
    """Genre and step in a file's name: rock_15000.wav, or gen_genre-4_num-15000.wav; None if there are none."""
    found = re.fullmatch(r"gen_genre-(\d{1,3})_num-(\d{1,9})", path.stem)
    if found:
        number = int(found[1])
        return (genres[number] if number < len(genres) else f"genre-{number}"), int(found[2])
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9-]{0,30})_(\d{1,9})", path.stem)
    return (found[1].lower(), int(found[2])) if found else None
