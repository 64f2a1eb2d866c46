"""What a decoder gives, whichever it is: an open sound, or the reason why there is none."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.base.errors import Unread

Samples = NDArray[np.float32]

BLOCK_FRAMES = 1 << 16
DAMAGED = "damaged: the decoder found an error in the audio"


class Undecodable(Exception):
    """The file holds no sound that can be decoded; the message is the reason for its row."""


@dataclass(frozen=True)
class Sound:
    """An open decoder."""

    rate_hz: int
    channels: int
    blocks: Iterator[Samples]
    """Blocks of (frames, channels) float32, nominally in -1..1. Raises `Undecodable` where decoding fails."""


def want_of_memory(said: str) -> None:
    """Raise `Unread` for a decoder's complaint that is the machine's fault."""
    if re.search(r"Cannot allocate memory|Out of memory|malloc|Resource temporarily unavailable", said):
        raise Unread("too little memory to read it")


def finite(block: Samples) -> Samples:
    """The block without NaN and infinity, which float formats can hold."""
    if np.isfinite(block.sum()):
        return block
    return np.nan_to_num(block, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
