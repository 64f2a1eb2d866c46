"""A small library of tones: references must stand in their order, and a planted copy must be told."""

import math

import numpy as np
import pytest

from src.evaluate import catalogue, intervals, references, result
from src.evaluate.copying import longest_copy
from src.evaluate.measure import Measure
from src.evaluate.references import Library, Method, Piece, Units, Values
from src.evaluate.spectra import Audio

RATE_HZ = 16000
LENGTH = 5 * RATE_HZ
METHOD = Method(RATE_HZ, 256)


def song(genre: str, seed: int, seconds: float = 25.0) -> Audio:
    """Low notes for one genre, high ones for the other, a little noise."""
    rng = np.random.default_rng(seed)
    out, place = np.zeros(round(seconds * RATE_HZ), dtype=np.float32), 0
    base = 110.0 if genre == "low" else 880.0
    while place < len(out):
        length = min(int(rng.integers(2000, 5000)), len(out) - place)
        t = np.arange(length) / RATE_HZ
        pitch = base * 2 ** (rng.integers(0, 24) / 12)
        out[place : place + length] = 0.3 * np.sin(2 * np.pi * pitch * t) * np.exp(-3 * t) + 0.003 * rng.normal(
            size=length
        )
        place += length
    return out


@pytest.fixture(scope="module")
def library() -> Library:
    """Three training songs and three held-out ones of each genre."""
    songs = [
        METHOD.song(
            song(genre, first + number),
            genre,
            training=number < 3,
            length=LENGTH,
            pieces=4 if number < 3 else 2,
            plant=number == 0,
        )
        for genre, first in (("low", 0), ("high", 100))
        for number in range(6)
    ]
    return Library(tuple(songs), METHOD)


@pytest.fixture(scope="module")
def measured(library: Library) -> dict[str, dict[str, Values]]:
    return library.references(METHOD.noise(LENGTH, 6))


def clips(genre: str, count: int = 4) -> Units:
    return [[METHOD.piece(song(genre, 500 + number, 5.0))] for number in range(count)]


def test_references_stand_between_ceiling_and_floor(measured: dict[str, dict[str, Values]]) -> None:
    for genre in ("low", "high"):
        for name in ("frechet_logmel", "kernel_logmel"):
            real, others, noise = (
                measured[which][genre][name].mean() for which in ("real", "other_genres", "white_noise")
            )
            assert real < others
            assert real < noise
        for name in ("density_logmel", "coverage_logmel"):
            assert measured["real"][genre][name].mean() > measured["white_noise"][genre][name].mean()
            assert measured["white_noise"][genre][name].mean() < 0.05
        assert measured["white_noise"][genre]["spectral_flatness"].mean() == pytest.approx(1.0, abs=0.02)
        assert len(measured["real"][genre]["rms"]) == 3  # songs, not their pieces
        assert len(measured["white_noise"][genre]["rms"]) == 6
        assert "frechet_logmel" not in measured["training"][genre]  # they would be compared with themselves
        assert len(measured["real"][genre]["longest_match"]) == 3


def test_a_generation_of_the_genre_is_nearer_than_one_of_the_other(library: Library) -> None:
    values, why = library.distances(clips("low"), "low")
    far, _ = library.distances(clips("low"), "high")
    assert why == {}
    for name in ("frechet_logmel", "kernel_logmel"):
        assert len(values[name]) == 4
        assert values[name].mean() < far[name].mean() / 2
    assert far["coverage_logmel"].mean() < 0.1
    assert values["coverage_logmel"].mean() > 0.2


def test_what_cannot_be_compared_has_a_reason(library: Library) -> None:
    nothing, why = library.distances(clips("low"), "jazz")
    assert nothing == {}
    assert "training songs" in why["frechet_logmel"]
    short = [[METHOD.piece(song("low", 1, 0.6))] for _ in range(4)]
    assert "shorter" in library.distances(short, "low")[1]["kernel_logmel"]
    one = [[METHOD.piece(song("low", 1, 2.5))]]
    assert "clips_per_genre" in library.distances(one, "low")[1]["coverage_logmel"]


