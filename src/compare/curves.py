"""What the journal's thousands of steps look like: running medians with bands, and the marks of restarts.

In: a `journal.View`. Out: small arrays a figure can draw and a JSON file can hold. Nothing is read or written.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.record.journal import View

POINTS = 300
"""Points of a drawn curve: one for every two or three pixels of a figure."""

WINDOWS = 60
"""A window holds about this part of all steps: wide enough that the median says more than the luck of the batches."""

LOOP_S = 600.0
"""Restarts without a finished step between them, each within this of the one before, are one crash loop."""


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
        return {
            "window_steps": self.window,
            "step": [float(value) for value in self.steps],
            "p10": [float(f"{value:.5g}") for value in self.low],
            "median": [float(f"{value:.5g}") for value in self.median],
            "p90": [float(f"{value:.5g}") for value in self.high],
        }


@dataclass(frozen=True)
class Restart:
    """Training began again at a step: one restart, or several in a row that got nowhere."""

    step: int
    """Last step logged before it."""
    automatic: bool
    """By a supervisor (True) or by a person (False)."""
    count: int
    """Attempts that this mark stands for."""
    inferred: bool
    """Concluded from other traces, not read from a log."""


@dataclass(frozen=True)
class Lately:
    """The loss of the steps up to one step."""

    median: float
    low: float
    """25th percentile."""
    high: float
    """75th percentile."""
    first: int
    last: int
    steps: int
    """Logged steps between `first` and `last`."""


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


def loss_lately(view: View, step: int) -> Lately | None:
    """Median and quartiles of the loss over the last steps up to `step` (as `src.train` reports it).

    A single step's loss says more about its batch than about the network. None if nothing was logged there.
    """
    losses = view.latest_losses(step)
    if not losses:
        return None
    low, median, high = np.percentile(list(losses.values()), [25, 50, 75])
    return Lately(float(median), float(low), float(high), min(losses), max(losses), len(losses))


def restarts(view: View) -> list[Restart]:
    """The marks of a figure: every attempt but the first, those that got nowhere folded into one mark."""
    marks: list[Restart] = []
    previous_ms = 0
    reached: dict[int, int] = {}
    for step in view.steps.values():
        reached[step.attempt] = max(reached.get(step.attempt, 0), step.step)
    last_step, productive = 0, True
    for index, (number, attempt) in enumerate(sorted(view.attempts.items())):
        if index > 0:
            loop = not productive and (attempt.time_ms - previous_ms) / 1000 <= LOOP_S
            inferred = bool(attempt.details.get("inferred", False))
            if loop and marks and marks[-1].automatic == attempt.automatic:
                before = marks[-1]
                marks[-1] = Restart(before.step, before.automatic, before.count + 1, before.inferred or inferred)
            else:
                marks.append(Restart(last_step, attempt.automatic, 1, inferred))
        productive = number in reached
        last_step = max(last_step, reached.get(number, 0))
        previous_ms = attempt.time_ms
    return marks
