"""What the processes did that died before they could write it: an estimate from the stamps.

In: the log and its attempts. Out: `Unlogged`. Between two stamps lies: the pause and the start of the process, the
logged steps, and steps whose lines were lost in the killed process's buffer together with their weights. If processes
die in the middle of work, what is left over after start and logged steps is a whole number of steps; that it is one is
tested (Rayleigh), and only then is it counted in steps. Everything here is an estimate and is called so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.legacy.attempts import Attempt, checkpoint_cadence
from src.legacy.training_log import TrainingLog

OVERHEADS_S = np.arange(0.0, 0.6, 0.01)
"""Tried for the time between two steps."""
CONVINCING = 1e-4
SLACK = 0.1
"""Width of that agreement, in steps: durations are noisy and stamps whole seconds."""
FEWEST = 8
"""Attempts needed before the left-over times are tested at all."""


@dataclass(frozen=True)
class Remainder:
    """What one attempt leaves unexplained."""

    attempt: int
    span_s: float
    """From the stamp before it to the stamp behind it."""
    logged_s: float
    left_s: float
    """Span without logged steps and the overhead between them."""
    lost_steps: int | None
    """Steps computed and lost; None if they cannot be told from idle time."""
    idle_s: float
    """At least this much was neither start nor lost steps."""


@dataclass(frozen=True)
class Unlogged:
    """The estimate over all attempts between two stamps."""

    startup_s: float
    """From a restart line to the first step: the loop's pause and the program's start."""
    step_s: float
    first_step_extra_s: float
    """A first step's time beyond that of the next ones."""
    overhead_s: float
    cadence: int
    """Steps between two flushes of the log."""
    rayleigh_p: float | None
    """Chance that the left-over times line up with whole steps this well by accident; None if too few to test."""
    attempts: tuple[Remainder, ...]
    contradictions: tuple[int, ...]
    """Attempts whose logged steps take longer than the time between their stamps."""

    @property
    def lost_steps(self) -> int:
        """Steps lost in all attempts where they can be told."""
        return sum(item.lost_steps or 0 for item in self.attempts)

    @property
    def undecided(self) -> int:
        """Attempts that may have lost up to `cadence` steps more before they fell idle."""
        return sum(item.lost_steps is None for item in self.attempts)

    @property
    def idle_s(self) -> float:
        """Idle time of all attempts, at least."""
        return sum(item.idle_s for item in self.attempts)


def estimate(log: TrainingLog, attempts: Sequence[Attempt]) -> Unlogged | None:
    """None if no attempt lies between two stamps."""
    spans = _spans(attempts)
    if not spans:
        return None
    cadence = checkpoint_cadence(log)
    restarts = [first.first for first, *_ in spans if first.count > 1]
    step_s = float(np.median([_typical_s(log, place) for place in restarts])) if restarts else float("nan")
    if not np.isfinite(step_s) or step_s <= 0:
        step_s = float(np.median(log.millis)) / 1000
    extras = [float(log.millis[place]) / 1000 - _typical_s(log, place) for place in restarts]
    extra_s = max(0.0, float(np.median(extras))) if extras else 0.0
    begins = {group[0].number: group for group in spans}
    span = np.array([(group[-1].died_ms or 0) - (group[0].began_ms or 0) for group in spans]) / 1000
    logged = np.array([_logged_s(log, group) for group in spans])
    # Starts inside a group (no stamp shows them) cost their start as well; first steps of silent attempts their extra.
    counts = np.array([sum(attempt.count for attempt in group) for group in spans])
    left = span - logged - np.where(counts == 0, extra_s, 0.0)
    inner = np.array([len(group) - 1 for group in spans])
    overhead_s, phase, p = _line_up(left, counts, inner, step_s, cadence)
    left = left - overhead_s * counts
    startup_s = _startup(left, counts, inner, phase, step_s)
    remainders = []
    for place, number in enumerate(begins):
        beyond = float(left[place]) - startup_s * (1 + inner[place])
        lost: int | None = int(np.clip(round(beyond / step_s), 0, cadence if cadence > 1 else None))
        idle = 0.0
        if cadence > 1 and beyond > (cadence + 1) * step_s:
            lost, idle = None, beyond - cadence * step_s
        remainders.append(Remainder(number, float(span[place]), float(logged[place]), float(left[place]), lost, idle))
    contradictions = tuple(number for place, number in enumerate(begins) if logged[place] > span[place])
    return Unlogged(startup_s, step_s, extra_s, overhead_s, cadence, p, tuple(remainders), contradictions)


