"""Work on many files in parallel, with a time and memory limit for each.

In: tasks (small pickled values), and the function that does one. Out: results as they come. A worker that
takes too long over one task, or dies of it, is replaced, and that task alone fails: no file can stop the others.
What failed is tried again after a pause, for the trouble may have been the disk's or the machine's.
Workers are fresh interpreters in their own process groups, so a decoder they started is stopped with them.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from src.base import console
from src.base.errors import CRASHES, Problem, reason_of

WORKER = "src.base.pool_worker"
START_LIMIT_S = 120.0
"""A worker that has not started by then will not."""
READY = "ready"
"""A worker's first message; each later one is the result of a task, or the `Problem` that ends the stage."""
PAUSES_S = (1.0, 3.0, 9.0)
"""Before each new try of a task that could not be done just now. One that took too long, or whose failure may be the
file's own fault, is tried once more only."""


@dataclass(frozen=True)
class Failed:
    """Stands for the result of a task that did not finish, however often it was tried; the reason is for its row."""

    reason: str
    passing: bool
    """It says nothing about the file (see `errors.Unread`)."""
    took_too_long: bool = False


@dataclass
class _Worker:
    process: "subprocess.Popen[bytes]"
    pipe: "Connection[Any, Any]"
    since: float
    """When it was started, given tasks, or last heard of, whichever was last."""
    ready: bool = False
    tasks: deque[int] = field(default_factory=deque)
    """Handed to it and not finished; it works on the first."""


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    function: Callable[[Any, Any], Any],
    setting: Any,
    tasks: Sequence[Any],
    *,
    time_limit_s: float,
    workers: int | None = None,
    chunk: int = 1,
) -> Iterator[tuple[int, Any]]:
    """(index of the task, its result or `Failed`), in the order they are done.

    function: at the top of a module, called as function(setting, task) in the worker. chunk: tasks handed out at
    once; the time limit holds for each of them. Leaving the iteration early stops the workers. Raises `Problem` if
    the workers do not start, or if a task raises one.
    """
    waiting = deque(range(len(tasks)))
    again: list[tuple[float, int]] = []
    tried: Counter[int] = Counter()
    alive: list[_Worker] = []
    selector = selectors.DefaultSelector()

    def give(worker: _Worker) -> None:
        worker.tasks.extend(waiting.popleft() for _ in range(min(chunk, len(waiting))))
        worker.since = time.monotonic()
        if worker.tasks:
            _send(worker, [tasks[index] for index in worker.tasks])

    def employ() -> None:
        """Give what waits to workers without a task, and to new ones."""
        for worker in alive:
            if waiting and not worker.tasks:
                give(worker)
        while waiting and len(alive) < (workers or cores()):
            worker = _started(function)
            alive.append(worker)
            selector.register(worker.pipe, selectors.EVENT_READ, worker)
            _send(worker, setting)
            give(worker)

    def dismiss(worker: _Worker) -> int | None:
        """Stop a worker. Its present task, which is returned, is given up; its other tasks go to other workers."""
        alive.remove(worker)
        selector.unregister(worker.pipe)
        _stop(worker)
        given_up = worker.tasks.popleft() if worker.tasks else None
        waiting.extendleft(reversed(worker.tasks))
        return given_up

    def is_final(index: int, result: Any) -> bool:
        """Whether this is the end of a task; if not, it is tried again later."""
        if not isinstance(result, Failed):
            return True
        pauses_s = PAUSES_S if result.passing and not result.took_too_long else PAUSES_S[:1]
        if tried[index] >= len(pauses_s):
            return True
        if result.passing and not tried:
            console.warn(f"Something could not be read just now ({result.reason}); it is tried again.")
        again.append((time.monotonic() + pauses_s[tried[index]], index))
        tried[index] += 1
        return False

    try:
        left = len(tasks)
        while left:
            now = time.monotonic()
            waiting.extend(index for due, index in again if due <= now)
            again[:] = [item for item in again if item[0] > now]
            employ()
            done: list[tuple[int, Any]] = []
            for key, _ in selector.select(timeout=0.25):
                worker: _Worker = key.data
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    if not worker.ready:
                        raise _cannot_start() from None
                    if (index := dismiss(worker)) is not None:
                        done.append((index, _ended(worker.process.returncode)))
                    continue
                worker.since = time.monotonic()
                if not worker.ready:
                    worker.ready = message == READY
                    continue
                if isinstance(message, Problem):
                    raise message
                done.append((worker.tasks.popleft(), message))
                if not worker.tasks:
                    give(worker)
            now = time.monotonic()
            if any(not worker.ready and now - worker.since > START_LIMIT_S for worker in alive):
                raise _cannot_start()
            for worker in [item for item in alive if item.ready and item.tasks and now - item.since > time_limit_s]:
                if worker.pipe.poll():
                    continue  # it is done: only this process was slow to ask
                if (index := dismiss(worker)) is not None:
                    done.append((index, Failed(f"took longer than {time_limit_s:g} s to read", True, True)))
            for index, result in done:
                if is_final(index, result):
                    left -= 1
                    yield index, result
    finally:
        selector.close()
        for worker in alive:
            _stop(worker)


def _ended(status: int) -> Failed:
    """What the end of a worker says of its task."""
    if -status in CRASHES:
        return Failed("the decoder crashed on it", passing=False)
    return Failed("its reader was stopped", passing=True)


def _cannot_start(why: str = "") -> Problem:
    return Problem(
        f"The processes that read music do not start{why}. See what `python -m {WORKER}` says; "
        "where memory or open files (ulimit -n) are short, try --workers 1."
    )


def _started(function: Callable[[Any, Any], Any]) -> _Worker:
    root = str(Path(__file__).parents[2])
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    try:
        ours, theirs = Pipe()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", WORKER, f"{function.__module__}:{function.__name__}", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Decoders print file names and dumps to standard error: nobody is to read them.
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
    except OSError as error:
        raise _cannot_start(f" ({reason_of(error)})") from error
    return _Worker(process, ours, time.monotonic())


def _send(worker: _Worker, value: Any) -> None:
    with contextlib.suppress(OSError):  # it died: the end of its messages tells so
        worker.pipe.send(value)


def _stop(worker: _Worker) -> None:
    try:
        os.killpg(worker.process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        worker.process.kill()
    worker.process.wait()
    worker.pipe.close()
