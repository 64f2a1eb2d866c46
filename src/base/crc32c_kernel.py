"""The loop of `crc32c`, compiled. It stands apart because numba takes 60 MB, which a long log leaves no room for."""

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def crc(data: NDArray[np.uint8], tables: NDArray[np.uint32]) -> int:
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
