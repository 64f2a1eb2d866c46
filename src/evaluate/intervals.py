"""Means and changes with 95 % intervals from few units.

In: one value for each independent unit (a song, a window). Out: a `Measure` with a 95 % interval, or none when the
units are too few to say anything.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from src.evaluate.measure import Measure, Over

BOOTSTRAP_MINIMUM = 8
"""With fewer units the bootstrap's interval is too narrow, so Student's t is used."""
RESAMPLES = 2000


def mean(values: ArrayLike, unit: str, over: Over, *, seed: int = 0, weights: ArrayLike | None = None) -> Measure:
    """The (weighted) mean over independent units with its 95 % interval.

    values: (units,); weights: (units,), such as samples per song. Eight units or more: the bootstrap over units with
    Hesterberg's expanded percentiles (The American Statistician 69, 2015), which undo its narrowness for small n.
    Two to seven: Student's t. One: no interval. None: no value.
    """
    x = np.asarray(values, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    n = len(x)
    if n == 0 or w.sum() <= 0:
        return Measure(None, unit, 0, over, why="There is nothing to measure.")
    value = float(np.average(x, weights=w))
    if n == 1:
        return Measure(value, unit, 1, over)
    if n < BOOTSTRAP_MINIMUM:
        half = float(special.stdtrit(n - 1, 0.975)) * standard_error(x, w)
        return Measure(value, unit, n, over, value - half, value + half)
    lo, hi = bootstrap(x, w, seed=seed)
    return Measure(value, unit, n, over, lo, hi)


def standard_error(x: NDArray[np.float64], w: NDArray[np.float64] | None = None) -> float:
    """Standard error of the (weighted) mean of independent units, weights taken as sizes (ratio estimator)."""
    n = len(x)
    w = np.ones(n) if w is None else w
    centre = np.average(x, weights=w)
    return float(np.sqrt(np.sum((w * (x - centre)) ** 2) * n / (n - 1)) / w.sum())


def bootstrap(x: NDArray[np.float64], w: NDArray[np.float64], *, seed: int) -> tuple[float, float]:
    """95 % expanded percentile interval of the weighted mean, resampling units with replacement."""
    n = len(x)
    picks = np.random.default_rng(seed).integers(0, n, size=(RESAMPLES, n))
    means = (x * w)[picks].sum(axis=1) / w[picks].sum(axis=1)
    tail = float(special.ndtr(-math.sqrt(n / (n - 1)) * special.stdtrit(n - 1, 0.975)))
    lo, hi = np.quantile(means, [tail, 1 - tail])
    return float(lo), float(hi)


def whole_with_windows(whole: float, windows: ArrayLike, unit: str) -> Measure:
    """A figure of a whole clip, its interval from the spread of the same figure over the clip's windows.

    The method of batch means: the standard error of the whole is that of a window over the root of their number.
    Windows in which the figure does not exist (NaN) are left out.
    """
    x = np.asarray(windows, dtype=np.float64)
    x = x[np.isfinite(x)]
    if not math.isfinite(whole):
        return Measure(None, unit, 0, "windows", why="The clip has nothing this measure could be taken from.")
    if len(x) < 3:
        return Measure(whole, unit, max(len(x), 1), "windows")
    half = float(special.stdtrit(len(x) - 1, 0.975)) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return Measure(whole, unit, len(x), "windows", whole - half, whole + half)


def difference(before: Measure, after: Measure) -> tuple[float, float, float] | None:
    """after minus before, with a 95 % interval from the two intervals taken as independent.

    Returns (change, lo, hi), or None where either has no interval. The half-widths are joined as the root of their
    squares on the side where each matters (Zou and Donner, Statistics in Medicine 27, 2008).
    """
    if before.value is None or after.value is None or before.lo is None or after.lo is None:
        return None
    if before.hi is None or after.hi is None:
        return None
    change = after.value - before.value
    lo = change - math.hypot(after.value - after.lo, before.hi - before.value)
    hi = change + math.hypot(after.hi - after.value, before.value - before.lo)
    return change, lo, hi