def test_a_generation_that_is_a_training_song_is_told_and_noise_is_not(library: Library) -> None:
    copied = 0.001 * np.random.default_rng(0).normal(size=LENGTH).astype(np.float32)
    copied[RATE_HZ : 4 * RATE_HZ] += song("high", 101)[5 * RATE_HZ : 8 * RATE_HZ]
    noise = METHOD.piece(0.1 * np.random.default_rng(1).normal(size=LENGTH).astype(np.float32))
    matches = [library.match(noise), library.match(METHOD.piece(copied))]
    null_s = [duration_s for row in library.held_out_matches("high") for duration_s in row]
    row = longest_copy(matches, null_s, len(library.searched))
    assert row.longest_s == pytest.approx(3.0, abs=0.5)
    assert row.start_s == pytest.approx(1.0, abs=0.4)
    assert (row.song_genre, row.clip, row.songs_searched) == ("high", 2, 6)
    assert (row.held_out_pieces, row.beyond_held_out) == (6, True)
    assert matches[0][0].duration_s == 0
    found = library.detection()
    assert found is not None
    assert found.planted == 2


def test_every_genre_has_equally_many_pieces_whatever_its_songs() -> None:
    kinds = [("low", True)] * 3 + [("low", False)] * 4 + [("high", True)] * 30 + [("high", False)] * 2
    counts = references.shares(kinds, clips=10)
    for part, total in (((0, 3), 20), ((3, 7), 10), ((7, 37), 20), ((37, 39), 10)):
        given = counts[slice(*part)]
        assert sum(given) == total
        assert max(given) - min(given) <= 1
    assert sum(references.shares(kinds, clips=1)[3:7]) == references.FEWEST_PIECES


def test_a_song_s_pieces_are_one_unit_and_what_a_piece_lacks_is_left_out() -> None:
    def piece(value: float) -> Piece:
        return Piece({"tempo": value, "rms": 1.0}, {}, np.zeros(0, np.uint32))

    found = references.sounds([[piece(90.0), piece(110.0)], [piece(math.nan), piece(80.0)], [piece(math.nan)]])
    assert found["tempo"][:2].tolist() == [100.0, 80.0]
    assert np.isnan(found["tempo"][2])
    assert intervals.mean(found["tempo"], "bpm", "songs").n == 2
    assert references.spreads([[piece(90.0), piece(110.0)], [piece(100.0)]])["tempo"] == pytest.approx(10.0)


def test_silence_and_very_short_clips_have_reasons_instead_of_figures() -> None:
    silent = np.zeros(LENGTH, dtype=np.float32)
    found = result.measures(references.sounds([[METHOD.piece(silent)]]), "clips")
    assert found["spectral_centroid"].value is None
    assert found["spectral_centroid"].why
    assert found["silence_share"].value == 1.0
    short = np.random.default_rng(0).normal(size=RATE_HZ // 2).astype(np.float32) * 0.1
    assert result.measures(references.sounds([[METHOD.piece(short)]]), "clips")["rms"].value is not None


def test_pieces_are_spread_and_do_not_overlap() -> None:
    audio = np.arange(100.0)
    assert [piece[0] for piece in references.cut(audio, 30, 6)] == [0, 35, 70]
    assert references.cut(audio, 200, 3) == []
    assert [len(piece) for piece in references.cut(audio, 60, 4)] == [60]
    assert references.spread(10, 4) == [0, 2, 5, 7]
    assert references.spread(3, 10) == [0, 1, 2]


def test_intervals_do_not_leave_what_a_measure_can_be() -> None:
    found = result.bounded("spectral_flatness", Measure(0.99, "", 3, "clips", 0.9, 1.2))
    assert (found.lo, found.hi) == (0.9, 1.0)
    found = result.bounded("frechet_logmel", Measure(2.0, "", 3, "clips", -9.0, 5.0))
    assert (found.lo, found.hi) == (0.0, 5.0)
    for name in ("rms", "kernel_logmel"):
        assert result.bounded(name, Measure(-20.0, "", 3, "clips", -30.0, -10.0)).lo == -30.0
    shares = [entry for entry in catalogue.ENTRIES if entry.percent]
    assert all((entry.least, entry.most) == (0.0, 1.0) for entry in shares)
