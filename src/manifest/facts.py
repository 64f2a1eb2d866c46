"""What one file's tags and bytes say, and what its sound is. Both are slow to find out, so each is done once per file.

In: a path. Out: `FileFacts` (format, tags, hashes; reads the file's bytes) and `SoundFacts` (decodes all of it).
Neither depends on the study's parameters, so both can be cached (`cache.py`). What cannot be read just now gives
no facts but an error, which the pool tries again.
"""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from src.audio import decode, fingerprint, formats, payload
from src.audio.downmix import Downmix, without_loss
from src.audio.fingerprint import Words
from src.audio.sound import Samples, Undecodable
from src.base.errors import Unread
from src.manifest import tags

MAX_SIZE_BYTES = 4 << 30
MAX_HOURS = 3
"""Decoding stops after this many hours: a longer file is no song, or its header is false."""
FINGERPRINTED_S = 120.0
"""Only the beginning of a song is fingerprinted."""
AUDIBLE = 1e-3
"""A file whose samples all stay below this (-60 dBFS) is silent."""


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


@dataclass(frozen=True)
class SoundFacts:
    """What decoding gave. `reason` says why the sound cannot be used, else it is empty."""

    reason: str = ""
    rate_hz: int | None = None
    channels: int | None = None
    frames: int | None = None
    words: Words = field(default_factory=lambda: np.zeros(0, np.uint32), compare=False)
    """The fingerprint of the beginning."""


class _Raw(io.FileIO):
    """A file that remembers an error of its disk: readers of tags take it for a damaged tag."""

    error: OSError | None = None

    def readinto(self, buffer: Any) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            self.error = error
            raise


class _Bounded(io.BufferedReader):
    """A file that gives no more than it has: a tag may claim gigabytes, which would first be allocated."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and 0 <= size <= 1 << 20:
            return super().read(size)
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def read_file(path: Path, wanted: Callable[[tags.Tags], bool]) -> FileFacts:
    """Sniff, read tags, and hash the file's bytes if `wanted` says so of its tags.

    Raises OSError or `Unread` if it cannot be read just now.
    """
    raw = _Raw(path)
    with _Bounded(raw) as file:
        before = os.fstat(file.fileno())
        known = _file_facts(file, before.st_size, wanted)
        after = os.fstat(file.fileno())
        if raw.error is not None:
            raise raw.error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Unread("changed in the meantime")
    return known


def _file_facts(file: BinaryIO, size: int, wanted: Callable[[tags.Tags], bool]) -> FileFacts:
    if size == 0:
        return FileFacts("empty")
    if size > MAX_SIZE_BYTES:
        return FileFacts(f"larger than {MAX_SIZE_BYTES >> 30} GiB")
    form, what = formats.format_of(file)
    if form is None:
        return FileFacts(f"not music: {what}")
    tagged = tags.read_tags(file, form)
    if tagged.drm:
        return FileFacts("protected (DRM)", form, tagged.genres, tagged.year)
    if not wanted(tagged):
        return FileFacts("", form, tagged.genres, tagged.year)
    return FileFacts("", form, tagged.genres, tagged.year, *payload.hashes(file, form))


def read_sound(path: Path, form: str, sha256: str = "") -> SoundFacts:
    """Decode the whole file, counting samples, in bounded memory.

    sha256: of the file's bytes. Raises OSError or `Unread` if it cannot be read just now.
    """
    return without_loss(lambda mix: _sound_facts(path, form, sha256, mix))


def _sound_facts(path: Path, form: str, sha256: str, mix: Downmix) -> SoundFacts:
    rate_hz = channels = None
    frames, peak = 0, 0.0
    beginning: list[Samples] = []
    try:
        with decode.open_sound(path, form, sha256) as sound:
            rate_hz, channels = sound.rate_hz, sound.channels
            for block in sound.blocks:
                if frames < FINGERPRINTED_S * rate_hz:
                    beginning.append(mix(block))
                frames += len(block)
                if peak < AUDIBLE:
                    peak = float(np.abs(block).max(initial=0.0))
                if frames > MAX_HOURS * 3600 * rate_hz:
                    return SoundFacts(f"longer than {MAX_HOURS} h", rate_hz, channels)
    except Undecodable as error:
        return SoundFacts(str(error), rate_hz, channels)
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


def sound_task(library: bytes, task: tuple[bytes, str, str]) -> SoundFacts:
    """`read_sound` in a worker. task: path relative to the library, format, and SHA-256 of the file."""
    path, form, sha256 = task
    return read_sound(_joined(library, path), form, sha256)


def _joined(library: bytes, path: bytes) -> Path:
    return Path(os.fsdecode(library)) / os.fsdecode(path)
