"""Waveforms, spectrograms and levels of known sounds."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from src.base.errors import Problem
from src.compare import sounds

RATE = 16000
TIME = np.arange(2 * RATE) / RATE


def row_of(hertz: float) -> int:
    """The spectrogram's row that holds this frequency."""
    edges = np.geomspace(sounds.LOWEST_HZ, RATE / 2, sounds.BANDS + 1)
    return int(np.searchsorted(edges, hertz)) - 1


@pytest.mark.parametrize("hertz", [220.0, 1000.0, 4000.0])
def test_a_sine_is_one_bright_row(hertz: float) -> None:
    levels = sounds.spectrogram(np.sin(2 * np.pi * hertz * TIME), RATE)
    brightest = levels[:, sounds.COLUMNS // 2].argmax()
    assert abs(int(brightest) - row_of(hertz)) <= 1
    assert levels.shape == (sounds.BANDS, sounds.COLUMNS)


def test_white_noise_is_even() -> None:
    levels = sounds.spectrogram(np.random.default_rng(0).uniform(-1, 1, 8 * RATE), RATE)
    rows = 10 * np.log10((10 ** (levels / 10)).mean(axis=1))[4:]
    assert rows.max() - rows.min() < 2.5


def test_levels_of_a_full_scale_sine_and_of_silence() -> None:
    sine = sounds.draw(np.sin(2 * np.pi * 440 * TIME), RATE)
    assert sine.rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert sine.peak_dbfs == pytest.approx(0, abs=0.01)
    assert not sine.silent
    silence = sounds.draw(np.zeros(RATE), RATE)
    assert silence.rms_dbfs == silence.peak_dbfs == -120
    assert silence.silent


@pytest.mark.parametrize("frames", [1, 2, 300, 500, 16_001])
def test_a_clip_of_any_length_is_drawn(frames: int) -> None:
    sound = sounds.draw(np.full(frames, 0.5), RATE)
    assert sound.levels_db.shape == (sounds.BANDS, sounds.COLUMNS)
    assert np.isfinite(sound.levels_db).all()
    assert sounds.outline(sound).startswith("M0 ")


def test_the_outline_follows_the_waveform() -> None:
    samples = np.concatenate([np.zeros(RATE), np.ones(RATE)])
    points = sounds.outline(sounds.draw(samples, RATE), columns=10).removeprefix("M").removesuffix("Z").split("L")
    upper = [float(point.split()[1]) for point in points[:10]]
    assert upper[:4] == [49.6] * 4
    assert upper[6:] == [0.0] * 4


def test_the_picture_has_high_notes_above_and_lighter_is_louder() -> None:
    sound = sounds.draw(np.sin(2 * np.pi * 3000 * TIME), RATE)
    with Image.open(io.BytesIO(sounds.image(sound.levels_db, sounds.brightest([sound])))) as picture:
        assert picture.size == (sounds.COLUMNS, sounds.BANDS)
        grey = np.asarray(picture.convert("L"))
    bright = int(grey[:, sounds.COLUMNS // 2].argmax())
    assert abs((sounds.BANDS - 1 - bright) - row_of(3000)) <= 1
    assert grey[bright].mean() > 150 > 60 > grey[sounds.BANDS // 2 + 40].mean()


def test_the_primer_is_no_part_of_it(tmp_path: Path) -> None:
    samples = np.concatenate([np.full(5117, 0.9), np.full(RATE, 0.1)])
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_16")
    sound = sounds.read(tmp_path / "a.wav", 5117)
    assert sound.duration_s == 1.0
    assert sound.peak_dbfs == pytest.approx(-20, abs=0.01)


def test_files_that_hold_no_whole_sound_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(Problem, match=r"a\.wav does not exist"):
        sounds.read(path)
    soundfile.write(path, np.zeros(100), RATE)
    with pytest.raises(Problem, match="cut short: 100 of 200"):
        sounds.read(path, frames=200)
    with pytest.raises(Problem, match="is empty"):
        sounds.read(path, 100)
    soundfile.write(path, np.array([0.0, np.nan]), RATE, subtype="FLOAT")
    with pytest.raises(Problem, match="not numbers"):
        sounds.read(path)
    path.write_bytes(b"RIFF")
    with pytest.raises(Problem, match="cannot be read as audio"):
        sounds.read(path)
