"""CRC-32C (Castagnoli), the checksum of TensorFlow's files. In: bytes. Out: the checksum, plain or unmasked.

Source: RFC 3720 appendix B.4 (polynomial 0x1EDC6F41, reflected 0x82F63B78); the mask is LevelDB's `crc32c::Mask`.
"""

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
MASK_DELTA = 0xA282EAD8


def _tables() -> NDArray[np.uint32]:
    """(8, 256) uint32: row k advances a byte's remainder by k more zero bytes."""
    rows = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (POLYNOMIAL if value & 1 else 0)
        rows[0, byte] = value
    for row in range(1, 8):
        before = rows[row - 1]
        rows[row] = (before >> np.uint32(8)) ^ rows[0, before & np.uint32(0xFF)]
    return rows


_TABLES = _tables()


def crc32c(data: bytes | memoryview | NDArray[np.uint8]) -> int:
    """CRC-32C of bytes, 0..2³²-1. About 1 GB/s; the first call compiles (kept in a cache on disk)."""
    from src.base.crc32c_kernel import crc

    return int(crc(np.frombuffer(data, np.uint8), _TABLES))


def unmasked(stored: int) -> int:
    """The checksum behind a stored, masked one (a checksum of data that holds checksums would be weak)."""
    rotated = (stored - MASK_DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF
