"""Validation while training hears the beginning, the middle and the end of every held-out song."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from src import config
from src.clips import clipset
from src.clips.clipset import ClipRow, ClipSet
from src.evaluate import likelihood
from src.evaluate.likelihood import Window
from src.record import journal
from src.record.journal import Journal, View
from src.train import validation
from src.train.run import Run
from src.train.validation import STRETCH_SAMPLES, ScheduledValidation, Validation
from src.wavenet import mulaw
from src.wavenet.network import initialise
from tests.conftest import GENRES, StudyFolder


def test_its_bits_are_those_of_three_stretches_of_each_held_out_song(
    study_with_clips: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study_with_clips.root)
    run = Run.open(config.load())
    model = run.params.profile.model
    network, field = initialise(model, 0), model.receptive_field
    found = Validation(run).bits_per_sample(network, stop=lambda: False)
    assert found is not None
    assert sorted(found) == sorted(GENRES)
    index = next(k for k, clip in enumerate(run.clips.clips) if (clip.genre, clip.split) == ("hip", "validation"))
    frames = run.clips.clips[index].frames
    codes = mulaw.encode(run.clips.read(index, 0, frames), model.quantization_channels)
    room = frames - field - STRETCH_SAMPLES
    windows = [Window(field + room * k // 6, STRETCH_SAMPLES) for k in (1, 3, 5)]
    bits = likelihood.window_bits(network, field, codes, windows, run.params.genres.index("hip"))
    assert found["hip"] == pytest.approx(bits.mean(), abs=1e-4)
    assert len({float(np.round(part.mean(), 4)) for part in np.split(bits, 3)}) == 3  # each stretch counts
    assert Validation(run).bits_per_sample(network, stop=lambda: True) is None


def of_lengths(run: Run, folder: Path, held_out: list[int], training: int = 1) -> Run:
    """The run with held-out clips of these lengths and some for training, all of rock."""
    (folder / "rock").mkdir(parents=True)
    noise, rows = np.random.default_rng(5), []
    for number, frames in enumerate([3000] * training + held_out):
        samples = noise.integers(-9000, 9000, frames).astype(np.int16)
        name, digest = f"rock/{number}.flac", clipset.samples_digest(samples)
        soundfile.write(folder / name, samples, 16_000, subtype="PCM_16")
        rows.append(ClipRow(name, "rock", "validation" if number >= training else "train", frames, -6.0, -18.0, digest))
    clipset.write_table(folder / "clips.csv", rows)
    return Run(run.params, ClipSet.open(folder), run.fingerprint, folder)


@pytest.fixture
def run(study_with_clips: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(study_with_clips.root)
    return Run.open(config.load())


def bits_of(run: Run, index: int) -> float:
    """Bits per sample of all that a short clip has beyond its context, scored on its own."""
    model = run.params.profile.model
    frames, field = run.clips.clips[index].frames, model.receptive_field
    codes = mulaw.encode(run.clips.read(index, 0, frames), model.quantization_channels)
    windows = [Window(field, frames - field)]
    genre = run.params.genres.index("rock")
    return float(likelihood.window_bits(initialise(model, 0), field, codes, windows, genre).mean())


def test_every_held_out_song_of_a_genre_counts_alike(run: Run, tmp_path: Path) -> None:
    field = run.params.profile.model.receptive_field
    # One has just enough to score all of it, one less, one a single sample; the last two have nothing to score.
    held_out = [field + STRETCH_SAMPLES, field + 400, field + 1, field, field - 1]
    short = of_lengths(run, tmp_path / "clips", held_out)
    found = Validation(short).bits_per_sample(initialise(run.params.profile.model, 0), stop=lambda: False)
    assert found is not None
    assert list(found) == ["rock"]
    assert found["rock"] == pytest.approx(np.mean([bits_of(short, index) for index in (1, 2, 3)]), abs=1e-4)


def test_of_many_held_out_songs_some_are_scored_evenly_spread(run: Run, tmp_path: Path) -> None:
    many = of_lengths(run, tmp_path / "clips", [200] * 20, training=2)
    assert validation._chosen(many.clips) == [2, 4, 7, 9, 12, 14, 17, 19]
    assert validation.MOST_CLIPS == 8
    few = of_lengths(run, tmp_path / "few", [200] * 3, training=2)
    assert validation._chosen(few.clips) == [2, 3, 4]


def test_it_is_done_every_so_many_steps_and_each_step_once(run: Run, tmp_path: Path) -> None:
    assert (run.params.profile.train.validate_every, run.params.profile.train.steps) == (10, 30)
    book = Journal(tmp_path / journal.NAME, 1)
    asked = False
    recorded = View(validations={20: {"rock": 1.0}})
    schedule = ScheduledValidation(run, initialise(run.params.profile.model, 0), book, recorded, lambda: asked)
    for step in (0, 1, 9, 10, 11, 20):
        schedule.at(step)
    written = journal.read(tmp_path / journal.NAME).validations
    assert list(written) == [10]
    assert sorted(written[10]) == sorted(GENRES)
    asked = True
    schedule.at(40)  # of a run that was longer before
    schedule.at(10)
    assert [line["step"] for _, line in journal.records(tmp_path / journal.NAME)] == [10, 40]
    schedule.at(30)
    assert [line["step"] for _, line in journal.records(tmp_path / journal.NAME)] == [10, 40, 30]


def test_none_is_done_where_none_is_asked_for(run: Run, tmp_path: Path) -> None:
    train = run.params.profile.train.model_copy(update={"validate_every": 0})
    profile = run.params.profile.model_copy(update={"train": train})
    params = run.params.model_copy(update={"profile": profile})
    quiet = Run(params, run.clips, run.fingerprint, run.folder)
    book = Journal(tmp_path / journal.NAME, 1)
    schedule = ScheduledValidation(quiet, initialise(params.profile.model, 0), book, View(), lambda: False)
    for step in (0, 10, 30):
        schedule.at(step)
    assert not list(journal.records(tmp_path / journal.NAME))
