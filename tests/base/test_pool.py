"""The pool: limits hold for each task, only the guilty one fails, and what may pass is tried again."""

import errno
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from src.base import pool
from src.base.errors import Problem, Unread
from src.base.pool import Failed


def act(setting: Any, task: Any) -> Any:
    """What the workers do in these tests."""
    kind, value = task
    if kind == "sleep":
        time.sleep(value)
    elif kind == "die":
        if value == signal.SIGHUP:  # under nohup it is ignored
            signal.signal(value, signal.SIG_DFL)
        os.kill(os.getpid(), value)
    elif kind == "system":
        raise OSError(value, os.strerror(value), "/home/me/private.mp3")
    elif kind == "crash":
        raise Unread("the decoder crashed on it", passing=False)
    elif kind == "die early":
        # As many times as the file has bytes left.
        left = Path(value).read_bytes()
        Path(value).write_bytes(left[1:])
        if left:
            os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "eat":
        bytearray(value)
    elif kind == "raise":
        raise ValueError(value)
    elif kind == "problem":
        raise Problem(value)
    elif kind == "print":
        print("x" * value)
    return setting, value


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PAUSES_S", (0.0, 0.01, 0.02))


def run(tasks: list[Any], **more: Any) -> list[Any]:
    found = dict(pool.run(act, "s", tasks, **{"time_limit_s": 30, "workers": 2} | more))
    assert sorted(found) == list(range(len(tasks)))
    return [found[index] for index in range(len(tasks))]


@pytest.mark.parametrize("chunk", [1, 7])
def test_every_task_is_done_once(chunk: int) -> None:
    assert run([("echo", number) for number in range(40)], chunk=chunk) == [("s", number) for number in range(40)]


def test_no_task_needs_no_worker() -> None:
    assert run([]) == []


def test_one_that_hangs_is_given_up_and_the_others_go_on() -> None:
    tasks = [("echo", 0), ("sleep", 600), ("echo", 2), ("echo", 3)]
    found = run(tasks, time_limit_s=3, chunk=4, workers=1)
    assert found[1] == Failed("took longer than 3 s to read", passing=True, took_too_long=True)
    assert [found[0], found[2], found[3]] == [("s", 0), ("s", 2), ("s", 3)]


def test_crashes_memory_and_errors_cost_one_task_each() -> None:
    tasks = [("die", signal.SIGSEGV), ("eat", 64 << 30), ("raise", "private words"), ("print", 100_000), ("echo", 4)]
    found = run([*tasks, ("crash", 0)], chunk=6)
    # A crash and an error of the reader come again with the same file; want of memory need not.
    assert found[0] == found[5] == Failed("the decoder crashed on it", passing=False)
    assert found[1] == Failed("too little memory to read it", passing=True)
    assert found[2] == Failed("the reader failed on it (ValueError)", passing=False)
    assert found[3:5] == [("s", 100_000), ("s", 4)]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOENT, "gone while it was read"),
        (errno.EACCES, "no permission to read it"),
        (errno.EMFILE, "too many open files"),
        (errno.EIO, "cannot be read (Input/output error)"),
        (errno.ESTALE, "cannot be read (Stale file handle)"),
    ],
)
def test_an_error_of_the_system_says_nothing_about_the_file_and_does_not_name_it(number: int, reason: str) -> None:
    assert run([("system", number)]) == [Failed(reason, passing=True)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_reader_that_is_killed_says_nothing_about_the_file(number: int) -> None:
    assert run([("die", number), ("echo", 1)]) == [Failed("its reader was stopped", passing=True), ("s", 1)]


@pytest.mark.parametrize(("times", "done"), [(0, True), (1, True), (3, True), (4, False)])
def test_what_was_killed_is_tried_again_a_few_times(tmp_path: Path, times: int, done: bool) -> None:
    left = tmp_path / "left"
    left.write_bytes(bytes(times))
    (found,) = run([("die early", str(left))])
    assert (found == ("s", str(left))) == done
    assert not left.read_bytes()


def test_workers_that_cannot_start_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not a thousand rows that blame the songs.
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Problem, match="do not start"):
        run([("echo", 0), ("echo", 1)])


def test_too_few_open_files_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(pool, "Pipe", refuse)
    with pytest.raises(Problem, match=r"too many open files.*ulimit -n"):
        run([("echo", 0)])


def test_a_problem_that_is_not_the_files_ends_it_all() -> None:
    with pytest.raises(Problem, match="The disk is full"):
        run([("problem", "The disk is full: ..."), ("echo", 1)])


def test_leaving_early_stops_the_workers() -> None:
    work = pool.run(act, "s", [("echo", 0), ("sleep", 600)], time_limit_s=600, workers=2)
    next(work)
    children = set(_children())
    assert children
    work.close()  # type: ignore[attr-defined]
    assert not children & set(_children())


def _children() -> list[int]:
    tasks = Path(f"/proc/{os.getpid()}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]
