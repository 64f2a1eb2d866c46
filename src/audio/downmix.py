"""Mono out of any number of channels, so that nothing is lost by it.

In: blocks of samples. Out: mono blocks, and whether the channels cancel each other. Channels are averaged (5.1 and 7.1
by the weights of ITU-R BS.775, without the LFE channel). Where that loses the sound, as with one channel inverted or
sound in the LFE channel alone, the loudest channel is taken alone: it cannot cancel.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from src.audio.sound import Samples, Undecodable

LEAST_OF_SUM = 0.25
"""Least power of the mix, compared with channels that have nothing to do with each other: 6 dB below is cancelling."""
LEAST_OF_LOUDEST = 1e-3
"""Least power of the mix, compared with the loudest channel (-30 dB)."""

T = TypeVar("T")


class Downmix:
    """Mixes the blocks of one song, and keeps account of what the mixing loses."""

    def __init__(self, alone: int | None = None) -> None:
        """alone: the one channel to take, in place of a mix."""
        self._alone = alone
        self._mixed = 0.0
        self._weights = self._power = np.zeros(0)

    def __call__(self, block: Samples) -> Samples:
        """(frames, channels) to (frames,)."""
        if self._alone is not None:
            return block[:, self._alone]
        if not len(self._weights):
            self._weights, self._power = weights(block.shape[1]), np.zeros(block.shape[1])
        mono = mixed(block)
        self._power += np.einsum("ij,ij->j", block, block)
        self._mixed += float(np.dot(mono, mono))
        return mono

    @property
    def loudest_if_lost(self) -> int | None:
        """The channel to take alone, if mixing loses the sound so far."""
        if self._alone is not None or not len(self._power):
            return None
        least = max(LEAST_OF_SUM * self._weights**2 @ self._power, LEAST_OF_LOUDEST * self._power.max())
        return int(self._power.argmax()) if self._mixed < least else None


def without_loss(attempt: Callable[[Downmix], T]) -> T:
    """What `attempt` gives with a mix of all channels; if they cancel, what it gives with the loudest one alone."""
    mixer = Downmix()
    try:
        result = attempt(mixer)
    except Undecodable:
        if mixer.loudest_if_lost is None:
            raise
    else:
        if mixer.loudest_if_lost is None:
            return result
    return attempt(Downmix(mixer.loudest_if_lost))


def mixed(block: Samples) -> Samples:
    """(frames, channels) to (frames,), weighted."""
    # Channel by channel: numpy's own sums over so short an axis take several times as long.
    share = weights(block.shape[1]).astype(np.float32)
    mono = block[:, 0] * share[0]
    for channel in range(1, block.shape[1]):
        mono += block[:, channel] * share[channel]
    return np.asarray(mono, dtype=np.float32)


def weights(channels: int) -> NDArray[np.float64]:
    """Weight of each channel; their sum is 1, so nothing clips. Order for 6 and 8: FL FR FC LFE BL BR (SL SR)."""
    if channels in (6, 8):
        side = 0.5**0.5
        parts = np.array([1, 1, side * 2, 0, *[side] * (channels - 4)], dtype=np.float32)
    else:
        parts = np.ones(channels, dtype=np.float32)
    return np.asarray(parts / parts.sum(), dtype=np.float64)
