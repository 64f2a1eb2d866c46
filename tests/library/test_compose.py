"""The composed songs differ as their genres do, and the folder of them is the same at every run."""

import hashlib
from pathlib import Path

import mutagen
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from mutagen.mp3 import HeaderNotFoundError

from src.base.errors import Problem
from src.config import LibraryParams
from src.library.demo.compose import compose, compose_song, write_score
from src.library.demo.drums import CYMBAL_GAIN, DRUMS
from src.library.demo.score import Score, plan_form
from src.library.demo.styles import STYLES
from src.library.demo.synth import PITCHED, frequency

GENRES = ("classical", "hardcore", "hip", "metal", "rock")
RATE_HZ = 22050
SEED = 7
SONGS = 4
TINY = LibraryParams(songs_per_genre=3, duration_s=1.5)


@pytest.fixture(scope="module")
def songs() -> dict[str, list[npt.NDArray[np.float32]]]:
    """Songs of 12 s, mono: (frames,) each."""
    return {g: [compose_song(g, SEED, i, 12.0, RATE_HZ)[:, 0] for i in range(SONGS)] for g in GENRES}


def activity(song: npt.NDArray[np.float32]) -> float:
    """Mean spectral flux: how much new energy appears from one 10 ms frame to the next, on a log scale."""
    frames = np.lib.stride_tricks.sliding_window_view(song, 512)[::220] * np.hanning(512)
    spectra = np.log1p(100 * np.abs(np.fft.rfft(frames, axis=1)))
    return float(np.maximum(np.diff(spectra, axis=0), 0).mean())


