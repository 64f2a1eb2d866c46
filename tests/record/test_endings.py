"""How attempts end, and who writes it down."""

import signal
from pathlib import Path

import pytest

from src.base import errors, provenance
from src.record import endings, history, journal
from src.record.endings import GIVE_UP, Ending
from src.record.journal import Journal


@pytest.mark.parametrize(
    ("code", "out_of_memory", "expected"),
    [
        (1, False, Ending("crashed", "exit status 1")),
        (GIVE_UP, False, Ending("gave up", "exit status 78")),
        (-9, False, Ending("killed", "SIGKILL")),
        (-9, True, Ending("out of memory", "the system ended it with SIGKILL")),
        (-15, True, Ending("killed", "SIGTERM")),
        (-11, False, Ending("crashed", "SIGSEGV")),
    ],
)
def test_an_exit_status_says_what_happened(code: int, out_of_memory: bool, expected: Ending) -> None:
    assert endings.of_exit(code, out_of_memory=out_of_memory) == expected


def begin(path: Path, number: int, start: int, steps: range, began_ms: int, **details: object) -> None:
    book = Journal(path, number)
    here = provenance.identity() | details
    book.append("attempt", time_ms=began_ms, start_step=start, automatic=number > 1, **here)
    for step in steps:
        book.append("step", step=step, loss=1.0 / step, seconds=0.5, time_ms=began_ms + 1000 * (step - start))
    book.close()


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({}, "killed"),
        ({"boot": "000000000000"}, "machine stopped"),
        ({"machine": "000000000000"}, "moved"),
        ({"machine": "000000000000", "boot": "000000000000"}, "moved"),
    ],
)
def test_an_end_that_nobody_saw_is_concluded_and_says_so(
    tmp_path: Path, details: dict[str, object], expected: str
) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 6), 10_000, **details)
    ending = endings.close_unseen(path)
    assert ending is not None
    assert ending.cause == expected
    end = journal.read(path).attempts[1].end
    assert end is not None
    assert (end["time_ms"], end["step"], end["inferred"]) == (15_000, 5, True)  # when it was last known to live
    assert endings.close_unseen(path) is None


def test_a_torn_line_does_not_keep_the_end_from_being_written(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 6), 10_000)
    path.write_bytes(path.read_bytes() + b'{"kind": "st')
    endings.close(path, 1, Ending("killed", "SIGKILL"), 20_000)
    assert journal.read(path).attempts[1].cause == "killed"
    endings.close(path, 1, Ending("crashed"), 30_000)  # it has one already
    endings.close(path, 7, Ending("crashed"), 30_000)  # it never began
    assert list(journal.read(path).attempts) == [1]
    assert journal.read(path).attempts[1].cause == "killed"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("The clip data/clips/rock/0123456789abcdef.flac is damaged. Run: python -m src.clips", "The clip …"),
        ("[Errno 2] No such file: '/mnt/My Music/Some Artist - A Title.flac'", "[Errno 2] No such file: …"),
        ("KeyError: 'A Title'", "KeyError: …"),
        ("Clip 0123456789abcdef was not read; it's gone", "Clip … was not read; it's gone"),
        ("SIGKILL", "SIGKILL"),
        ("C:\\Music\\A Title.flac", "…"),
        ("no memory | for this\nand more", "no memory ¦ for this…"),
    ],
)
def test_names_and_digests_do_not_leave_this_machine(text: str, told: str) -> None:
    assert journal.public(text) == told


def test_the_figures_of_attempts(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 31), 10_000)
    endings.close(path, 1, Ending("killed", "SIGKILL"), 40_500)
    begin(path, 2, 20, range(21, 26), 50_000)  # dies before it does anything new
    endings.close(path, 2, Ending("crashed", "exit status 1"), 55_500)
    begin(path, 3, 20, range(21, 41), 60_000)
    first, second, third = history.summaries(journal.read(path)).values()
    assert (first.new_steps, first.replayed_steps, first.downtime_s, first.lost_s) == (30, 0, 0.0, 0.0)
    assert (second.new_steps, second.replayed_steps, second.downtime_s, second.lost_s) == (0, 5, 9.5, None)
    assert (third.new_steps, third.replayed_steps, third.downtime_s) == (10, 10, 4.5)
    assert third.lost_s == 30.5  # step 30 ended at 40.0, step 31 began at 70.5
    assert (first.status, second.status, third.status) == ("KILLED", "FAILED", "RUNNING")
    assert third.ended == "still running"


def test_a_clock_that_was_set_back_loses_no_time(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 31), 1_000_000)
    begin(path, 2, 20, range(21, 41), 10_000)
    first, second = history.summaries(journal.read(path)).values()
    assert (first.cause, first.status, second.cause) == ("killed", "KILLED", "")  # another one went on, so it is dead
    assert (second.downtime_s, second.lost_s) == (0.0, 0.0)


