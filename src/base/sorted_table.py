"""LevelDB's table format, in which TensorFlow keeps a checkpoint's index. In: the bytes. Out: (key, value) pairs.

Source: LevelDB's doc/table_format.md: data blocks of prefix-compressed entries, an index block that says where they
are, a footer of two block handles and a magic number; behind each block one byte for the compression and a masked
CRC-32C. No size is believed before it is checked against the file.
"""

from collections.abc import Iterator

import cramjam
import google_crc32c

from src.base.errors import Problem

MAGIC = 0xDB4775248B80FB57
MASK_DELTA = 0xA282EAD8
FOOTER_BYTES = 48
TRAILER_BYTES = 5
MOST_EXPANSION = 64
"""Snappy's longest copy is 64 bytes, coded in no fewer than two: nothing honest expands more."""


class DamagedTableError(Problem):
    """Bytes that are not the table they should be."""


def entries(content: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value of a table, in order.

    name: what to call the file in an error. Raises `DamagedTableError` for a wrong magic number or checksum, a size
    or offset outside the file, an unknown compression, or keys out of order.
    """
    if len(content) < FOOTER_BYTES or int.from_bytes(content[-8:], "little") != MAGIC:
        raise DamagedTableError(
            f"{name} is not a TensorFlow checkpoint index: its last bytes are not the table's mark."
        )
    footer = content[-FOOTER_BYTES:-8]
    _, at = _handle(footer, 0, name)
    index, _ = _handle(footer, at, name)
    previous: bytes | None = None
    for _, place in _block_entries(_block(content, index, name), name):
        handle, _ = _handle(place, 0, name)
        for key, value in _block_entries(_block(content, handle, name), name):
            if previous is not None and key <= previous:
                raise DamagedTableError(f"{name} is damaged: its keys are not in order.")
            previous = key
            yield key, value


def varint(data: bytes, at: int, name: str) -> tuple[int, int]:
    """A number of 7 bits a byte, least first, at most 64 bits; and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise DamagedTableError(f"{name} is damaged: a number in it is cut off or too long.")


def _handle(data: bytes, at: int, name: str) -> tuple[tuple[int, int], int]:
    offset, at = varint(data, at, name)
    size, at = varint(data, at, name)
    return (offset, size), at


def _block(content: bytes, handle: tuple[int, int], name: str) -> bytes:
    offset, size = handle
    end = offset + size
    if end + TRAILER_BYTES > len(content) - FOOTER_BYTES:
        raise DamagedTableError(
            f"{name} is damaged: a block of {size} bytes at {offset} does not fit into its {len(content)} bytes."
        )
    stored = int.from_bytes(content[end + 1 : end + TRAILER_BYTES], "little")
    if google_crc32c.value(content[offset : end + 1]) != unmasked(stored):
        raise DamagedTableError(f"{name} is damaged: the checksum (CRC-32C) of its block at byte {offset} is wrong.")
    compression = content[end]
    if compression == 0:
        return content[offset:end]
    if compression == 1:
        return uncompress(content[offset:end], name)
    raise DamagedTableError(f"{name} uses compression {compression}, which is unknown here (0 none, 1 snappy).")


def _block_entries(block: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Entries of a block: bytes shared with the key before, bytes of its own, length of the value."""
    restarts = int.from_bytes(block[-4:], "little") if len(block) >= 4 else 0
    end = len(block) - 4 * (restarts + 1)
    if len(block) < 4 or end < 0:
        raise DamagedTableError(f"{name} is damaged: a block is shorter than its table of contents.")
    key, at = b"", 0
    while at < end:
        shared, at = varint(block, at, name)
        own, at = varint(block, at, name)
        length, at = varint(block, at, name)
        if shared > len(key) or at + own + length > end:
            raise DamagedTableError(f"{name} is damaged: an entry does not fit into its block.")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def uncompress(data: bytes, name: str) -> bytes:
    """Undo snappy, which allocates what the data claim to hold: a claim that cannot be true is refused before.

    Raises `DamagedTableError` if the data are not exactly what they claim.
    """
    length, _ = varint(data, 0, name)
    if length > MOST_EXPANSION * len(data):
        raise DamagedTableError(f"{name} is damaged: {len(data)} snappy bytes claim to hold {length}.")
    try:
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError:
        raise DamagedTableError(f"{name} is damaged: a snappy block does not unfold to what it claims.") from None


def unmasked(stored: int) -> int:
    """The checksum behind a stored, masked one (LevelDB's `crc32c::Mask`)."""
    rotated = (stored - MASK_DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF
