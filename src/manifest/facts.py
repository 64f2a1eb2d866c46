"""What one file's tags and bytes say, and what its sound is. Both are slow to find out, so each is done once per file.

In: a path. Out: `FileFacts` (format, tags, hashes; reads the file's bytes) and `SoundFacts` (decodes all of it).
Neither depends on the study's parameters, so both can be cached (`cache.py`).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from src.audio import decode, fingerprint, formats, payload
from src.audio.decode import Samples, Undecodable
from src.audio.fingerprint import Words
from src.manifest import tags

MAX_SIZE_BYTES = 4 << 30
MAX_HOURS = 3
"""Decoding stops after this many hours: a longer file is no song, or its header is false."""
FINGERPRINTED_S = 120.0
"""Only the beginning of a song is fingerprinted."""
AUDIBLE = 1e-3
"""A file whose samples all stay below this (-60 dBFS) is silent."""
VANISHED = "vanished while it was read"


@dataclass(frozen=True)
class FileFacts:
    """Format, tags and hashes. `reason` says why there is nothing more to find out, else it is empty."""

    reason: str = ""
    format: str | None = None
    genre_texts: tuple[str, ...] = ()
    year: int | None = None
    file_sha256: str | None = None
    audio_sha256: str | None = None
    """None with no reason: the file's bytes were not needed, because its tags already exclude it."""
    passing: bool = False
    """The reason may go away while the file stays as it is, so these facts are not cached."""
    limit_s: float | None = None
    """The time limit that ended the reading, if that was the reason."""


def _no_words() -> Words:
    return np.zeros(0, dtype=np.uint32)


@dataclass(frozen=True)
class SoundFacts:
    """What decoding gave. `reason` says why the sound cannot be used, else it is empty."""

    reason: str = ""
    rate_hz: int | None = None
    channels: int | None = None
    frames: int | None = None
    passing: bool = False
    limit_s: float | None = None
    words: Words = field(default_factory=_no_words, compare=False)
    """The fingerprint of the beginning."""


def read_file(path: Path, wanted: Callable[[tags.Tags], bool]) -> FileFacts:
    """Sniff, read tags, and hash the file's bytes if `wanted` says so of its tags."""
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size == 0:
                return FileFacts("empty")
            if before.st_size > MAX_SIZE_BYTES:
                return FileFacts(f"larger than {MAX_SIZE_BYTES >> 30} GiB")
            form, what = formats.format_of(file)
            if form is None:
                return FileFacts(f"not music: {what}")
            tagged = tags.read_tags(file, form)
            if tagged.drm:
                return FileFacts("protected (DRM)", form, tagged.genres, tagged.year)
            if not wanted(tagged):
                return FileFacts("", form, tagged.genres, tagged.year)
            whole, audio = payload.hashes(file, form)
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        return FileFacts(VANISHED, passing=True)
    except PermissionError:
        return FileFacts("no permission to read it", passing=True)
    except OSError as error:
        return FileFacts(f"cannot be read ({os.strerror(error.errno or 0)})", passing=True)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return FileFacts("changed while it was read", form, tagged.genres, tagged.year, passing=True)
    return FileFacts("", form, tagged.genres, tagged.year, whole, audio)


def read_sound(path: Path, form: str) -> SoundFacts:
    """Decode the whole file, counting samples, in bounded memory."""
    rate_hz = channels = None
    frames, peak = 0, 0.0
    beginning: list[Samples] = []
    try:
        with decode.open_sound(path, form) as sound:
            rate_hz, channels = sound.rate_hz, sound.channels
            for block in sound.blocks:
                if frames < FINGERPRINTED_S * rate_hz:
                    beginning.append(decode.downmix(block))
                frames += len(block)
                if peak < AUDIBLE:
                    peak = float(np.abs(block).max(initial=0.0))
                if frames > MAX_HOURS * 3600 * rate_hz:
                    return SoundFacts(f"longer than {MAX_HOURS} h", rate_hz, channels)
    except Undecodable as error:
        return SoundFacts(str(error), rate_hz, channels)
    except OSError:
        return SoundFacts("cannot be read", passing=True)
    if not frames:
        return SoundFacts("no audio in it", rate_hz, channels, 0)
    if peak < AUDIBLE:
        return SoundFacts("silent", rate_hz, channels, frames)
    start = np.concatenate(beginning)[: int(FINGERPRINTED_S * rate_hz)]
    return SoundFacts("", rate_hz, channels, frames, words=fingerprint.fingerprint(start, rate_hz, fingerprint.SONGS))


def file_task(setting: tuple[bytes, Callable[[tags.Tags], bool]], path: bytes) -> FileFacts:
    """`read_file` in a worker. setting: the library's folder, and `wanted`. path: relative to that folder."""
    library, wanted = setting
    return read_file(_joined(library, path), wanted)


def sound_task(library: bytes, task: tuple[bytes, str]) -> SoundFacts:
    """`read_sound` in a worker. task: path relative to the library, and format."""
    path, form = task
    return read_sound(_joined(library, path), form)


def _joined(library: bytes, path: bytes) -> Path:
    return Path(os.fsdecode(library)) / os.fsdecode(path)
