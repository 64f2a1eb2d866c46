"""Sentences must follow the intervals, and claim nothing that noise alone would give."""

import numpy as np
import pytest

from src.evaluate import intervals, progress
from src.evaluate.measure import Measure
from src.evaluate.progress import ALL


def m(value: float, half: float | None, unit: str = "bits") -> Measure:
    return Measure(value, unit, 9, "songs", *((None, None) if half is None else (value - half, value + half)))


def table(first: dict[str, Measure], last: dict[str, Measure], genre: str = "rock") -> progress.Table:
    return {20: {genre: first}, 15000: {genre: last}}


def test_a_clear_fall_an_unclear_one_and_one_without_interval() -> None:
    found = progress.changes(
        table(
            {"bits_per_sample": m(7.9, 0.1), "rms": m(-11, 3), "tempo": m(100, None)},
            {"bits_per_sample": m(3.1, 0.2), "rms": m(-12, 3), "tempo": m(120, None)},
        ),
        20,
        15000,
        {},
    )
    assert {change.measure: change.verdict for change in found} == {
        "bits_per_sample": "fell",
        "rms": "no evidence",
        "tempo": "unknown",
    }
    assert found[0].change.value == pytest.approx(-4.8)


def test_noise_alone_gives_a_verdict_in_few_studies_of_a_hundred() -> None:
    wrong = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        names = ("rms", "spectral_flatness", "onset_rate", "tonal_clarity", "code_entropy")
        rows = [
            {g: {n: intervals.mean(rng.normal(size=7), "", "windows") for n in names} for g in ("a", "b", "c", "d")}
            for _ in range(2)
        ]
        found = progress.changes({20: rows[0], 15000: rows[1]}, 20, 15000, {})
        assert len(found) == 20
        wrong += any(change.verdict in ("fell", "rose") for change in found)
    assert wrong / 100 <= 0.1


def test_holm_by_hand() -> None:
    assert progress.holm([0.04, 0.01, 0.03]) == [False, True, False]
    assert progress.holm([0.01, 0.02, 0.04]) == [True, True, True]
    assert progress.holm([]) == []


def test_p_value_of_an_interval_that_just_touches_zero_is_five_percent() -> None:
    assert progress.p_value(Measure(1.0, "", 9, "songs", 0.0, 2.0)) == pytest.approx(0.05, abs=1e-4)
    assert progress.p_value(Measure(-1.0, "", 9, "songs", -3.0, 0.0)) == pytest.approx(0.05, abs=1e-4)
    assert progress.p_value(Measure(0.0, "", 9, "songs", 0.0, 0.0)) == 1.0
    assert progress.p_value(Measure(1.0, "", 1, "songs")) is None


def test_nearer_to_real_only_where_the_intervals_decide() -> None:
    goal = m(0.2, 0.05)
    assert progress.nearer(m(0.99, 0.01), m(0.3, 0.02), goal) is True
    assert progress.nearer(m(0.3, 0.01), m(0.99, 0.02), goal) is False
    assert progress.nearer(m(0.4, 0.01), m(0.06, 0.01), goal) is None  # the middle is 0.23: too near to say
    assert progress.nearer(m(0.9, 0.01), m(0.1, 0.01), goal) is True  # beyond the goal, and still nearer
    assert progress.nearer(m(0.9, 0.01), m(0.1, None), goal) is None
    assert progress.nearer(m(0.9, 0.01), m(0.1, 0.01), None) is None


def test_the_trend_is_a_slope_per_tenfold_step_with_the_measures_own_uncertainty() -> None:
    steps = (10, 100, 1000, 10000)
    by_step = {step: {"rock": {"rms": m(-20.0 + 2 * k, 0.5, "dBFS")}} for k, step in enumerate(steps)}
    found = progress.trend(by_step, "rock", "rms")
    assert found.value == pytest.approx(2.0)
    assert found.hi is not None
    assert found.hi - 2.0 == pytest.approx(0.5 / np.sqrt(5), rel=1e-6)
    assert (found.n, found.unit) == (4, "dB per tenfold step")
    assert progress.trend({10: by_step[10]}, "rock", "rms").value is None


def test_sentences_say_what_changed_where_and_what_did_not() -> None:
    genres = ("metal", "rock")
    rows = {
        step: {g: {"bits_per_sample": m(7.9 if step == 20 else 3.1, 0.1)} for g in genres} for step in (20, 5020, 15000)
    }
    for step, accuracy in ((20, 0.21), (5020, 0.6), (15000, 0.64)):
        rows[step][ALL] = {"genre_accuracy": m(accuracy, 0.1, "share")}
    first, late = progress.changes(rows, 20, 15000, {}), progress.changes(rows, 5020, 15000, {})
    text = progress.sentences(rows, first, late)
    assert text[0] == (
        "Held-out bits per sample fell in all 2 genres (metal 7.90 to 3.10 bits, rock 7.90 to 3.10 bits) "
        "between step 20 and step 15000."
    )
    assert text[1] == "Genre accuracy rose (21 % to 64 %) between step 20 and step 15000."
    assert text[2] == "By none of 1 measures is there evidence that metal changed after step 5020."
    still = {20: {"rock": {"rms": m(-11, 3)}}, 15000: {"rock": {"rms": m(-12, 3)}}}
    assert progress.sentences(still, progress.changes(still, 20, 15000, {}), []) == [
        "Level (RMS): no change between step 20 and step 15000 that its intervals support."
    ]


def test_a_paired_change_is_used_instead_of_two_wide_intervals() -> None:
    rows = table({"bits_per_sample": m(4.0, 2.0)}, {"bits_per_sample": m(3.0, 2.0)})
    assert progress.changes(rows, 20, 15000, {})[0].verdict == "no evidence"
    paired = {("bits_per_sample", "rock"): m(-1.0, 0.1)}
    assert progress.changes(rows, 20, 15000, {}, paired)[0].verdict == "fell"
