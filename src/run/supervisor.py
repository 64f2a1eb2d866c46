"""Keeps a training alive: runs it in a child process, restarts it when it dies, ships its journal meanwhile.

The child trains and writes the journal; this process only watches, so MLflow can be slow, full or dead without the
training noticing. The child holds the run's lock too and ends (saving) when this process dies.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from src.errors import Problem
from src.run import console, journal
from src.run.journal import Journal
from src.run.shipping import Shipper
from src.run.tracking import now_ms

SHIP_EVERY_S = 10.0
LONGEST_SHIP_PAUSE_S = 120.0
FINAL_SHIP_S = 60.0
MOST_ATTEMPTS_WITHOUT_PROGRESS = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

GIVE_UP = 78
"""Exit status of a child that must not be started again (sysexits.h: EX_CONFIG)."""

Connect = Callable[[], Shipper]


def supervise(command: Callable[[int, bool], Sequence[str]], training: Path, lock: int, connect: Connect) -> None:
    """Run the training to its end.

    command: (attempt number, automatic) → command line of the child. training: folder of the run. lock: descriptor of
    the held lock, inherited by the child. connect: opens MLflow; may raise `TrackingError`, again and again.
    Raises `Problem` when the training cannot go on, saying why; SystemExit when a person stopped it.
    """
    ship = BackgroundShipping(connect)
    ship.start()
    path = training / "journal.jsonl"
    repaired = journal.repair(path)
    if repaired:
        console.warn(repaired)
    automatic, fruitless, pause_s = False, 0, FIRST_PAUSE_S
    try:
        while True:
            before = journal.read(path)
            number = max(before.attempts, default=0) + 1
            kills = _out_of_memory_kills()
            code = _run_child(command(number, automatic), lock)
            reason = _reason(code, out_of_memory=_out_of_memory_kills() > kills)
            if code == 0:
                return
            after = journal.read(path)
            _close(path, after, number, reason)
            if code == GIVE_UP:
                raise Problem("The training cannot go on; the sentence above says why.")
            if code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
                raise SystemExit(code)
            fruitless = 0 if after.last_step > before.last_step else fruitless + 1
            if fruitless == MOST_ATTEMPTS_WITHOUT_PROGRESS:
                raise Problem(
                    f"The training died {fruitless} times in a row at step {after.last_step + 1} ({reason}). "
                    f"The attempts are in {path}."
                )
            pause_s = FIRST_PAUSE_S if fruitless == 0 else min(2 * pause_s, LONGEST_PAUSE_S)
            console.warn(
                f"the training was {reason} at step {after.last_step}; restarting in {console.duration(pause_s)}"
            )
            time.sleep(pause_s)
            automatic = True
    finally:
        ship.finish()


def started_by_torchrun() -> bool:
    """Whether torchrun started this process; it then restarts it too, in place of this supervisor."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _run_child(command: Sequence[str], lock: int) -> int:
    """Run the child, passing signals on; its exit status, or 256 + the signal that killed it."""
    # A process group of its own: Ctrl-C reaches this process alone, which passes it on once.
    child = subprocess.Popen(command, pass_fds=[lock], process_group=0)

    def pass_on(signum: int, _frame: FrameType | None) -> None:
        child.send_signal(signum)

    previous = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        code = child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return code if code >= 0 else 256 - code


def _reason(code: int, *, out_of_memory: bool) -> str:
    if code < 256:
        return f"ended by an error (status {code})"
    name = signal.Signals(code - 256).name
    return f"killed by {name}" + (", out of memory" if out_of_memory and name == "SIGKILL" else "")


def _out_of_memory_kills() -> int:
    """Processes the system has killed for want of memory since it started."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0  # not Linux: the reason stays "killed by SIGKILL"
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _close(path: Path, view: journal.View, number: int, reason: str) -> None:
    """Write the end line that a killed child could not write."""
    if number in view.attempts and view.attempts[number].end is None:
        journal.repair(path)
        book = Journal(path, number)
        book.append("end", time_ms=now_ms(), cause=reason)
        book.close()


class BackgroundShipping(threading.Thread):
    """Ships every few seconds; what fails is tried again, and said once at the end."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(name="shipping", daemon=True)
        self._connect = connect
        self._shipper: Shipper | None = None
        self._over = threading.Event()
        self._failure = "nothing was sent."

    def run(self) -> None:
        pause_s = SHIP_EVERY_S
        while True:
            last = self._over.wait(pause_s)
            self._failure = "sending was cut off."
            try:
                self._shipper = self._shipper or self._connect()
                self._shipper.ship()
                self._failure, pause_s = "", SHIP_EVERY_S
            except Problem as failure:
                self._failure, pause_s = str(failure), min(2 * pause_s, LONGEST_SHIP_PAUSE_S)
            if last:
                return

    def finish(self) -> None:
        """Send the rest, within bounds."""
        self._over.set()
        self.join(FINAL_SHIP_S)
        if self.is_alive():
            self._failure = f"it has not answered for {FINAL_SHIP_S:.0f} s."
        if self._failure:
            console.warn(
                f"not every step is in MLflow yet: {self._failure} "
                "The journal has them all; `python -m src.train` sends the rest."
            )
