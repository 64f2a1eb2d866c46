"""Which checkpoints stay: the compared ones, the last few, what the disk allows, and always the newest good one."""

import shutil
from pathlib import Path

import pytest

from src import config
from src.base.errors import Problem
from src.base.files import DiskFullError
from src.clips.clipset import ClipSet
from src.config import Params, step_name
from src.record import checkpoint
from src.record.checkpoint import Checkpoint
from src.record.journal import Journal
from src.train.keeper import Keeper
from src.train.run import Run
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


def test_what_a_killed_attempt_left_is_cleared(keeper: Keeper, params: Params, tmp_path: Path) -> None:
    save(keeper, params, 5)
    (keeper._run.checkpoints / ".step-10.99.tmp").mkdir()
    Keeper(keeper._run, Journal(tmp_path / "journal.jsonl", 2))
    assert [path.name for path in keeper._run.checkpoints.iterdir()] == ["step-5"]
