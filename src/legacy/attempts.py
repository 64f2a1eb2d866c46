"""From a training log to attempts: the lives of the training process, and when each step was done.

In: `TrainingLog`. Out: attempts with the evidence for each, and a clock for their steps. What the log does not say is
marked as inferred. The log prints a time only when a process has died; a step's time is the stamp of its attempt plus
the logged seconds up to its end: it cannot have ended earlier.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src.legacy.training_log import TrainingLog

Evidence = Literal["beginning", "restart line", "slow first step", "step numbers", "published"]
CADENCES = (1000, 500, 250, 200, 100, 50, 25, 20, 10, 5, 2)
CHUNK = 100_000
NEIGHBOURS = 10
MOST_STARTS = 1000
"""Known starts looked at for how slow a first step is."""
SLOW_RATIO = 1.25
"""A first step builds the graph: in 2019 it took 1.43 to 1.6 times the following ones."""
LOOP_S = 600.0
"""Restart lines without a step between them, each within this of the one before, are one crash loop."""


@dataclass(frozen=True)
class Attempt:
    """One life of the training process."""

    number: int
    first: int
    """Place of its first step in the log."""
    count: int
    """Steps it has in the log; 0 if it died before it wrote any."""
    evidence: Evidence
    """What shows that it began here."""
    began_ms: int | None
    """The stamp of the restart line before it: when the process before it had died."""
    died_ms: int | None
    """The stamp of the restart line behind it."""
    automatic: bool
    """Started by the loop (it writes the restart lines), not by a person."""

    @property
    def inferred(self) -> bool:
        """Whether no line of the log says so."""
        return self.evidence in ("slow first step", "step numbers", "published")


def checkpoint_cadence(log: TrainingLog) -> int:
    """Every how many steps the log was flushed, which the reference does with each checkpoint.

    The largest round number that divides nine in ten of the last steps before restart lines; 1 if there is none.
    """
    places = {restart.steps_before for restart in log.restarts if restart.steps_before > 0}
    last = np.array([log.steps[place - 1] for place in sorted(places)])
    if len(last) < 5:
        return 1
    return next((cadence for cadence in CADENCES if np.mean(last % cadence == 0) >= 0.9), 1)


def find(log: TrainingLog, manual: Sequence[int] = ()) -> list[Attempt]:
    """Every attempt the log gives away, in its order.

    manual: last steps before restarts that a person is known to have made. The attempt after the log's last
    line is not among them: nothing shows that it began.
    """
    cadence = checkpoint_cadence(log)
    size = len(log.steps)
    begins: dict[int, Evidence] = {0: "beginning"}
    moved = {step + 1 for step in manual}
    for step in moved:
        begins |= dict.fromkeys(_places(log, partial(np.equal, step)), "published")
    begins |= dict.fromkeys(_slow_starts(log, cadence), "slow first step")
    # A gap forward is lines that were lost; only a step that comes again shows another life.
    again = _places(log, lambda steps: np.diff(steps, prepend=steps[0] - 1) <= 0)
    begins |= dict.fromkeys(again, "step numbers")
    lined = {restart.steps_before for restart in log.restarts}
    # Each restart line ends one life and begins another; several at one place are a loop that got nowhere.
    bounds: list[tuple[int, Evidence, int | None]] = [
        (place, evidence, None) for place, evidence in begins.items() if place not in lined or place == 0
    ]
    bounds += [(restart.steps_before, "restart line", restart.time_ms) for restart in log.restarts]
    # Python's sort is stable: at one place the lines stay in their order, behind what is inferred there.
    bounds.sort(key=lambda bound: bound[0])
    attempts = []
    for number, (place, evidence, stamp) in enumerate(bounds, 1):
        after = bounds[number] if number < len(bounds) else None
        end = after[0] if after else size
        died = after[2] if after and after[1] == "restart line" else None
        if after is None and evidence == "restart line" and end == place:
            break
        by_hand = evidence != "restart line" or (end > place and int(log.steps[place]) in moved)
        attempts.append(Attempt(number, place, end - place, evidence, stamp, died, not by_hand))
    return attempts


def _places(log: TrainingLog, test: Callable[[NDArray[np.int32]], NDArray[np.bool_]]) -> list[int]:
    """Places whose step passes a test, looked at piece by piece: a long log leaves no room for copies.

    test: takes the steps of a piece; the first piece's begins with the log, every other overlaps the one before by one.
    """
    found: list[int] = []
    for start in range(0, len(log.steps), CHUNK):
        overlap = min(start, 1)
        hits = np.flatnonzero(test(log.steps[start - overlap : start + CHUNK]))
        found += (hits[hits >= overlap] + start - overlap).tolist()
    return found


def _slow_starts(log: TrainingLog, cadence: int) -> list[int]:
    """Places of steps that are slow as only a first step is, right behind a checkpoint, without a restart line."""
    if cadence == 1:
        return []
    lined = {restart.steps_before for restart in log.restarts}
    known = sorted(place for place in lined if 0 < place < len(log.steps))[:MOST_STARTS]
    typical = np.median([excess for place in known if (excess := _excess(log, place)[0]) > 0] or [np.inf])
    found = []
    for place in _places(log, lambda steps: (steps - 1) % cadence == 0):
        if place + 3 >= len(log.steps) or log.millis[place] <= SLOW_RATIO * max(
            log.millis[place + 1 : place + 4].min(), 1
        ):
            continue
        excess, after, spread = _excess(log, place)
        slow = excess >= 0.75 * typical and excess > (SLOW_RATIO - 1) * after and excess > 6 * spread
        if slow and place > 0 and place not in lined:
            found.append(place)
    return found


def _excess(log: TrainingLog, place: int) -> tuple[float, float, float]:
    """Seconds a step took longer than the next ones, their median, and their median deviation."""
    following = log.millis[place + 1 : place + 1 + NEIGHBOURS]
    if len(following) < 3:
        return 0.0, 1.0, 0.0
    middle = float(np.median(following))
    spread = float(np.median(np.abs(following - middle)))
    return (float(log.millis[place]) - middle) / 1000, middle / 1000, 1.4826 * spread / 1000


def loops(log: TrainingLog) -> list[list[int]]:
    """Restart lines (their places in `log.restarts`) with no step between them, in groups; most have one line."""
    groups: list[list[int]] = []
    for place, restart in enumerate(log.restarts):
        before = log.restarts[place - 1] if place else None
        if (
            before is not None
            and before.steps_before == restart.steps_before
            and _close(before.time_ms, restart.time_ms)
        ):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _close(first_ms: int | None, second_ms: int | None) -> bool:
    return first_ms is None or second_ms is None or abs(second_ms - first_ms) <= LOOP_S * 1000


@dataclass(frozen=True)
class Clock:
    """When things happened, rebuilt from the stamps. All of it is inferred but the stamps themselves."""

    begin_ms: tuple[int, ...]
    """For each attempt: its stamp if there is one, else inferred."""
    first_step_ms: tuple[int, ...]
    """For each attempt: when its first step began."""

    def step_times(self, log: TrainingLog, attempt: Attempt) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Ends of an attempt's steps in milliseconds since 1970, in chunks: (place of the first, times)."""
        elapsed = self.first_step_ms[attempt.number - 1]
        for start in range(attempt.first, attempt.first + attempt.count, CHUNK):
            end = min(start + CHUNK, attempt.first + attempt.count)
            times = np.cumsum(log.millis[start:end], dtype=np.int64) + elapsed
            elapsed = int(times[-1])
            yield start, times


