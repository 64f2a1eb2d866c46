"""Sound out of any music file, block by block, with bounded memory.

In: a file and its format. Out: blocks of float32 samples. libsndfile reads what it reads well (WAV, AIFF, FLAC,
MP3, Vorbis); everything else, and what libsndfile refuses or would not read to its end, goes through ffmpeg as a pipe
of raw samples. Both read a copy in memory: a decoder cannot tell a disk that is away from a damaged file.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import IO

import numpy as np
import soundfile
import soxr

from src.audio import ffmpeg
from src.audio.extent import Extent, extent_of
from src.audio.payload import between_tags
from src.audio.sound import BLOCK_FRAMES, DAMAGED, Samples, Sound, Undecodable, finite, want_of_memory
from src.base import files
from src.base.errors import Unread

MAX_CHANNELS = 32
MAX_RATE_HZ = 6_000_000
"""DSD1024, which ffmpeg gives as an eighth of its bits."""
HIGH_RATE_HZ = 1_000_000
"""Sound of a higher rate is brought below it, so that two minutes fit in memory."""
COPY_BYTES = 512 << 20
"""Larger files are copied to a temporary file in place of memory."""
JOINED = "several files joined into one, which no decoder here reads to its end"
UNFINISHED = "damaged: its decoder stops before the end of the sound in it"
_SNDFILE_FORMATS = frozenset({"wav", "aiff", "flac", "mp3", "vorbis", "au", "w64", "caf"})
_JOINED_FORMATS = frozenset({"mp3", "flac", "vorbis", "opus", "ogg"})
"""Formats in which ffmpeg goes on behind a seam, or says that it cannot."""


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """A file read from front to back. soundfile seeks after each block it reads, which costs MP3 its bit reservoir."""

    def seekable(self) -> bool:
        return False


@contextmanager
def open_sound(path: Path, form: str, sha256: str = "") -> Iterator[Sound]:
    """Open the sound of a file whose format is `form`.

    sha256: of the file's bytes; empty if any will do. Raises `Undecodable` with a reason a person understands; where
    the file cannot be read just now, or is not the one that was meant, OSError or `Unread`.
    """
    with _copied(path, form, sha256) as copy:
        extent = extent_of(copy, form)
        if extent.beyond:
            raise Undecodable(UNFINISHED)
        if extent.joined and form not in _JOINED_FORMATS:
            raise Undecodable(JOINED)
        file = _sndfile(copy, form, extent)
        if file is not None:
            with file:
                yield _within_bounds(Sound(file.samplerate, file.channels, _sndfile_blocks(file)), extent)
        else:
            with ffmpeg.opened(copy) as sound:
                yield _within_bounds(sound, extent)


@contextmanager
def _copied(path: Path, form: str, sha256: str) -> Iterator[IO[bytes]]:
    """A copy of a file, without a name."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        # Without a buffer: libsndfile reads from where the descriptor stands.
        in_memory = size <= COPY_BYTES and hasattr(os, "memfd_create")
        with os.fdopen(os.memfd_create("copy"), "w+b", 0) if in_memory else tempfile.TemporaryFile(buffering=0) as copy:
            with files.disk_full_is_a_problem(f"a copy of {size:,} bytes in {tempfile.gettempdir()} (TMPDIR)"):
                while block := file.read(1 << 20):
                    digest.update(block)
                    if copy.write(block) != len(block):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if sha256 and digest.hexdigest() != sha256:
                raise Unread("changed in the meantime")
            if form == "flac":
                _without_claims(copy, size)
            if not os.fstat(copy.fileno()).st_size:
                raise Undecodable("no audio in it")
            yield copy


def _without_claims(flac: IO[bytes], size: int) -> None:
    """Take off what keeps a decoder from the sound: tags behind it, a broken frame to it, and the number of samples."""
    start, end = between_tags(flac, size)
    flac.truncate(end)
    flac.seek(start)
    head = flac.read(26)
    if head[:4] == b"fLaC" and len(head) == 26:
        flac.seek(start + 21)
        flac.write(bytes([head[21] & 0xF0, 0, 0, 0, 0]))  # 36 bits of STREAMINFO; 0: not known


def _within_bounds(sound: Sound, extent: Extent) -> Sound:
    """The sound at a rate that can be handled, which raises `Undecodable` if it ends before the file does."""
    if not 1000 <= sound.rate_hz <= MAX_RATE_HZ or not 1 <= sound.channels <= MAX_CHANNELS:
        raise Undecodable(f"damaged: the header claims {sound.channels} channels at {sound.rate_hz} Hz")
    sound = replace(sound, blocks=_to_the_end(sound, extent))
    rate_hz = sound.rate_hz
    while rate_hz > HIGH_RATE_HZ:
        rate_hz //= 2
    return sound if rate_hz == sound.rate_hz else Sound(rate_hz, sound.channels, _resampled(sound, rate_hz))


def _to_the_end(sound: Sound, extent: Extent) -> Iterator[Samples]:
    frames = 0
    try:
        for block in sound.blocks:
            frames += len(block)
            yield block
    except Undecodable:
        if extent.joined:
            raise Undecodable(JOINED) from None
        raise
    if extent.held_s is not None and frames < (extent.held_s - extent.slack_s) * sound.rate_hz:
        raise Undecodable(JOINED if extent.joined else UNFINISHED)


def _resampled(sound: Sound, rate_hz: int) -> Iterator[Samples]:
    stream = soxr.ResampleStream(sound.rate_hz, rate_hz, sound.channels, dtype="float32", quality="HQ")
    for block in sound.blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros((0, sound.channels), np.float32), last=True)


def _sndfile(copy: IO[bytes], form: str, extent: Extent) -> soundfile.SoundFile | None:
    """The file opened by libsndfile; None where ffmpeg is to read it."""
    if form not in _SNDFILE_FORMATS or extent.changes or (extent.joined and form != "mp3"):
        return None
    copy.seek(0)
    try:
        file = _Stream(copy.fileno(), closefd=False)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        want_of_memory(str(error))
        return None
    # libsndfile gives Vorbis channels in their own order; ffmpeg puts them in the order the downmix expects.
    ordered = file.channels <= 2 or form != "vorbis"
    if ordered and file.frames > ((extent.held_s or 0) - extent.slack_s) * file.samplerate and file.frames:
        return file
    file.close()
    return None


def _sndfile_blocks(file: soundfile.SoundFile) -> Iterator[Samples]:
    while True:
        try:
            block = file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            want_of_memory(str(error))
            raise Undecodable(DAMAGED) from None
        if not len(block):
            return
        yield finite(block)


def versions() -> str:
    """The packages that decode: what one of them could not read, another version may."""
    return ", ".join(f"{name} {version(name)}" for name in ("soundfile", "imageio-ffmpeg", "soxr", "mutagen"))
