"""Atomic files: whole or not at all, also on a full disk and beside a second process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.base import files
from src.base.errors import Problem
from tests.conftest import ROOT


def test_failure_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for content in ("one", "two"):
        with files.replacing(folder) as temporary:
            (temporary / "sub").mkdir(parents=True)
            (temporary / "sub" / content).write_text(content)
    assert [path.name for path in (folder / "sub").iterdir()] == ["two"]
    assert os.listdir(tmp_path) == ["out"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"disk is full: /dev/full") as caught, files.disk_full_is_a_problem("/dev/full"):
        descriptor = os.open("/dev/full", os.O_WRONLY)
        try:
            os.write(descriptor, b"x")
        finally:
            os.close(descriptor)
    assert "Free some space" in str(caught.value)


def test_json_is_the_same_bytes_for_the_same_value(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a", {"b": 1, "a": [0.1]})
    files.write_json(tmp_path / "b", {"a": [0.1], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("content", "words"), [(None, "does not exist"), ("{", "is damaged")])
def test_reading_says_which_command_makes_the_file(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Problem, match=words) as caught:
        files.read_json(path, made_by="python -m src.evaluate")
    assert "python -m src.evaluate" in str(caught.value)


def test_the_lock_refuses_a_second_process_and_dies_with_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import sys, pathlib\nfrom src.base import files\n"
        f"with files.exclusive(pathlib.Path({str(lock)!r}), what='A'):\n    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    holder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(Problem, match=f"A training is already running .process {holder.pid} on"),
            files.exclusive(lock, what="A training"),
        ):
            pytest.fail("the lock was given twice")
    finally:
        holder.kill()
        holder.wait()
    with files.exclusive(lock, what="A training"):
        pass


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_another_s_place_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    place = tmp_path / "folder"
    for content in ("old", "new"):
        with files.replacing(place) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert [path.name for path in place.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    files.retire(place)
    assert list(tmp_path.iterdir()) == []
