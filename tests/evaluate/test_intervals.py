"""Intervals must hold the truth as often as they say, and must not exist where nothing supports them."""

import math

import numpy as np
import pytest

from src.evaluate import intervals
from src.evaluate.measure import Measure, wilson


def coverage(n: int, trials: int = 400) -> float:
    rng = np.random.default_rng(n)
    hits = 0
    for trial in range(trials):
        found = intervals.mean(rng.normal(3.0, 1.0, n), "bits", "songs", seed=trial)
        assert found.lo is not None
        assert found.hi is not None
        hits += found.lo <= 3.0 <= found.hi
    return hits / trials


@pytest.mark.parametrize("n", [2, 4, 8, 20])
def test_the_interval_of_a_mean_holds_the_truth_95_times_in_100(n: int) -> None:
    assert 0.92 <= coverage(n) <= 0.98


def test_one_unit_has_no_interval_and_none_has_no_value() -> None:
    one = intervals.mean([2.5], "bits", "songs")
    assert (one.value, one.lo, one.hi, one.n) == (2.5, None, None, 1)
    none = intervals.mean([], "bits", "songs")
    assert none.value is None
    assert none.why


def test_weights_are_sizes() -> None:
    assert intervals.mean([1.0, 4.0], "bits", "songs", weights=[3, 1]).value == pytest.approx(1.75)
    # A weight is a size, not a number of repeats: it must not make the interval narrower.
    assert intervals.mean([1.0, 4.0], "bits", "songs", weights=[8, 8]) == intervals.mean([1.0, 4.0], "bits", "songs")


def test_the_same_values_give_the_same_interval() -> None:
    values = np.random.default_rng(1).normal(size=30)
    assert intervals.mean(values, "bits", "songs") == intervals.mean(values, "bits", "songs")


def test_wilson_against_published_values() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81/263, 15/148, 0/20.
    for hits, n, lo, hi in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]:
        found = wilson(hits, n, "songs")
        assert found.lo == pytest.approx(lo, abs=1e-4)
        assert found.hi == pytest.approx(hi, abs=1e-4)
    assert wilson(5, 5, "songs").hi == 1.0


def test_the_spread_of_windows_gives_the_interval_of_the_whole() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        windows = rng.normal(0.0, 1.0, 8)
        found = intervals.whole_with_windows(float(windows.mean()), windows, "dB")
        assert found.lo is not None
        assert found.hi is not None
        hits += found.lo <= 0 <= found.hi
    assert 0.92 <= hits / 300 <= 0.98
    assert intervals.whole_with_windows(1.0, [1.0, math.nan, math.nan], "dB").lo is None
    assert intervals.whole_with_windows(math.nan, [1.0, 2.0, 3.0], "dB").value is None


def test_a_difference_needs_both_intervals_and_joins_them() -> None:
    before, after = Measure(5.0, "bits", 9, "songs", 4.0, 6.0), Measure(2.0, "bits", 9, "songs", 1.5, 2.5)
    change, lo, hi = intervals.difference(before, after) or pytest.fail("no difference")
    assert change == -3.0
    assert lo == pytest.approx(-3 - math.hypot(1, 0.5))
    assert hi == pytest.approx(-3 + math.hypot(1, 0.5))
    assert intervals.difference(before, Measure(2.0, "bits", 1, "songs")) is None


def test_json_has_null_for_what_is_not_finite_and_six_digits_otherwise() -> None:
    assert Measure(math.nan, "dB", 0, "windows", why="silent").to_json()["value"] is None
    found = Measure(1.23456789, "dB", 3, "windows", 1.0, 2.0).to_json()
    assert found == {"value": 1.23457, "lo": 1.0, "hi": 2.0, "n": 3, "over": "windows", "unit": "dB"}
