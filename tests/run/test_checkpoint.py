"""Checkpoints: exact, whole or refused, and never code."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from src.errors import Problem
from src.run import checkpoint
from src.run.checkpoint import Checkpoint, DamagedCheckpointError
from src.run.config import step_name
from src.wavenet.network import WaveNetConfig

MODEL = WaveNetConfig(dilations=(1, 2), residual_channels=2, dilation_channels=2, skip_channels=3)


def sample(step: int, seed: int = 0) -> Checkpoint:
    generator = torch.Generator().manual_seed(seed)
    weights = {"dense.weight": torch.randn(2, 2, 2, generator=generator), "skip.bias": torch.randn(3)}
    return Checkpoint(
        step=step,
        fingerprint="0123456789abcdef",
        genres=("metal", "rock"),
        model=MODEL,
        weights=weights,
        optimizer={"updates": torch.tensor(step), "m.skip.bias": torch.full((3,), 1e-30)},
    )


def test_what_is_loaded_is_what_was_saved_bit_for_bit(tmp_path: Path) -> None:
    saved = sample(20)
    checkpoint.save(tmp_path / step_name(20), saved)
    loaded = checkpoint.load(tmp_path / step_name(20))
    assert (loaded.step, loaded.genres, loaded.model) == (20, ("metal", "rock"), MODEL)
    for before, after in ((saved.weights, loaded.weights), (saved.optimizer, loaded.optimizer)):
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    saved = sample(20)
    for folder in ("a", "b"):
        checkpoint.save(tmp_path / folder, saved)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.OPTIMIZER, checkpoint.ABOUT])
def test_every_changed_byte_and_every_cut_is_found(tmp_path: Path, name: str) -> None:
    folder = tmp_path / step_name(20)
    checkpoint.save(folder, sample(20))
    path = folder / name
    content = path.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 0x41
        path.write_bytes(changed)
        with pytest.raises(DamagedCheckpointError):
            checkpoint.load(folder)
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedCheckpointError):
            checkpoint.load(folder)
    path.unlink()
    with pytest.raises(Problem):
        checkpoint.load(folder)


def test_the_newest_good_one_is_found_and_the_damaged_are_named(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40):
        checkpoint.save(tmp_path / step_name(step), sample(step))
    (tmp_path / step_name(40) / checkpoint.WEIGHTS).write_bytes(b"")
    (tmp_path / step_name(30) / checkpoint.ABOUT).unlink()
    (tmp_path / f".{step_name(50)}.77.tmp").mkdir()
    found, passed = checkpoint.newest(tmp_path, at_most=100)
    assert found is not None
    assert found.step == 20
    assert len(passed) == 2
    assert step_name(40) in passed[0]
    found, passed = checkpoint.newest(tmp_path, at_most=15)
    assert found is not None
    assert (found.step, passed) == (10, [])


def test_a_missing_step_names_those_that_exist(tmp_path: Path) -> None:
    for step in (20, 5020):
        checkpoint.save(tmp_path / step_name(step), sample(step))
    with pytest.raises(Problem, match="Steps that have one: 20, 5020"):
        checkpoint.load(tmp_path / step_name(77))


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


def test_a_pickle_in_place_of_weights_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / step_name(20)
    checkpoint.save(folder, sample(20))
    bomb = pickle.dumps(Bomb())
    (folder / checkpoint.WEIGHTS).write_bytes(bomb)
    about = json.loads((folder / checkpoint.ABOUT).read_text())
    import hashlib

    about["weights_sha256"] = hashlib.sha256(bomb).hexdigest()
    (folder / checkpoint.ABOUT).write_text(json.dumps(about))
    with pytest.raises(DamagedCheckpointError):
        checkpoint.load(folder)
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "../../etc"},
        {"step": -1},
        {"step": "20"},
        {"model": {"dilations": [1], "residual_channels": 0, "dilation_channels": 1, "skip_channels": 1}},
        {"extra": 1},
        {"format": 2},
    ],
)
def test_a_description_that_lies_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    folder = tmp_path / step_name(20)
    checkpoint.save(folder, sample(20))
    path = folder / checkpoint.ABOUT
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DamagedCheckpointError):
        checkpoint.load(folder)
