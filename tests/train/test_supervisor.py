"""When a dead training is started again, and when it is not: with children that only write what a training would."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from src.base.errors import Problem
from src.record import journal
from src.record.endings import GIVE_UP
from src.train import supervisor
from src.train.supervisor import supervise
from tests.conftest import ROOT

CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from src.record.journal import Journal
number, automatic = int(sys.argv[1]), sys.argv[2] == "True"
if {begins}:
    book = Journal(Path({path!r}), number)
    book.append("attempt", time_ms=1000 * number, start_step=0, automatic=automatic)
    for step in {steps}.get(number, ()):
        book.append("step", step=step, loss=1.0, time_ms=1000 * number + step)
    if {end!r}:
        book.append("end", time_ms=1000 * number + 500, cause={end!r}, detail="in its own words")
    book.close()
if {asks}:
    os.kill(os.getppid(), signal.SIGINT)
    signal.pause()
how = {how}[min(number, len({how})) - 1]
if how < 0:
    os.kill(os.getpid(), -how)
    signal.pause()
sys.exit(how)
"""


class Trial:
    """A supervised training whose attempts end as they are told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.path = folder / journal.NAME
        self.started: list[tuple[int, bool]] = []
        self.pauses: list[float] = []
        monkeypatch.setattr(supervisor._Watch, "pause", lambda _watch, seconds: self.pauses.append(seconds))

    def run(
        self,
        *how: int,
        steps: dict[int, Sequence[int]] | None = None,
        begins: bool = True,
        end: str = "",
        asks: bool = False,
    ) -> None:
        """how: exit status of each attempt, negative for a signal; the last one's is that of all further ones.

        steps: of each attempt. begins: whether it comes to write its first line. end: the cause that it writes itself.
        asks: it sends its supervisor the signal of a person at the terminal.
        """
        code = CHILD.format(
            how=how, root=str(ROOT), path=str(self.path), steps=steps or {}, begins=begins, end=end, asks=asks
        )

        def command(number: int, automatic: bool) -> list[str]:
            self.started.append((number, automatic))
            return [sys.executable, "-c", code, str(number), str(automatic)]

        with (self.folder / "lock").open("w") as lock:
            supervise(command, self.folder, lock.fileno())

    def ends(self) -> list[tuple[str, str]]:
        """Cause and detail of each attempt."""
        return [(attempt.cause, attempt.detail) for attempt in journal.read(self.path).attempts.values()]


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    return Trial(tmp_path, monkeypatch)


def test_a_training_that_is_done_is_not_started_again(trial: Trial) -> None:
    trial.run(0)
    assert trial.started == [(1, False)]
    assert trial.pauses == []


def test_one_that_gets_further_each_time_is_started_again_for_as_long_as_it_takes(trial: Trial) -> None:
    trial.run(*[-signal.SIGKILL] * 7, 0, steps={number: [number] for number in range(1, 9)})
    assert trial.started == [(1, False), *((number, True) for number in range(2, 9))]
    assert trial.pauses == [supervisor.FIRST_PAUSE_S] * 7
    assert trial.ends()[:7] == [("killed", "SIGKILL")] * 7
    assert all(attempt.end["time_ms"] > 10**12 for attempt in journal.read(trial.path).attempts.values() if attempt.end)


def test_one_that_gets_no_further_is_given_up_after_growing_pauses(trial: Trial) -> None:
    with pytest.raises(Problem, match=r"^5 attempts in a row did not get beyond step 2; .* killed \(SIGKILL\)\."):
        trial.run(-signal.SIGKILL, steps={1: [1, 2]})
    assert len(trial.started) == 6  # the first one got somewhere
    assert trial.pauses == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_progress_makes_the_pauses_short_again_and_the_count_begin_anew(trial: Trial) -> None:
    with pytest.raises(Problem, match="did not get beyond step 3"):
        trial.run(-signal.SIGKILL, steps={4: [1, 2, 3]})
    assert trial.pauses == [2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_fault_of_its_own_at_the_same_step_is_tried_three_times(trial: Trial) -> None:
    with pytest.raises(Problem, match=r"^Step 3 failed the same way 3 times: crashed \(exit status 1\)\. Mend what"):
        trial.run(1, steps={1: [1, 2]})
    assert len(trial.started) == 3


def test_faults_of_different_kinds_or_steps_are_no_proof(trial: Trial) -> None:
    with pytest.raises(Problem, match=r"^5 attempts in a row did not get beyond step 0"):
        trial.run(1, 2, 1, 2, 1)
    assert len(trial.started) == 5


def test_the_same_fault_at_a_later_step_is_another_one(trial: Trial) -> None:
    with pytest.raises(Problem, match=r"^Step 4 failed the same way 3 times"):
        trial.run(1, steps={1: [1], 2: [2], 3: [3]})
    assert len(trial.started) == 5


def test_want_of_memory_in_the_child_s_own_words_names_what_to_lower(trial: Trial) -> None:
    with pytest.raises(Problem, match=r"3 times: out of memory \(in its own words\)\. Lower train\.batch_size"):
        trial.run(1, end="out of memory")
    assert trial.ends() == [("out of memory", "in its own words")] * 3


def test_a_child_that_says_it_is_in_vain_is_believed(trial: Trial) -> None:
    with pytest.raises(Problem, match="The training cannot go on"):
        trial.run(GIVE_UP)
    assert trial.started == [(1, False)]
    assert trial.ends() == [("gave up", f"exit status {GIVE_UP}")]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_child_that_was_asked_to_stop_is_not_started_again(trial: Trial, signum: signal.Signals) -> None:
    with pytest.raises(SystemExit) as left:
        trial.run(128 + signum)
    assert left.value.code == 128 + signum
    assert trial.started == [(1, False)]
    assert trial.ends() == [("interrupted", signum.name)]


def test_one_that_died_before_its_first_line_is_recorded(trial: Trial) -> None:
    with pytest.raises(Problem, match="failed the same way 3 times"):
        trial.run(-signal.SIGSEGV, begins=False)
    attempts = journal.read(trial.path).attempts.values()
    assert [attempt.automatic for attempt in attempts] == [False, True, True]
    assert trial.ends() == [("crashed", "SIGSEGV")] * 3
    assert all(attempt.details["unborn"] and attempt.time_ms > 10**12 for attempt in attempts)


def test_a_kill_is_for_want_of_memory_only_where_the_system_killed_one_meanwhile(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([7, 8, 8, 8, 8, 8])  # as the child starts and as it ends, for each of three attempts
    monkeypatch.setattr(supervisor, "_out_of_memory_kills", lambda: next(counts))
    monkeypatch.setattr(supervisor, "LOOK_EVERY_S", 600)
    trial.run(-signal.SIGKILL, -signal.SIGKILL, 0, steps={1: [1], 2: [2]})
    assert trial.ends()[:2] == [("out of memory", "the system ended it with SIGKILL"), ("killed", "SIGKILL")]


def test_what_the_system_killed_while_the_child_lived_on_was_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([7])
    monkeypatch.setattr(supervisor, "_out_of_memory_kills", lambda: next(counts, 8))
    monkeypatch.setattr(supervisor, "LOOK_EVERY_S", 0.02)
    assert supervisor._Watch().run(["sleep", "0.5"], os.open(os.devnull, os.O_RDONLY)) == (0, False)


@pytest.mark.parametrize(
    ("lines", "kills"), [("pgfault 5\noom_kill 12\nswap_ra 1\n", 12), ("pgfault 5\n", 0), (None, 0)]
)
def test_the_system_s_kills_are_counted_where_it_counts_them(
    monkeypatch: pytest.MonkeyPatch, lines: str | None, kills: int
) -> None:
    def told(_path: Path, encoding: str) -> str:
        if lines is None:
            raise FileNotFoundError
        return lines

    monkeypatch.setattr(Path, "read_text", told)
    assert supervisor._out_of_memory_kills() == kills


def test_a_request_is_passed_on_to_the_child_and_ends_the_supervisor(trial: Trial) -> None:
    with pytest.raises(SystemExit) as left:
        trial.run(0, asks=True)
    assert left.value.code == 128 + signal.SIGINT
    assert trial.started == [(1, False)]
    assert trial.ends() == [("interrupted", "SIGINT")]


def test_a_request_while_the_child_is_being_started_reaches_it() -> None:
    watch = supervisor._Watch()
    watch.ask(signal.SIGINT, None)
    assert watch.run(["sleep", "600"], os.open(os.devnull, os.O_RDONLY)) == (-signal.SIGTERM, False)


def test_a_request_ends_a_pause_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "sleep", sleep)
    watch = supervisor._Watch()
    watch.pause(5.05)
    assert now == pytest.approx(105.05)
    watch.ask(signal.SIGTERM, None)
    with pytest.raises(SystemExit) as left:
        watch.pause(5)
    assert left.value.code == 128 + signal.SIGTERM
    assert now == pytest.approx(105.05)


def test_the_child_holds_the_lock_in_a_process_group_of_its_own(tmp_path: Path) -> None:
    code = "import os, sys; os.fstat(int(sys.argv[1])); sys.exit(40 + (os.getpgrp() == os.getpid()))"
    with (tmp_path / "lock").open("w") as lock:
        done = supervisor._Watch().run([sys.executable, "-S", "-c", code, str(lock.fileno())], lock.fileno())
    assert done == (41, False)


@pytest.mark.parametrize(("parent", "status"), [("os.getppid()", 5), ("1", 128 + signal.SIGTERM)])
def test_a_child_whose_supervisor_is_gone_ends(parent: str, status: int) -> None:
    code = f"import os, sys; from src.train import supervisor; supervisor.end_with({parent}); sys.exit(5)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == status


def test_torchrun_s_processes_know_each_other_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert not supervisor.started_by_torchrun()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert supervisor.started_by_torchrun()
