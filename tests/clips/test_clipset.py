"""Clips as others read them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.base.errors import Problem
from src.clips.clipset import ClipRow, ClipSet, samples_digest, write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two genres, two clips each, of different lengths."""
    table = []
    for number, genre in enumerate(("rock", "rock", "hip", "hip")):
        samples = np.random.default_rng(number).integers(-32768, 32768, 20_000 + 1000 * number).astype(np.int16)
        digest = samples_digest(samples)
        (tmp_path / genre).mkdir(exist_ok=True)
        soundfile.write(tmp_path / genre / f"{digest[:16]}.flac", samples, 16_000)
        split = "train" if number % 2 else "validation"
        table.append(ClipRow(f"{genre}/{digest[:16]}.flac", genre, split, len(samples), -1.0, -20.0, digest))
    write_table(tmp_path / "clips.csv", table)
    return tmp_path


@pytest.mark.parametrize("memory_bytes", [2_000_000_000, 0])
def test_any_crop_of_any_clip(folder: Path, memory_bytes: int) -> None:
    clips = ClipSet.open(folder, memory_bytes)
    assert [clip.genre for clip in clips.clips] == ["hip", "hip", "rock", "rock"]
    for index, clip in enumerate(clips.clips):
        whole = soundfile.read(clip.path, dtype="float32")[0]
        for start, frames in ((0, 10), (5000, 3000), (clip.frames - 7, 7), (0, clip.frames), (100, 0)):
            crop = clips.read(index, start, frames)
            assert crop.dtype == np.float32
            assert np.array_equal(crop, whole[start : start + frames])
        for start, frames in ((-1, 5), (clip.frames - 5, 6), (0, -1)):
            with pytest.raises(ValueError, match="outside"):
                clips.read(index, start, frames)


def test_a_clip_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = ClipSet.open(folder)
    clips.read(0, 0, 1)
    monkeypatch.setattr(soundfile, "read", None)
    assert clips.read(0, 5, 3000).shape == (3000,)


def test_the_digest_is_of_the_set(folder: Path) -> None:
    clips = ClipSet.open(folder)
    assert clips.digest == ClipSet(reversed(clips.clips)).digest
    assert clips.digest != ClipSet(clips.clips[1:]).digest
    assert clips.digest != ClipSet([clips.clips[0]._replace(split="other"), *clips.clips[1:]]).digest
    assert len(clips.digest) == 64
    assert all(clip.sha256 not in clips.digest for clip in clips.clips)


def test_missing_and_damaged_clips_are_problems(folder: Path) -> None:
    clips = ClipSet.open(folder)
    path = clips.clips[0].path
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(Problem, match=r"is damaged.*src\.clips"):
        ClipSet.open(folder).read(0, 0, 20_000)
    other = np.zeros(clips.clips[0].frames, dtype=np.int16)
    soundfile.write(path, other, 16_000)
    with pytest.raises(Problem, match="is damaged"):
        ClipSet.open(folder).read(0, 0, 10)
    path.unlink()
    with pytest.raises(Problem, match=r"A clip of hip in .* is missing") as raised:
        ClipSet.open(folder)
    assert path.stem not in str(raised.value)  # the beginning of the song's own hash
    path.mkdir()
    with pytest.raises(Problem, match=r"cannot be read \(Is a directory\)"):
        ClipSet.open(folder)


@pytest.mark.parametrize(
    "damage", ["", "clip,genre\n1,2\n", "clip,genre,split,frames,peak_dbfs,loudness_lufs,sha256\na/b,a,test,1,0,0,c\n"]
)
def test_a_damaged_table_is_a_problem(folder: Path, damage: str) -> None:
    (folder / "clips.csv").write_text(damage)
    with pytest.raises(Problem, match=r"src\.clips"):
        ClipSet.open(folder)
    (folder / "clips.csv").unlink()
    with pytest.raises(Problem, match="does not exist"):
        ClipSet.open(folder)
