"""CRC-32C (Castagnoli), the checksum of TensorFlow's files. In: bytes. Out: the checksum, plain or unmasked.

Source: RFC 3720 appendix B.4 (polynomial 0x1EDC6F41, reflected 0x82F63B78); the mask is LevelDB's `crc32c::Mask`.
"""

import numba
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


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _crc(data: NDArray[np.uint8], tables: NDArray[np.uint32]) -> int:
    """Eight bytes at a time: their eight look-ups do not wait for each other."""
    value = np.uint32(0xFFFFFFFF)
    whole = len(data) - len(data) % 8
    low, shift = np.uint32(0xFF), np.uint32(8)
    for at in range(0, whole, 8):
        a = value ^ (
            np.uint32(data[at])
            | np.uint32(data[at + 1]) << np.uint32(8)
            | np.uint32(data[at + 2]) << np.uint32(16)
            | np.uint32(data[at + 3]) << np.uint32(24)
        )
        value = (
            tables[7, a & low]
            ^ tables[6, (a >> shift) & low]
            ^ tables[5, (a >> np.uint32(16)) & low]
            ^ tables[4, (a >> np.uint32(24)) & low]
            ^ tables[3, data[at + 4]]
            ^ tables[2, data[at + 5]]
            ^ tables[1, data[at + 6]]
            ^ tables[0, data[at + 7]]
        )
    for at in range(whole, len(data)):
        value = (value >> shift) ^ tables[0, (value ^ np.uint32(data[at])) & low]
    return int(value ^ np.uint32(0xFFFFFFFF))


def crc32c(data: bytes | memoryview | NDArray[np.uint8]) -> int:
    """CRC-32C of bytes, 0..2³²-1. About 1 GB/s; the first call compiles (kept in a cache on disk)."""
    return int(_crc(np.frombuffer(data, np.uint8), _TABLES))


def unmasked(stored: int) -> int:
    """The checksum behind a stored, masked one (a checksum of data that holds checksums would be weak)."""
    rotated = (stored - MASK_DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF
