"""Keeps a training alive: runs it in a child process and starts it again when it dies.

The child trains and writes the journal; this process only watches and sends the journal to MLflow, so MLflow can be
slow, full or dead without the training noticing. The child holds the run's lock too, and ends (saving) when this
process dies. Several processes have torchrun in this one's place (`workers.py`, docs/decisions.md).
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from src.base import console
from src.base.errors import Problem
from src.record import endings, journal
from src.record.endings import GIVE_UP, Ending
from src.record.tracking import now_ms

MOST_SAME_FAILURES = 3
"""A step that failed this often in the same way will fail for ever."""
MOST_ATTEMPTS_WITHOUT_PROGRESS = 5
FIRST_PAUSE_S = 1.0
"""Doubled after every attempt that got no further."""

LOOK_EVERY_S = 1.0

STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
"""Exit statuses of a child that saved and left because it was asked to."""

Command = Callable[[int, bool], Sequence[str]]
"""(attempt number, automatic) → command line of the child."""


def supervise(command: Command, folder: Path, lock: int) -> None:
    """Run the training to its end.

    folder: of the run. lock: descriptor of the held lock, inherited by the child.
    Raises `Problem` when the training cannot go on, saying why; SystemExit when a person stopped it.
    """
    path = folder / journal.NAME
    automatic, fruitless, same, pause_s = False, 0, 0, FIRST_PAUSE_S
    last: tuple[int, Ending] | None = None
    with _signals_passed_on() as watch:
        while True:
            before = journal.read(path)
            number = max(before.attempts, default=0) + 1
            began_ms = now_ms()
            code, out_of_memory = watch.run(command(number, automatic), lock)
            if code == 0:
                return
            endings.record_unborn(path, number, began_ms, automatic=automatic)
            # It may have been too young to save and write its own end; it must not be started again either way.
            asked = watch.asked or (code - 128 if code in STOPPED else None)
            ending = endings.of_exit(code, out_of_memory=out_of_memory)
            if asked is not None:
                ending = Ending("interrupted", signal.Signals(asked).name)
            endings.close(path, number, ending, now_ms())
            if asked is not None:
                raise SystemExit(128 + asked)
            if code == GIVE_UP:
                raise Problem("The training cannot go on; the sentence above says why.")
            after = journal.read(path)
            if number in after.attempts:  # the child's own words say more than its exit status
                ending = Ending(*_own_words(after.attempts[number], ending))
            fruitless = 0 if after.last_step > before.last_step else fruitless + 1
            same = same + 1 if ending.of_its_own and last == (after.last_step, ending) else 1
            last = (after.last_step, ending)
            _refuse_to_go_on_in_vain(path, after.last_step, ending, fruitless, same)
            pause_s = FIRST_PAUSE_S if fruitless == 0 else 2 * pause_s
            console.warn(
                f"attempt {number} ended at step {after.last_step}: {ending}; the next one starts in {pause_s:.0f} s"
            )
            watch.pause(pause_s)
            automatic = True


def end_with(parent: int) -> None:
    """For the child: end (saving) when its supervisor does, so that no attempt goes on unwatched.

    parent: process number of the supervisor. Raises SystemExit if it is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            raise SystemExit(128 + signal.SIGTERM)


def started_by_torchrun() -> bool:
    """Whether torchrun started this process; it then restarts it too, in place of this supervisor."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _refuse_to_go_on_in_vain(path: Path, step: int, ending: Ending, fruitless: int, same: int) -> None:
    """Raise `Problem` when another attempt would end like the last ones."""
    if same >= MOST_SAME_FAILURES:
        advice = "Mend what the message names"
        if ending.cause == "out of memory":
            advice = "Lower train.batch_size or train.sample_size, or set train.recompute_activations to true"
        raise Problem(
            f"Step {step + 1} failed the same way {same} times: {ending}. {advice}, then run the same command again; "
            f"every attempt is in {path}."
        )
    if fruitless >= MOST_ATTEMPTS_WITHOUT_PROGRESS:
        raise Problem(
            f"{fruitless} attempts in a row did not get beyond step {step}; the last one ended so: {ending}. "
            f"Every attempt is in {path}."
        )


def _own_words(attempt: journal.Attempt, otherwise: Ending) -> tuple[endings.Cause, str]:
    end = attempt.end
    return (end["cause"], attempt.detail) if end else (otherwise.cause, otherwise.detail)


class _Watch:
    """The child under way, and the signal that asked for the end."""

    def __init__(self) -> None:
        self.asked: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str], lock: int) -> tuple[int, bool]:
        """Run a child to its end; its exit status, negative for a signal, and whether memory ran out at its end."""
        # A process group of its own: Ctrl-C reaches this process alone, which passes it on once.
        self._child = subprocess.Popen(command, pass_fds=[lock], process_group=0)
        if self.asked is not None:  # while it was being started
            self._child.send_signal(signal.SIGTERM)
        kills = _out_of_memory_kills()
        while True:
            try:
                code = self._child.wait(LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                kills = _out_of_memory_kills()  # what the system killed before was another process
        self._child = None
        return code, _out_of_memory_kills() > kills

    def pause(self, seconds: float) -> None:
        """Wait, or leave when asked."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.asked is not None:
                raise SystemExit(128 + self.asked)
            time.sleep(min(left, 0.1))

    def ask(self, signum: int, _frame: FrameType | None) -> None:
        """Pass it on to the child, which decides what a second one means; SIGTERM: a young one ends quietly."""
        self.asked = signum
        if self._child is not None:
            self._child.send_signal(signal.SIGTERM)


@contextmanager
def _signals_passed_on() -> Iterator[_Watch]:
    watch = _Watch()
    with console.signals_handled(watch.ask):
        yield watch


def _out_of_memory_kills() -> int:
    """Processes the system has killed for want of memory since it started."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0  # not Linux: the cause stays "killed"
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
