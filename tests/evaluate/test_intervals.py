"""Intervals hold the truth as often as they say, verdicts err as seldom as they say, and both agree."""

import math
from typing import Any

import numpy as np
import pytest

from src.evaluate import intervals
from src.evaluate.intervals import Effect
from src.evaluate.measure import Measure, Over, wilson
from src.evaluate.schema import ALL, Verdict


def held(effects: list[Effect], truth: float) -> float:
    """Share of the intervals that hold the truth."""
    measures = [effect.measure() for effect in effects]
    return float(np.mean([m.lo is not None and m.hi is not None and m.lo <= truth <= m.hi for m in measures]))


@pytest.mark.parametrize("n", [3, 4, 8, 20])
def test_the_interval_of_a_mean_holds_the_truth_95_times_in_100(n: int) -> None:
    rows = np.random.default_rng(n).normal(3.0, 1.0, (1000, n))
    assert held([intervals.mean(row, "bits", "songs") for row in rows], 3.0) == pytest.approx(0.95, abs=0.02)


def test_so_does_that_of_a_difference_between_groups_of_unlike_size_and_spread() -> None:
    rng = np.random.default_rng(1)
    effects = [
        intervals.contrast([(1, rng.normal(2.0, 3.0, 4)), (-1, rng.normal(0.0, 1.0, 10))], "dB", "clips")
        for _ in range(1000)
    ]
    assert held(effects, 2.0) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_units_have_a_value_and_nothing_else(n: int) -> None:
    found = intervals.mean([2.5] * n, "bits", "songs")
    assert found.measure() == Measure(2.5, "bits", n, "songs")
    assert found.p is None
    assert intervals.verdicts([found], 1) == ["too few"]
    assert intervals.mean([], "bits", "songs").measure().why


def test_an_interval_that_touches_zero_has_a_p_value_of_five_percent() -> None:
    for freedom in (2.0, 4.0, 30.0):
        unit = Effect(1.0, 9, "songs", "", 1.0, freedom).measure()
        assert unit.hi is not None
        touching = Effect(unit.hi - 1.0, 9, "songs", "", 1.0, freedom)
        assert touching.measure().lo == pytest.approx(0, abs=1e-9)
        assert touching.p == pytest.approx(0.05, abs=1e-9)
    assert Effect(0.0, 9, "songs", "", 0.0).p == 1.0
    assert Effect(1.0, 9, "songs", "", 0.0).p == 0.0


@pytest.mark.parametrize("n", [3, 4, 6, 10])
@pytest.mark.parametrize("genres", [1, 5, 60])
def test_where_nothing_differs_a_family_errs_in_no_more_than_five_studies_of_a_hundred(n: int, genres: int) -> None:
    """The songs of a genre share some of their luck, and a few of them are far out, as real ones are."""
    rng, studies, wrong = np.random.default_rng([n, genres]), 400, 0
    for _ in range(studies):
        shared = rng.standard_t(4, n)
        family = [intervals.mean(rng.standard_t(4, n) + shared, "bits", "songs") for _ in range(genres)]
        wrong += any(verdict in ("better", "worse") for verdict in intervals.verdicts(family, -1))
    assert wrong / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


@pytest.mark.parametrize("genres", [3, 5])
def test_the_verdict_over_all_errs_only_where_one_of_a_genre_does(genres: int) -> None:
    rng, studies, wrong = np.random.default_rng(genres), 400, 0
    for _ in range(studies):
        family = [intervals.mean(rng.standard_t(4, 4), "bits", "songs") for _ in range(genres)]
        whole, *each = intervals.verdicts(
            [intervals.mean([e.value or 0.0 for e in family], "bits", "genres"), *family], -1
        )
        said = intervals.over_all(whole, each, "genres")
        clear = {"better", "worse"}
        assert said == whole or not clear & {said} or clear & {*each}
        wrong += bool(clear & {said, *each})
    assert wrong / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