def _spans(attempts: Sequence[Attempt]) -> list[list[Attempt]]:
    """Attempts between one stamp and the next; those with no line between them share one."""
    groups: list[list[Attempt]] = []
    current: list[Attempt] = []
    for attempt in attempts:
        if attempt.evidence == "restart line":
            current = [attempt] if attempt.began_ms is not None else []
        elif current:
            current.append(attempt)
        if current and attempt.died_ms is not None:
            if attempt.died_ms >= (current[0].began_ms or 0):
                groups.append(current)
            current = []
    return groups


def _logged_s(log: TrainingLog, group: Sequence[Attempt]) -> float:
    return sum(float(log.millis[a.first : a.first + a.count].sum(dtype=np.int64)) for a in group) / 1000


def _typical_s(log: TrainingLog, place: int) -> float:
    following = log.millis[place + 1 : place + 11]
    return float(np.median(following)) / 1000 if len(following) else float("nan")


def _line_up(
    left_s: NDArray[np.float64], counts: NDArray[np.int64], inner: NDArray[np.int64], step_s: float, cadence: int
) -> tuple[float, float, float | None]:
    """The overhead for which the left-over times agree best modulo one step, their common phase, and its p-value."""
    productive = (counts > 0) & (inner == 0) & (left_s > 0)
    most_s = float((left_s / np.maximum(counts, 1))[productive].min(initial=OVERHEADS_S[-1]))
    busy = (left_s > 0) & (inner == 0) & (left_s - most_s * counts < (cadence + 2) * step_s)
    number = int(busy.sum())
    if number < FEWEST:
        return 0.0, 0.0, None
    best = (-np.inf, 0.0, 0.0, 0.0)
    for overhead_s in OVERHEADS_S[most_s >= OVERHEADS_S]:
        rest = left_s - overhead_s * counts
        mean = np.exp(2j * np.pi * rest[busy] / step_s).mean()
        phase_s = float(np.angle(mean) / (2 * np.pi) % 1) * step_s
        # A process cannot lose more steps than lie between two flushes, nor start in less than no time.
        startup_s = _startup(rest, counts, inner, phase_s, step_s)
        lost = np.round((rest[productive & busy] - startup_s) / step_s)
        impossible = int(np.sum((lost < 0) | (lost > cadence))) if cadence > 1 else int(np.sum(lost < 0))
        if -impossible + abs(mean) > best[0]:
            best = (-impossible + abs(mean), float(overhead_s), phase_s, abs(mean))
    _, overhead, phase, length = best
    # As many overheads were tried, the chance of one of them fitting is that much larger (Bonferroni).
    p = min(1.0, len(OVERHEADS_S) * float(np.exp(-number * length**2)))
    return (overhead, phase, p) if p < CONVINCING else (0.0, 0.0, p)


def _startup(
    left_s: NDArray[np.float64], counts: NDArray[np.int64], inner: NDArray[np.int64], phase_s: float, step_s: float
) -> float:
    """The longest start that no attempt with a logged step contradicts, on the common phase if there is one."""
    productive = left_s[(counts > 0) & (inner == 0) & (left_s > 0)]
    bound = float(productive.min()) if len(productive) else 0.0
    if phase_s <= 0:
        return bound
    return phase_s + max(0, int((bound + SLACK * step_s - phase_s) // step_s)) * step_s
