"""Work on many files in parallel, with a time and memory limit for each.

In: tasks (small pickled values), and the function that does one. Out: results as they come. A worker that
takes too long over one task, or dies of it, is replaced, and that task alone fails: no file can stop the others.
Workers are fresh interpreters in their own process groups, so a decoder they started dies with them.
"""

import os
import pickle
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.base import pool_worker as worker
from src.base.errors import Problem
from src.base.pool_outcome import HEAD_BYTES, READY, Failed, Fatal

START_LIMIT_S = 120.0
"""A worker that has not started by then will not."""


@dataclass
class _Worker:
    process: "subprocess.Popen[bytes]"
    begun: float = 0.0
    ready: bool = False
    given: deque[int] = field(default_factory=deque)
    buffer: bytearray = field(default_factory=bytearray)


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
    count = min(workers or cores(), -(-len(tasks) // chunk))
    selector = selectors.DefaultSelector()
    alive: list[_Worker] = []

    def start() -> None:
        one = _Worker(_spawn(function, setting))
        alive.append(one)
        assert one.process.stdout is not None
        os.set_blocking(one.process.stdout.fileno(), False)
        selector.register(one.process.stdout, selectors.EVENT_READ, one)
        give(one)

    def give(one: _Worker) -> None:
        while waiting and len(one.given) < chunk:
            one.given.append(waiting.popleft())
        one.begun = time.monotonic()
        if one.given:
            _send(one.process, [tasks[index] for index in one.given])

    def replace(one: _Worker) -> None:
        """Stop a worker; its unfinished tasks but the first go to others."""
        selector.unregister(one.process.stdout)  # type: ignore[arg-type]
        alive.remove(one)
        _stop(one.process)
        waiting.extendleft(reversed(one.given))
        if waiting:
            start()

    try:
        for _ in range(count):
            start()
        left = len(tasks)
        while left:
            for key, _ in selector.select(timeout=0.25):
                one: _Worker = key.data
                data = os.read(key.fd, 1 << 20)
                one.buffer += data
                for result in _messages(one.buffer):
                    one.begun = time.monotonic()
                    if not one.ready:
                        one.ready = result == READY
                        continue
                    if isinstance(result, Fatal):
                        raise Problem(result.message)
                    left -= 1
                    yield one.given.popleft(), result
                if not data and not one.ready:
                    raise _cannot_start()
                if not data:
                    index = one.given.popleft() if one.given else None
                    replace(one)
                    if index is not None:
                        left -= 1
                        yield index, Failed("the decoder crashed on it")
                elif not one.given:
                    give(one)
            now = time.monotonic()
            if any(not item.ready and now - item.begun > START_LIMIT_S for item in alive):
                raise _cannot_start()
            for one in [item for item in alive if item.ready and item.given and now - item.begun > time_limit_s]:
                index = one.given.popleft()
                replace(one)
                left -= 1
                yield index, Failed(f"took longer than {time_limit_s:g} s to read", took_too_long=True)
    finally:
        for one in alive:
            _stop(one.process)
        selector.close()


def _cannot_start() -> Problem:
    return Problem(
        "The processes that read music do not start. See what `python -m src.base.pool_worker` says; "
        "where memory is short, try --workers 1."
    )


def _spawn(function: Callable[[Any, Any], Any], setting: Any) -> "subprocess.Popen[bytes]":
    root = str(Path(__file__).parents[2])
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    # Decoders print file names and dumps to standard error: nobody is to read them.
    process = subprocess.Popen(
        [sys.executable, "-m", worker.__name__, f"{function.__module__}:{function.__name__}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    _send(process, setting)
    return process


def _send(process: "subprocess.Popen[bytes]", value: Any) -> None:
    body = pickle.dumps(value)
    assert process.stdin is not None
    try:
        process.stdin.write(len(body).to_bytes(HEAD_BYTES, "little") + body)
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it died: the end of its output tells so


def _messages(buffer: bytearray) -> Iterator[Any]:
    """Take the complete messages from the front of a buffer."""
    while len(buffer) >= HEAD_BYTES:
        size = int.from_bytes(buffer[:HEAD_BYTES], "little")
        if len(buffer) < HEAD_BYTES + size:
            return
        body = bytes(buffer[HEAD_BYTES : HEAD_BYTES + size])
        del buffer[: HEAD_BYTES + size]
        # Written by our own worker, over a pipe nobody else holds.
        yield pickle.loads(body)  # noqa: S301


def _stop(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
