"""Running medians, restart marks, the loss at a step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.compare import curves
from src.record.journal import Attempt, Step, View


def view(losses: list[float], attempts: list[tuple[int, int, bool, int]] | None = None) -> View:
    """losses of steps 1, 2 …; attempts as (number, time in s, automatic, first step)."""
    attempts = attempts or [(1, 0, False, 1)]
    steps = {}
    for step, loss in enumerate(losses, start=1):
        number = max(number for number, _, _, first in attempts if first <= step)
        steps[step] = Step(step, loss, 0.5, 0, number)
    return View(
        attempts={
            number: Attempt(number, time * 1000, first - 1, automatic, {})
            for number, time, automatic, first in attempts
        },
        steps=steps,
    )


def test_the_median_ignores_what_lies_far_off() -> None:
    losses = [2.0] * 1000
    for place in range(0, 1000, 10):
        losses[place] = 100.0
    band = curves.loss_curve(view(losses))
    assert band is not None
    assert np.all(band.median == 2.0)


def test_the_band_holds_the_middle_of_known_noise() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 15_000)
    band = curves.running(np.arange(1, 15_001), values)
    middle = slice(30, -30)
    assert band.low[middle].mean() == pytest.approx(0.1, abs=0.02)
    assert band.median[middle].mean() == pytest.approx(0.5, abs=0.02)
    assert band.high[middle].mean() == pytest.approx(0.9, abs=0.02)
    assert len(band.steps) <= curves.POINTS


def test_a_steep_beginning_is_not_smoothed_away() -> None:
    steps = np.arange(1, 15_001)
    band = curves.running(steps, 1 + 4 * np.exp(-steps / 60))
    assert band.median[0] > 4.5


@given(st.lists(st.floats(0, 10), min_size=1, max_size=400))
def test_any_run_has_a_curve_in_order(losses: list[float]) -> None:
    band = curves.loss_curve(view(losses))
    assert band is not None
    assert np.all(band.low <= band.median)
    assert np.all(band.median <= band.high)
    assert np.all(np.diff(band.steps) > 0)
    assert (band.steps[0], band.steps[-1]) == (1, len(losses))


def test_nothing_logged_gives_no_curve() -> None:
    assert curves.loss_curve(View()) is None
    assert curves.seconds_curve(View()) is None
    assert View().median_loss(20) is None


def test_steps_without_seconds_are_left_out() -> None:
    one = view([1.0, 2.0])
    one.steps[1] = Step(1, 1.0, None, 0, 1)
    band = curves.seconds_curve(one)
    assert band is not None
    assert band.steps.tolist() == [2.0]


def test_the_loss_at_a_step_is_the_median_of_the_last_200() -> None:
    assert view([float(step) for step in range(1, 1001)]).median_loss(1000) == 900.5
    assert view([3.0, 1.0, 2.0]).median_loss(3) == 2.0


def test_every_attempt_but_the_first_is_a_restart_where_the_one_before_ended() -> None:
    attempts = [(1, 0, False, 1), (2, 100, False, 11), (3, 200, True, 21), (4, 210, True, 21), (5, 220, True, 21)]
    marks = curves.restarts(view([1.0] * 30, attempts))
    assert [(mark.step, mark.automatic) for mark in marks] == [(10, False), (20, True), (20, True), (20, True)]


def test_a_first_attempt_is_no_restart() -> None:
    assert curves.restarts(view([1.0])) == []
