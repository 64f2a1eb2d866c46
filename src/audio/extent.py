"""How much sound a file holds by its own structure, to be compared with what a decoder gives.

In: a file's bytes and its format. Out: seconds of sound, and whether several files were joined into one. A decoder's
end is not the file's end: libsndfile stops at its own estimate of an MP3's length, and most decoders at the first seam.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from typing import IO, NamedTuple

from src.audio.formats import CHUNK_NAME, chunks, id3_size, mpeg_frame_bytes, mpeg_frame_samples

_RUN = 10
"""So many MPEG frames in a row are no accident."""
_SYNC = re.compile(rb"\xff[\xe2-\xff][\x10-\xef]", re.DOTALL)
_OGG = rb"OggS\0[\2\6]"
_BEGINS = {
    "vorbis": _OGG, "opus": _OGG, "ogg": _OGG,
    "flac": rb"fLaC\0\0\0\x22",
    "wav": rb"RI(?:FF|FX).{4}WAVE",
    "aiff": rb"FORM.{4}AIF[FC]",
    "m4a": rb"ftyp[a-zA-Z0-9 ]{4}\0",
    "wma": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
    "tta": rb"TTA1[\1\2]\0",
    "caf": rb"caff\x00\x01\x00\x00desc",
    "w64": rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb",
    "au": rb"\.snd\0\0.{6}\0\0\0[\1-\x1b]",
}  # fmt: skip
"""How a file of a format begins; a second beginning is a seam."""


@dataclass(frozen=True)
class Extent:
    """What a file's structure says."""

    joined: bool = False
    """It is several files in one."""
    changes: bool = False
    """Rate or channels change in it."""
    beyond: bool = False
    """Its header counts less sound than there is."""
    held_s: float | None = None
    """Seconds of sound in it; None where the structure does not say."""
    slack_s: float = 0.0
    """A decoder may give so much less: an encoder's delay and padding."""


def extent_of(file: IO[bytes], form: str) -> Extent:
    """file: seekable, not empty."""
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        if form == "mp3":
            return _mpeg(data)
        if form not in _BEGINS:
            return Extent()
        begins = re.compile(_BEGINS[form], re.DOTALL)
        first = begins.search(data)
        if first is not None and _BEGINS[form] == _OGG:
            first = re.compile(rb"OggS\0[\0\1\4\5]").search(data)  # all streams begin before the first sound
        joined = first is not None and begins.search(data, first.end()) is not None
        return Extent(joined, beyond=not joined and _sound_beyond(file, form, len(data)))


def _sound_beyond(file: IO[bytes], form: str, total: int) -> bool:
    """Whether more than a little follows the sound's chunk that is no chunk itself."""
    if form == "au":
        file.seek(4)
        return bool(sum(struct.unpack(">II", file.read(8).ljust(8, b"\0"))) + 65536 < total)
    sound = 0
    for name, start, size in chunks(file) if form in ("wav", "aiff") else ():
        if sound and not CHUNK_NAME.fullmatch(name):
            return total - start > max(65536, sound // 20)
        sound += size if name in (b"data", b"SSND") else 0
    return False


def _mpeg(data: mmap) -> Extent:
    runs = [run for run in _runs(data) if run.frames >= _RUN]
    if not runs:
        return Extent()
    changes = len({run.layout for run in runs}) > 1
    frame_s = max(run.seconds / run.frames for run in runs)
    joined = changes or any(run.behind_tag for run in runs[1:])
    return Extent(joined, changes, held_s=sum(run.seconds for run in runs), slack_s=4 * frame_s)


class _Run(NamedTuple):
    """MPEG frames of one layout that follow each other."""

    layout: tuple[int, int, bool]
    frames: int
    seconds: float
    behind_tag: bool


def _runs(data: mmap) -> Iterator[_Run]:
    at, end, behind_tag = 0, len(data), False
    while at < end:
        layout, frames, samples, rate_hz = None, 0, 0, 0
        while length := mpeg_frame_bytes(data, at):
            # Version and layer, rate, and whether it is mono.
            present = data[at + 1] & 0x1E, data[at + 2] & 0x0C, data[at + 3] & 0xC0 == 0xC0
            if layout is None:
                layout = present
                count, rate_hz = mpeg_frame_samples(data, at)
            elif present != layout:
                break
            frames, samples, at = frames + 1, samples + count, at + length
        if layout is not None:
            yield _Run(layout, frames, samples / rate_hz, behind_tag)
            behind_tag = False
        if not length:
            if size := id3_size(data[at : at + 10]):
                at, behind_tag = at + size, True
            elif (found := _SYNC.search(data, at + 1)) is not None:
                at = found.start()
            else:
                return
