"""Whether the loss jumps when training restarts, for there the 2019 run lost its optimizer's moments.

In: losses, places of restarts, places lowered by padding. Out: the mean change of the loss across a restart, beside the
same change across ordinary ends of songs: a restart also begins a new song, and songs differ by more than a nat. A
permutation test compares the two, and its power says how large a jump it would have found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 9
"""Steps compared on either side: the rest of one song."""
DRAWS = 20_000
MOST_STARTS, MOST_BORDERS = 500, 5000
LEVEL = 0.05
POWER = 0.8


@dataclass(frozen=True)
class JumpTest:
    """The change of the loss across restarts."""

    restarts: int
    borders: int
    """Ordinary ends of songs it is compared with."""
    change: float
    """Mean over restarts, nats: loss after minus loss before."""
    ordinary_change: float
    ordinary_spread: float
    """Standard deviation over single borders."""
    p: float
    """Two-sided."""
    detectable: float
    """Smallest jump found with 80 % certainty at the 5 % level, nats (simulated)."""


def compare(
    losses: NDArray[np.float64], restarts: Sequence[int], padded: NDArray[np.int64], seed: int
) -> JumpTest | None:
    """None if fewer than five restarts or twenty borders can be compared.

    losses: (n,) in the order of the log. restarts: places of first steps. padded: places that are left out and after
    which a new song begins.
    """
    usable = losses.copy()
    usable[padded] = np.nan
    starts = np.unique(np.array(restarts, np.int64))
    starts = starts[(starts >= WINDOW) & (starts + WINDOW <= len(losses))]
    borders = padded + 1
    borders = borders[(borders >= WINDOW) & (borders + WINDOW <= len(losses))]
    if len(starts) < 5:
        return None
    after = np.searchsorted(starts, borders)
    apart = np.minimum(
        np.abs(borders - starts[np.maximum(after - 1, 0)]), np.abs(borders - starts[np.minimum(after, len(starts) - 1)])
    )
    borders = borders[apart > 2 * WINDOW]
    if len(borders) < 20:
        return None
    # More would not sharpen the answer, only slow it down.
    starts, borders = starts[:: len(starts) // MOST_STARTS + 1], borders[:: len(borders) // MOST_BORDERS + 1]
    across, ordinary = _changes(usable, starts), _changes(usable, borders)
    across, ordinary = across[np.isfinite(across)], ordinary[np.isfinite(ordinary)]
    generator = np.random.Generator(np.random.Philox(seed))
    number = len(across)
    pool = np.concatenate([across, ordinary])
    null = np.array([generator.choice(pool, number, replace=False).mean() for _ in range(DRAWS)]) - pool.mean()
    observed = float(across.mean() - pool.mean())
    p = (1 + int(np.sum(np.abs(null) >= abs(observed)))) / (DRAWS + 1)
    critical = float(np.quantile(np.abs(null), 1 - LEVEL))
    # A jump of d shifts every draw by d: it is found when the shifted draw passes the critical value.
    detectable = float(critical - np.quantile(null, 1 - POWER))
    return JumpTest(
        number, len(ordinary), float(across.mean()), float(ordinary.mean()), float(ordinary.std(ddof=1)), p, detectable
    )


def _changes(losses: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    near = np.arange(WINDOW)
    after, before = losses[places[:, None] + near], losses[places[:, None] - 1 - near]
    return np.asarray(np.nanmedian(after, axis=1) - np.nanmedian(before, axis=1))
