"""A small library of tones: references must stand in their order, and a planted copy must be told."""

import numpy as np
import pytest

from src.evaluate import pieces, references, result
from src.evaluate.measure import Measure
from src.evaluate.spectra import Audio
from src.wavenet import mulaw

RATE_HZ = 16000
LENGTH = 5 * RATE_HZ


def song(genre: str, seed: int, seconds: float = 12.0) -> Audio:
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


METHOD = pieces.Method(RATE_HZ, mulaw.encode)


@pytest.fixture(scope="module")
def heard() -> tuple[references.ReferenceSongs, dict[str, dict[str, dict[str, Measure]]]]:
    collector = references.Collector(METHOD, LENGTH, most=40)
    for genre, first in (("low", 0), ("high", 100)):
        for number in range(4):
            training = number < 3
            wanted = collector.claim(genre, training=training)
            described = collector.describe(song(genre, first + number), genre, training=training, wanted=wanted)
            collector.add(*described, training=training)
    return collector.finish()


def value(measures: dict[str, Measure], name: str) -> float:
    found = measures[name].value
    assert found is not None
    return found


def test_references_stand_between_ceiling_and_floor(
    heard: tuple[references.ReferenceSongs, dict[str, dict[str, dict[str, Measure]]]],
) -> None:
    songs, measured = heard
    noise = [METHOD.piece(audio) for audio in pieces.white_noise(LENGTH, mulaw.decode, 256)]
    floor = references.noise_reference(noise, ("low", "high"), songs, METHOD)
    for genre in ("low", "high"):
        for name in ("frechet_logmel", "distance_logmel"):
            ladder = [value(measured[which][genre], name) for which in ("real", "other_genres")]
            assert ladder[0] < ladder[1]
            assert ladder[0] < value(measured["shuffled"][genre], name)
            assert ladder[0] < value(floor[genre], name)
        assert measured["shuffled"][genre]["spectral_flatness"].value == pytest.approx(0.99, abs=0.02)
        real = measured["real"][genre]
        assert value(real, "code_entropy") == pytest.approx(value(measured["shuffled"][genre], "code_entropy"), abs=0.1)
        assert real["rms"].over == "windows"  # one held-out song: its pieces are all there is
        assert measured["training"][genre]["rms"].over == "songs"


def test_a_generation_that_is_a_training_song_is_told_and_noise_is_not(
    heard: tuple[references.ReferenceSongs, dict[str, dict[str, dict[str, Measure]]]],
) -> None:
    songs, _ = heard
    copied = 0.001 * np.random.default_rng(0).normal(size=LENGTH).astype(np.float32)
    copied[RATE_HZ : 4 * RATE_HZ] += song("high", 101)[5 * RATE_HZ : 8 * RATE_HZ]
    row = references.longest_copy([METHOD.piece(copied)], songs)
    assert row.longest_s == pytest.approx(3.0, abs=0.5)
    assert row.start_s == pytest.approx(1.0, abs=0.4)
    assert row.song_genre == "high"
    assert row.held_out_as_long == 0.0
    assert row.songs_searched == 6
    noise = METHOD.piece(0.1 * np.random.default_rng(1).normal(size=LENGTH).astype(np.float32))
    assert references.longest_copy([noise], songs).longest_s == 0


def test_a_generation_has_every_measure_with_an_interval_where_its_parts_allow(
    heard: tuple[references.ReferenceSongs, dict[str, dict[str, dict[str, Measure]]]],
) -> None:
    songs, _ = heard
    audio = song("low", 77, 5.0)
    found, _ = references.generation([audio], [METHOD.piece(audio)], "low", songs, METHOD)
    assert {"rms", "frechet_logmel", "distance_logmel", "longest_match", "drift_level"} <= found.keys()
    assert found["rms"].lo is not None
    assert found["drift_level"].lo is None
    assert value(found, "distance_logmel") < 2
    far, _ = references.generation([audio], [METHOD.piece(audio)], "high", songs, METHOD)
    assert value(far, "distance_logmel") > 2 * value(found, "distance_logmel")
    unknown, _ = references.generation([audio], [METHOD.piece(audio)], "jazz", songs, METHOD)
    assert unknown["frechet_logmel"].value is None
    assert "No training song" in str(unknown["frechet_logmel"].why)
    alone, copied = references.generation([audio], [METHOD.piece(audio)], "low", None, METHOD)
    assert "frechet_logmel" not in alone
    assert copied is None


def test_silence_and_very_short_clips_have_reasons_instead_of_figures() -> None:
    silent = np.zeros(LENGTH, dtype=np.float32)
    found, _ = references.generation([silent], [METHOD.piece(silent)], "low", None, METHOD)
    assert found["spectral_centroid"].value is None
    assert found["spectral_centroid"].why
    assert found["silence_share"].value == 1.0
    short = np.random.default_rng(0).normal(size=RATE_HZ // 2).astype(np.float32) * 0.1
    measured, _ = references.generation([short], [METHOD.piece(short)], "low", None, METHOD)
    assert measured["rms"].value is not None


def test_pieces_are_spread_and_do_not_overlap() -> None:
    audio = np.arange(100.0)
    assert [piece[0] for piece in pieces.cut(audio, 30, 6)] == [0, 35, 70]
    assert pieces.cut(audio, 200, 3) == []
    assert [len(piece) for piece in pieces.cut(audio, 60, 4)] == [60]


def test_intervals_do_not_leave_what_a_measure_can_be() -> None:
    found = result.bounded("spectral_flatness", Measure(0.99, "", 3, "windows", 0.9, 1.2))
    assert (found.lo, found.hi) == (0.9, 1.0)
    found = result.bounded("frechet_logmel", Measure(-2.0, "", 3, "windows", -9.0, 5.0))
    assert (found.lo, found.hi) == (-2.0, 5.0)
    found = result.bounded("rms", Measure(-20.0, "dBFS", 3, "windows", -30.0, -10.0))
    assert found.lo == -30.0


def test_pieces_are_measured_of_so_many_songs_and_no_more() -> None:
    collector = references.Collector(METHOD, LENGTH, most=1)
    assert [collector.claim("low", training=True) for _ in range(2)] == [True, False]
    assert collector.claim("low", training=False)
    assert collector.claim("high", training=True)
    unwanted, mixed = collector.describe(song("low", 1), "low", training=False, wanted=False)
    assert (unwanted.pieces, mixed) == ((), [])
    assert len(unwanted.points["logmel"]) == 12
