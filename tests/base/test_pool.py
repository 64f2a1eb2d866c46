"""The pool: limits hold for each task, and only the guilty one fails."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from src.base import pool
from src.base.errors import Problem
from src.base.pool import Failed


def act(setting: Any, task: Any) -> Any:
    """What the workers do in these tests."""
    kind, value = task
    if kind == "sleep":
        time.sleep(value)
    elif kind == "die":
        os.kill(os.getpid(), 9)
    elif kind == "eat":
        bytearray(value)
    elif kind == "raise":
        raise ValueError(value)
    elif kind == "problem":
        raise Problem(value)
    elif kind == "print":
        print("x" * value)
    return setting, value


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
    assert found[1] == Failed("took longer than 3 s to read", took_too_long=True)
    assert [found[0], found[2], found[3]] == [("s", 0), ("s", 2), ("s", 3)]


def test_crashes_memory_and_errors_cost_one_task_each() -> None:
    tasks = [("die", 0), ("eat", 64 << 30), ("raise", "private words"), ("print", 100_000), ("echo", 4)]
    found = run(tasks, chunk=5)
    assert found[0] == Failed("the decoder crashed on it")
    assert found[1] == Failed("needs too much memory to read")
    assert found[2] == Failed("the reader failed on it (ValueError)")
    assert found[3:] == [("s", 100_000), ("s", 4)]


def test_workers_that_cannot_start_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not a thousand rows that blame the songs.
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Problem, match="do not start"):
        run([("echo", 0), ("echo", 1)])


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
