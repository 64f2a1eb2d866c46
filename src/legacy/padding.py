"""Losses that are low because silence was scored: the reference pads a song's last piece with zeros and scores them.

In: a log's losses and its attempts. Out: which steps, and the evidence that it is padding. A song of 120 s makes
twenty pieces of 100,000 samples, two a step: the padded piece comes every tenth step, counted from the start of each
attempt, because each attempt begins with a new song. Half of the batch is another piece, so the loss cannot fall
much below half.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from src.legacy.attempts import Attempt

DROP_NATS = 0.35
"""A padded step lies this far below the three steps before it and the three behind it."""
SIDE = 3
APART = 3
"""A song that sounds at all makes several pieces: nearer dips are one, or a quiet passage."""
LONGEST = 40
"""Distances counted between padded steps."""


@dataclass(frozen=True)
class Padding:
    """What was found."""

    places: NDArray[np.int64]
    """Places in the log of the steps lowered by padding."""
    ratios: NDArray[np.float64]
    """Loss of each over the loss around it."""
    distances: NDArray[np.int64]
    """(LONGEST + 1,) how many neighbouring ones are so many steps apart."""
    by_chance: NDArray[np.float64]
    """(LONGEST + 1,) the same if they fell anywhere."""
    period: int
    """The most frequent distance."""
    p: float
    """Chance of that many at the period, if they fell anywhere (binomial)."""
    share: float
    """Of all steps."""

    @property
    def convincing(self) -> bool:
        """Whether there is a period at all."""
        return self.p < 1e-6 and self.period >= 2


def find(losses: NDArray[np.float64], attempts: Sequence[Attempt]) -> Padding | None:
    """Look for padded steps; None if there are fewer than twenty candidates.

    losses: (n,) nats per sample.
    """
    parts = [_dips(losses[a.first : a.first + a.count]) + a.first for a in attempts if a.count > 2 * SIDE]
    places = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    if len(places) < 20:
        return None
    ratios = np.array([losses[place] / _around(losses, int(place)) for place in places])
    distances = np.zeros(LONGEST + 1, np.int64)
    for part in parts:
        gaps = np.diff(part)
        distances += np.bincount(gaps[gaps <= LONGEST], minlength=LONGEST + 1)
    pairs = sum(max(0, len(part) - 1) for part in parts)
    rate = len(places) / len(losses)
    gaps = np.arange(LONGEST + 1)
    # Of dips closer than `APART` only the deepest counts. Beyond that, chance is geometric.
    by_chance = np.where(gaps < APART, 0.0, pairs * rate * (1 - rate) ** (gaps - float(APART)))
    period = int(distances.argmax())
    p = float(special.bdtrc(distances[period] - 1, pairs, min(1.0, by_chance[period] / pairs)))
    return Padding(places, ratios, distances, by_chance, period, p, rate)


def _dips(losses: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places that lie `DROP_NATS` below the medians of the steps before and behind."""
    windows = np.lib.stride_tricks.sliding_window_view(losses, SIDE)
    middles = np.median(windows, axis=1)
    centre = np.arange(SIDE, len(losses) - SIDE)
    limit = np.minimum(middles[centre - SIDE], middles[centre + 1]) - DROP_NATS
    inner = centre[losses[centre] < limit]
    # An attempt's last step has nothing behind it: there the steps before it decide.
    last = len(losses) - 1
    if losses[last] < middles[last - SIDE] - 2 * DROP_NATS:
        inner = np.append(inner, last)
    depth = np.full(len(losses) + 2 * APART, np.inf)
    depth[inner + APART] = losses[inner]
    rivals = [depth[inner + APART + shift] for shift in range(1 - APART, APART) if shift]
    return np.asarray(inner[losses[inner] < np.min(rivals, axis=0)], np.int64)


def _around(losses: NDArray[np.float64], place: int) -> float:
    near = np.r_[losses[max(0, place - SIDE) : place], losses[place + 1 : place + 1 + SIDE]]
    return float(np.median(near))
