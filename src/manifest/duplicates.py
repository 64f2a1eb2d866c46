"""Songs of the same recording, found by their fingerprints.

In: fingerprints. Out: groups of songs. Words that two songs share vote for the shift between them; the pairs with
votes are then compared word by word at that shift, so a group never rests on chance.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.audio.fingerprint import Words, error_rate

SAME_ERROR_RATE = 0.25
"""Re-encoded copies differ in 2 to 20 % of the bits, different songs in 40 to 52 % (docs/library.md)."""
LEAST_WORDS = 200
"""Words (tenths of a second) that must be compared for a verdict."""
VOTES = 3
INDEX_WORDS = 12_000_000
"""Most words indexed at once, for bounded memory; of more songs, a shorter part of each is indexed."""
_SHORTEST_PART = 100
_COMMON = 64
"""A word that stands in more than this many positions says nothing (silence, a held tone)."""
_NEIGHBOURS = 12
_KEY_SHIFT, _KEY_BITS = 4, 24
"""Only the middle bands make the index: more words of a bad copy then match whole."""


def groups(prints: Sequence[Words]) -> list[list[int]]:
    """Indices of songs of the same recording, each group with two songs or more."""
    leader = list(range(len(prints)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for first, second, lag in candidates(prints):
        if find(first) == find(second):
            continue
        # The true shift lies between two hops: the neighbours may fit better.
        rates = [error_rate(prints[first], prints[second], lag + step) for step in (-1, 0, 1)]
        if any(rate < SAME_ERROR_RATE and compared >= LEAST_WORDS for rate, compared in rates):
            leader[max(find(first), find(second))] = min(find(first), find(second))
    members: dict[int, list[int]] = {}
    for index in range(len(prints)):
        members.setdefault(find(index), []).append(index)
    return [group for group in members.values() if len(group) > 1]


def candidates(prints: Sequence[Words]) -> list[tuple[int, int, int]]:
    """(song, other song, lag) with enough words in common; lag as in `error_rate`."""
    if len(prints) < 2:
        return []
    length = max(_SHORTEST_PART, INDEX_WORDS // len(prints))
    parts = [words[_begin(len(words), length) :][:length] for words in prints]
    song = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    position = np.concatenate(
        [_begin(len(words), length) + np.arange(len(part)) for words, part in zip(prints, parts, strict=True)]
    )
    words = np.concatenate(parts)
    heard = words != 0
    song, position = song[heard], position[heard]
    keys = (words[heard] >> np.uint32(_KEY_SHIFT)) & np.uint32((1 << _KEY_BITS) - 1)
    order = np.argsort(keys, kind="stable")
    keys, song, position = keys[order], song[order], position[order]
    keep = _rare(keys)
    keys, song, position = keys[keep], song[keep], position[keep]
    votes: list[NDArray[np.int64]] = []
    for step in range(1, _NEIGHBOURS + 1):
        same = np.flatnonzero((keys[:-step] == keys[step:]) & (song[:-step] != song[step:]))
        one, other = song[same], song[same + step]
        lag = position[same] - position[same + step]
        swap = one > other
        low, high = np.where(swap, other, one), np.where(swap, one, other)
        votes.append(_packed(low, high, np.where(swap, -lag, lag)))
    cast, count = np.unique(np.concatenate(votes), return_counts=True)
    chosen = cast[_with_neighbours(cast, count) >= VOTES]
    return [_unpacked(int(value)) for value in chosen]


def _begin(words: int, length: int) -> int:
    return max(0, (words - length) // 2) if words > length else 0


def _rare(keys: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which of the sorted keys occur at most `_COMMON` times."""
    if not len(keys):
        return np.zeros(0, dtype=np.bool_)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    lengths = np.diff(np.append(starts, len(keys)))
    return np.asarray(np.repeat(lengths <= _COMMON, lengths), dtype=np.bool_)


_LAG_ZERO = 1 << 13


def _packed(low: NDArray[np.int64], high: NDArray[np.int64], lag: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray((low << 38) | (high << 14) | (lag + _LAG_ZERO), dtype=np.int64)


def _unpacked(value: int) -> tuple[int, int, int]:
    return value >> 38, (value >> 14) & 0xFFFFFF, (value & 0x3FFF) - _LAG_ZERO


def _with_neighbours(cast: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Votes for each pair and lag, those for the next lag of the same pair included."""
    total = count.copy()
    close = np.flatnonzero(np.diff(cast) == 1)
    total[close] += count[close + 1]
    return total
