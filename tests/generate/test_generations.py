"""Generated clips are read without their primer, and what is damaged is told."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from src.base.errors import Problem
from src.generate import generations
from tests.conftest import ROOT

RATE_HZ = 16000


def about(clips: list[dict[str, Any]], **changed: Any) -> dict[str, Any]:
    return {"step": 20, "rate_hz": RATE_HZ, "start": "silence", "temperature": 1.0, "clips": clips} | changed


def write(folder: Path, clips: list[dict[str, Any]], **changed: Any) -> None:
    (folder / "generation.json").write_text(json.dumps(about(clips, **changed)))


def row(file: str, genre: str = "rock", clip: int = 1, primer_frames: int = 0) -> dict[str, Any]:
    numbers = {"clip": clip, "frames": RATE_HZ, "primer_frames": primer_frames}
    return {"file": file, "genre": genre, "sha256": "0" * 64} | numbers


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
    rows = [row(name, clip=number) for number, name in enumerate(names, 1)]
    rows[1]["frames"] = 100
    write(tmp_path, rows)
    found, unusable = generations.read(tmp_path)
    assert [clip.clip for clip in found] == [1]
    for name, words in zip(names[1:], ("0.01 s", "8000", "not numbers", "read as audio", "not exist"), strict=True):
        assert any(name in sentence and words in sentence for sentence in unusable)


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    soundfile.write(tmp_path / "outside.wav", np.zeros(RATE_HZ), RATE_HZ)
    for name in ("../outside.wav", "..\\outside.wav", ".hidden.wav", "/etc/rock.wav", "rock\n.wav"):
        write(inner, [row(name)])
        with pytest.raises(Problem, match=r"clips\.0\.file: it names a file outside its folder"):
            generations.read(inner)


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("temperature", about([], temperature=float("inf"))),
        ("temperature", about([], temperature=float("nan"))),
        ("temperature", about([], temperature="1.0")),
        ("rate_hz", about([], rate_hz=0)),
        ("rate_hz", about([], rate_hz=16000.5)),
        ("step", about([], step=-1)),
        ("fingerprint", about([], fingerprint="f" * 10_000)),
        ("start", about([], start="noise")),
        ("key", about([], key=1)),
        ("clips", about([]) | {"clips": None}),
        ("clips.0", about([{}])),
        ("clips.0.genre", about([row("rock.wav", genre="r" * 10_000)])),
        ("clips.0.genre", about([row("rock.wav", genre="r\udc80")])),
        ("clips.0.frames", about([row("rock.wav") | {"frames": 10**12}])),
        ("clips.0.clip", about([row("rock.wav", clip=0)])),
        ("clips.0.primer_frames", about([row("rock.wav", primer_frames=-1)])),
        ("clips.1.sha256", about([row("rock.wav"), row("rock-2.wav", clip=2) | {"sha256": "0"}])),
        ("clips: two of them", about([row("rock.wav"), row("rock.wav", clip=2)])),
        ("clips: two of them", about([row("rock.wav"), row("rock-2.wav")])),
    ],
)
def test_a_forged_description_is_one_sentence(tmp_path: Path, field: str, content: dict[str, Any]) -> None:
    folder = tmp_path / "step-20"
    folder.mkdir()
    (folder / "generation.json").write_text(json.dumps(content))
    with pytest.raises(Problem) as raised:
        generations.read(folder)
    said = str(raised.value)
    assert said.startswith(f"{folder / 'generation.json'} is damaged (")
    assert field in said
    assert said.endswith("Make it again with: python -m src.generate --steps 20")
    assert "\n" not in said


def test_what_was_written_is_read_back_and_nothing_is_added(tmp_path: Path) -> None:
    content = about([row("rock.wav")], imported=True, inferred_fields=["start"])
    generations.write(tmp_path, generations.Generation.model_validate(content))
    assert json.loads((tmp_path / "generation.json").read_text()) == content
    assert generations.load(tmp_path) == generations.Generation.model_validate(content)


def test_reading_does_not_load_torch() -> None:
    code = "import sys, src.generate.generations; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_file_that_is_longer_than_it_should_be_is_not_read_into_memory(tmp_path: Path) -> None:
    folder = tmp_path / "step-20"
    folder.mkdir()
    with soundfile.SoundFile(folder / "rock.wav", "w", RATE_HZ, 1, "PCM_16", format="FLAC") as file:
        for _ in range(3 * 60):  # three hours, in 40 kB
            file.write(np.zeros(60 * RATE_HZ, np.int16))
    write(folder, [row("rock.wav")])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    usable, unusable = generations.read(folder)
    assert usable == []
    assert "has 172,800,000 samples and 1 channels" in unusable[0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("text", ["", "[]", '{"clips": 3, "rate_hz": 16000}', '{"clips": [{}], "rate_hz": 16000}'])
def test_a_damaged_description_is_a_problem(tmp_path: Path, text: str) -> None:
    (tmp_path / "generation.json").write_text(text)
    with pytest.raises(Problem, match=r"generation\.json"):
        generations.read(tmp_path)


def test_a_missing_description_names_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "step-20"
    folder.mkdir()
    with pytest.raises(Problem, match=r"src\.generate --steps 20$"):
        generations.read(folder)
