"""Generated clips are read without their primer, and what is damaged is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from src.base.errors import Problem
from src.generate import generations

RATE_HZ = 16000


def write(folder: Path, clips: list[dict[str, Any]], rate_hz: int = RATE_HZ) -> None:
    (folder / "generation.json").write_text(json.dumps({"step": 20, "rate_hz": rate_hz, "clips": clips}))


def row(file: str, genre: str = "rock", clip: int = 1, primer_frames: int = 0) -> dict[str, Any]:
    return {"file": file, "genre": genre, "clip": clip, "primer_frames": primer_frames}


def test_clips_come_by_genre_and_number_without_their_primer(tmp_path: Path) -> None:
    ramp = np.linspace(-0.5, 0.5, RATE_HZ)
    for name in ("rock.wav", "rock-2.wav", "hip.wav"):
        soundfile.write(tmp_path / name, ramp, RATE_HZ, subtype="FLOAT")
    write(tmp_path, [row("rock-2.wav", clip=2), row("rock.wav", primer_frames=5117), row("hip.wav", "hip")])
    found, unusable = generations.read(tmp_path)
    assert [(clip.genre, clip.clip) for clip in found] == [("hip", 1), ("rock", 1), ("rock", 2)]
    assert unusable == []
    assert found[1].audio == pytest.approx(ramp[5117:].astype(np.float32))
    assert len(found[0].audio) == RATE_HZ


def test_each_unusable_clip_gets_its_sentence_and_the_others_are_read(tmp_path: Path) -> None:
    good = np.zeros(RATE_HZ)
    soundfile.write(tmp_path / "good.wav", good, RATE_HZ)
    soundfile.write(tmp_path / "short.wav", good[:100], RATE_HZ)
    soundfile.write(tmp_path / "rate.wav", good, 8000)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE_HZ, np.nan), RATE_HZ, subtype="FLOAT")
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    names = ("good.wav", "short.wav", "rate.wav", "nan.wav", "bad.wav", "gone.wav")
    write(tmp_path, [row(name, clip=number) for number, name in enumerate(names)])
    found, unusable = generations.read(tmp_path)
    assert [clip.clip for clip in found] == [0]
    for name, words in zip(names[1:], ("0.01 s", "8000", "not numbers", "read as audio", "not exist"), strict=True):
        assert any(name in sentence and words in sentence for sentence in unusable)


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    soundfile.write(tmp_path / "outside.wav", np.zeros(RATE_HZ), RATE_HZ)
    write(inner, [row("../outside.wav")])
    assert generations.read(inner)[0] == []


@pytest.mark.parametrize("text", ["", "[]", '{"clips": 3, "rate_hz": 16000}', '{"clips": [{}], "rate_hz": 16000}'])
def test_a_damaged_description_is_a_problem(tmp_path: Path, text: str) -> None:
    (tmp_path / "generation.json").write_text(text)
    with pytest.raises(Problem, match=r"generation\.json"):
        generations.read(tmp_path)


def test_a_missing_description_names_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "step-20"
    folder.mkdir()
    with pytest.raises(Problem, match=r"src\.generate --step 000020"):
        generations.read(folder)
