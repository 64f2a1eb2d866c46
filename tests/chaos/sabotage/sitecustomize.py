"""What goes wrong inside a training's processes, by order of the environment. Python imports this by itself.

CHAOS_SLOW_S=0.05            each step takes so much longer
CHAOS_HOLD=6:/gate           after step 6 no step is written until that file exists or a signal is handled
CHAOS_FAIL=37:MemoryError    step 37 fails: MemoryError, ValueError or SIGSEGV
CHAOS_KILL_AT=12             SIGKILL of trainer and supervisor just before the trainer's 12th operation on checkpoints
CHAOS_CLOCK_S=-3600          the clock is wrong by so much
CHAOS_HOST, CHAOS_MACHINE    other names of this machine: the one that people give, and the system's id
"""

import builtins
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

_write, _fsync, _time_ns = os.write, os.fsync, time.time_ns

slow_s = float(os.environ.get("CHAOS_SLOW_S", "0"))
hold_after, _, gate = os.environ.get("CHAOS_HOLD", "").partition(":")
fail_at, _, failure = os.environ.get("CHAOS_FAIL", "").partition(":")
kill_at = int(os.environ.get("CHAOS_KILL_AT", "0"))
operations = 0
if hold_after:
    asked, _told = os.pipe()
    os.set_blocking(_told, False)
    signal.set_wakeup_fd(_told, warn_on_full_buffer=False)


def write(descriptor: int, content: bytes) -> int:
    """Where the trainer writes a step into its journal, the step is slow or fails."""
    if content.startswith(b'{"kind": "step"'):
        if hold_after and f'"step": {int(hold_after) + 1},'.encode() in content:
            while not Path(gate).exists() and not select.select([asked], [], [], 0.02)[0]:
                pass
        time.sleep(slow_s)
        if fail_at and f'"step": {fail_at},'.encode() in content:
            if failure == "SIGSEGV":
                os.kill(os.getpid(), signal.SIGSEGV)
            raise getattr(builtins, failure)("sabotage")
    return _write(descriptor, content)


def before_operation(event: str, arguments: tuple[Any, ...]) -> None:
    """Count what is done to files of checkpoints; end everything at the chosen moment."""
    global operations
    if event == "open" and "w" not in str(arguments[1]):
        return  # only reading
    if not any("checkpoints/.step-" in str(argument) or "checkpoints/step-" in str(argument) for argument in arguments):
        return
    operations += 1
    if operations == kill_at:
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def fsync(descriptor: int) -> None:
    """Forcing to the disk is an operation like any other, but Python has no audit event for it."""
    try:
        place = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        place = ""
    before_operation("os.fsync", (place,))
    _fsync(descriptor)


os.write = write  # type: ignore[assignment]
if kill_at and "--child-of" in sys.orig_argv:
    watched = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
    sys.addaudithook(lambda event, arguments: before_operation(event, arguments) if event in watched else None)
    os.fsync = fsync  # type: ignore[assignment]
if "CHAOS_CLOCK_S" in os.environ:
    shift_ns = int(float(os.environ["CHAOS_CLOCK_S"]) * 1e9)
    time.time_ns = lambda: _time_ns() + shift_ns
if "CHAOS_HOST" in os.environ:
    socket.gethostname = lambda: os.environ["CHAOS_HOST"]
if "CHAOS_MACHINE" in os.environ:
    _read_text = Path.read_text

    def read_text(self: Path, *arguments: Any, **more: Any) -> str:
        if str(self) == "/etc/machine-id":
            return os.environ["CHAOS_MACHINE"]
        return _read_text(self, *arguments, **more)

    Path.read_text = read_text  # type: ignore[method-assign]
