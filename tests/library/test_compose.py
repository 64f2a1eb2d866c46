"""The composed songs differ as their genres do, and the folder of them is the same at every run."""

import hashlib
from pathlib import Path

import mutagen
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from mutagen.mp3 import HeaderNotFoundError

from src.audio import fingerprint
from src.base.errors import Problem
from src.config import LibraryParams
from src.evaluate import sound, spectra
from src.library.demo import music
from src.library.demo.compose import compose
from src.manifest import duplicates

GENRES = ("classical", "hardcore", "hip", "metal", "rock")
RATE_HZ = 8000
SEED = 7
SONGS = 10
TINY = LibraryParams(songs_per_genre=3, duration_s=1.5)
Songs = dict[str, list[npt.NDArray[np.float32]]]


@pytest.fixture(scope="module")
def songs() -> Songs:
    """Songs of 16 s: (frames,) each."""
    return {g: [music.song(g, SEED, i, 16.0, RATE_HZ) for i in range(SONGS)] for g in GENRES}


def without_hiss(monkeypatch: pytest.MonkeyPatch, genre: str, index: int, rate_hz: int) -> npt.NDArray[np.float32]:
    monkeypatch.setattr(music, "HISS_LEVEL", 0.0)
    return music.song(genre, SEED, index, 16.0, rate_hz)


def test_the_same_arguments_give_the_same_samples_and_others_do_not(songs: Songs) -> None:
    for genre in GENRES:
        assert music.song(genre, SEED, 1, 16.0, RATE_HZ).tobytes() == songs[genre][1].tobytes()
    distinct = {song.tobytes() for genre in GENRES for song in songs[genre]}
    assert len(distinct) == SONGS * len(GENRES)
    assert not np.array_equal(music.song("rock", SEED + 1, 0, 16.0, RATE_HZ), songs["rock"][0])


@pytest.mark.parametrize("genre", GENRES)
def test_no_two_songs_of_a_genre_pass_for_one_recording(genre: str) -> None:
    songs = [music.song(genre, SEED, i, 60.0, RATE_HZ) for i in range(SONGS)]
    words = [fingerprint.fingerprint(song, RATE_HZ, fingerprint.SONGS) for song in songs]
    for first in range(SONGS):
        for second in range(first):
            alike = min(fingerprint.error_rate(words[first], words[second], lag)[0] for lag in range(-40, 41))
            assert alike > duplicates.SAME_ERROR_RATE


def test_a_song_has_its_length_and_is_neither_clipped_nor_silent(songs: Songs) -> None:
    for genre in GENRES:
        for song in songs[genre]:
            assert song.shape == (16 * RATE_HZ,)
            assert song.dtype == np.float32
            assert 0.4 < np.abs(song).max() < 0.97
            seconds = song.reshape(16, RATE_HZ)
            assert min(seconds.std(axis=1)) > 0.05
            assert abs(song.mean()) < 0.01


@pytest.mark.parametrize("genre", GENRES)
def test_every_note_fades_until_the_next_and_starts_from_nothing(monkeypatch: pytest.MonkeyPatch, genre: str) -> None:
    rate_hz = 16000
    step = round(music.STYLES[genre][0] * rate_hz)
    plain = without_hiss(monkeypatch, genre, 0, rate_hz)
    notes = plain[: len(plain) // step * step].reshape(-1, step)
    # The last 10 ms are the release; the 30 ms before them hold more than a period of the lowest drum.
    end, loud = notes[:, -640:-160], notes[:, 80:]
    fallen_db = 20 * np.log10(np.abs(loud).max(axis=1) / np.abs(end).max(axis=1))
    assert 18 < np.median(fallen_db) < 32
    assert np.abs(notes[:, [0, -1]]).max() < 0.05


def test_the_hiss_has_its_level_and_stays_below_half_of_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    for genre in GENRES:
        song = music.song(genre, SEED, 0, 16.0, 44100)
        hiss = song - without_hiss(monkeypatch, genre, 0, 44100)
        monkeypatch.undo()
        power = np.abs(np.fft.rfft(hiss)) ** 2
        frequency = np.fft.rfftfreq(len(hiss), 1 / 44100)
        assert power[frequency > 4100].sum() < 1e-3 * power.sum()
        assert 0.012 < hiss.std() < 0.02
        everything = np.abs(np.fft.rfft(song)) ** 2
        assert everything[frequency > 4100].sum() < 1e-3 * everything.sum(), "the music too"


def test_songs_have_a_pulse_and_notes_by_the_studys_own_measures(songs: Songs) -> None:
    for genre in GENRES:
        for song in songs[genre]:
            rhythm = sound.rhythm_measures(song, RATE_HZ)
            assert rhythm["tempo_strength"] > 0.8
            assert sound.tonal_clarity(song, RATE_HZ) > 0.15


def test_a_song_is_told_from_the_other_genres_by_tempo_and_sound(songs: Songs) -> None:
    def heard(song: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        octaves = np.log2(sound.rhythm_measures(song, RATE_HZ)["tempo"])
        return np.append(spectra.log_mel_db(song, RATE_HZ, 512, 256, 24).mean(axis=0), 10 * octaves)

    centers = {genre: np.mean([heard(song) for song in songs[genre][: SONGS // 2]], axis=0) for genre in GENRES}
    for genre in GENRES:
        for song in songs[genre][SONGS // 2 :]:
            assert min(GENRES, key=lambda g: float(np.linalg.norm(heard(song) - centers[g]))) == genre


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("composed") / "library"
    compose(folder, TINY, GENRES, SEED, 2)
    return folder


def test_a_library_has_the_same_bytes_whatever_the_jobs(library: Path, tmp_path: Path) -> None:
    assert compose(tmp_path, TINY, tuple(reversed(GENRES)), SEED, 1) == len(digests(library)) == 5 * 3 + 4
    assert digests(tmp_path) == digests(library)


def test_files_are_tagged_mp3_and_flac_of_several_rates(library: Path) -> None:
    found: dict[str, int] = {}
    rates, channels, unusable = set(), set(), []
    for path in sorted(library.rglob("*.*")):
        try:
            tags = mutagen.File(path, easy=True)
        except HeaderNotFoundError:
            unusable.append("not music")
            assert path.read_text(encoding="utf-8").startswith("Recorded")
            continue
        assert path.relative_to(library).parts[:2] == (tags["artist"][0], tags["album"][0])
        assert path.stem.endswith(tags["title"][0])
        found[path.suffix] = found.get(path.suffix, 0) + 1
        info = soundfile.info(path)
        rates.add(info.samplerate)
        channels.add(info.channels)
        if "genre" not in tags:
            unusable.append("no genre")
        elif "date" not in tags:
            unusable.append("no year")
        elif info.duration < TINY.duration_s:
            unusable.append("too short")
        else:
            assert TINY.duration_s < info.duration < 1.1 * TINY.duration_s
            assert 1950 < int(tags["date"][0][:4]) < 2020
    assert sorted(unusable) == ["no genre", "no year", "not music", "too short"]
    assert found[".mp3"] >= 4
    assert found[".flac"] >= 6
    assert len(rates) >= 4
    assert channels == {1, 2}


def test_a_genre_without_a_style_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no style for the genre 'jazz'"):
        compose(tmp_path / "library", TINY, ("jazz", "rock"), SEED, 1)
    assert not (tmp_path / "library").exists()
    assert set(music.STYLES) == set(GENRES)
