"""The statistics of a training log, computed once. In: `Training`. Out: `Analysis`, for findings and figures."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from src.legacy import jumps, padding, phases
from src.legacy.jumps import JumpTest
from src.legacy.padding import Padding
from src.legacy.phases import Phase
from src.legacy.reading import Training
from src.legacy.training_log import in_nats

SEED = 2019
"""Of the permutations."""
MOST_ANALYSED = 300_000
"""Steps looked at one by one; of a longer log the last so many, to bound the memory."""


@dataclass(frozen=True)
class Series:
    """What the figures draw: arrays over the analysed steps."""

    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    seconds: NDArray[np.float64]
    padded: NDArray[np.int64]
    """Places of steps lowered by padding."""
    restarts: NDArray[np.int64]
    """Places of first steps of attempts."""


@dataclass(frozen=True)
class Analysis:
    """The statistics of a training log."""

    training: Training
    series: Series
    padding: Padding | None
    jumps: JumpTest | None
    phases: list[Phase]
    skipped: int
    """Steps at the beginning that were not analysed one by one."""


def analyse(training: Training) -> Analysis:
    """The statistics of a log."""
    log = training.log
    skipped = max(0, len(log.steps) - MOST_ANALYSED)
    part = slice(skipped, None)
    losses = in_nats(log.loss_milli[part])
    finite = np.isfinite(losses)
    # A loss that is not a number says nothing of padding or songs: an ordinary one stands in for it.
    losses[~finite] = np.median(losses[finite]) if finite.any() else 0.0
    lives = [
        replace(life, first=life.first - skipped) for life in training.attempts if life.count and life.first >= skipped
    ]
    padded = padding.find(losses, lives)
    places = padded.places if padded and padded.convincing else np.zeros(0, np.int64)
    starts = np.array([life.first for life in lives if life.first > 0], np.int64)
    return Analysis(
        training=training,
        series=Series(log.steps[part].astype(np.int64), losses, log.millis[part] / 1000, places, starts),
        padding=padded,
        jumps=jumps.compare(losses, starts.tolist(), places, SEED) if len(places) else None,
        phases=phases.find(log.millis[part] / 1000),
        skipped=skipped,
    )
