"""One attempt from inside: what its journal says, what it saves when it ends, and what its end is called."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from src import config
from src.base import files, provenance
from src.base.errors import Problem
from src.record import checkpoint, journal, shipping
from src.record.journal import Journal, View
from src.train import attempt, step
from src.train.attempt import OutOfMemoryError, Stop, train
from src.train.keeper import Keeper
from src.train.run import Run
from src.train.workers import Workers
from src.wavenet.cpu.pieces import AbandonedError
from src.wavenet.training import NotFiniteError
from tests.conftest import StudyFolder

ALONE = Workers(0, 1)
STEPS = 12


@pytest.fixture
def run(study_with_clips: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run of 12 steps; compared: 2 and 10, a checkpoint every 5, a validation every 4."""
    study_with_clips.change("params.yaml", steps=[2, 10])
    study_with_clips.change("params/tiny.yaml", train__steps=STEPS, train__validate_every=4)
    monkeypatch.chdir(study_with_clips.root)
    opened = Run.open(config.load())
    opened.folder.mkdir(parents=True)
    threads = torch.get_num_threads()
    yield opened
    torch.set_deterministic_debug_mode("default")
    torch.set_num_threads(threads)


def lines(run: Run, kind: str) -> list[dict[str, Any]]:
    """The journal's lines of a kind."""
    return [record for _, record in journal.records(run.journal) if record["kind"] == kind]


def before_step(monkeypatch: pytest.MonkeyPatch, number: int, happens: Callable[[], None]) -> None:
    """Let something happen before a step is done; what it raises, the step raises."""
    real = step.Training.step

    def done(self: step.Training, now: int) -> float:
        if now == number:
            happens()
        return real(self, now)

    monkeypatch.setattr(step.Training, "step", done)


