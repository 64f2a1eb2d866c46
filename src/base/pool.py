"""Work on many files in parallel, with a time and memory limit for each.

In: tasks (small pickled values), and the function that does one. Out: results as they come. A worker that
takes too long over one task, or dies of it, is replaced, and that task alone fails: no file can stop the others.
Workers are fresh interpreters in their own process groups, so a decoder they started is stopped with them.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from src.base.errors import Problem

WORKER = "src.base.pool_worker"
START_LIMIT_S = 120.0
"""A worker that has not started by then will not."""
READY = "ready"
"""A worker's first message; each later one is the result of a task, or the `Problem` that ends the stage."""


@dataclass(frozen=True)
class Failed:
    """Stands for the result of a task that did not finish; the reason is for the file's row."""

    reason: str
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
    alive: list[_Worker] = []
    selector = selectors.DefaultSelector()

    def start() -> None:
        worker = _started(function)
        alive.append(worker)
        selector.register(worker.pipe, selectors.EVENT_READ, worker)
        _send(worker, setting)
        give(worker)

    def give(worker: _Worker) -> None:
        worker.tasks.extend(waiting.popleft() for _ in range(min(chunk, len(waiting))))
        worker.since = time.monotonic()
        if worker.tasks:
            _send(worker, [tasks[index] for index in worker.tasks])

    def replace(worker: _Worker) -> int | None:
        """Stop a worker. Its present task, which is returned, is given up; its other tasks go to other workers."""
        alive.remove(worker)
        selector.unregister(worker.pipe)
        _stop(worker)
        given_up = worker.tasks.popleft() if worker.tasks else None
        waiting.extendleft(reversed(worker.tasks))
        if waiting:
            start()
        return given_up

    try:
        for _ in range(min(workers or cores(), -(-len(tasks) // chunk))):
            start()
        left = len(tasks)
        while left:
            for key, _ in selector.select(timeout=0.25):
                worker: _Worker = key.data
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    if not worker.ready:
                        raise _cannot_start() from None
                    if (index := replace(worker)) is not None:
                        left -= 1
                        yield index, Failed("the decoder crashed on it")
                    continue
                worker.since = time.monotonic()
                if not worker.ready:
                    worker.ready = message == READY
                    continue
                if isinstance(message, Problem):
                    raise message
                index = worker.tasks.popleft()
                if not worker.tasks:
                    give(worker)
                left -= 1
                yield index, message
            now = time.monotonic()
            if any(not worker.ready and now - worker.since > START_LIMIT_S for worker in alive):
                raise _cannot_start()
            for worker in [item for item in alive if item.ready and item.tasks and now - item.since > time_limit_s]:
                if worker.pipe.poll():
                    continue  # it is done: only this process was slow to ask
                if (index := replace(worker)) is not None:
                    left -= 1
                    yield index, Failed(f"took longer than {time_limit_s:g} s to read", took_too_long=True)
    finally:
        selector.close()
        for worker in alive:
            _stop(worker)


def _cannot_start() -> Problem:
    return Problem(
        f"The processes that read music do not start. See what `python -m {WORKER}` says; "
        "where memory is short, try --workers 1."
    )


def _started(function: Callable[[Any, Any], Any]) -> _Worker:
    root = str(Path(__file__).parents[2])
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
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
