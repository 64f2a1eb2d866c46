"""What the journal's thousands of steps look like: running medians with bands, and the marks of restarts.

In: a `journal.View`. Out: small arrays a chart can draw and a JSON file can hold. Nothing is read or written.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.record.journal import View

POINTS = 300
"""Points of a drawn curve: one for every two or three pixels of a chart."""

WINDOWS = 60
"""A window holds about this part of all steps: wide enough that the median says more than the luck of the batches."""


@dataclass(frozen=True)
class Band:
    """A running median with the range of the middle 80 % around it."""

    steps: NDArray[np.float64]
    """(points,) middle of each window."""
    low: NDArray[np.float64]
    """(points,) 10th percentile of the window."""
    median: NDArray[np.float64]
    high: NDArray[np.float64]
    """(points,) 90th percentile of the window."""
    window: int
    """Steps in a window."""

    def as_json(self) -> dict[str, object]:
        """The curve as lists of numbers, rounded to what can be seen."""
        rows = {"step": self.steps, "p10": self.low, "median": self.median, "p90": self.high}
        return {
            "window_steps": self.window,
            **{name: [float(f"{value:.5g}") for value in row] for name, row in rows.items()},
        }


@dataclass(frozen=True)
class Restart:
    """Training began again at a step."""

    step: int
    """Last step logged before it."""
    automatic: bool
    """By a supervisor (True) or by a person (False)."""
    inferred: bool
    """Concluded from other traces, not read from a log."""


def running(steps: NDArray[np.int64], values: NDArray[np.float64], points: int = POINTS) -> Band:
    """Running median and 10th to 90th percentile over centred windows.

    Near the beginning the windows are narrower, so that the steep fall there is not smoothed away.
    steps, values: (n,) in the order of the steps, n >= 1.
    """
    count = len(values)
    widest = min(count, max(2 * (count // points), count // WINDOWS, min(21, max(1, count // 10))))
    centres = np.unique(np.linspace(0, count - 1, points).round().astype(int))
    percentiles = []
    for centre in centres:
        reach = min(widest // 2, max(5, int(centre)))
        percentiles.append(np.percentile(values[max(0, centre - reach) : centre + reach + 1], [10, 50, 90]))
    low, median, high = np.array(percentiles).T
    return Band(steps[centres].astype(np.float64), low, median, high, widest)


def loss_curve(view: View) -> Band | None:
    """Loss per step (nats per sample); None for an empty journal."""
    if not view.steps:
        return None
    order = sorted(view.steps)
    return running(np.array(order, np.int64), np.array([view.steps[step].loss for step in order]))


def seconds_curve(view: View) -> Band | None:
    """Seconds per step; None if no step has its seconds."""
    timed = [(number, step.seconds) for number, step in sorted(view.steps.items()) if step.seconds is not None]
    if not timed:
        return None
    return running(np.array([number for number, _ in timed], np.int64), np.array([s for _, s in timed]))


def restarts(view: View) -> list[Restart]:
    """Every attempt but the first, at the last step logged before it."""
    reached: dict[int, int] = {}
    for step in view.steps.values():
        reached[step.attempt] = max(reached.get(step.attempt, 0), step.step)
    marks, last_step = [], 0
    for index, (number, attempt) in enumerate(sorted(view.attempts.items())):
        if index > 0:
            marks.append(Restart(last_step, attempt.automatic, bool(attempt.details.get("inferred", False))))
        last_step = max(last_step, reached.get(number, 0))
    return marks
