"""How far a few windows of sound are from a genre's training songs.

In: points (windows, dims) of an embedding. Out: Fréchet distance (Heusel et al. 2017, arXiv 1706.08500; for audio
Kilgour et al. 2018, arXiv 1812.08466), extrapolated to infinitely many windows (Gui et al. 2023, arXiv 2311.01616),
and a mean Mahalanobis distance that a few windows suffice for.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from src.evaluate.embedding import Points
from src.evaluate.measure import Measure

MINIMUM_WINDOWS = 12
"""Below this the extrapolation has nothing to stand on and there is no figure."""
SIZES = 8
DRAWS = 12
"""Subsets drawn of each size; their mean is what the line is fitted to."""
RESAMPLES = 200
RIDGE = 0.02
"""Share of the mean variance added to every direction before a covariance is inverted."""


@dataclass(frozen=True)
class Cloud:
    """A Gaussian: mean (dims,) and covariance (dims, dims)."""

    mean: Points
    covariance: Points

    @classmethod
    def fit(cls, points: Points) -> "Cloud":
        """From points (windows, dims), two or more."""
        return cls(points.mean(axis=0), np.atleast_2d(np.cov(points, rowvar=False)))


def between(a: Cloud, b: Cloud) -> float:
    """Fréchet distance of two Gaussians: |ma - mb|² + tr(A + B - 2 (AB)^½)."""
    root = _root(a.covariance)
    cross = np.linalg.eigvalsh(root @ b.covariance @ root)
    shift = a.mean - b.mean
    squared = shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return max(0.0, float(squared))


def _root(matrix: Points) -> Points:
    values, vectors = np.linalg.eigh(matrix)
    root: Points = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


class Distance:
    """Fréchet distances from one cloud of subsets of the same points.

    The trace of (AB)^½ needs only the eigenvalues of the points' Gram matrix in A, windows × windows: a subset is
    an index into it, and 200 dimensions cost no more than 16.
    """

    def __init__(self, reference: Cloud, points: Points) -> None:
        self._points = points - reference.mean
        self._gram = self._points @ reference.covariance @ self._points.T
        self._trace = float(np.trace(reference.covariance))

    def __call__(self, chosen: np.ndarray) -> float:
        """Distance of the points at these indices (repeats allowed)."""
        n = len(chosen)
        points = self._points[chosen]
        centre = points.mean(axis=0)
        gram = self._gram[np.ix_(chosen, chosen)]
        gram = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()
        cross = np.sqrt(np.maximum(np.linalg.eigvalsh(gram / (n - 1)), 0)).sum()
        spread = float(((points - centre) ** 2).sum()) / (n - 1)
        return float(centre @ centre) + self._trace + spread - 2 * float(cross)


def extrapolated(reference: Cloud, points: Points, *, seed: int, together: int = 1, spread: bool = True) -> Measure:
    """Fréchet distance at infinitely many windows, its interval from a bootstrap over runs of `together` windows.

    The distance of n windows is about the true one plus c / n, as n windows show less than all of their covariance.
    A line through the mean distances of random subsets of n/2 … n windows against 1/n is read at 0. Overlapping
    windows are fewer than they seem, so something of the bias stays: compare with references of the same length.
    """
    n = len(points)
    if n < MINIMUM_WINDOWS:
        why = f"{n} windows are too few for a Fréchet distance; {MINIMUM_WINDOWS} are needed. Generate longer clips."
        return Measure(None, "", n, "windows", why=why)
    rng = np.random.default_rng(seed)
    distance = Distance(reference, points)
    sizes = np.unique(np.linspace(n // 2, n, SIZES).round().astype(int))
    means = [np.mean([distance(rng.permutation(n)[:size]) for _ in range(DRAWS if size < n else 1)]) for size in sizes]
    value = float(np.polyfit(1 / sizes, means, 1)[1])
    if not spread:
        return Measure(value, "", n, "windows")
    blocks = max(1, n // together)
    starts = rng.integers(0, n - together + 1, size=(RESAMPLES, blocks))
    resampled = [distance((row[:, None] + np.arange(together)).ravel()) for row in starts]
    # A resample has fewer different windows, so its distance is biased again: only its spread is used.
    half = float(special.stdtrit(max(1, blocks - 1), 0.975)) * float(np.std(resampled, ddof=1))
    return Measure(value, "", n, "windows", value - half, value + half)


def principal_axes(points: Points, count: int | None) -> Points:
    """(dims, count) the directions in which these points spread most; all dimensions as they are for None."""
    if count is None or count >= points.shape[1]:
        return np.eye(points.shape[1])
    _, vectors = np.linalg.eigh(np.cov(points, rowvar=False))
    axes: Points = vectors[:, ::-1][:, :count]
    return axes


def typical_distance(reference: Cloud, points: Points) -> Points:
    """Each window's distance from the centre of the cloud in its own spread: (windows,).

    Mahalanobis distance over the root of the dimensions, so that a typical window of the cloud itself has 1.
    """
    dims = len(reference.mean)
    ridge = RIDGE * float(np.trace(reference.covariance)) / dims * np.eye(dims)
    shift = points - reference.mean
    squared = np.einsum("nd,nd->n", shift, np.linalg.solve(reference.covariance + ridge, shift.T).T)
    distances: Points = np.sqrt(squared / dims)
    return distances
