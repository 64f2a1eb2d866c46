"""What lies in a folder: every file that is named like one of a training is read or named, and no two are mixed."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from src.base.errors import Problem
from src.legacy import reading, source
from src.legacy.reading import Findings
from tests.legacy import bundles, logs

STARTED = ("2017-03-23T18-35-14", "2017-04-01T10-00-00")
TENSORS = {"layer/weights": np.arange(12, dtype=np.float32)}


def steps(begin: int, end: int, level: float = 4.0) -> str:
    return "".join(logs.line(step, level, 30 + step / 100) for step in range(begin, end))


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path) -> Findings:
    return reading.read(source.look(folder))


def imported_steps(found: Findings) -> list[int]:
    assert found.training is not None
    return [int(step) for step in found.training.log.steps]


def test_trainings_below_one_folder_are_for_the_user_to_choose(tmp_path: Path) -> None:
    for name, level in zip(STARTED, (4.0, 3.0), strict=True):
        put(tmp_path / "logdir" / "train" / name / "train.log", steps(0, 60, level))
    with pytest.raises(
        Problem, match=rf"several trainings, in logdir/train/{STARTED[0]} and logdir/train/{STARTED[1]}"
    ):
        source.look(tmp_path)
    chosen = tmp_path / "logdir" / "train" / STARTED[1]
    assert imported_steps(read(chosen)) == list(range(60))
    assert imported_steps(read(tmp_path / "logdir" / "train" / STARTED[0])) == list(range(60))
    # Their checkpoints alone show it, too.
    for name in STARTED:
        (tmp_path / "logdir" / "train" / name / "train.log").unlink()
    bundles.write(tmp_path / "logdir" / "train" / STARTED[0], TENSORS, step=7)
    bundles.write(chosen, TENSORS, step=9)
    with pytest.raises(Problem, match="several trainings"):
        source.look(tmp_path)


def test_checkpoints_of_one_step_and_other_weights_are_two_trainings(tmp_path: Path) -> None:
    for name, shift in (("a", 0.0), ("b", 0.5)):
        (tmp_path / name).mkdir()
        bundles.write(tmp_path / name, {"layer/weights": TENSORS["layer/weights"] + np.float32(shift)}, step=7)
    with pytest.raises(Problem, match="several trainings, in a and b"):
        source.look(tmp_path)
    for path in (tmp_path / "a").iterdir():
        put(tmp_path / "b" / path.name, path.read_bytes())
        if ".data-" in path.name:
            path.unlink()
    assert source.look(tmp_path).indexes == (tmp_path / "b" / "model.ckpt-7.index",)  # a copy; its weights are there


def test_logs_of_two_trainings_are_not_mixed_and_copies_are_one(tmp_path: Path) -> None:
    put(tmp_path / "results.txt", steps(0, 60))
    put(tmp_path / "backup" / "results.txt", steps(0, 40))
    found = read(tmp_path)
    assert imported_steps(found) == list(range(60))
    assert "backup/results.txt: all its lines stand in results.txt, which was used." in found.notes
    put(tmp_path / "other.log", steps(0, 20, level=3.0))
    with pytest.raises(
        Problem, match=r"several trainings: results\.txt \(60 step lines\), .*other\.log \(20 step lines"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("train.log.2", "train.log.1", "train.log"),
        ("train.log.10.gz", "train.log.9.gz", "train.log"),
        ("train.log-20180723.gz", "train.log-20180724", "train.log"),
    ],
)
def test_a_rotated_log_is_read_whole_and_in_order(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name, text in zip(names, (steps(0, 30), steps(30, 50), steps(50, 60)), strict=True):
        put(tmp_path / name, gzip.compress(text.encode()) if name.endswith(".gz") else text)
    found = read(tmp_path)
    assert imported_steps(found) == list(range(60))
    assert "train.log was rotated; its 3 parts were read as one log." in found.notes
    put(tmp_path / "train.log", "")  # rotated just now
    assert imported_steps(read(tmp_path)) == list(range(50))


def test_what_is_named_like_a_log_and_is_none_is_named(tmp_path: Path) -> None:
    put(tmp_path / "results.txt", steps(0, 60))
    put(tmp_path / "notes.txt", "no log")
    put(tmp_path / "empty.log", "")
    put(tmp_path / "train.txt", "Epoch 1/10 loss: 0.3\n")
    put(tmp_path / "old.log.gz", b"no gzip")
    put(tmp_path / "older.log.xz", b"\xfd7zXZ")
    put(tmp_path / "generation.txt.gz", gzip.compress(b"1575410687045\n"))
    put(tmp_path / "copy" / "generation.txt", "1575410687045\n" * 3)
    put(tmp_path / "generation.txt", "1575410687045\n1575410687046\n1575410687047\n")
    said = "\n".join(read(tmp_path).notes)
    for name in (
        "empty.log holds no line", "train.txt holds no line", "old.log.gz cannot be read", "older.log.xz is packed",
        "generation.txt.gz is packed", "generation.txt: a second list",
    ):  # fmt: skip
        assert name in said
    assert "notes.txt" not in said


def test_where_nothing_can_be_imported_all_that_is_near_it_is_named(tmp_path: Path) -> None:
    put(tmp_path / "train.log", "")
    put(tmp_path / "model.ckpt-50", b"\x00" * 5000)
    put(tmp_path / "model.ckpt-50.meta", b"\x00" * 500)
    with pytest.raises(
        Problem, match=r"(?s)nothing that can be imported.*train\.log holds no.*model\.ckpt-50 is a check"
    ):
        source.look(tmp_path)


def test_names_that_are_no_utf_8_are_shown_so_that_every_file_can_hold_them(tmp_path: Path) -> None:
    put(tmp_path / "train.log", steps(0, 60))
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/m\xe9tal_20.wav")), b"RIFF")
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9/d\xe9j\xe0.log")), "")
    found = read(tmp_path)
    assert len(found.notes) >= 3
    assert all(note.isprintable() and note.encode() for note in found.notes)
    assert any(r"m\udce9tal_20.wav" in note for note in found.notes)


def test_the_dilations_are_those_beside_the_checkpoint(tmp_path: Path) -> None:
    put(tmp_path / "wavenet_params.json", "{}")
    mine = put(tmp_path / "z" / "wavenet_params.json", '{"dilations": [1, 2]}')
    bundles.write(tmp_path / "z", TENSORS, step=7)
    assert source.look(tmp_path).wavenet_params == mine
