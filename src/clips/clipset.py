"""The clips as others read them: data/clips/.

In: the folder that `src.clips` wrote. Out: `ClipSet`, which gives any crop of any clip as float32 at the cost of a
copy. Nothing here knows where the clips come from.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from src.base import csv_table
from src.base.errors import Problem

TABLE = "clips.csv"
MADE_BY = "python -m src.clips"
MEMORY_BYTES = 2_000_000_000
"""A set of clips up to this size is held in memory as int16 once it has been read."""


@dataclass(frozen=True)
class ClipRow:
    """One row of clips.csv."""

    clip: str
    """`<genre>/<id>.flac`"""
    genre: str
    split: str
    """`train` or `validation`"""
    frames: int
    peak_dbfs: float
    loudness_lufs: float
    sha256: str
    """Of the samples, int16 little-endian."""


class Clip(NamedTuple):
    """One clip of the set."""

    genre: str
    split: str
    frames: int
    path: Path
    sha256: str


COLUMNS = tuple(field.name for field in fields(ClipRow))


class ClipSet:
    """All clips of a study, in the order of genre and id."""

    def __init__(self, clips: Iterable[Clip], memory_bytes: int = MEMORY_BYTES) -> None:
        self.clips = tuple(clips)
        self._hold = 2 * sum(clip.frames for clip in self.clips) <= memory_bytes
        self._held: dict[int, NDArray[np.int16]] = {}
        self._open: dict[int, soundfile.SoundFile] = {}

    @classmethod
    def open(cls, folder: Path, memory_bytes: int = MEMORY_BYTES) -> Self:
        """The clips in `folder`. Raises `Problem` if clips.csv or a clip is missing or damaged."""
        return cls((_checked(folder, row) for row in read_table(folder / TABLE)), memory_bytes)

    @property
    def digest(self) -> str:
        """One SHA-256 over genre, split and samples of every clip: the set's identity."""
        lines = "".join(
            f"{clip.genre} {clip.split} {clip.sha256}\n" for clip in sorted(self.clips, key=lambda c: c[0:2] + c[4:])
        )
        return hashlib.sha256(lines.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.clips)

    def read(self, index: int, start: int, frames: int) -> NDArray[np.float32]:
        """Samples start..start+frames of clip `index`, (frames,) float32 in -1..1.

        Raises ValueError outside the clip, `Problem` if the clip is damaged. The first read of a clip decodes it
        whole and checks its hash, unless the set is larger than `memory_bytes`: then each read seeks in the file.
        """
        clip = self.clips[index]
        if start < 0 or frames < 0 or start + frames > clip.frames:
            raise ValueError(f"clip {index} has {clip.frames} samples; {start} to {start + frames} is outside")
        end = start + frames
        samples = self.samples(index)[start:end] if self._hold else self._seek(index, start, frames)
        return samples.astype(np.float32) * np.float32(1 / 32768)

    def samples(self, index: int) -> NDArray[np.int16]:
        """The whole clip, (frames,) int16, its hash checked."""
        held = self._held.get(index)
        if held is not None:
            return held
        clip = self.clips[index]
        try:
            samples, _ = soundfile.read(clip.path, dtype="int16")
        except (soundfile.LibsndfileError, RuntimeError, OSError):
            raise _damaged(clip) from None
        if samples.ndim != 1 or samples_digest(samples) != clip.sha256:
            raise _damaged(clip)
        samples.flags.writeable = False
        if self._hold:
            self._held[index] = samples
        return np.asarray(samples, dtype=np.int16)

    def _seek(self, index: int, start: int, frames: int) -> NDArray[np.int16]:
        clip = self.clips[index]
        try:
            if index not in self._open:
                if len(self._open) >= 256:
                    self._open.pop(next(iter(self._open))).close()
                self._open[index] = soundfile.SoundFile(clip.path)
            file = self._open[index]
            file.seek(start)
            samples = file.read(frames, dtype="int16")
        except (soundfile.LibsndfileError, RuntimeError, OSError):
            raise _damaged(clip) from None
        if samples.shape != (frames,):
            raise _damaged(clip)
        return np.asarray(samples, dtype=np.int16)


def samples_digest(samples: NDArray[np.int16]) -> str:
    """SHA-256 of the samples as int16 little-endian."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<i2").tobytes()).hexdigest()


def write_table(path: Path, clips: Iterable[ClipRow]) -> None:
    """Write clips.csv atomically, in the order given."""
    csv_table.write(path, COLUMNS, ([_text(getattr(clip, name)) for name in COLUMNS] for clip in clips))


def _text(value: str | int | float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def read_table(path: Path) -> list[ClipRow]:
    """Read clips.csv, sorted by genre and id; a missing, empty or damaged one is a `Problem`."""
    clips = csv_table.read(path, COLUMNS, _row, made_by=MADE_BY)
    if not clips:
        raise Problem(f"{path} lists no clip. Make it again with: {MADE_BY}")
    return sorted(clips, key=lambda clip: (clip.genre, clip.clip))


def _row(texts: dict[str, str]) -> ClipRow:
    row = ClipRow(
        texts["clip"],
        texts["genre"],
        texts["split"],
        int(texts["frames"]),
        float(texts["peak_dbfs"]),
        float(texts["loudness_lufs"]),
        texts["sha256"],
    )
    if row.split not in ("train", "validation") or row.frames < 1 or not row.clip.startswith(f"{row.genre}/"):
        raise ValueError("the row does not describe a clip")
    return row


def _checked(folder: Path, row: ClipRow) -> Clip:
    clip = Clip(row.genre, row.split, row.frames, folder / row.clip, row.sha256)
    try:
        about = soundfile.info(str(clip.path))
    except (soundfile.LibsndfileError, RuntimeError, OSError):
        raise _damaged(clip) from None
    if (about.frames, about.channels) != (row.frames, 1):
        raise _damaged(clip)
    return clip


def _damaged(clip: Clip) -> Problem:
    # Not by its name, which is the beginning of the song's own hash.
    what = f"A clip of {clip.genre} in {clip.path.parents[1]}"
    try:
        clip.path.open("rb").close()
    except FileNotFoundError:
        return Problem(f"{what} is missing. Make the clips again with: {MADE_BY}")
    except OSError as error:
        return Problem(f"{what} cannot be read ({error.strerror}). Run the same command again when it can be.")
    return Problem(f"{what} is damaged. Make the clips again with: {MADE_BY}")
