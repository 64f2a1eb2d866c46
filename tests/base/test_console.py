"""What a person sees when the system refuses something, and what never reaches a terminal."""

import errno
import io
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from src.base import console
from src.base.errors import Problem
from tests.conftest import ROOT, StudyFolder


@pytest.mark.parametrize("number", sorted(console.WAYS_OUT))
def test_what_the_system_refuses_is_one_sentence_with_a_way_out(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    app = console.command_app("x")

    @app.command()
    def main() -> None:
        raise OSError(number, os.strerror(number), "work/lock")

    with pytest.raises(SystemExit) as ended:
        run_without_arguments(app)
    assert ended.value.code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith(f"error: work/lock: {os.strerror(number)}. ")
    assert said.endswith("and run the same command again.")


def test_an_error_of_ours_keeps_its_traceback() -> None:
    app = console.command_app("x")

    @app.command()
    def main() -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file descriptor"):
        run_without_arguments(app)


def run_without_arguments(app: object) -> None:
    before, sys.argv = sys.argv, ["command"]
    try:
        console.run(app)  # type: ignore[arg-type]
    finally:
        sys.argv = before


def test_what_cannot_be_shared_out_is_not_done_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = console.command_app("x")
    app.command()(lambda: console.say("done"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="1"):
        run_without_arguments(app)
    assert "This is the work of one process. Start it without torchrun." in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit, match="0"):
        console.run(app, shares=True)
    assert capsys.readouterr().out == "done\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [(), ("nothing was written.",)])
def test_an_interrupted_command_says_what_became_of_its_work(
    number: signal.Signals, words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = console.command_app("x")

    @app.command()
    def main() -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        console.run(app, *words)
    assert ended.value.code == 128 + number
    said = " ".join(capsys.readouterr().err.split())
    assert said == f"Interrupted; {words[0] if words else console.KEPT}"


def test_an_escape_sequence_in_a_name_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b]0;title\x07\x1b[2Jb\u202e\udcff\rc"
    console.say(f"one {name}")
    console.warn(f"two {name}")
    console.error(Problem(f"three {name}"))
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert all(char.isprintable() or char == "\n" for char in text)
        assert "\\x1b]0;title\\x07" in text


READ_ONLY = 'mount --bind "$1/src" "$1/src" && mount -o remount,ro,bind "$1/src" && exec "$2" -c "$3"'


def may_mount() -> bool:
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="this user may not mount a folder read-only")
def test_kernels_compile_where_neither_the_sources_nor_a_home_may_be_written(tmp_path: Path) -> None:
    code = "from src.wavenet.cpu import sampler_kernel; from numba import config; print(config.CACHE_DIR)"
    without = {key: value for key, value in StudyFolder(tmp_path).environment().items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(ROOT), sys.executable, code],
        cwd=tmp_path,
        env=without | {"HOME": "/proc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-600:]
    assert Path(done.stdout.strip()).parent == tmp_path / "work" / "cache"


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [(60, "loss 2.346", "steps/s"), (80, "steps/s", "checkpoint"), (200, "attempt 12", "…")],
)
def test_a_narrow_terminal_drops_notes_and_cuts_none(
    width: int, shown: str, left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=terminal, force_terminal=True, width=width))
    clock = itertools.count(0.0, 33.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with console.progress("training", 15_000, "steps") as meter:
        for _ in range(3):
            meter.advance(1_150, ("loss 2.346", "checkpoint 12,500", "attempt 12"))
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).replace("\r", "\n").splitlines()
    last = [line for line in lines if line.strip()][-1]
    assert len(last.rstrip()) <= width
    assert " 23% " in last
    assert shown in last
    assert left_out not in last
    assert "…" not in last


def test_what_takes_long_is_said_while_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    said, timers = threading.Event(), list[threading.Timer]()

    def timer(*given: Any) -> threading.Timer:
        timers.append(threading.Timer(*given))
        return timers[-1]

    monkeypatch.setattr(console.err, "print", lambda text, markup: said.set())
    monkeypatch.setattr(console, "threading", SimpleNamespace(Timer=timer))
    with console.if_slow("It works ...", after_s=0.01):
        assert said.wait(60)
    with console.if_slow("It works ...", after_s=600):
        pass
    assert timers[-1].finished.is_set(), "what is over is not said any more"
