"""Sound out of any music file, block by block, with bounded memory.

In: a file and its format. Out: blocks of float32 samples. libsndfile reads what it reads well (WAV, AIFF, FLAC,
MP3, Vorbis); everything else, and what libsndfile refuses, goes through ffmpeg as a pipe of raw samples.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]

BLOCK_FRAMES = 1 << 16
MAX_CHANNELS = 32
_SNDFILE_FORMATS = frozenset({"wav", "aiff", "flac", "mp3", "vorbis", "au", "w64", "caf"})


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
def open_sound(path: Path, form: str) -> Iterator[Sound]:
    """Open the sound of a file whose format is `form`. Raises `Undecodable` with a reason a person understands."""
    if form in _SNDFILE_FORMATS:
        try:
            file = _Stream(os.fsencode(path))
        except (soundfile.LibsndfileError, RuntimeError, OSError):
            file = None  # ffmpeg may still read it
        # libsndfile gives Vorbis channels in their own order; ffmpeg puts them in the order `downmix` expects.
        if file is not None and (file.channels <= 2 or form != "vorbis"):
            with file:
                _check_layout(file.samplerate, file.channels)
                yield Sound(file.samplerate, file.channels, _sndfile_blocks(file))
            return
        if file is not None:
            file.close()
    with _open_ffmpeg(path) as sound:
        yield sound


def _check_layout(rate_hz: int, channels: int) -> None:
    if not 1000 <= rate_hz <= 1_000_000 or not 1 <= channels <= MAX_CHANNELS:
        raise Undecodable(f"damaged: the header claims {channels} channels at {rate_hz} Hz")


def _sndfile_blocks(file: soundfile.SoundFile) -> Iterator[Samples]:
    while True:
        try:
            block = file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError):
            raise Undecodable("damaged: the decoder found an error in the audio") from None
        if not len(block):
            return
        yield _finite(block)


@cache
def ffmpeg_executable() -> str:
    """The ffmpeg that comes with the project's packages (or IMAGEIO_FFMPEG_EXE)."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@contextmanager
def _open_ffmpeg(path: Path) -> Iterator[Sound]:
    # The header on the pipe carries rate and channels ahead of the samples, so one process does it all. Wave64,
    # because a plain WAV cannot be longer than 4 GiB.
    command: list[str | bytes] = [
        ffmpeg_executable(), "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-threads", "1",
        "-protocol_whitelist", "file,pipe", "-i", b"file:" + os.fsencode(path),
        "-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-bitexact",
        "-c:a", "pcm_f32le", "-f", "w64", "pipe:1",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        try:
            assert process.stdout is not None
            head = _head(process.stdout.read)
            if head is None:
                process.wait()
                raise Undecodable(_explain(_tail(errors)))
            _check_layout(*head)
            yield Sound(*head, _pipe_blocks(process, errors, head[1]))
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


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


def _pipe_blocks(process: "subprocess.Popen[bytes]", errors: BinaryIO, channels: int) -> Iterator[Samples]:
    assert process.stdout is not None
    width = 4 * channels
    while data := process.stdout.read(BLOCK_FRAMES * width):
        block = np.frombuffer(data[: len(data) // width * width], dtype="<f4").reshape(-1, channels)
        yield _finite(block.astype(np.float32))
    status = process.wait()
    said = _tail(errors)
    if status or said:
        raise Undecodable(_explain(said))


def _tail(errors: BinaryIO) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - 4096))
    return errors.read().decode("utf-8", "replace")


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
    return "damaged: the decoder found an error in the audio"


def downmix(block: Samples) -> Samples:
    """(frames, channels) to (frames,): the mean; 5.1 and 7.1 by the weights of ITU-R BS.775 without the LFE channel.

    Channel order for 6 and 8: FL FR FC LFE BL BR (SL SR). Weights are scaled to sum 1, so nothing clips.
    """
    channels = block.shape[1]
    if channels == 1:
        return block[:, 0]
    if channels in (6, 8):
        side = 0.5**0.5
        weights = np.array([1, 1, side * 2, 0, *[side] * (channels - 4)], dtype=np.float32)
    else:
        weights = np.ones(channels, dtype=np.float32)
    weights /= weights.sum()
    # Channel by channel: numpy's own sums over so short an axis take several times as long.
    mono = block[:, 0] * weights[0]
    for channel in range(1, channels):
        mono += block[:, channel] * weights[channel]
    return np.asarray(mono, dtype=np.float32)


def _finite(block: Samples) -> Samples:
    """The block without NaN and infinity, which float formats can hold."""
    if np.isfinite(block.sum()):
        return block
    return np.nan_to_num(block, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
