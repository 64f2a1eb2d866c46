"""From a training log to attempts: the lives of the training process, and when each step was done.

In: `TrainingLog`. Out: attempts with the evidence for each, and a clock for their steps. What the log does not say is
marked as inferred. The log prints a time only when a process has died; a step's time is the stamp of its attempt plus
the logged seconds up to its end: it cannot have ended earlier.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from src.legacy.training_log import TrainingLog, steps_back
from src.record import journal

Evidence = Literal["beginning", "restart line", "step numbers", "published"]
CHUNK = 100_000


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
    crashed: bool
    """Whether a restart line stands behind it."""
    automatic: bool
    """Started by the loop (it writes the restart lines), not by a person."""

    @property
    def inferred(self) -> bool:
        """Whether no line of the log says so."""
        return self.evidence in ("step numbers", "published")


def find(log: TrainingLog, manual: Sequence[int] = ()) -> list[Attempt]:
    """Every attempt that the log shows, in its order.

    manual: last steps before restarts that a person is known to have made. The attempt after the log's last
    line is not among them: nothing shows that it began.
    """
    size = len(log.steps)
    begins: dict[int, Evidence] = {0: "beginning"}
    moved = {step + 1 for step in manual}
    begins |= dict.fromkeys(np.flatnonzero(np.isin(log.steps, sorted(moved))).tolist(), "published")
    # Only a step that comes again shows another life.
    begins |= dict.fromkeys(steps_back(log.steps).tolist(), "step numbers")
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
        crashed = after is not None and after[1] == "restart line"
        if after is None and evidence == "restart line" and end == place:
            break
        by_hand = evidence != "restart line" or (end > place and int(log.steps[place]) in moved)
        died_ms = after[2] if after and crashed else None
        attempts.append(Attempt(number, place, end - place, evidence, stamp, died_ms, crashed, not by_hand))
    return attempts


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
            yield start, times.clip(0, journal.LARGEST)


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
    begin_ms, first_ms = (
        np.clip([value or 0 for value in values], 0, journal.LARGEST).tolist() for values in (begin, first)
    )
    return Clock(tuple(begin_ms), tuple(first_ms))