@pytest.mark.parametrize(
    "detail",
    [
        "SIGKILL",
        "RuntimeError: something with a rather long explanation",
        "RuntimeError: " + "a long | explanation of\nseveral lines" * 30,
    ],
)
def test_a_long_story_ends_with_the_newest_attempts(tmp_path: Path, detail: str) -> None:
    path = tmp_path / journal.NAME
    for number in range(1, 101):
        begin(path, number, number - 1, range(number, number + 1), 10_000 * number)
        endings.close(path, number, Ending("crashed", detail))
    story = history.tell(journal.read(path))
    rows = [line for line in story.splitlines() if line.startswith("|")][2:]
    assert f"The last {len(rows)} of 100 attempts:" in story
    assert [int(row.split("|")[1]) for row in rows] == list(range(101 - len(rows), 101))
    assert {row.count("|") for row in rows} == {9}
    assert 4_000 < len(story) < 5_000


def test_one_that_died_before_its_first_line_is_an_attempt_too(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 6), 10_000)
    endings.close(path, 1, Ending("killed", "SIGKILL"), 15_500)
    endings.record_unborn(path, 1, 9_000, automatic=False)  # it could write its own: that stands
    endings.record_unborn(path, 2, 20_000, automatic=True)
    endings.close(path, 2, Ending("out of memory", "the system ended it with SIGKILL"), 21_000)
    first, second = history.summaries(journal.read(path)).values()
    assert (first.began_ms, first.new_steps) == (10_000, 5)
    assert (second.began_ms, second.ended_ms, second.automatic, second.last_step) == (20_000, 21_000, True, None)
    assert second.cause == "out of memory"
    assert journal.read(path).attempts[2].details["unborn"] is True


def test_a_torn_line_does_not_keep_one_that_was_never_born_from_being_recorded(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 6), 10_000)
    path.write_bytes(path.read_bytes() + b'{"kind": "attempt", "att')  # it died in the middle of its first line
    endings.record_unborn(path, 2, 20_000, automatic=True)
    assert list(journal.read(path).attempts) == [1, 2]


def test_an_end_is_on_the_disk_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / journal.NAME
    synced: list[int] = []
    monkeypatch.setattr(Journal, "sync", lambda _book: synced.append(len(path.read_bytes().splitlines())))
    endings.record_unborn(path, 1, 10_000, automatic=False)
    endings.close(path, 1, Ending("killed", "SIGKILL"), 20_000)
    assert synced == [1, 2]


@pytest.mark.parametrize("signum", sorted(errors.CRASHES))
def test_every_signal_of_a_program_s_own_fault_is_a_crash(signum: signal.Signals) -> None:
    for out_of_memory in (False, True):
        assert endings.of_exit(-signum, out_of_memory=out_of_memory) == Ending("crashed", signum.name)


def test_a_run_without_attempts_has_a_story_too() -> None:
    assert history.tell(journal.View()) == "Nothing has begun yet."


def test_the_story_is_told_in_numbers_that_are_those_of_the_journal(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 31), 10_000)
    alone = history.tell(journal.read(path))
    assert alone.startswith(
        "Running (the charts say at which step), each step recorded once. Nothing interrupted it.\n"
    )
    assert "| the beginning | 1 to … |  | still running |" in alone
    assert "30" not in alone, "it is not told again while the attempt goes on"
    endings.close(path, 1, Ending("killed", "SIGKILL"), 40_500)
    assert history.tell(journal.read(path)).startswith(
        "Stopped (killed: SIGKILL) at step 30, each step recorded once.\n"
    )
    begin(path, 2, 20, range(21, 26), 50_000, moved=True, processes=2)
    endings.close(path, 2, Ending("crashed", "exit status 1"), 55_500)
    assert "once. 1 restart (1 by the supervisor, 0 by a person): 5 steps" in history.tell(journal.read(path))
    begin(path, 3, 20, range(21, 41), 60_000)
    endings.close(path, 3, Ending("finished"), 81_000)
    headline, _, _, _, *rows = history.tell(journal.read(path)).splitlines()
    assert headline == (
        "Finished at step 40, each step recorded once. 2 restarts (2 by the supervisor, 0 by a person): "
        "15 steps done again, 30.5 s lost of 71.0 s."
    )
    assert rows == [
        "| 1 | 1970-01-01 00:00:10 | a person | the beginning | 1 to 30 |  | killed: SIGKILL |  |",
        "| 2 | 1970-01-01 00:00:50 | the supervisor, on another machine, 2 processes | step 20 | 21 to 25 | 5 "
        "| crashed: exit status 1 | no new step |",
        "| 3 | 1970-01-01 00:01:00 | the supervisor | step 20 | 21 to 40 | 10 | finished | 30.5 s |",
    ]