@pytest.mark.parametrize(
    ("whole", "genres", "over", "said"),
    [
        ("unclear", "better better better", "genres", "better"),
        ("too few", "worse worse", "genres", "worse"),
        ("unclear", "better better", "songs", "better"),
        ("unclear", "better better worse", "genres", "too few"),
        ("unclear", "better unclear unclear unclear", "genres", "too few"),
        ("unclear", "better unclear unclear unclear unclear", "genres", "unclear"),
        ("unclear", "better unclear unclear", "songs", "unclear"),
        ("better", "unclear unclear unclear", "genres", "better"),
        ("better", "too few", "genres", "better"),
        ("too few", "better", "genres", "too few"),
    ],
)
def test_what_is_clear_in_every_genre_is_clear_over_all(whole: Verdict, genres: str, over: Over, said: Verdict) -> None:
    each: list[Any] = [genres] if genres == "too few" else genres.split()
    assert intervals.over_all(whole, each, over) == said


def test_bits_of_all_songs_follow_the_genres() -> None:
    rows = {"rock": np.array([-0.010, -0.0101, -0.0099]), "hip": np.array([-3.0, -3.1, -2.9])}
    assert intervals.verdicts([intervals.paired(np.concatenate([*rows.values()]), "bits")], -1) == ["unclear"]
    found = intervals.differences(rows | {ALL: np.concatenate([*rows.values()])}, -1, "bits")
    assert {row.verdict for row in found.values()} == {"better"}


def test_one_test_alone_errs_in_five_of_a_hundred_and_finds_what_is_there() -> None:
    rng = np.random.default_rng(0)
    said = [intervals.verdicts([intervals.mean(rng.normal(0, 1, 4), "", "songs")], 1)[0] for _ in range(2000)]
    assert np.mean([verdict != "unclear" for verdict in said]) == pytest.approx(0.05, abs=0.015)
    there = [intervals.mean(rng.normal(-1.0, 0.2, 4), "bits", "songs") for _ in range(6)]
    assert intervals.verdicts(there, -1) == ["better"] * 6
    assert intervals.verdicts(there, 1) == ["worse"] * 6


def test_holm_by_hand() -> None:
    assert intervals.holm([0.04, 0.01, 0.03]) == [False, True, False]
    assert intervals.holm([0.01, 0.02, 0.04]) == [True, True, True]
    assert intervals.holm([]) == []


def test_the_jackknife_of_a_mean_is_the_units_themselves_and_clones_of_points_change_nothing() -> None:
    x, units = np.random.default_rng(2).normal(size=12), np.repeat(np.arange(4), 3)
    found = intervals.jackknife(lambda mask: float(x[mask].mean()), units)
    assert found == pytest.approx(x.reshape(4, 3).mean(axis=1))
    twice = np.concatenate([x, x]), np.concatenate([units, units])
    assert intervals.jackknife(lambda mask: float(twice[0][mask].mean()), twice[1]) == pytest.approx(found)


def test_paired_differences_are_judged_song_by_song() -> None:
    easy_and_hard = np.array([1.0, 3.0, 5.0, 7.0])  # songs differ far more than the networks do
    network = easy_and_hard - [0.1, 0.12, 0.09, 0.11]
    rows = intervals.differences({"rock": network - easy_and_hard, "hip": np.array([-0.1])}, -1, "bits")
    assert rows["rock"].verdict == "better"
    assert (rows["rock"].favourable, rows["rock"].difference.n, rows["rock"].difference.over) == (4, 4, "songs")
    assert (rows["hip"].verdict, rows["hip"].difference.lo) == ("too few", None)


def test_wilson_against_published_values() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81/263, 15/148, 0/20.
    for hits, n, lo, hi in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]:
        found = wilson(hits, n, "songs")
        assert found.lo == pytest.approx(lo, abs=1e-4)
        assert found.hi == pytest.approx(hi, abs=1e-4)
    assert wilson(5, 5, "songs").hi == 1.0


def test_json_has_null_for_what_is_not_finite_and_six_digits_otherwise() -> None:
    assert Measure(math.nan, "dB", 0, "clips", why="silent").to_json()["value"] is None
    found = Measure(1.23456789, "dB", 3, "clips", 1.0, 2.0).to_json()
    assert found == {"value": 1.23457, "lo": 1.0, "hi": 2.0, "n": 3, "over": "clips", "unit": "dB"}
