"""Work on many files in parallel, with a time and memory limit for each.

In: tasks (small pickled values), and the name of the function that does one. Out: results as they come. A worker that
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEMORY_BYTES = 3 << 30
"""Most data memory of one worker, and of a decoder it runs."""
_HEAD = 8


@dataclass(frozen=True)
class Failed:
    """Stands for the result of a task that did not finish; the reason is for the file's row."""

    reason: str
    took_too_long: bool = False


@dataclass
class _Worker:
    process: "subprocess.Popen[bytes]"
    begun: float = 0.0
    given: deque[int] = field(default_factory=deque)
    buffer: bytearray = field(default_factory=bytearray)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    function: str,
    setting: Any,
    tasks: Sequence[Any],
    *,
    time_limit_s: float,
    workers: int | None = None,
    chunk: int = 1,
) -> Iterator[tuple[int, Any]]:
    """(index of the task, its result or `Failed`), in the order they are done.

    function: "module:name", called as name(setting, task) in the worker. chunk: tasks handed out at once; the time
    limit holds for each of them. Leaving the iteration early stops the workers.
    """
    waiting = deque(range(len(tasks)))
    count = min(workers or cores(), -(-len(tasks) // chunk))
    selector = selectors.DefaultSelector()
    alive: list[_Worker] = []

    def start() -> None:
        worker = _Worker(_spawn(function, setting))
        alive.append(worker)
        assert worker.process.stdout is not None
        os.set_blocking(worker.process.stdout.fileno(), False)
        selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        give(worker)

    def give(worker: _Worker) -> None:
        while waiting and len(worker.given) < chunk:
            worker.given.append(waiting.popleft())
        worker.begun = time.monotonic()
        if worker.given:
            _send(worker.process, [tasks[index] for index in worker.given])

    def replace(worker: _Worker) -> None:
        """Stop a worker; its unfinished tasks but the first go to others."""
        selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        alive.remove(worker)
        _stop(worker.process)
        waiting.extendleft(reversed(worker.given))
        if waiting:
            start()

    try:
        for _ in range(count):
            start()
        left = len(tasks)
        while left:
            for key, _ in selector.select(timeout=0.25):
                worker: _Worker = key.data
                data = os.read(key.fd, 1 << 20)
                worker.buffer += data
                for result in _messages(worker.buffer):
                    worker.begun = time.monotonic()
                    left -= 1
                    yield worker.given.popleft(), result
                if not data:
                    index = worker.given.popleft() if worker.given else None
                    replace(worker)
                    if index is not None:
                        left -= 1
                        yield index, Failed("the decoder crashed on it")
                elif not worker.given:
                    give(worker)
            now = time.monotonic()
            for worker in [item for item in alive if item.given and now - item.begun > time_limit_s]:
                index = worker.given.popleft()
                replace(worker)
                left -= 1
                yield index, Failed(f"took longer than {time_limit_s:g} s to read", took_too_long=True)
    finally:
        for worker in alive:
            _stop(worker.process)
        selector.close()


def _spawn(function: str, setting: Any) -> "subprocess.Popen[bytes]":
    root = str(Path(__file__).parents[2])
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    # Decoders print file names and dumps to standard error: nobody is to read them.
    process = subprocess.Popen(
        [sys.executable, "-m", "src.music.worker", function],
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
        process.stdin.write(len(body).to_bytes(_HEAD, "little") + body)
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it died: the end of its output tells so


def _messages(buffer: bytearray) -> Iterator[Any]:
    """Take the complete messages from the front of a buffer."""
    while len(buffer) >= _HEAD:
        size = int.from_bytes(buffer[:_HEAD], "little")
        if len(buffer) < _HEAD + size:
            return
        body = bytes(buffer[_HEAD : _HEAD + size])
        del buffer[: _HEAD + size]
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
