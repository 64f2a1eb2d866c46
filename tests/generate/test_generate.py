"""`src.generate` as a user runs it: clips for each genre, from silence or from a held-out song."""

import json
import subprocess
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from src import config
from src.audio import encode
from src.clips.clipset import ClipSet
from src.generate import clips, generations
from src.record import checkpoint
from src.wavenet import mulaw
from src.wavenet.network import initialise
from tests import here
from tests.conftest import GENRES, RATE_HZ, StudyFolder, write_clips

STEP = 30
FRAMES = RATE_HZ // 2


@pytest.fixture
def trained(study: StudyFolder) -> StudyFolder:
    """A study with a checkpoint of random weights."""
    model = config.load(study.root).profile.model
    weights = {name: tensor * 2.0 for name, tensor in initialise(model, 1).state_dict().items()}
    kept = checkpoint.Checkpoint(STEP, "0123456789abcdef", GENRES, model, weights, {})
    checkpoint.save(study.root / "checkpoints" / f"step-{STEP}", kept)
    return study


def generated(study: StudyFolder, **settings: Any) -> tuple[generations.Generation, dict[str, NDArray[np.int16]]]:
    """Run the stage; what it says of the generation, and the samples of each file."""
    study.change("params/tiny.yaml", **{f"generate__{name}": value for name, value in settings.items()})
    done = here.run(study, "src.generate", "--steps", str(STEP))
    assert done.returncode == 0, done.stdout
    folder = study.root / "generations" / f"step-{STEP}"
    about = generations.load(folder)
    sounds = {}
    for clip in about.clips:
        sounds[clip.file], rate_hz = soundfile.read(folder / clip.file, dtype="int16")
        assert (rate_hz, len(sounds[clip.file])) == (about.rate_hz, clip.frames)
        assert (folder / clip.file).with_suffix(".mp3").is_file()
    return about, sounds


def test_a_second_clip_of_a_genre_is_another_one_and_leaves_the_first_as_it_is(trained: StudyFolder) -> None:
    about, both = generated(trained, clips_per_genre=2)
    assert list(both) == [f"{genre}{suffix}.wav" for genre in GENRES for suffix in ("", "-2")]
    assert [clip.clip for clip in about.clips] == [1, 2] * len(GENRES)
    assert len({sound.tobytes() for sound in both.values()}) == 2 * len(GENRES)
    run = trained.root / "work" / "train" / "0123456789abcdef"  # with the run, not where another one would find it
    times = json.loads((run / "times" / f"generate-step-{STEP}.json").read_text())
    assert [(row["genre"], row["clip"]) for row in times["clips"]] == [(clip.genre, clip.clip) for clip in about.clips]
    left = trained.root / "generations" / f".step-{STEP}.7.tmp"  # of a process that was killed: DVC would hash it
    left.mkdir()
    _, first = generated(trained, clips_per_genre=1)
    assert not left.exists()
    assert list(first) == [f"{genre}.wav" for genre in GENRES]
    for name, sound in first.items():
        np.testing.assert_array_equal(sound, both[name])


def test_all_compared_checkpoints_are_made_by_one_command(trained: StudyFolder) -> None:
    _, alone = generated(trained)
    steps = config.load(trained.root).compared_steps
    kept = checkpoint.load(trained.root / "checkpoints" / f"step-{STEP}")
    for step in steps:
        checkpoint.save(trained.root / "checkpoints" / f"step-{step}", replace(kept, step=step))
    done = here.run(trained, "src.generate")
    assert done.returncode == 0, done.stdout
    made = {folder.name for folder in (trained.root / "generations").iterdir()}
    assert made == {f"step-{step}" for step in {*steps, STEP}}
    if STEP in steps:
        for name, sound in alone.items():
            again, _ = soundfile.read(trained.root / "generations" / f"step-{STEP}" / name, dtype="int16")
            np.testing.assert_array_equal(again, sound)


def test_checkpoints_run_together_make_the_files_that_each_makes_alone(
    trained: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, alone = generated(trained)
    monkeypatch.chdir(trained.root)
    params = config.load()
    kept = checkpoint.load(trained.root / "checkpoints" / f"step-{STEP}")
    folders = [trained.root / "one", trained.root / "two"]
    for folder in folders:
        folder.mkdir()
    clips.generate(folders, [replace(kept, step=7), kept], params, clips.streams_of(params, GENRES))
    assert [generations.load(folder).step for folder in folders] == [7, STEP]
    for name, sound in alone.items():
        beside, _ = soundfile.read(folders[1] / name, dtype="int16")
        np.testing.assert_array_equal(beside, sound)
        other, _ = soundfile.read(folders[0] / name, dtype="int16")
        assert (other != sound).any()


def test_a_clip_goes_on_from_a_held_out_song_of_its_genre(study_with_clips: StudyFolder, trained: StudyFolder) -> None:
    about, sounds = generated(trained, primer_s=0.1)
    primer_frames = RATE_HZ // 10
    songs = ClipSet.open(study_with_clips.root / "data" / "clips")
    for clip in about.clips:
        assert (clip.primer_frames, clip.frames) == (primer_frames, primer_frames + FRAMES)
        (song,) = [n for n, s in enumerate(songs.clips) if s.genre == clip.genre and s.split == "validation"]
        primer = encode.to_int16(mulaw.decode(mulaw.encode(songs.read(song, 0, primer_frames))))
        np.testing.assert_array_equal(sounds[clip.file][:primer_frames], primer)
    usable, unusable = generations.read(trained.root / "generations" / f"step-{STEP}")
    assert unusable == []
    assert {len(clip.audio) for clip in usable} == {FRAMES}
    _, without = generated(trained, primer_s=0)
    for name, sound in without.items():
        assert (sound != sounds[name][primer_frames:]).any()


def test_a_primer_without_clips_or_longer_than_every_song_is_one_sentence(trained: StudyFolder) -> None:
    trained.change("params/tiny.yaml", generate__primer_s=10, clips__duration_s=10, manifest__minimum_duration_s=10)
    for sentence in ("clips.csv does not exist", "No held-out song of classical has the 10 s"):
        done = here.run(trained, "src.generate", "--steps", str(STEP))
        assert done.returncode != 0
        assert sentence in done.stdout
        assert "python -m src.clips" in done.stdout
        assert "Traceback" not in done.stdout
        assert not (trained.root / "generations" / f"step-{STEP}").exists()
        if not (trained.root / "data" / "clips").exists():
            write_clips(trained.root / "data" / "clips", clips_per_genre=2, duration_s=1.0)


def test_bfloat16_weights_change_the_sound_and_are_recorded(trained: StudyFolder) -> None:
    exact, sounds = generated(trained)
    rounded, others = generated(trained, weights="bfloat16")
    assert (exact.weights, rounded.weights) == ("float32", "bfloat16")
    assert any((sounds[name] != others[name]).any() for name in sounds)


def test_a_full_disk_is_one_sentence(trained: StudyFolder) -> None:
    place = trained.root / "generations"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        done = trained.run("src.generate", "--steps", str(STEP))
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert done.returncode == 1
    assert "Sound could not be written to generations/" in done.stdout
    assert "Free some space" in done.stdout
    assert "Traceback" not in done.stdout