def clock(log: TrainingLog, attempts: Sequence[Attempt], fallback_end_ms: int) -> Clock:
    """Place every attempt in time.

    Forward from the stamp before an attempt; where the steps would end after the stamp behind it, or there is no
    stamp before it, backward from what follows. fallback_end_ms: end of the last step if there is no stamp at all.
    """
    lengths = [int(log.millis[a.first : a.first + a.count].sum(dtype=np.int64)) for a in attempts]
    begin: list[int | None] = [attempt.began_ms for attempt in attempts]
    first: list[int | None] = list(begin)
    for place, attempt in enumerate(attempts):
        if begin[place] is None and place > 0 and first[place - 1] is not None:
            # No line shows this start: it follows what came before without a pause.
            begin[place] = first[place] = (first[place - 1] or 0) + lengths[place - 1]
        start = first[place]
        if start is not None and attempt.died_ms is not None and attempt.count:
            first[place] = min(start, attempt.died_ms - lengths[place])
    following = next((value for value in begin if value is not None), fallback_end_ms)
    for place in reversed(range(len(attempts))):
        if first[place] is None:
            died = attempts[place].died_ms
            begin[place] = first[place] = (died if died is not None else following) - lengths[place]
        following = begin[place] or 0
    return Clock(tuple(value or 0 for value in begin), tuple(value or 0 for value in first))
