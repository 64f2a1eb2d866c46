"""Checkpoints: exact, whole or refused, and never code."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from pydantic import ValidationError

from src.base import files
from src.base.errors import Problem
from src.config import step_name
from src.record import checkpoint
from src.record.checkpoint import Checkpoint, DamagedCheckpointError
from src.wavenet import optimizers
from src.wavenet.network import WaveNetConfig, initialise

MODEL = WaveNetConfig(
    dilations=(1, 2), residual_channels=2, dilation_channels=2, skip_channels=3, quantization_channels=4
)
RUN = "0123456789abcdef"


def sample(step: int, seed: int = 0, model: WaveNetConfig = MODEL) -> Checkpoint:
    weights = {name: tensor.detach() for name, tensor in initialise(model, seed).state_dict().items()}
    optimizer = optimizers.Adam().start(weights)
    optimizer["updates"] += step
    optimizer["m.skip.bias"] += 1e-30
    return Checkpoint(
        step=step, fingerprint=RUN, genres=("metal", "rock"), model=model, weights=weights, optimizer=optimizer
    )


def forge(folder: Path, file: str, content: bytes) -> None:
    """Put other content into a checkpoint and sign it as an attacker would, who knows the format as well as we do."""
    (folder / file).write_bytes(content)
    key = {checkpoint.WEIGHTS: "weights_sha256", checkpoint.OPTIMIZER: "optimizer_sha256"}[file]
    sign(folder, {key: hashlib.sha256(content).hexdigest()})


def sign(folder: Path, change: dict[str, object]) -> None:
    """Change fields of a description and give it the digest that belongs to them, where it is a description at all."""
    path = folder / checkpoint.ABOUT
    content = json.loads(path.read_text()) | change
    with contextlib.suppress(ValidationError):  # then no digest makes these fields right
        content["about_sha256"] = checkpoint.About.model_validate_json(json.dumps(content)).digest()
    path.write_text(json.dumps(content))


# As large as the 2019 study's where it is widest: its file is larger than any description may be.
WIDE = MODEL.model_copy(update={"skip_channels": 512, "quantization_channels": 256})


@pytest.mark.parametrize(("step", "model"), [(20, MODEL), (0, MODEL), (20, WIDE)], ids=["small", "step 0", "wide"])
def test_what_is_loaded_is_what_was_saved_bit_for_bit(tmp_path: Path, step: int, model: WaveNetConfig) -> None:
    saved = sample(step, model=model)
    checkpoint.save(tmp_path / step_name(step), saved)
    loaded = checkpoint.load(tmp_path / step_name(step))
    assert (loaded.step, loaded.genres, loaded.model) == (step, ("metal", "rock"), model)
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
    found, passed = checkpoint.newest(tmp_path, at_most=100, fingerprint=RUN)
    assert found is not None
    assert found.step == 20
    assert len(passed) == 2
    assert step_name(40) in passed[0]
    found, passed = checkpoint.newest(tmp_path, at_most=15, fingerprint=RUN)
    assert found is not None
    assert (found.step, passed) == (10, [])


def test_a_missing_step_names_those_that_exist(tmp_path: Path) -> None:
    for step in (20, 5020):
        checkpoint.save(tmp_path / step_name(step), sample(step))
    with pytest.raises(Problem, match="Steps that have one: 20, 5020"):
        checkpoint.load(tmp_path / step_name(77))


def test_a_checkpoint_of_another_run_or_step_is_passed_over(tmp_path: Path) -> None:
    for step in (10, 20):
        checkpoint.save(tmp_path / step_name(step), sample(step))
    (tmp_path / step_name(20)).rename(tmp_path / step_name(30))
    found, passed = checkpoint.newest(tmp_path, at_most=100, fingerprint=RUN)
    assert found is not None
    assert found.step == 10
    assert "holds step 20" in passed[0]
    found, passed = checkpoint.newest(tmp_path, at_most=100, fingerprint="f" * 16)
    assert found is None
    assert "belongs to another run" in passed[1]


def test_a_checkpoint_of_another_network_is_passed_over(tmp_path: Path) -> None:
    saved = sample(10)
    checkpoint.save(tmp_path / step_name(10), saved)
    other = saved.model.model_copy(update={"skip_channels": saved.model.skip_channels + 1})
    found, passed = checkpoint.newest(tmp_path, at_most=100, fingerprint=RUN, model=other)
    assert found is None
    assert "network is not the one of its run" in passed[0]
    assert checkpoint.damage(tmp_path / step_name(10), RUN, other) is not None
    assert checkpoint.damage(tmp_path / step_name(10), RUN, saved.model) is None


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


@pytest.mark.parametrize("file", [checkpoint.WEIGHTS, checkpoint.OPTIMIZER])
def test_a_pickle_in_place_of_tensors_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / step_name(20)
    checkpoint.save(folder, sample(20))
    forge(folder, file, pickle.dumps(Bomb()))
    with pytest.raises(DamagedCheckpointError, match=file):
        checkpoint.load(folder)
    assert checkpoint.damage(folder, RUN) is not None
    assert not Path("exploded").exists()


def header(**tensors: dict[str, object]) -> bytes:
    """A safetensors file that only has a header."""
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        header(weight={"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 2**62]}),
        header(weight={"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}),
        header(weight={"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}),
        (2**63).to_bytes(8, "little") + b"{}",
        (2**20).to_bytes(8, "little") + b"{}",
        b"",
        safetensors.torch.save({"causal.weight": torch.zeros(2, 4, 2)}),
        safetensors.torch.save({name: torch.zeros(1) for name in sample(1).weights}),
        safetensors.torch.save({name: tensor.double() for name, tensor in sample(1).weights.items()}),
        safetensors.torch.save({**sample(1).weights, "../../evil": torch.zeros(1)}),
    ],
    ids=["huge", "negative", "backwards", "endless header", "cut header", "empty", "too few", "shape", "type", "more"],
)
def test_tensors_that_are_not_the_network_s_are_refused(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / step_name(20)
    checkpoint.save(folder, sample(20))
    forge(folder, checkpoint.WEIGHTS, content)
    with pytest.raises(DamagedCheckpointError, match="is damaged"):
        checkpoint.load(folder)


def test_a_slot_of_no_parameter_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / step_name(20)
    checkpoint.save(folder, sample(20))
    forge(folder, checkpoint.OPTIMIZER, safetensors.torch.save({"m.nothing": torch.zeros(1)}))
    with pytest.raises(DamagedCheckpointError, match=r"m\.nothing"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "../../etc"},
        {"genres": ["metal", "../../evil"]},
        {"genres": ["metal", "/etc/passwd"]},
        {"step": -1},
        {"step": "20"},
        {"step": 10**30},
        {"model": {"dilations": [1], "residual_channels": 0, "dilation_channels": 1, "skip_channels": 1}},
        {"model": MODEL.model_dump() | {"dilations": [1, 2**40]}},
        {"model": MODEL.model_dump() | {"residual_channels": 10**12}},
        {"extra": 1},
        {"format": 2},
    ],
)
def test_a_description_that_lies_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    folder = tmp_path / step_name(20)
    checkpoint.save(folder, sample(20))
    sign(folder, change)
    with pytest.raises(DamagedCheckpointError):
        checkpoint.load(folder)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"step": ' * 50_000, b"\xff" * 100, b"{}" + b" " * 2_000_000])
def test_a_description_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / step_name(20)
    checkpoint.save(folder, sample(20))
    (folder / checkpoint.ABOUT).write_bytes(content)
    with pytest.raises(DamagedCheckpointError):
        checkpoint.about(folder)


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.OPTIMIZER, checkpoint.ABOUT])
def test_what_is_no_file_is_not_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / step_name(20)
    checkpoint.save(folder, sample(20))
    for replace in (lambda path: path.mkdir(), lambda path: os.mkfifo(path), lambda path: path.symlink_to("/dev/zero")):
        (folder / name).unlink()
        replace(folder / name)
        with pytest.raises(DamagedCheckpointError):
            checkpoint.load(folder)
        files.remove(folder / name)
        (folder / name).touch()


def test_steps_are_sorted_by_number_and_nothing_else_counts(tmp_path: Path) -> None:
    for name in ("step-100", "step-20", "step-3", "step-x", "other-5"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-7").touch()
    assert checkpoint.steps(tmp_path) == [3, 20, 100]


def test_the_newest_one_may_be_of_the_last_step_that_is_allowed(tmp_path: Path) -> None:
    for step in (10, 20):
        checkpoint.save(tmp_path / step_name(step), sample(step))
    for at_most, step in ((20, 20), (19, 10)):
        newest, passed = checkpoint.newest(tmp_path, at_most=at_most, fingerprint=RUN)
        assert newest is not None
        assert (newest.step, passed) == (step, [])


def test_a_checkpoint_without_ties_is_described_as_before_and_one_with_them_holds_them(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / step_name(20), sample(20))
    assert "losses" not in json.loads((tmp_path / step_name(20) / checkpoint.ABOUT).read_text())
    tied = dataclasses.replace(sample(21), losses="ab" * 32)
    checkpoint.save(tmp_path / step_name(21), tied)
    loaded = checkpoint.load(tmp_path / step_name(21))
    assert loaded.losses == "ab" * 32
    assert loaded.sha256 == checkpoint.about(tmp_path / step_name(21)).about_sha256
    sign(tmp_path / step_name(21), {"losses": "none"})
    with pytest.raises(DamagedCheckpointError, match="losses"):
        checkpoint.load(tmp_path / step_name(21))
