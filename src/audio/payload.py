"""Hashes of a file: of all its bytes, and of its encoded audio alone.

In: an open file and its format. Out: two SHA-256. The second leaves out tags and covers, so a copy with other tags
has the same one and needs no decoding again. In a container not taken apart here, or a damaged one, the audio is the
whole file: then other tags cost a decoding, and nothing worse.
"""

import hashlib
import io
import struct
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

from src.audio.formats import chunks, id3_size

Piece = tuple[int, int]
"""Start and end of a run of bytes."""

_STEP = 1 << 20


def hashes(file: BinaryIO, form: str) -> tuple[str, str]:
    """(SHA-256 of the file, SHA-256 of its audio), 64 hexadecimal digits each. The file is read once."""
    size = file.seek(0, io.SEEK_END)
    try:
        pieces = list(_PIECES[form](file, size)) if form in _PIECES else []
    except (struct.error, ValueError, IndexError):
        pieces = []
    if not pieces or not all(0 <= start <= end <= size for start, end in pieces):
        pieces = [(0, size)]
    whole, audio = hashlib.sha256(), hashlib.sha256(form.encode())
    file.seek(0)
    position = current = 0
    while block := file.read(_STEP):
        whole.update(block)
        view = memoryview(block)
        end = position + len(block)
        while current < len(pieces) and pieces[current][0] < end:
            start, stop = pieces[current]
            audio.update(view[max(start - position, 0) : min(stop, end) - position])
            if stop > end:
                break
            current += 1
        position = end
    return whole.hexdigest(), audio.hexdigest()


def between_tags(file: IO[bytes], size: int) -> Piece:
    """The bytes between ID3v2 in front and APE, Lyrics3 and ID3v1 behind."""
    start = 0
    file.seek(0)
    while length := id3_size(file.read(10)):
        start += length
        file.seek(start)
    end = size
    while end > start:
        file.seek(max(start, end - 160))
        tail = file.read(min(160, end - start))
        if tail[-128:-125] == b"TAG" and len(tail) >= 128:
            end -= 128
        elif tail[-32:-24] == b"APETAGEX":
            length, flags = int.from_bytes(tail[-20:-16], "little"), int.from_bytes(tail[-12:-8], "little")
            end -= length + (32 if flags & 0x80000000 else 0)
        elif tail[-10:-7] == b"3DI":  # ID3v2.4 with its footer
            end -= id3_size(b"ID3" + tail[-7:])
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            end -= int(tail[-15:-9]) + 15
        else:
            break
    return min(start, size), max(end, min(start, size))


def _plain(file: BinaryIO, size: int) -> Iterator[Piece]:
    yield between_tags(file, size)


def _flac(file: BinaryIO, size: int) -> Iterator[Piece]:
    start, end = between_tags(file, size)
    file.seek(start)
    if file.read(4) != b"fLaC":
        return
    position, last = start + 4, False
    while not last:
        file.seek(position)
        head = file.read(4)
        length = int.from_bytes(head[1:4], "big")
        last = bool(head[0] & 0x80)
        if head[0] & 0x7F == 0:
            yield position + 4, position + 4 + length  # STREAMINFO belongs to the sound
        position += 4 + length
    yield position, end


def _riff(file: BinaryIO, size: int) -> Iterator[Piece]:
    for name, start, length in chunks(file):
        if name in (b"fmt ", b"data", b"COMM", b"SSND"):
            yield start, start + length


def _mp4(file: BinaryIO, size: int) -> Iterator[Piece]:
    """The media data, and the sample description; the tables of offsets move when a tag grows."""
    for name, start, end in _atoms(file, 0, size):
        if name == b"mdat":
            yield start, end


def _atoms(file: BinaryIO, position: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    while position + 8 <= stop:
        file.seek(position)
        length, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            length, head = int.from_bytes(file.read(8), "big"), 16
        length = length or stop - position
        if length < head:
            return
        yield name, position + head, min(position + length, stop)
        position += length


def _ogg(file: BinaryIO, size: int) -> Iterator[Piece]:
    """All pages but those of the comment header: page bodies only, for page numbers shift when comments grow."""
    position = packets = 0
    while position + 27 <= size:
        file.seek(position)
        head = file.read(27)
        if head[:4] != b"OggS":
            return
        lacing = file.read(head[26])
        body = position + 27 + len(lacing)
        length = sum(lacing)
        start = body
        if packets < 2:
            # Identification and comments come first; a packet ends at a lacing value below 255.
            for value in lacing:
                if packets == 1:
                    start += value
                packets += value < 255
        yield start, body + length
        position = body + length


def _asf(file: BinaryIO, size: int) -> Iterator[Piece]:
    position = 0
    while position + 24 <= size:
        file.seek(position)
        guid, length = file.read(16), int.from_bytes(file.read(8), "little")
        if length < 24:
            return
        if guid == bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c"):
            yield position + 24, min(position + length, size)
        position += length


_PIECES: dict[str, Callable[[BinaryIO, int], Iterator[Piece]]] = {
    "mp3": _plain,
    "aac": _plain,
    "tta": _plain,
    "ape": _plain,
    "musepack": _plain,
    "wavpack": _plain,
    "flac": _flac,
    "wav": _riff,
    "aiff": _riff,
    "m4a": _mp4,
    "vorbis": _ogg,
    "opus": _ogg,
    "ogg": _ogg,
    "wma": _asf,
}
