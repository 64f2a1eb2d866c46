"""Fréchet distances against Gaussians whose distance is known in closed form."""

import numpy as np
import pytest

from src.evaluate import embedding, frechet
from src.evaluate.frechet import Cloud
from src.evaluate.measure import Measure

RNG = np.random.default_rng(0)


def test_two_gaussians_with_a_known_distance() -> None:
    # Diagonal covariances: |shift|² + sum (sqrt a - sqrt b)².
    a = Cloud(np.array([0.0, 0.0, 1.0]), np.diag([1.0, 4.0, 9.0]))
    b = Cloud(np.array([3.0, 4.0, 1.0]), np.diag([4.0, 4.0, 1.0]))
    assert frechet.between(a, b) == pytest.approx(25 + 1 + 0 + 4)
    assert frechet.between(a, a) == pytest.approx(0, abs=1e-9)
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    turned = [Cloud(turn @ c.mean, turn @ c.covariance @ turn.T) for c in (a, b)]
    assert frechet.between(*turned) == pytest.approx(30)  # a rotation of both changes nothing


@pytest.mark.parametrize("windows", [10, 40])
def test_the_gram_route_equals_the_plain_one(windows: int) -> None:
    reference = Cloud.fit(RNG.normal(size=(200, 16)) @ RNG.normal(size=(16, 16)))
    points = RNG.normal(size=(windows, 16)) * 2 + 1
    chosen = RNG.integers(0, windows, windows - 2)
    expected = frechet.between(reference, Cloud.fit(points[chosen]))
    assert frechet.Distance(reference, points)(chosen) == pytest.approx(expected, rel=1e-6)


def test_extrapolation_takes_the_bias_of_few_windows_away() -> None:
    reference = Cloud(np.zeros(16), np.eye(16))
    truth = 16 * (1.0 + 0.25)  # mean 1 and spread 1.5 in each of 16 dimensions
    plain, better = [], []
    for trial in range(30):
        points = np.random.default_rng(trial).normal(1.0, 1.5, size=(30, 16))
        plain.append(frechet.Distance(reference, points)(np.arange(30)))
        better.append(frechet.extrapolated(reference, points, seed=0).value)
    assert np.mean(plain) > truth + 4
    # Thirty windows in 16 dimensions are few: the line overshoots a little, but by less than half of the bias.
    assert abs(np.mean(np.array(better, dtype=float)) - truth) < (np.mean(plain) - truth) / 2


def test_the_interval_holds_the_truth() -> None:
    reference, hits = Cloud(np.zeros(4), np.eye(4)), 0
    for trial in range(40):
        points = np.random.default_rng(trial).normal(1.0, 1.0, size=(60, 4))
        found = frechet.extrapolated(reference, points, seed=trial)
        assert found.lo is not None
        assert found.hi is not None
        hits += found.lo <= 4.0 <= found.hi
    assert hits >= 35


def test_too_few_windows_have_no_distance_but_a_reason() -> None:
    found = frechet.extrapolated(Cloud(np.zeros(2), np.eye(2)), np.zeros((5, 2)), seed=0)
    assert found == Measure(None, "", 5, "windows", why=found.why)
    assert "too few" in str(found.why)


def test_a_typical_window_is_at_one_and_an_outlier_far_off() -> None:
    points = RNG.normal(size=(500, 16)) @ RNG.normal(size=(16, 16))
    cloud = Cloud.fit(points)
    own = frechet.typical_distance(cloud, points)
    assert np.sqrt(np.mean(own**2)) == pytest.approx(1, abs=0.15)
    assert frechet.typical_distance(cloud, points[:1] + 20)[0] > 4 * own.max()


def test_the_embedding_of_a_stationary_sound_is_one_point_and_a_short_clip_has_none() -> None:
    noise = RNG.uniform(-0.5, 0.5, 8 * 16000)
    points = embedding.log_mel_statistics(noise, 16000)
    assert points.shape == (29, 16)
    assert points.std(axis=0).max() < 0.5
    louder = embedding.log_mel_statistics(2 * noise, 16000)
    assert (louder - points)[:, 0] == pytest.approx(np.full(29, 20 * np.log10(2)), abs=1e-3)  # coefficient 0: level, dB
    assert np.abs(louder - points)[:, 1:].max() < 1e-3
    assert embedding.log_mel_statistics(noise[:15000], 16000).shape == (0, 16)


def test_song_windows_do_not_overlap() -> None:
    noise = RNG.uniform(-0.5, 0.5, 8 * 16000)
    assert len(embedding.log_mel_statistics(noise, 16000, embedding.WINDOW_S)) == 8
