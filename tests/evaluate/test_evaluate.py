"""`src.evaluate` as a user runs it: on a whole study, on one with pieces missing or damaged, on an imported run."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from src import config
from src.base import files
from src.base.errors import Problem
from src.config import step_name
from src.evaluate import __main__ as evaluate
from src.evaluate import catalogue
from src.generate import generations
from src.record import checkpoint
from src.wavenet.network import initialise
from tests.conftest import GENRES, RATE_HZ, StudyFolder

SECONDS = 1.5


def write_checkpoint(study: StudyFolder, step: int, *, known: bool = True) -> None:
    """An untrained network; each step another one."""
    params = config.load(study.root)
    genres = params.genres if known else tuple(reversed(params.genres))
    weights = {name: tensor * 1.0 for name, tensor in initialise(params.profile.model, step).state_dict().items()}
    untrained = checkpoint.Checkpoint(step, "0123456789abcdef", genres, params.profile.model, weights, {})
    checkpoint.save(study.root / "checkpoints" / step_name(step), untrained)


def write_generation(folder: Path, step: int, primer_frames: int = 0) -> None:
    """White noise at step 2, a tone later; the primer is a full-scale square wave that no measure may see."""
    folder.mkdir(parents=True)
    clips = []
    for number, genre in enumerate(GENRES):
        noise = np.random.default_rng([step, number]).uniform(-0.5, 0.5, round(SECONDS * RATE_HZ))
        tone = 0.3 * np.sin(2 * np.pi * 220 * (number + 1) * np.arange(len(noise)) / RATE_HZ)
        audio = noise if step == 2 else tone + 0.05 * noise
        audio = np.concatenate([np.sign(np.sin(np.arange(primer_frames))), audio])
        wav = folder / f"{genre}.wav"
        soundfile.write(wav, audio, RATE_HZ, subtype="PCM_16")
        clips.append(
            generations.GeneratedClip(
                file=wav.name,
                genre=genre,
                clip=1,
                frames=len(audio),
                primer_frames=primer_frames,
                sha256=files.sha256_of(wav),
            )
        )
    about = generations.Generation(step=step, rate_hz=RATE_HZ, start="silence", temperature=1.0, clips=tuple(clips))
    generations.write(folder, about)


@pytest.fixture
def whole(study_with_clips: StudyFolder) -> StudyFolder:
    """A study with checkpoints and generations of all its steps."""
    for step in (2, 10, 30):
        write_checkpoint(study_with_clips, step)
        write_generation(study_with_clips.root / "generations" / step_name(step), step)
    return study_with_clips


def read(study: StudyFolder, folder: str = "metrics") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((study.root / folder / "evaluate.json").read_text())
    return content


def run(study: StudyFolder, monkeypatch: pytest.MonkeyPatch, name: str | None = None) -> None:
    """`python -m src.evaluate` in this folder, without the seconds that a process of its own takes."""
    monkeypatch.chdir(study.root)
    evaluate.main(profile=None, run=name)


def numbers(item: Any) -> list[float]:
    if isinstance(item, dict):
        return [x for value in item.values() for x in numbers(value)]
    if isinstance(item, list):
        return [x for value in item for x in numbers(value)]
    return [item] if isinstance(item, int | float) else []


def test_a_whole_study(whole: StudyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(whole, monkeypatch)
    assert "Everything measured: metrics/evaluate.json" in capsys.readouterr().out
    content = read(whole)
    assert list(content["steps"]) == ["2", "10", "30"]
    for rows in content["steps"].values():
        assert sorted(rows) == sorted(GENRES)
        for row in rows.values():
            assert 7.0 < row["bits_per_sample"]["value"] < 9.0  # untrained: near the uniform 8
            assert (row["bits_per_sample"]["n"], row["bits_per_sample"]["lo"]) == (1, None)  # one song: no interval
            assert row.keys() <= catalogue.BY_NAME.keys()
    for genre in GENRES:
        baselines = content["baselines"][genre]
        assert content["markov"][genre] == min(baselines[name]["value"] for name in ("markov_genre", "markov_pooled"))
        assert baselines["linear"]["value"] < content["markov"][genre] < baselines["unigram"]["value"]
        (song,) = content["songs"][genre]
        assert (song["samples"], song["linear"]) == (RATE_HZ, baselines["linear"]["value"])
        assert song["network"]["30"] == content["steps"]["30"][genre]["bits_per_sample"]["value"]
        difference = content["against"]["30"]["linear"][genre]
        assert difference["verdict"] == "too few"
        assert difference["difference"]["value"] == pytest.approx(song["network"]["30"] - song["linear"], abs=1e-4)
        assert content["steps"]["2"][genre]["spectral_flatness"]["value"] > 0.95
        assert content["steps"]["30"][genre]["spectral_flatness"]["value"] < 0.2
        assert content["references"]["white_noise"][genre]["spectral_flatness"]["value"] > 0.95
        assert {"real", "training", "other_genres"} <= content["references"].keys()
        assert content["copying"]["30"][genre]["songs_searched"] == 10
        assert content["closed"]["2"][genre]["spectral_flatness"]["share"]["value"] < 0.1
        assert content["closed"]["30"][genre]["spectral_flatness"]["share"]["value"] > 0.8
    worse = content["against"]["30"]["linear"]["all"]
    assert (worse["verdict"], worse["difference"]["n"], worse["favourable"]) == ("worse", 5, 0)
    assert content["conditioning"]["30"]["chance"] == 0.2
    assert sum(map(sum, content["conditioning"]["30"]["confusion"])) <= 5
    assert content["generalisation"]["30"]["all"]["gap"]["difference"]["n"] == 5
    assert content["calibration"]["30"]["all"]["says"] in ("overconfident", "underconfident", "unclear")
    assert content["context"]["30"]["rock"][0]["from"] == 1
    assert content["detection"] is None  # no song is long enough to plant a stretch of it
    overall = {
        (row["from_step"], row["to_step"]): row
        for row in content["progress"]
        if (row["measure"], row["genre"]) == ("spectral_flatness", "all")
    }
    assert list(overall) == [(2, 10), (10, 30), (2, 30)]
    assert (overall[2, 30]["verdict"], overall[2, 30]["favourable"], overall[2, 30]["change"]["n"]) == ("better", 5, 5)
    assert overall[10, 30]["verdict"] == "unclear"  # the same tones
    assert all(math.isfinite(number) for number in numbers(content))
    summary = json.loads((whole.root / "metrics" / "summary.json").read_text())
    bits = [content["steps"]["30"][genre]["bits_per_sample"]["value"] for genre in content["genres"]]
    assert (summary["step"], summary["bits"]) == (30, float(f"{sum(bits) / len(bits):.4g}"))
    assert summary["bits_less_linear"] == float(f"{worse['difference']['value']:.4g}")
    assert summary["accuracy"] == content["conditioning"]["30"]["accuracy"]["value"]
    shares = sorted(row["share"]["value"] for row in content["closed"]["30"]["all"].values())
    assert shares[0] <= summary["sound"] <= shares[-1]
    # The same again gives the same bytes: threads share the work, not the digits. No clip is named.
    before = (whole.root / "metrics" / "evaluate.json").read_bytes()
    whole.change("params/tiny.yaml", train__threads=2)
    run(whole, monkeypatch)
    assert (whole.root / "metrics" / "evaluate.json").read_bytes() == before
    for clip in (whole.root / "data" / "clips").glob("*/*.flac"):
        assert clip.stem.encode() not in before


def test_what_is_missing_or_damaged_gets_a_sentence_and_the_rest_is_measured(
    whole: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    generations = whole.root / "generations"
    shutil.rmtree(generations / step_name(10))
    (generations / step_name(30) / "rock.wav").write_bytes(b"RIFF, but no more")
    soundfile.write(generations / step_name(30) / "hip.wav", np.zeros(100), RATE_HZ)
    soundfile.write(generations / step_name(30) / "metal.wav", np.zeros(24_000), RATE_HZ)
    (whole.root / "checkpoints" / step_name(2) / "weights.safetensors").write_bytes(b"short")
    shutil.rmtree(whole.root / "checkpoints" / step_name(30))
    write_checkpoint(whole, 30, known=False)
    run(whole, monkeypatch)
    content = read(whole)
    assert "generation.json does not exist" in content["why"]["sound of step 10"]
    assert "rock.wav cannot be read" in content["why"]["sound of step 30"]
    assert "hip.wav has 100 samples and 1 channels, not the 24,000" in content["why"]["sound of step 30"]
    assert content["why"].keys() >= {"likelihood of step 2", "likelihood of step 30"}
    assert "knows" in content["why"]["likelihood of step 30"]
    assert "bits_per_sample" in content["steps"]["10"]["rock"]
    assert "bits_per_sample" not in content["steps"]["2"]["rock"]
    assert "rock" not in content["steps"]["30"]
    assert content["steps"]["30"]["hardcore"]["frechet_vgg"]["why"]
    silent = content["steps"]["30"]["metal"]
    assert silent["silence_share"]["value"] == 1.0
    assert silent["spectral_centroid"]["value"] is None
    assert silent["spectral_centroid"]["why"]


def test_nothing_to_measure_is_an_error_and_leaves_no_file(study: StudyFolder) -> None:
    done = study.run("src.evaluate")
    assert done.returncode == 1
    assert "There is nothing to measure" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (study.root / "metrics").exists()


def test_an_imported_run_is_measured_by_its_sound_without_its_primer(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (2, 30):
        folder = study.root / "work" / "runs" / "old" / "generations" / step_name(step)
        write_generation(folder, step, primer_frames=5117)
    study.change("params/tiny.yaml", clips__rate_hz=8000)  # the study's own rate; the imported run has another
    run(study, monkeypatch, name="old")
    content = read(study, "work/runs/old/metrics")
    assert content["run"] == "old"
    for genre in GENRES:
        measures = content["steps"]["2"][genre]
        assert measures["spectral_flatness"]["value"] > 0.95
        assert measures["clipping_share"]["value"] == 0  # the primer is clipped all through
        assert "frechet_logmel" not in measures
        # Tones of 220, 440 … Hz in a little noise, as they are at 16 kHz.
        tone = content["steps"]["30"][genre]["spectral_rolloff"]["value"]
        assert tone == pytest.approx(220 * (GENRES.index(genre) + 1), abs=20)
    assert "distance" in content["why"]
    flat = {row["genre"]: row for row in content["progress"] if row["measure"] == "spectral_flatness"}
    assert flat["all"]["change"]["hi"] < 0  # over genres the change is clear
    assert (flat["rock"]["change"]["n"], flat["rock"]["change"]["lo"]) == (1, None)
    assert {row["verdict"] for row in flat.values()} == {None}  # there is no music to be nearer to
    assert content["closed"] == {}
    assert not (study.root / "metrics").exists()
    with pytest.raises(Problem, match="There are: current, old"):
        run(study, monkeypatch, name="older")
