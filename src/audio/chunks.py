"""The chunks of a RIFF or FORM file: WAV, AIFF and their kin.

In: an open file. Out: where each chunk begins and how long it is.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

MAX_CHUNKS = 10_000
"""More than any honest file has: a hostile one is not followed further."""


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(name, start of content, size) of each chunk of a RIFF, RIFX, RF64 or FORM file; sizes end with the file."""
    total = file.seek(0, io.SEEK_END)
    file.seek(0)
    kind = file.read(4)
    order = ">" if kind in (b"FORM", b"RIFX") else "<"
    place = 12
    long_data = 0
    for _ in range(MAX_CHUNKS):
        if place + 8 > total:
            return
        file.seek(place)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        if name == b"ds64":
            long_data = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))[1]
        if name == b"data" and size == 0xFFFFFFFF:
            size = long_data or total
        size = min(size, total - place - 8)
        yield name, place + 8, size
        place += 8 + size + size % 2
