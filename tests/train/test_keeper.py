"""Which checkpoints stay: the compared ones, the last few, what the disk allows, and always the newest good one."""

import shutil
import threading
from pathlib import Path

import pytest
import torch

from src import config
from src.base.errors import Problem
from src.base.files import DiskFullError
from src.clips.clipset import ClipSet
from src.config import Params, step_name
from src.record import checkpoint, journal
from src.record.checkpoint import Checkpoint
from src.record.journal import Journal
from src.train.keeper import Keeper, resume
from src.train.run import Run
from src.train.workers import Workers
from src.wavenet import optimizers
from src.wavenet.network import initialise
from tests.conftest import StudyFolder

RUN = "0123456789abcdef"


@pytest.fixture
def params(study: StudyFolder) -> Params:
    study.change("params/tiny.yaml", train__keep_last=2)
    return config.load(study.root)  # compared: 2, 10, 30; every 5


@pytest.fixture
def keeper(params: Params, tmp_path: Path) -> Keeper:
    return Keeper(Run(params, ClipSet([]), RUN, tmp_path / "kept"), Journal(tmp_path / "journal.jsonl", 1))


def save(keeper: Keeper, params: Params, *steps: int) -> list[int]:
    """Save checkpoints of steps one after the other; the steps that are there then."""
    model = initialise(params.profile.model, 1)
    state = optimizers.Adam().start(dict(model.named_parameters()))
    for step in steps:
        keeper.save(step, model.state_dict(), state)
        keeper.finish()
    return checkpoint.steps(keeper._run.checkpoints)


def spoil(keeper: Keeper, step: int) -> None:
    (keeper._run.checkpoints / step_name(step) / checkpoint.WEIGHTS).write_bytes(b"")


def test_the_compared_ones_and_the_last_few_stay(keeper: Keeper, params: Params) -> None:
    assert save(keeper, params, 2, 5, 10, 15, 20, 25) == [2, 10, 20, 25]
    assert keeper.newest == 25


def test_damaged_later_ones_do_not_push_out_the_one_that_was_gone_back_to(keeper: Keeper, params: Params) -> None:
    save(keeper, params, 5, 15, 20)
    spoil(keeper, 20)
    # The training went back to 15 and was asked to stop at 17.
    assert 17 in save(keeper, params, 17)
    assert checkpoint.damage(keeper._run.checkpoints / step_name(17), RUN) is None
    assert save(keeper, params, 20) == [17, 20]  # made again
    assert checkpoint.damage(keeper._run.checkpoints / step_name(20), RUN) is None


def test_nothing_is_deleted_while_no_good_one_would_remain(keeper: Keeper, params: Params) -> None:
    save(keeper, params, 4, 5)
    for step in (4, 5):
        spoil(keeper, step)
    assert keeper.prune(5, 1) == 0
    assert checkpoint.steps(keeper._run.checkpoints) == [4, 5]


def test_a_full_disk_costs_the_older_ones_first(
    keeper: Keeper, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(keeper, params, 5, 15)
    real = checkpoint.save

    def without_room(folder: Path, current: Checkpoint) -> None:
        if len(checkpoint.steps(folder.parent)) > 1:
            raise DiskFullError("The disk is full: there is no room.")
        real(folder, current)

    monkeypatch.setattr(checkpoint, "save", without_room)
    assert save(keeper, params, 20) == [15, 20]
    spoil(keeper, 20)
    with pytest.raises(Problem, match="The disk is full"):
        save(keeper, params, 25)
    assert 15 in checkpoint.steps(keeper._run.checkpoints)  # the newest good one


def test_little_room_leaves_only_the_newest(keeper: Keeper, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    save(keeper, params, 5, 15)
    usage = shutil.disk_usage(keeper._run.checkpoints)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    assert save(keeper, params, 20) == [20]


@pytest.mark.parametrize(("missing", "left"), [(0, [15, 20]), (1, [20])])
def test_room_for_five_more_is_enough(
    keeper: Keeper, params: Params, monkeypatch: pytest.MonkeyPatch, missing: int, left: list[int]
) -> None:
    save(keeper, params, 5, 15)
    size = sum(path.stat().st_size for path in (keeper._run.checkpoints / step_name(15)).iterdir())
    usage = shutil.disk_usage(keeper._run.checkpoints)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5 * size - missing))
    assert save(keeper, params, 20) == left


