"""Sound out of any music file, block by block, with bounded memory.

In: a file and its format. Out: blocks of float32 samples. libsndfile reads what it reads well (WAV, AIFF, FLAC,
MP3, Vorbis); everything else, and what libsndfile refuses or would not read to its end, goes through ffmpeg as a pipe
of raw samples. Both read a copy in memory: a decoder cannot tell a disk that is away from a damaged file.
"""

import contextlib
import errno
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, BinaryIO

import imageio_ffmpeg
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from src.audio.extent import Extent, extent_of
from src.audio.payload import between_tags
from src.base import files
from src.base.errors import CRASHES, Unread, reason_of

Samples = NDArray[np.float32]

BLOCK_FRAMES = 1 << 16
MAX_CHANNELS = 32
MAX_RATE_HZ = 6_000_000
"""DSD1024, which ffmpeg gives as an eighth of its bits."""
HIGH_RATE_HZ = 1_000_000
"""Sound of a higher rate is brought below it, so that two minutes fit in memory."""
COPY_BYTES = 512 << 20
"""Larger files are copied to a temporary file in place of memory."""
DAMAGED = "damaged: the decoder found an error in the audio"
JOINED = "several files joined into one, which no decoder here reads to its end"
UNFINISHED = "damaged: its decoder stops before the end of the sound in it"
_SNDFILE_FORMATS = frozenset({"wav", "aiff", "flac", "mp3", "vorbis", "au", "w64", "caf"})
_JOINED_FORMATS = frozenset({"mp3", "flac", "vorbis", "opus", "ogg"})
"""Formats in which ffmpeg goes on behind a seam, or says that it cannot."""
_NOT_SOUND = re.compile(
    r"\[(?:\w*mjpeg|\w*jpe?g\w*|\w*jxl\w*|a?png|gif|bmp|tiff|\w*webp|(?:lib)?vp\d\w*|(?:lib)?\w*av1\w*|h26\d|hevc|mpeg\dvideo"
    r"|msmpeg4\w*|wmv\d|vc1|\w*theora|flv) @|Last message repeated|picture|mimetype|\(Video: |\(Attachment|\(Subtitle",
    re.IGNORECASE,
)
"""Complaints of ffmpeg about covers and films, which it looks at though they are not asked for."""


class Undecodable(Exception):
    """The file holds no sound that can be decoded; the message is the reason for its row."""


@dataclass(frozen=True)
class Sound:
    """An open decoder."""

    rate_hz: int
    channels: int
    blocks: Iterator[Samples]
    """Blocks of (frames, channels) float32, nominally in -1..1. Raises `Undecodable` where decoding fails."""


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
            with _open_ffmpeg(copy) as sound:
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
        _want_of_memory(str(error))
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
            _want_of_memory(str(error))
            raise Undecodable(DAMAGED) from None
        if not len(block):
            return
        yield _finite(block)


@cache
def ffmpeg_executable() -> str:
    """The ffmpeg that comes with the project's packages (or IMAGEIO_FFMPEG_EXE)."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def versions() -> str:
    """The packages that decode: what one of them could not read, another version may."""
    return ", ".join(f"{name} {version(name)}" for name in ("soundfile", "imageio-ffmpeg", "soxr", "mutagen"))


@contextmanager
def _ffmpeg(file: IO[bytes], *output: str) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """ffmpeg at work on an open file, and what it complains of; it is stopped when the block ends."""
    quiet = ["-hide_banner", "-nostdin", "-nostats", "-v", "error", "-threads", "1", "-protocol_whitelist", "file,pipe"]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [ffmpeg_executable(), *quiet, "-i", f"file:/dev/fd/{file.fileno()}", *output],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, pass_fds=[file.fileno()],
            )  # fmt: skip
        except (OSError, RuntimeError) as error:
            raise Unread(f"ffmpeg cannot be started ({type(error).__name__})") from None
        try:
            yield process, errors
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@contextmanager
def _open_ffmpeg(copy: IO[bytes]) -> Iterator[Sound]:
    # The header on the pipe carries rate and channels ahead of the samples, so one process does it all. Wave64,
    # because a plain WAV cannot be longer than 4 GiB.
    output = "-map 0:a:0 -vn -sn -dn -map_metadata -1 -bitexact -c:a pcm_f32le -f w64 pipe:1"
    with _ffmpeg(copy, *output.split()) as (process, errors):
        assert process.stdout is not None
        head = _head(process.stdout.read)
        if head is None:
            _check_end(process, errors)
            raise Undecodable(DAMAGED)
        yield Sound(*head, _pipe_blocks(process, errors, head[1]))


def metadata(file: BinaryIO) -> list[tuple[str, str]]:
    """(key, text) of all tags that ffmpeg finds in an open file. Raises `Unread` if ffmpeg does not come to its end."""
    with _ffmpeg(file, "-f", "ffmetadata", "pipe:1") as (process, errors):
        said, _ = process.communicate()
        with contextlib.suppress(Undecodable):  # a file without sound may have tags
            _check_end(process, errors)
    lines = re.split(r"(?<!\\)\n", said.decode("utf-8", "replace"))
    pairs = [re.split(r"(?<!\\)=", line, maxsplit=1) for line in lines]
    return [(pair[0], re.sub(r"\\(.)", r"\1", pair[1], flags=re.DOTALL)) for pair in pairs if len(pair) == 2]


def _head(read: Callable[[int], bytes]) -> tuple[int, int] | None:
    """(rate, channels) of the Wave64 header at the beginning of a pipe, read up to its first sample."""
    if not read(40).startswith(b"riff"):
        return None
    layout = None
    while len(head := read(24)) == 24:
        if head.startswith(b"data"):
            return layout
        body = read(int.from_bytes(head[16:24], "little") + 7 - 24 & ~7)
        if head.startswith(b"fmt "):
            layout = int.from_bytes(body[4:8], "little"), int.from_bytes(body[2:4], "little")
    return None


def _pipe_blocks(process: "subprocess.Popen[bytes]", errors: IO[bytes], channels: int) -> Iterator[Samples]:
    assert process.stdout is not None
    width = 4 * channels
    while data := process.stdout.read(BLOCK_FRAMES * width):
        block = np.frombuffer(data[: len(data) // width * width], dtype="<f4").reshape(-1, channels)
        yield _finite(block.astype(np.float32))
    _check_end(process, errors)


_WANTS = (errno.EPERM, errno.ENOENT, errno.EINTR, errno.EIO, errno.EAGAIN, errno.ENOMEM, errno.EACCES, errno.ENFILE,
          errno.EMFILE, errno.ENOSPC)  # fmt: skip
"""Errors that ffmpeg ends with (as 256 less the number) and that are not in the file."""


def _check_end(process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> None:
    """Raise `Undecodable` if ffmpeg found fault with the sound, `Unread` if something else ended it."""
    status = process.wait()
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - 65536))
    lines = errors.read().decode("utf-8", "replace").splitlines()[size > 65536 :]  # the first may be a part of one
    said = [line for line in lines if not _NOT_SOUND.search(line)]
    stopped = -status if status < 0 else status - 128 if 128 < status < 160 else 0  # by a signal, or by its shell
    if stopped in CRASHES:
        raise Unread("the decoder crashed on it", passing=False)
    if stopped or status in (126, 127):
        raise Unread("its decoder was stopped")
    if status and 256 - status in _WANTS:
        raise Unread(f"its decoder failed: {reason_of(OSError(256 - status, ''))}")
    _want_of_memory("\n".join(said))
    if status or said:
        raise Undecodable(_explain("\n".join(said)))


def _want_of_memory(said: str) -> None:
    """Raise `Unread` for a decoder's complaint that is the machine's fault."""
    if re.search(r"Cannot allocate memory|Out of memory|malloc|Resource temporarily unavailable", said):
        raise Unread("too little memory to read it")


def _explain(said: str) -> str:
    """What ffmpeg's complaint means, without its text: that may hold names."""
    if "matches no streams" in said or "does not contain any stream" in said:
        return "no audio in it"
    if "moov atom not found" in said:
        return "damaged: cut short (its index is missing)"
    if re.search("Decoder .* not found|Unknown decoder|no decoder|not supported|Could not find codec", said, re.I):
        return "a kind of audio ffmpeg does not decode"
    if re.search("DRM|encrypt|decryption", said):
        return "protected (DRM)"
    return DAMAGED


def _finite(block: Samples) -> Samples:
    """The block without NaN and infinity, which float formats can hold."""
    if np.isfinite(block.sum()):
        return block
    return np.nan_to_num(block, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