def share_between(song: npt.NDArray[np.float32], low_hz: float, high_hz: float) -> float:
    """Share of a song's energy between two frequencies."""
    power = np.abs(np.fft.rfft(song.astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(len(song), 1 / RATE_HZ)
    return float(power[(hz >= low_hz) & (hz < high_hz)].sum() / power.sum())


def rms_dbfs(song: npt.NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(song.astype(np.float64) ** 2)))


def test_the_same_arguments_give_the_same_samples() -> None:
    for genre in GENRES:
        first, again = (compose_song(genre, SEED, 1, 3.0, RATE_HZ, 2) for _ in range(2))
        assert first.tobytes() == again.tobytes()


def test_songs_of_a_genre_differ_in_key_tempo_and_sound(songs: dict[str, list[npt.NDArray[np.float32]]]) -> None:
    for genre in GENRES:
        scores = [write_score(genre, SEED, i, 120.0) for i in range(6)]
        assert len({s.bars for s in scores}) >= 3
        assert len({frozenset(round(n.pitch) % 12 for n in s.notes) for s in scores}) >= 2
        assert len({tuple((x.name, x.bars) for x in s.sections) for s in scores}) >= 3
        spectra = [np.log(np.abs(np.fft.rfft(song))[:40000] + 1e-3) for song in songs[genre]]
        for i in range(SONGS):
            for j in range(i):
                assert np.corrcoef(spectra[i], spectra[j])[0, 1] < 0.9
    assert not np.array_equal(compose_song("rock", 1, 0, 2.0, RATE_HZ), compose_song("rock", 2, 0, 2.0, RATE_HZ))


def test_a_song_has_its_length_and_is_neither_clipped_nor_silent(
    songs: dict[str, list[npt.NDArray[np.float32]]],
) -> None:
    for genre in GENRES:
        for song in songs[genre]:
            assert song.shape == (12 * RATE_HZ,)
            assert song.dtype == np.float32
            assert 0.15 < np.abs(song).max() < 0.97
            seconds = song[: 11 * RATE_HZ].reshape(11, RATE_HZ)
            assert min(rms_dbfs(second) for second in seconds) > -50
            assert abs(song.mean()) < 0.005
            assert np.abs(song[-20:]).max() < 1e-3, "the end is faded"


def test_a_stereo_song_has_two_sides_and_a_mono_one_their_sum() -> None:
    for genre in GENRES:
        stereo = compose_song(genre, SEED, 0, 8.0, RATE_HZ, 2)
        assert stereo.shape == (8 * RATE_HZ, 2)
        sides = np.corrcoef(stereo[:, 0], stereo[:, 1])[0, 1]
        assert 0.1 < sides < 0.995
        mono = compose_song(genre, SEED, 0, 8.0, RATE_HZ, 1)[:, 0]
        assert np.corrcoef(mono, stereo.mean(axis=1))[0, 1] > 0.9


def test_most_energy_lies_below_half_of_the_studys_rate() -> None:
    for genre in GENRES:
        song = compose_song(genre, SEED, 0, 8.0, 44100)[:, 0]
        power = np.abs(np.fft.rfft(song)) ** 2
        above = np.fft.rfftfreq(len(song), 1 / 44100) > 8000
        assert power[above].sum() / power.sum() < 0.01


def test_genres_sound_different(songs: dict[str, list[npt.NDArray[np.float32]]]) -> None:
    loudness = {g: np.mean([rms_dbfs(s) for s in songs[g]]) for g in GENRES}
    flux = {g: np.mean([activity(s) for s in songs[g]]) for g in GENRES}
    sub = {g: np.mean([share_between(s, 20, 75) for s in songs[g]]) for g in GENRES}
    high = {g: np.mean([share_between(s, 1500, 6000) for s in songs[g]]) for g in GENRES}
    assert all(loudness["classical"] < loudness[g] - 4 for g in GENRES if g != "classical")
    assert loudness["hip"] < loudness["metal"] - 0.5
    assert flux["classical"] < 0.8 * flux["hip"]
    assert flux["hip"] < 0.85 * flux["rock"]
    assert flux["rock"] < 0.9 * flux["metal"]
    assert flux["rock"] < 0.9 * flux["hardcore"]
    assert all(sub["hip"] > 1.5 * sub[g] for g in GENRES if g != "hip")
    assert all(high["hip"] < 0.5 * high[g] for g in GENRES if g != "hip")


def test_tempo_harmony_and_drums_are_the_genres() -> None:
    scores = {g: [write_score(g, SEED, i, 120.0) for i in range(8)] for g in GENRES}
    tempi = {g: [s.tempo_bpm for s in scores[g]] for g in GENRES}
    assert max(tempi["hip"]) + 4 < min(tempi["rock"])
    assert max(tempi["rock"]) + 10 < min(tempi["metal"])
    assert np.mean(tempi["metal"]) + 20 < np.mean(tempi["hardcore"])
    for genre in GENRES:
        for score in scores[genre]:
            kit = [n for n in score.notes if (n.instrument or score.parts[n.part].instrument) in DRUMS]
            assert (len(kit) == 0) if genre == "classical" else (len(kit) > score.bars)
            assert len(score.sections) >= 4, "a form, not a loop"
            assert len({s.name for s in score.sections}) >= 2
    guitar = {
        g: np.median([n.pitch for s in scores[g] for n in s.notes if n.part == "guitar"]) for g in ("hardcore", "metal")
    }
    assert guitar["metal"] + 3 < guitar["hardcore"], "metal is tuned lower"


def test_every_note_has_a_part_and_an_instrument() -> None:
    for genre in GENRES:
        for index in range(6):
            score = write_score(genre, SEED, index, 60.0)
            for note in score.notes:
                assert (note.instrument or score.parts[note.part].instrument) in {**PITCHED, **DRUMS}
                assert 0 < note.level <= 1
                assert note.beats > 0
                assert 0 <= note.beat <= score.bars * score.beats_per_bar


def test_the_final_chord_falls_inside_the_recording() -> None:
    for genre in GENRES:
        score = write_score(genre, SEED, 0, 122.5)
        final_s = float(score.seconds([score.bars * score.beats_per_bar])[0])
        assert 119.9 < final_s < 121.5


@pytest.mark.parametrize("name", sorted({**PITCHED, **DRUMS}))
def test_an_instrument_plays_in_tune_at_its_level(name: str) -> None:
    pitch = 45.0
    sound = {**PITCHED, **DRUMS}[name](pitch, 0.8, 0.5, RATE_HZ)
    assert sound.dtype == np.float32
    peak = 0.5 * (CYMBAL_GAIN if "hat" in name or name in ("crash", "ride") else 1.0)
    assert np.abs(sound).max() == pytest.approx(peak, rel=0.02)
    assert abs(sound[0]) < 0.02
    assert abs(sound[-1]) < 0.002
    if name in PITCHED and name != "timpani":
        # Delaying a periodic sound by two periods (a power chord's common one) changes it little.
        lag = round(2 * RATE_HZ / frequency(pitch))
        middle = sound[2000:8000].astype(np.float64)
        assert np.corrcoef(middle[lag:], middle[:-lag])[0, 1] > 0.8


@given(
    weights=st.lists(st.integers(1, 4), min_size=1, max_size=9), bars=st.integers(1, 400)
)  # every form over every length
def test_a_form_covers_all_bars_in_order(weights: list[int], bars: int) -> None:
    sections = plan_form([(f"s{i}", w) for i, w in enumerate(weights)], bars)
    assert [s.first_bar for s in sections] == list(np.cumsum([0, *(s.bars for s in sections[:-1])]))
    assert sum(s.bars for s in sections) == bars
    assert all(s.bars >= 1 for s in sections)
    assert [s.is_last for s in sections] == [False] * (len(sections) - 1) + [True]
    assert [s.name for s in sections] == sorted(s.name for s in sections)


def test_rubato_bends_bars_and_keeps_the_whole() -> None:
    score = write_score("classical", SEED, 0, 120.0)
    starts = score.seconds([float(b * score.beats_per_bar) for b in range(score.bars + 1)])
    bar_s = np.diff(starts)
    assert starts[-1] == pytest.approx(score.bars * score.beats_per_bar * score.beat_s)
    assert bar_s[-1] > 1.1 * np.median(bar_s), "the end slows down"
    steady: Score = write_score("rock", SEED, 0, 120.0)
    assert np.ptp(np.diff(steady.seconds([0.0, 4.0, 8.0, 12.0]))) < 1e-9


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
    assert found[".mp3"] >= 6
    assert found[".flac"] >= 6
    assert len(rates) >= 4
    assert channels == {1, 2}


def test_a_genre_without_a_style_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no style for the genre 'jazz'"):
        compose(tmp_path / "library", TINY, ("jazz", "rock"), SEED, 1)
    assert not (tmp_path / "library").exists()
    assert set(STYLES) == set(GENRES)