def test_what_a_write_met_is_raised_when_the_next_one_begins(
    keeper: Keeper, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_room(_folder: Path, _current: Checkpoint) -> None:
        raise DiskFullError("The disk is full: there is no room.")

    monkeypatch.setattr(checkpoint, "save", without_room)
    weights = initialise(params.profile.model, 1).state_dict()
    keeper.save(5, weights, {})
    with pytest.raises(Problem, match="The disk is full"):
        keeper.save(10, weights, {})
    keeper.finish()  # it is said once
    assert keeper.newest == 0


def test_the_journal_is_on_the_disk_before_a_checkpoint_that_counts_on_it(
    keeper: Keeper, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real = checkpoint.save

    def written(folder: Path, current: Checkpoint) -> None:
        order.append("checkpoint")
        real(folder, current)

    monkeypatch.setattr(Journal, "sync", lambda _book: order.append("journal"))
    monkeypatch.setattr(checkpoint, "save", written)
    save(keeper, params, 5)
    assert order == ["journal", "checkpoint"]


def test_a_file_where_a_checkpoint_belongs_is_replaced_by_it(keeper: Keeper, params: Params) -> None:
    (keeper._run.checkpoints / step_name(5)).write_bytes(b"no folder")
    assert save(keeper, params, 5) == [5]
    assert checkpoint.damage(keeper._run.checkpoints / step_name(5), RUN) is None


def test_others_take_over_the_leader_s_step_weights_and_moments(
    keeper: Keeper, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[torch.Tensor] = []
    monkeypatch.setattr(torch.distributed, "broadcast", lambda tensor, _leader: sent.append(tensor.clone()))
    save(keeper, params, 2, 5)
    step, led = resume(keeper._run, 7, Workers(0, 2))

    def take(tensor: torch.Tensor, _leader: int) -> None:
        tensor.copy_(sent.pop(0))

    monkeypatch.setattr(torch.distributed, "broadcast", take)
    followed, state = resume(keeper._run, 0, Workers(1, 2))
    assert (step, followed, sent) == (5, 5, [])
    assert all(torch.equal(tensor, state.moments[name]) for name, tensor in led.moments.items())
    weights = led.model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in state.model.state_dict().items())


def test_what_a_killed_attempt_left_is_cleared(keeper: Keeper, params: Params, tmp_path: Path) -> None:
    save(keeper, params, 5)
    (keeper._run.checkpoints / ".step-10.99.tmp").mkdir()
    Keeper(keeper._run, Journal(tmp_path / "journal.jsonl", 2))
    assert [path.name for path in keeper._run.checkpoints.iterdir()] == ["step-5"]


@pytest.mark.parametrize(
    ("saved", "lost", "last_recorded", "expected"),
    [
        ([], [], 0, 0),
        ([2, 5], [], 0, 0),  # the journal knows no step: none of them counts
        ([2, 5], [], 7, 5),
        ([2, 5], [], 5, 5),
        ([2, 5], [], 4, 2),  # never beyond the journal
        ([5], [], 7, 0),  # step 2 is to be kept: back before it
        ([2, 5], [2], 7, 0),
        ([2, 5], [5], 7, 2),
        ([2, 10, 15], [10], 16, 2),  # back before the damaged one that is to be kept
        ([3], [], 7, 0),  # one just behind the one that is missing is behind it
        ([2, 9], [], 11, 9),  # and one just before it is not
    ],
)
def test_a_training_goes_on_from_the_newest_whole_one(
    keeper: Keeper, params: Params, saved: list[int], lost: list[int], last_recorded: int, expected: int
) -> None:
    save(keeper, params, *saved)
    for step in lost:
        spoil(keeper, step)
    start, state = resume(keeper._run, last_recorded, Workers(0, 1))
    assert start == expected
    wanted = initialise(params.profile.model, 1 if expected else params.study.seed).state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in state.model.state_dict().items())


def test_going_back_before_a_kept_one_is_said(
    keeper: Keeper, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    save(keeper, params, 5)
    resume(keeper._run, 7, Workers(0, 1))
    assert "step 2 is to be kept and has no checkpoint" in capsys.readouterr().err
    save(keeper, params, 2)
    spoil(keeper, 2)
    resume(keeper._run, 7, Workers(0, 1))
    said = " ".join(capsys.readouterr().err.split())
    assert "It is made again" in said
    assert "step 10 is to be kept" not in said  # its turn has not come


def test_what_is_written_beside_the_training_is_what_was_there_when_it_was_saved(
    keeper: Keeper, params: Params
) -> None:
    model = initialise(params.profile.model, 1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    keeper._thread.submit(lambda: threading.Event().wait(0.2))  # the write begins after the next step
    keeper.save(5, model.state_dict(), {})
    for tensor in model.state_dict().values():
        tensor.add_(1)
    keeper.finish()
    written = checkpoint.load(keeper._run.checkpoints / step_name(5)).weights
    assert all(torch.equal(tensor, before[name]) for name, tensor in written.items())


def lines(keeper: Keeper) -> dict[int, dict[str, str]]:
    path = keeper._run.folder.parent / "journal.jsonl"
    return journal.read(path).checkpoints


def test_every_kept_checkpoint_has_a_line_with_the_digests_of_its_files(keeper: Keeper, params: Params) -> None:
    save(keeper, params, 2, 5, 10)
    named = lines(keeper)
    assert sorted(named) == [2, 10]
    for step, digests in named.items():
        assert digests == checkpoint.digests_of(keeper._run.checkpoints / step_name(step))
        assert len(digests) == 3


def test_the_audit_s_checkpoints_stay_and_have_lines(params: Params, tmp_path: Path) -> None:
    train = params.profile.train.model_copy(update={"keep_for_audit": 3})
    params = params.model_copy(update={"profile": params.profile.model_copy(update={"train": train})})
    assert params.audit_steps == {5, 15, 25}  # of 30: evenly, the last of them within reach of the end
    keeper = Keeper(Run(params, ClipSet([]), RUN, tmp_path / "kept"), Journal(tmp_path / "journal.jsonl", 1))
    assert save(keeper, params, 5, 12, 15, 17, 20, 22) == [5, 15, 20, 22]
    assert sorted(lines(keeper)) == [5, 15]


def test_the_last_of_the_audit_s_checkpoints_is_within_reach_of_the_end(params: Params) -> None:
    train = params.profile.train.model_copy(update={"keep_for_audit": 4, "steps": 15_000})
    params = params.model_copy(update={"profile": params.profile.model_copy(update={"train": train})})
    assert sorted(params.audit_steps) == [3550, 7300, 11_050, 14_800]


def test_a_line_that_a_kill_left_out_is_written_by_the_next_attempt(
    keeper: Keeper, params: Params, tmp_path: Path
) -> None:
    keeper.saw(1, 5.5)
    save(keeper, params, 2, 10)
    path = tmp_path / "journal.jsonl"
    before = journal.read(path).checkpoints
    path.unlink()
    Keeper(keeper._run, Journal(path, 2), 10)
    assert journal.read(path).checkpoints == before


def test_a_checkpoint_done_again_that_is_another_one_is_said(
    keeper: Keeper, params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(keeper, params, 2)
    path = tmp_path / "journal.jsonl"
    again = Keeper(keeper._run, Journal(path, 2), 0, journal.read(path))
    save(again, params, 2)
    assert journal.read(path).mismatches == []
    again.saw(1, 5.5)  # its losses are others now
    save(again, params, 2)
    assert "step 2 ends in another checkpoint" in capsys.readouterr().err
    assert journal.read(path).mismatches == [2]


def test_losses_are_tied_the_same_way_through_an_interruption(keeper: Keeper, params: Params, tmp_path: Path) -> None:
    losses = {step: 5.5 - 0.1 * step for step in range(1, 5)}
    book = Journal(tmp_path / "journal.jsonl", 1)
    for step, loss in losses.items():
        book.append("step", step=step, loss=loss, time_ms=1)
    recorded = journal.read(tmp_path / "journal.jsonl")
    expected = dict(journal.ties(recorded))
    for step in (1, 2):
        keeper.saw(step, losses[step])
    save(keeper, params, 2)
    resumed = Keeper(keeper._run, Journal(tmp_path / "journal.jsonl", 2), 2, recorded)
    for step in (3, 4):
        resumed.saw(step, losses[step])
    save(resumed, params, 4)
    for step in (2, 4):
        assert checkpoint.about(keeper._run.checkpoints / step_name(step)).losses == expected[step]
