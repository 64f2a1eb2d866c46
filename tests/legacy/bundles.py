"""Writes TensorFlow checkpoint indexes for the tests, honest and otherwise."""

import struct
from collections.abc import Mapping
from pathlib import Path

import cramjam
import google_crc32c
import numpy as np
from numpy.typing import NDArray

from src.base.sorted_table import MAGIC, MASK_DELTA

TYPES = {"float32": 1, "int64": 9}


def varint(value: int) -> bytes:
    """Seven bits a byte, least first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def masked(data: bytes) -> int:
    """The masked CRC-32C that TensorFlow stores."""
    value = int(google_crc32c.value(data))
    return (((value >> 15) | (value << 17)) + MASK_DELTA) & 0xFFFFFFFF


def field(number: int, value: int | bytes) -> bytes:
    """A Protocol Buffers field: a whole number or bytes."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def header(shards: int = 1, endianness: int = 0) -> bytes:
    """BundleHeaderProto."""
    return field(1, shards) + field(2, endianness)


def entry(type_number: int, shape: tuple[int, ...], shard: int, offset: int, size: int, crc: int) -> bytes:
    """BundleEntryProto."""
    dimensions = b"".join(field(2, field(1, length)) for length in shape)
    numbers = field(1, type_number) + field(2, dimensions) + field(3, shard) + field(4, offset) + field(5, size)
    return numbers + varint(6 << 3 | 5) + struct.pack("<I", crc)


def table(entries: Mapping[bytes, bytes], *, compression: int = 0, per_block: int = 5) -> bytes:
    """A sorted table with prefix-compressed keys."""
    out = bytearray()

    def block(pairs: list[tuple[bytes, bytes]], compress: bool) -> bytes:
        body, before = bytearray(), b""
        for key, value in pairs:
            shared = next((k for k, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), None)
            shared = min(len(key), len(before)) if shared is None else shared
            body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
            before = key
        body += struct.pack("<II", 0, 1)
        kind = compression if compress else 0
        stored = bytes(cramjam.snappy.compress_raw(bytes(body))) if kind == 1 else bytes(body)
        handle = varint(len(out)) + varint(len(stored))
        out.extend(stored + bytes([kind]) + struct.pack("<I", masked(stored + bytes([kind]))))
        return handle

    pairs = sorted(entries.items())
    parts = [pairs[start : start + per_block] for start in range(0, len(pairs), per_block)]
    index = [(part[-1][0], block(part, True)) for part in parts]
    meta = block([], False)
    footer = meta + block(index, False)
    return bytes(out) + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def write(
    folder: Path, tensors: Mapping[str, NDArray[np.generic]], *, step: int = 7, shards: int = 1, compression: int = 0
) -> Path:
    """A whole checkpoint; the variables go to the shards in turn. Returns the index."""
    files = [bytearray() for _ in range(shards)]
    content = {b"": header(shards)}
    for number, (name, tensor) in enumerate(sorted(tensors.items())):
        data, shard = tensor.tobytes(), number % shards
        crc = masked(data)
        content[name.encode()] = entry(TYPES[str(tensor.dtype)], tensor.shape, shard, len(files[shard]), len(data), crc)
        files[shard] += data
    path = folder / f"model.ckpt-{step}.index"
    path.write_bytes(table(content, compression=compression))
    for shard, written in enumerate(files):
        (folder / f"model.ckpt-{step}.data-{shard:05d}-of-{shards:05d}").write_bytes(written)
    return path
