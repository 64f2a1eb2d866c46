"""Sound and tags through ffmpeg, as a pipe, out of a file that is open already.

In: an open file. Out: an open sound in blocks, or its tags. What ffmpeg says is read for what it means, and not
passed on: it may hold names.
"""

import contextlib
import errno
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, BinaryIO

import imageio_ffmpeg
import numpy as np

from src.audio.sound import BLOCK_FRAMES, DAMAGED, Samples, Sound, Undecodable, finite, want_of_memory
from src.base.errors import CRASHES, Unread, reason_of

_NOT_SOUND = re.compile(
    r"\[(?:\w*mjpeg|\w*jpe?g\w*|\w*jxl\w*|a?png|gif|bmp|tiff|\w*webp|(?:lib)?vp\d\w*|(?:lib)?\w*av1\w*|h26\d|hevc|mpeg\dvideo"
    r"|msmpeg4\w*|wmv\d|vc1|\w*theora|flv) @|Last message repeated|picture|mimetype|\(Video: |\(Attachment|\(Subtitle",
    re.IGNORECASE,
)
"""Complaints of ffmpeg about covers and films, which it looks at though they are not asked for."""


@cache
def executable() -> str:
    """The ffmpeg that comes with the project's packages (or IMAGEIO_FFMPEG_EXE)."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@contextmanager
def _running(file: IO[bytes], *output: str) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """ffmpeg at work on an open file, and what it complains of; it is stopped when the block ends."""
    quiet = ["-hide_banner", "-nostdin", "-nostats", "-v", "error", "-threads", "1", "-protocol_whitelist", "file,pipe"]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [executable(), *quiet, "-i", f"file:/dev/fd/{file.fileno()}", *output],
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
def opened(copy: IO[bytes]) -> Iterator[Sound]:
    """Its sound. Raises `Undecodable`, also in the middle of its blocks, and `Unread` if it is not the file's fault."""
    # The header on the pipe carries rate and channels ahead of the samples, so one process does it all. Wave64,
    # because a plain WAV cannot be longer than 4 GiB.
    output = "-map 0:a:0 -vn -sn -dn -map_metadata -1 -bitexact -c:a pcm_f32le -f w64 pipe:1"
    with _running(copy, *output.split()) as (process, errors):
        assert process.stdout is not None
        head = _head(process.stdout.read)
        if head is None:
            _check_end(process, errors)
            raise Undecodable(DAMAGED)
        yield Sound(*head, _pipe_blocks(process, errors, head[1]))


def metadata(file: BinaryIO) -> list[tuple[str, str]]:
    """(key, text) of all tags that ffmpeg finds in an open file. Raises `Unread` if ffmpeg does not come to its end."""
    with _running(file, "-f", "ffmetadata", "pipe:1") as (process, errors):
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
        yield finite(block.astype(np.float32))
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
    want_of_memory("\n".join(said))
    if status or said:
        raise Undecodable(_explain("\n".join(said)))


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
