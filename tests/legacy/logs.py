"""Writes training logs as a crashing trainer would have left them: the truth is known, the log shows less."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

STUDY = Path(os.environ.get("STUDY_2019", Path(__file__).parents[2].parent / "shared" / "study-2019"))
"""The study's own files, if they are on this machine."""
BEGIN = datetime(2019, 11, 27, 5, 0, tzinfo=UTC)
CADENCE = 10


@dataclass(frozen=True)
class Made:
    """A log and what really happened."""

    text: str
    lost_steps: int
    padded: int


def line(step: int, loss: float, seconds: float) -> str:
    """A step line of the reference."""
    return f"step {step} - loss = {loss:.3f}, ({seconds:.3f} sec/step)\n"


def restart(at: datetime) -> str:
    """A restart line of the 2019 loop, in its time zone."""
    local = at - timedelta(hours=5)
    return f"Restarting the service at {local:%a %b} {local.day:2d} {local:%H:%M:%S} EST {local:%Y}\n"


def crashing(
    attempts: int, *, seed: int = 1, step_s: float = 30.0, startup_s: float = 20.0, first_extra_s: float = 14.0,
    jump: float = 0.0, period: int = 10,
) -> Made:  # fmt: skip
    """A run that dies and goes on: lines are flushed with each checkpoint, so the steps behind it are lost.

    jump: added to the loss for the rest of a song after each restart. period: steps a song lasts.
    """
    random = np.random.default_rng(seed)
    text, now, step, lost, padded = "", BEGIN, 0, 0, 0
    for attempt in range(attempts):
        now += timedelta(seconds=startup_s)
        checkpoints, behind = int(random.integers(2, 9)), int(random.integers(0, CADENCE))
        level = 4 + 0.25 * random.standard_normal()
        for number in range(checkpoints * CADENCE + behind):
            seconds = step_s + 0.2 * random.standard_normal() + (first_extra_s if number == 0 else 0)
            now += timedelta(seconds=seconds + 0.1)
            last = number % period == period - 1
            loss = (level + (jump if attempt and number < period else 0)) * (0.6 if last else 1)
            if last:
                level = 4 + 0.25 * random.standard_normal()
            if number < checkpoints * CADENCE:
                step += 1
                padded += last
                text += line(step, loss + 0.05 * random.standard_normal(), seconds)
        lost += behind
        text += restart(now)
    return Made(text, lost, padded)
