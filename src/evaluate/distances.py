"""How far pooled sounds are from a genre's training songs, by the points that an embedding makes of them.

In: points (windows, dims) of several clips or songs. Out: Fréchet distance (Heusel et al. 2017, arXiv 1706.08500; for
audio Kilgour et al. 2018, arXiv 1812.08466), kernel distance (Chung et al. 2025, arXiv 2502.15602), density and
coverage (Naeem et al. 2020, arXiv 2002.09797), each as values of the independent units: the clips or the songs.

Windows of one song resemble each other. So wherever two points are compared to learn how the genre spreads, they are
of two songs: the published definitions, which take every pair, are meant for points that are independent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from src.evaluate.embedding import Points
from src.evaluate.intervals import Floats, jackknife

NAMES = ("frechet", "kernel", "density", "coverage")
AXES = 16
"""The Fréchet distance is taken in so many directions: a covariance of 200 needs hundreds of windows."""
NEIGHBOURS = 5
KERNEL_SCALE = 100.0
"""The kernel distance is the squared discrepancy times this, as in its publication."""

Units = NDArray[np.int64]
"""(windows,) number of the clip or song that a point is of."""


@dataclass(frozen=True)
class Cloud:
    """A Gaussian: mean (dims,) and covariance (dims, dims)."""

    mean: Points
    covariance: Points

    @classmethod
    def fit(cls, points: Points) -> "Cloud":
        """From points (windows, dims), two or more."""
        return cls(points.mean(axis=0), np.atleast_2d(np.cov(points, rowvar=False)))


def frechet(a: Cloud, b: Cloud) -> float:
    """Fréchet distance of two Gaussians: |ma - mb|² + tr(A + B - 2 (AB)^½)."""
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ b.covariance @ root)
    shift = a.mean - b.mean
    squared = shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return max(0.0, float(squared))


def principal_axes(points: Points, count: int = AXES) -> Points:
    """(dims, count) the directions in which these points spread most; all of them if there are fewer."""
    _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(points, rowvar=False)))
    axes: Points = vectors[:, ::-1][:, :count]
    return axes


class Target:
    """A genre's training songs, to which pooled sounds are compared."""

    def __init__(self, points: Points, songs: Units, axes: Points) -> None:
        """points: (windows, dims), two or more; songs: of which song each is; axes: `principal_axes` of all genres."""
        self._points, self._axes = points, axes
        self._cloud = Cloud.fit(points @ axes)
        between = cdist(points, points)
        apart = different(songs)
        self._width = float(np.median(between[apart])) or 1.0
        self._spread = float(self._kernel(between)[apart].mean())
        # The points of the own song are put out of reach, so the radius is that of other songs of the genre.
        beyond = np.where(apart, between, np.inf)
        rank = min(NEIGHBOURS, int(apart.sum(axis=1).min())) - 1
        self._radii = np.partition(beyond, rank, axis=1)[:, rank]

    def _kernel(self, distance: Floats) -> Floats:
        alike: Floats = np.exp(-((distance / self._width) ** 2) / 2)
        return alike

    def compare(self, points: Points, units: Units) -> dict[str, Floats]:
        """Name → (units,) values of each of `NAMES`, as `intervals.jackknife` gives them.

        points: (windows, dims) of the same embedding, two or more.
        """
        projected = points @ self._axes
        across = cdist(self._points, points)
        alike, within, apart = self._kernel(across), self._kernel(cdist(points, points)), different(units)
        reached = across <= self._radii[:, None]

        def kernel(chosen: NDArray[np.bool_]) -> float:
            pairs = apart & chosen & chosen[:, None]
            return KERNEL_SCALE * float(self._spread + within[pairs].mean() - 2 * alike[:, chosen].mean())

        figures: dict[str, Callable[[NDArray[np.bool_]], float]] = {
            "frechet": lambda chosen: frechet(self._cloud, Cloud.fit(projected[chosen])),
            "kernel": kernel,
            "density": lambda chosen: float(reached[:, chosen].sum(axis=0).mean()) / NEIGHBOURS,
            "coverage": lambda chosen: float(reached[:, chosen].any(axis=1).mean()),
        }
        return {name: jackknife(figure, units) for name, figure in figures.items()}


def different(units: Units) -> NDArray[np.bool_]:
    """(windows, windows) which pairs of points are of two units; of a single unit, all pairs of two points."""
    apart = units[:, None] != units
    return apart if apart.any() else ~np.eye(len(units), dtype=np.bool_)


def rank_correlation(a: Floats, b: Floats) -> float | None:
    """Spearman's rank correlation of (n,) values; None for fewer than three or where one does not vary."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(spearmanr(a, b).statistic)
