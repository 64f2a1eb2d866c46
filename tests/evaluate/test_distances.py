"""Distances between clouds of points whose answer is known."""

import numpy as np
import pytest

from src.evaluate import distances, embedding
from src.evaluate.distances import Cloud, Target

RNG = np.random.default_rng(0)


def songs(
    count: int, windows: int, shift: float = 0.0, spread: float = 1.0, seed: int = 0
) -> tuple[embedding.Points, distances.Units]:
    """Points of songs: each has a place of its own about which its windows lie."""
    rng = np.random.default_rng(seed)
    places = rng.normal(shift, spread, (count, 1, 6))
    points = places + 0.5 * rng.normal(size=(count, windows, 6))
    return points.reshape(-1, 6), np.repeat(np.arange(count), windows)


def target(seed: int = 0) -> Target:
    points, units = songs(10, 8, seed=seed)
    return Target(points, units, distances.principal_axes(points))


def test_two_gaussians_with_a_known_distance() -> None:
    # Diagonal covariances: |shift|² + sum (sqrt a - sqrt b)².
    a = Cloud(np.array([0.0, 0.0, 1.0]), np.diag([1.0, 4.0, 9.0]))
    b = Cloud(np.array([3.0, 4.0, 1.0]), np.diag([4.0, 4.0, 1.0]))
    assert distances.frechet(a, b) == pytest.approx(25 + 1 + 0 + 4)
    assert distances.frechet(a, a) == pytest.approx(0, abs=1e-9)
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    turned = [Cloud(turn @ c.mean, turn @ c.covariance @ turn.T) for c in (a, b)]
    assert distances.frechet(*turned) == pytest.approx(30)  # a rotation of both changes nothing


def test_a_set_is_nearest_to_itself() -> None:
    points, units = songs(10, 8)
    found = {name: values.mean() for name, values in target().compare(points, units).items()}
    assert found["frechet"] == pytest.approx(0, abs=1e-6)
    # Its own points stand at distance 0 of each other only across the sets, so it is nearer than another draw would be.
    assert found["kernel"] < 0
    assert found["coverage"] == 1.0
    assert found["density"] > 1.0


def test_other_songs_of_the_genre_are_at_zero_on_average_by_the_kernel_and_elsewhere_is_far() -> None:
    same, far = [], []
    for trial in range(60):
        reference = target(seed=2 * trial)
        same.append(reference.compare(*songs(10, 8, seed=2 * trial + 1))["kernel"].mean())
        far.append(reference.compare(*songs(10, 8, shift=2.0, seed=2 * trial + 1))["kernel"].mean())
    # Unbiased although the windows of a song are alike: taking every pair would give about 7.
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(len(same))
    assert np.mean(far) > 20
    assert min(far) > max(same)


def test_coverage_tells_one_song_repeated_from_the_genre_and_density_tells_outliers() -> None:
    whole, few, odd = songs(10, 8, seed=1), songs(1, 80, seed=1), songs(10, 8, spread=6.0, seed=1)
    found = {
        name: {measure: values.mean() for measure, values in target().compare(*points).items()}
        for name, points in {"whole": whole, "few": few, "odd": odd}.items()
    }
    assert found["few"]["coverage"] < 0.7 * found["whole"]["coverage"]
    assert found["odd"]["density"] < 0.3 * found["whole"]["density"]
    assert found["whole"]["coverage"] > 0.8


def test_the_interval_is_over_clips_not_over_their_windows() -> None:
    """Many windows of few clips must not feign certainty: the truth is in the interval as often as it says."""
    reference, hits = target(), 0
    draws = [reference.compare(*songs(10, 8, shift=1.0, seed=100 + trial))["kernel"] for trial in range(100)]
    truth = float(np.mean([values.mean() for values in draws]))
    for values in draws:
        half = 2.262 * values.std(ddof=1) / np.sqrt(len(values))
        hits += abs(values.mean() - truth) <= half
    assert hits >= 88


def test_two_embeddings_that_rank_alike_agree() -> None:
    values = np.arange(9.0)
    assert distances.rank_correlation(values, np.exp(values)) == pytest.approx(1.0)
    assert distances.rank_correlation(values, -values) == pytest.approx(-1.0)
    assert distances.rank_correlation(values, np.ones(9)) is None
    assert distances.rank_correlation(values[:2], values[:2]) is None


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_the_embedding_of_a_stationary_sound_is_one_point_and_a_short_clip_has_none(rate_hz: int) -> None:
    noise = RNG.uniform(-0.5, 0.5, 8 * rate_hz)
    points = embedding.log_mel_statistics(noise, rate_hz)
    assert points.shape == (8, 16)
    assert points.std(axis=0).max() < 0.5
    louder = embedding.log_mel_statistics(2 * noise, rate_hz)
    assert (louder - points)[:, 0] == pytest.approx(np.full(8, 20 * np.log10(2)), abs=1e-3)  # coefficient 0: level, dB
    assert np.abs(louder - points)[:, 1:].max() < 1e-3
    assert embedding.log_mel_statistics(noise[: rate_hz - 100], rate_hz).shape == (0, 16)
