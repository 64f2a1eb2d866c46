"""How attempts end: the causes, and the `end` lines that a dead process could not write itself.

In: exit statuses, journals, what is known of this machine. Out: `Ending`, and lines in the journal.
"""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from src.base import provenance
from src.base.errors import CRASHES
from src.record import journal
from src.record.journal import Journal

Cause = Literal[
    "finished",
    "interrupted",
    "killed",
    "crashed",
    "out of memory",
    "gave up",
    "machine stopped",
    "moved",
    "not recorded",
]
"""finished: the last step is done. interrupted: a person or the system asked it to stop, and it saved. killed: by a
signal, or nobody knows by what. crashed: by an error or a fault of its own. out of memory: it got none, or the system
took it back. gave up: trying again would end the same way. machine stopped: the machine was started anew since. moved:
another machine went on with the run, so this one's end was never seen. not recorded: an imported log does not say."""

GIVE_UP = 78
"""Exit status of a trainer that must not be started again (sysexits.h: EX_CONFIG)."""


@dataclass(frozen=True)
class Ending:
    """What ended an attempt."""

    cause: Cause
    detail: str = ""
    """What exactly: the signal, the error."""

    @property
    def of_its_own(self) -> bool:
        """Whether the attempt itself is to blame, so that the same step may well fail the same way again."""
        return self.cause in ("crashed", "out of memory")

    def __str__(self) -> str:
        return f"{self.cause} ({self.detail})" if self.detail else self.cause


def of_exit(code: int, *, out_of_memory: bool) -> Ending:
    """What a trainer's exit status says: `code` as `subprocess` gives it, negative for a signal.

    out_of_memory: whether the system killed a process for want of memory meanwhile.
    """
    if code >= 0:
        return Ending("gave up" if code == GIVE_UP else "crashed", f"exit status {code}")
    if -code == signal.SIGKILL and out_of_memory:
        return Ending("out of memory", "the system ended it with SIGKILL")
    return Ending("crashed" if -code in CRASHES else "killed", signal.Signals(-code).name)


def unseen(attempt: journal.Attempt) -> Ending:
    """What ended an attempt that left no `end` line and had no supervisor alive to write one."""
    here, there = provenance.identity(), attempt.details
    if there.get("machine") and there["machine"] != here["machine"]:
        return Ending("moved", "another machine went on; how it ended there is not known")
    if there.get("boot") and there["boot"] != here["boot"]:
        return Ending("machine stopped", "the machine was started anew since")
    return Ending("killed", "with its supervisor")


def close(path: Path, number: int, ending: Ending, time_ms: int | None = None) -> None:
    """Write the `end` line of an attempt that could not do so itself; nothing if it has one or never began.

    time_ms: when it ended; without it, the time of its last line, which is the last that is known of it.
    """
    journal.repair(path)
    view = journal.read(path)
    attempt = view.attempts.get(number)
    if attempt is None or attempt.end is not None:
        return
    values: dict[str, Any] = {"time_ms": time_ms or view.last_times[number], "cause": ending.cause}
    if number in view.spans:
        values["step"] = view.spans[number][1]
    if time_ms is None:
        values["inferred"] = True
    book = Journal(path, number)
    book.append("end", **values, detail=ending.detail)
    book.close()


def record_unborn(path: Path, number: int, began_ms: int, *, automatic: bool) -> None:
    """Write the `attempt` line of one that died before it could do so itself, such as while it loaded its modules."""
    journal.repair(path)
    view = journal.read(path)
    if number in view.attempts:
        return
    book = Journal(path, number)
    book.append(
        "attempt",
        time_ms=began_ms,
        start_step=view.last_step,
        automatic=automatic,
        unborn=True,
        launcher=provenance.launcher(),
        **provenance.identity(),
    )
    book.close()


def close_unseen(path: Path) -> Ending | None:
    """Record the end of the newest attempt if nobody has: it died with its supervisor. Call with the run's lock held.

    Returns what was recorded.
    """
    attempts = journal.read(path).attempts
    if not attempts:
        return None
    last = attempts[max(attempts)]
    if last.end is not None:
        return None
    ending = unseen(last)
    close(path, last.attempt, ending)
    return ending