def test_a_detail_is_cut_only_where_it_is_too_long_or_holds_a_digest() -> None:
    assert journal.public("x" * journal.MOST_DETAIL) == "x" * journal.MOST_DETAIL
    assert journal.public("x" * (journal.MOST_DETAIL + 1)) == "x" * journal.MOST_DETAIL + "…"
    assert journal.public("commit 0123456789a") == "commit 0123456789a"
    assert journal.public("digest 0123456789ab") == "digest …"


@pytest.mark.parametrize(
    ("cause", "of_its_own"),
    [("crashed", True), ("out of memory", True), ("killed", False), ("interrupted", False), ("gave up", False)],
)
def test_an_attempt_is_to_blame_for_its_own_faults_alone(cause: endings.Cause, of_its_own: bool) -> None:
    assert Ending(cause).of_its_own is of_its_own
    assert (str(Ending(cause)), str(Ending(cause, "why"))) == (cause, f"{cause} (why)")


def test_an_attempt_that_does_not_say_how_many_processes_it_had_is_one(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 3), 10_000)
    first = history.summaries(journal.read(path))[1]
    assert (first.processes, first.moved, first.start_step, first.first_step, first.last_step) == (1, False, 0, 1, 2)


def test_the_story_of_an_imported_log_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 30), 100_000)
    begin(path, 2, 31, range(32, 36), 140_000)  # steps 30 and 31 are in no line
    view = journal.read(path)
    assert (view.last_step, view.newest_step) == (29, 35)  # a training would go on from before the gap
    second = history.summaries(view)[2]
    assert second.lost_s == 11.5  # step 29 ended at 129.0, step 32 began at 140.5
    assert history.tell(view).startswith(
        "Running (the charts say at which step), 2 steps not recorded (30 to 31), every other one once. 1 restart (1 by"
    )
    path.unlink()
    begin(path, 1, 299, range(300, 304), 100_000, inferred_fields=["automatic", "time_ms"])
    begin(path, 2, 303, range(304, 306), 110_000, inferred_fields=["automatic", "time_ms"])
    book = Journal(path, 2)
    book.append("end", time_ms=112_000, cause="not recorded", detail="its last line is cut")
    book.close()
    story = history.tell(journal.read(path))
    assert story.startswith(
        "Recorded up to step 305 (its last line is cut), each step from 300 on recorded once. 1 restart (0 by the "
        "supervisor, 0 by a person, 1 by whom is not recorded): 0 steps done again, at least 6.5 s lost"
    )


def test_each_gap_is_counted_and_the_first_three_are_named(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(1, 30), 10_000)
    begin(path, 2, 30, range(31, 34), 50_000)
    assert "step), 1 step not recorded (30), every other one once." in history.tell(journal.read(path))
    begin(path, 3, 35, range(36, 37), 60_000)
    begin(path, 4, 37, range(38, 39), 70_000)
    assert "4 steps not recorded (30, 34 to 35, 37), every" in history.tell(journal.read(path))
    begin(path, 5, 42, range(43, 44), 80_000)
    assert "8 steps not recorded (30, 34 to 35, 37, …), every" in history.tell(journal.read(path))


def test_the_time_of_an_attempt_without_a_step_is_lost_to_the_first_step(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(0), 10_000)
    endings.close(path, 1, Ending("killed", "SIGKILL"), 12_000)
    assert "at step 0, no step recorded." in history.tell(journal.read(path))
    begin(path, 2, 0, range(0), 20_000)
    begin(path, 3, 0, range(1, 4), 30_000)
    first, second, third = history.summaries(journal.read(path)).values()
    assert (first.lost_s, second.lost_s) == (0.0, None)
    assert third.lost_s == 20.5  # the first attempt began at 10.0, step 1 at 30.5
    told = history.tell(journal.read(path))
    assert "0 steps done again, 20.5 s lost.\n" in told
    endings.close(path, 3, Ending("finished"), 33_000)
    assert "0 steps done again, 20.5 s lost of 23.0 s.\n" in history.tell(journal.read(path))
    assert "| 1 | 1970-01-01 00:00:10 | a person | the beginning | none |  | killed: SIGKILL |  |" in told


def test_a_first_step_before_its_attempt_by_a_clock_that_was_set_back_loses_no_time(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    begin(path, 1, 0, range(0), 50_000)
    begin(path, 2, 0, range(1, 2), 49_400)
    assert history.summaries(journal.read(path))[2].lost_s == 0.5  # from 49.4 to the beginning of step 1 at 49.9
    path.unlink()
    begin(path, 1, 0, range(0), 50_000)
    book = Journal(path, 2)
    book.append("attempt", time_ms=60_000, start_step=0, automatic=True)
    book.append("step", step=1, loss=1.0, seconds=0.5, time_ms=40_000)
    book.close()
    assert history.summaries(journal.read(path))[2].lost_s == 0.0