def asked_behind(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let somebody ask the training to stop just when a step is done."""
    real = step.Training.step

    def done(self: step.Training, now: int) -> float:
        loss = real(self, now)
        if now == number:
            ask(signal.SIGTERM)
        return loss

    monkeypatch.setattr(step.Training, "step", done)


def ask(signum: int) -> None:
    os.kill(os.getpid(), signum)


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_a_whole_attempt_is_in_the_journal_and_its_checkpoints_are_there(run: Run) -> None:
    train(run, 1, False, ALONE)
    (begun,) = lines(run, "attempt")
    expected = {
        "start_step": 0, "replays": 0, "automatic": False, "moved": False, "steps": STEPS, "pid": os.getpid(),
        "device": run.params.device, "threads": 1, "processes": 1, "hosts": 1, "fingerprint": run.fingerprint,
    }  # fmt: skip
    assert {key: begun[key] for key in expected} == expected
    assert begun["time_ms"] > 10**12
    assert [line["step"] for line in lines(run, "step")] == list(range(1, STEPS + 1))
    assert all(line["time_ms"] > 10**12 and 0 < line["seconds"] < 60 for line in lines(run, "step"))
    assert [line["step"] for line in lines(run, "validation")] == [4, 8, 12]
    (end,) = lines(run, "end")
    assert (end["cause"], end["step"]) == ("finished", STEPS)
    assert checkpoint.steps(run.checkpoints) == [2, 5, 10, 12]
    assert run.finished


def test_the_loss_in_the_journal_is_the_one_of_its_step(run: Run) -> None:
    train(run, 1, False, ALONE)
    state = step.first_state(run.params)
    training = step.Training(run.params, run.clips, state)
    assert [line["loss"] for line in lines(run, "step")] == [training.step(number) for number in range(1, STEPS + 1)]
    saved = checkpoint.load(run.checkpoints / f"step-{STEPS}")
    assert all(torch.equal(tensor, saved.weights[name]) for name, tensor in state.model.state_dict().items())
    assert all(torch.equal(tensor, saved.optimizer[name]) for name, tensor in state.moments.items())


def test_one_that_is_asked_to_stop_saves_the_step_and_the_next_repeats_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        asked_behind(patched, 8)
        with pytest.raises(SystemExit) as left:
            train(run, 1, False, ALONE)
    assert left.value.code == 128 + signal.SIGTERM
    assert "Stopped after step 8, which is saved." in capsys.readouterr().out
    (end,) = lines(run, "end")
    assert (end["cause"], end["detail"], end["step"]) == ("interrupted", "SIGTERM", 8)
    assert 8 in checkpoint.steps(run.checkpoints)
    assert [line["step"] for line in lines(run, "validation")] == [4]  # the next attempt scores step 8
    train(run, 2, True, ALONE)
    assert [line["step"] for line in lines(run, "step")] == list(range(1, STEPS + 1))
    assert [(line["start_step"], line["automatic"]) for line in lines(run, "attempt")] == [(0, False), (8, True)]
    assert [line["step"] for line in lines(run, "validation")] == [4, 8, 12]


@pytest.mark.parametrize(("workers", "stopped_at"), [(ALONE, 3), (Workers(0, 2), 4)], ids=["alone", "two"])
def test_a_step_under_way_is_given_up_unless_others_have_a_part_in_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, workers: Workers, stopped_at: int
) -> None:
    alike(monkeypatch)
    before_step(monkeypatch, 4, lambda: ask(signal.SIGTERM))
    with pytest.raises(SystemExit):
        train(run, 1, False, workers)
    assert [(line["cause"], line["step"]) for line in lines(run, "end")] == [("interrupted", stopped_at)]


def test_a_request_at_the_last_step_is_no_interruption(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_behind(monkeypatch, STEPS)
    train(run, 1, False, ALONE)
    assert lines(run, "end")[0]["cause"] == "finished"
    assert [line["step"] for line in lines(run, "validation")] == [4, 8, 12]  # nobody would make up for it


@pytest.mark.parametrize(("number", "said"), [(1, "before the first step was done"), (4, "after step 3, which is")])
def test_a_step_that_is_given_up_was_not_done(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, said: str
) -> None:
    def give_up() -> None:
        ask(signal.SIGINT)
        raise AbandonedError

    before_step(monkeypatch, number, give_up)
    with pytest.raises(SystemExit) as left:
        train(run, 1, False, ALONE)
    assert left.value.code == 128 + signal.SIGINT
    assert f"Stopped {said}" in " ".join(capsys.readouterr().out.split())
    assert [(line["cause"], line["step"]) for line in lines(run, "end")] == [("interrupted", number - 1)]
    assert checkpoint.steps(run.checkpoints) == ([2, 3] if number == 4 else [])


@pytest.mark.parametrize(
    ("error", "raised", "cause", "detail"),
    [
        (ValueError("odd"), ValueError, "crashed", "ValueError: odd"),
        (RuntimeError("odd"), RuntimeError, "crashed", "RuntimeError: odd"),
        (MemoryError(), OutOfMemoryError, "out of memory", "no memory"),
        (RuntimeError("CUDA: Out of Memory."), OutOfMemoryError, "out of memory", "CUDA: Out of Memory."),
        (Problem("The clip is damaged."), Problem, "gave up", "The clip is damaged."),
        (
            NotFiniteError("The loss is not finite."),
            Problem,
            "gave up",
            "Step 6: The loss is not finite. Its batch is draw(seed=2019, step=6).",
        ),
        (SystemExit(143), SystemExit, "interrupted", "asked twice, so it left at once"),
    ],
)
def test_what_ended_it_is_told_from_what_else_may_end_it(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    raised: type[BaseException],
    cause: str,
    detail: str,
) -> None:
    before_step(monkeypatch, 6, raising(error))
    with pytest.raises(raised) as left:
        train(run, 1, False, ALONE)
    if raised is Problem:
        assert str(left.value) == detail
    assert [(line["cause"], line["detail"], line["step"]) for line in lines(run, "end")] == [(cause, detail, 5)]
    assert [line["step"] for line in lines(run, "step")] == [1, 2, 3, 4, 5]


def test_an_attempt_says_how_far_it_went_back_and_repeats_the_same_losses(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        before_step(patched, 9, raising(ValueError("odd")))
        with pytest.raises(ValueError, match="odd"):
            train(run, 1, False, ALONE)
    train(run, 2, True, ALONE)
    assert (lines(run, "attempt")[1]["start_step"], lines(run, "attempt")[1]["replays"]) == (5, 3)
    view = journal.read(run.journal)
    assert view.replays == {2: 3}
    assert not lines(run, "mismatch")
    replayed = [line["loss"] for line in lines(run, "step") if line["attempt"] == 2][:3]
    assert replayed == [view.steps[number].loss for number in (6, 7, 8)]
    assert [line["step"] for line in lines(run, "validation")] == [4, 8, 12]  # not again


def test_a_step_done_again_with_another_loss_is_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        before_step(patched, 8, raising(ValueError("odd")))
        with pytest.raises(ValueError, match="odd"):
            train(run, 1, False, ALONE)
    real = step.Training.step
    monkeypatch.setattr(step.Training, "step", lambda self, number: real(self, number) + (number == 7) * 1e-6)
    train(run, 2, True, ALONE)
    assert [line["step"] for line in lines(run, "mismatch")] == [7]


@pytest.mark.parametrize(
    ("loss", "processes_before", "processes", "recorded"),
    [
        (2.5, 1, 1, False),
        (2.5 * (1 + 1e-9), 1, 1, True),
        (2.5 * (1 + 1e-5), 1, 2, False),  # sums were added in another order
        (2.5 * (1 + 1e-5), 2, 2, True),
        (2.5 * (1 + 1e-3), 1, 2, True),
        (2.5 * (1 + 1e-9), None, 2, True),  # a journal that does not say is taken to be of as many
    ],
)
def test_another_loss_of_the_same_step_is_recorded(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    loss: float,
    processes_before: int | None,
    processes: int,
    recorded: bool,
) -> None:
    book = Journal(tmp_path / journal.NAME, 1)
    before = {} if processes_before is None else {"processes": processes_before}
    book.append("attempt", time_ms=1000, start_step=0, automatic=False, **before)
    book.append("step", step=1, loss=2.5, time_ms=1001)
    view = journal.read(tmp_path / journal.NAME)
    attempt._compare_with_replay(book, view, 1, loss, processes)
    attempt._compare_with_replay(book, view, 2, loss, processes)  # a new one
    found = [record for _, record in journal.records(tmp_path / journal.NAME) if record["kind"] == "mismatch"]
    assert [(line["step"], line["loss"], line["before"]) for line in found] == ([(1, loss, 2.5)] if recorded else [])
    assert ("before the interruption" in " ".join(capsys.readouterr().err.split())) is recorded


@pytest.mark.parametrize(
    ("before", "moved", "warned"),
    [
        ({}, False, False),
        ({"machine": "another"}, True, False),
        ({"processor": "another"}, False, True),
        ({"machine": "another", "processor": "another"}, True, True),
    ],
)
def test_going_on_elsewhere_is_recorded_and_another_processor_said(
    run: Run, capsys: pytest.CaptureFixture[str], before: dict[str, str], moved: bool, warned: bool
) -> None:
    details = {**provenance.describe(), **before}
    view = View(
        attempts={
            1: journal.Attempt(1, 1000, 0, False, {"machine": "older", "processor": "older"}),
            2: journal.Attempt(2, 2000, 0, False, details),
        },
        steps={1: journal.Step(1, 2.5, None, 2001, 2)},
    )
    said = attempt._about(run, view, 0, True, ALONE)
    assert (said["moved"], said["replays"], said["start_step"], said["automatic"]) == (moved, 1, 0, True)
    assert ("is not the one before" in " ".join(capsys.readouterr().err.split())) is warned
    assert attempt._about(run, View(), 0, False, Workers(0, 2))["moved"] is False


def test_an_end_that_has_no_room_is_left_to_the_next_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Journal, "append", lambda *_given, **_named: raising(files.DiskFullError("full"))())
    attempt._end(Journal(None, 1), "crashed", "odd", 3)
    assert "the journal could not take its last line (crashed: odd)" in capsys.readouterr().err


def test_signals_close_together_are_one_request_and_a_later_one_ends_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    given_up: list[float] = []
    with Stop() as stop:
        stop.abandon = lambda: given_up.append(now)
        ask(signal.SIGINT)
        now += attempt.SAME_REQUEST_S
        ask(signal.SIGTERM)
        assert stop.asked == signal.SIGINT
        assert given_up == [100.0, 101.0]
        now += 0.5
        with pytest.raises(SystemExit) as left:
            ask(signal.SIGTERM)
        assert left.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) != stop._ask


@pytest.mark.parametrize(("every_s", "least", "most"), [(-1.0, STEPS, 3 * STEPS), (1e9, 4, 6)])
def test_the_journal_is_forced_to_the_disk_now_and_then_and_before_each_checkpoint(
    run: Run, monkeypatch: pytest.MonkeyPatch, every_s: float, least: int, most: int
) -> None:
    synced: list[int] = []
    ended: list[bool] = []

    def sync(_book: Journal) -> None:
        synced.append(len(lines(run, "step")))
        ended.append(bool(lines(run, "end")))

    monkeypatch.setattr(Journal, "sync", sync)
    monkeypatch.setattr(attempt, "SYNC_EVERY_S", every_s)
    train(run, 1, False, ALONE)
    assert {2, 5, 10, 12} <= set(synced)
    assert least <= len(synced) <= most
    assert ended[-1]


def test_the_line_behind_the_bar_counts_what_mlflow_does_not_have(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    shipped = 3
    monkeypatch.setattr(shipping, "shipped_step", lambda _folder: shipped)
    line = attempt._Line(run.folder, 2, None)
    assert line.texts(10, 2.34567) == ("loss 2.346", "no checkpoint yet", "attempt 2", "7 steps not in MLflow")
    shipped = 12
    assert line.texts(11, 2.0)[-1] == "8 steps not in MLflow"  # it looks now and then
    now += attempt.LOOK_EVERY_S
    assert line.texts(11, 2.0)[-1] == "attempt 2"
    keeper = Keeper(run, Journal(None, 2))
    keeper.newest = 1500
    assert "checkpoint 1,500" in attempt._Line(run.folder, 2, keeper).texts(1501, 2.0)


def test_one_that_does_not_lead_writes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    alike(monkeypatch)
    train(run, 1, False, Workers(1, 2))
    assert list(run.folder.iterdir()) == []


def test_the_leader_writes_for_all_and_leaves_no_score_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    alike(monkeypatch)
    asked_behind(monkeypatch, 8)
    with pytest.raises(SystemExit):
        train(run, 1, False, Workers(0, 2))
    assert lines(run, "attempt")[0]["processes"] == 2
    assert [line["step"] for line in lines(run, "step")] == list(range(1, 9))
    assert [line["step"] for line in lines(run, "validation")] == [4, 8]


@pytest.mark.parametrize(("workers", "averaged"), [(ALONE, 0), (Workers(1, 2), STEPS)], ids=["alone", "two"])
def test_each_step_s_gradients_are_averaged_where_there_are_others(
    run: Run, monkeypatch: pytest.MonkeyPatch, workers: Workers, averaged: int
) -> None:
    alike(monkeypatch)
    calls: list[int] = []
    monkeypatch.setattr(Workers, "average", lambda _workers, tensors: calls.append(len(tensors)))
    train(run, 1, False, workers)
    assert len(calls) == averaged
    assert all(count > 10 for count in calls)  # the loss and every gradient


def test_all_processes_stop_when_any_of_them_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    alike(monkeypatch)
    agreed = Workers.agree
    monkeypatch.setattr(Workers, "agree", lambda self, value: max(agreed(self, value), signal.SIGTERM))
    with pytest.raises(SystemExit) as left:
        train(run, 1, False, Workers(1, 2))
    assert left.value.code == 128 + signal.SIGTERM


def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process that does as this one does: sums are twice its own, the largest value is its own."""
    from torch import distributed as dist

    def all_reduce(tensor: torch.Tensor, op: object = dist.ReduceOp.SUM) -> None:
        tensor.mul_(2 if op == dist.ReduceOp.SUM else 1)

    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    monkeypatch.setattr(dist, "broadcast", lambda _tensor, _leader: None)


def test_a_run_is_finished_only_when_its_end_and_its_kept_checkpoints_say_so(run: Run) -> None:
    assert not run.finished
    train(run, 1, False, ALONE)
    assert run.finished
    assert not replace(run, fingerprint="0" * 16).finished
    weights = run.checkpoints / "step-2" / checkpoint.WEIGHTS
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    assert not run.finished
    weights.write_bytes(content)
    assert run.finished
    assert json.loads((run.checkpoints / "step-2" / checkpoint.ABOUT).read_text())["fingerprint"] == run.fingerprint
    book = Journal(run.journal, 2)
    book.append("attempt", time_ms=10**12, start_step=STEPS, automatic=True)
    book.close()
    assert not run.finished
