"""At what speed the training ran: stretches of steps whose seconds per step differ.

In: seconds of each step. Out: phases. Found by splitting where it lowers the summed absolute deviation of log seconds
most (binary segmentation with medians); a split counts if the medians differ by a tenth and both sides are long enough.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BLOCK = 5
SHORTEST_STEPS = 100
LEAST_RATIO = 1.1


@dataclass(frozen=True)
class Phase:
    """Steps at one speed."""

    first: int
    """Place in the log."""
    count: int
    median_s: float
    low_s: float
    """10th percentile."""
    high_s: float
    """90th percentile."""
    total_s: float


def find(seconds: NDArray[np.float64]) -> list[Phase]:
    """Phases in order; at least one. seconds: (n,), n >= 1."""
    blocks = len(seconds) // BLOCK
    middles = np.log(np.median(seconds[: blocks * BLOCK].reshape(-1, BLOCK), axis=1).clip(1e-6)) if blocks else None
    bounds = [0, len(seconds)]
    if middles is not None:
        cuts: list[int] = []
        _split(middles, 0, blocks, cuts)
        bounds = [0, *(_refined(seconds, cut * BLOCK) for cut in sorted(cuts)), len(seconds)]
    return [_phase(seconds, a, b) for a, b in pairwise(bounds)]


def _split(middles: NDArray[np.float64], start: int, end: int, cuts: list[int]) -> None:
    least = SHORTEST_STEPS // BLOCK
    if end - start < 2 * least:
        return
    whole = middles[start:end]
    # Two levels fit best where the running sums of signs part: one pass finds the cut for means of clipped values.
    clipped = np.clip(whole, *np.percentile(whole, [5, 95]))
    left = np.cumsum(clipped)
    count = np.arange(1, len(whole) + 1)
    gain = np.full(len(whole), -np.inf)
    inner = slice(least - 1, len(whole) - least)
    rest = len(whole) - count
    gain[inner] = left[inner] ** 2 / count[inner] + (left[-1] - left[inner]) ** 2 / rest[inner]
    cut = start + int(gain.argmax()) + 1
    before, after = np.median(middles[start:cut]), np.median(middles[cut:end])
    if abs(before - after) < np.log(LEAST_RATIO):
        return
    cuts.append(cut)
    _split(middles, start, cut, cuts)
    _split(middles, cut, end, cuts)


def _refined(seconds: NDArray[np.float64], near: int) -> int:
    """The step at which the speed changes: the cut near a block's border that divides the log seconds best."""
    start, end = max(0, near - 10 * BLOCK), min(len(seconds), near + 10 * BLOCK)
    values = np.log(seconds[start:end].clip(1e-6))
    values = np.clip(values, *np.percentile(values, [5, 95]))
    cuts = range(5, len(values) - 5)
    costs = [values[:cut].var() * cut + values[cut:].var() * (len(values) - cut) for cut in cuts]
    return start + cuts[int(np.argmin(costs))] if costs else near


def _phase(seconds: NDArray[np.float64], start: int, end: int) -> Phase:
    part = seconds[start:end]
    low, middle, high = np.percentile(part, [10, 50, 90])
    return Phase(start, end - start, float(middle), float(low), float(high), float(part.sum()))
