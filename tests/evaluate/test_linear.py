"""The linear predictor against sources whose entropy is known."""

import numpy as np
import pytest

from src.evaluate import linear
from src.evaluate.likelihood import Codes, Window
from src.wavenet import mulaw

CONTEXT = 1025
WINDOWS = (Window(2000, 4000), Window(12_000, 4000))


def bits(audio: np.ndarray, context: int = CONTEXT) -> float:
    return linear.mean_bits(mulaw.encode(audio), WINDOWS, context)


def entropy_of_noise(deviation: float) -> float:
    """Of the codes of Gaussian noise, by counting a million of them."""
    share = np.bincount(mulaw.encode(np.random.default_rng(9).normal(0, deviation, 1_000_000)), minlength=256) / 1e6
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


@pytest.mark.parametrize("deviation", [0.01, 0.1, 0.3])
def test_white_noise_costs_its_entropy_and_a_little_for_learning_its_size(deviation: float) -> None:
    noise = np.random.default_rng(0).normal(0, deviation, 20_000).clip(-1, 1)
    assert entropy_of_noise(deviation) < bits(noise) < entropy_of_noise(deviation) + 0.25


def test_noise_of_evenly_drawn_codes_costs_about_eight_bits() -> None:
    codes = np.random.default_rng(0).integers(0, 256, 20_000)
    assert 8.0 <= linear.mean_bits(codes, WINDOWS, CONTEXT) < 8.6


def test_silence_and_a_sine_cost_nearly_nothing() -> None:
    time_s = np.arange(20_000) / 8000
    assert bits(np.zeros(20_000)) < 0.1
    # The codes' own rounding cannot be foretold: at half scale it is a step in 130 values.
    assert bits(0.5 * np.sin(2 * np.pi * 440 * time_s)) < 1.5
    assert bits(0.5 * np.sin(2 * np.pi * 440 * time_s)) < entropy_of_noise(0.35) - 5


def test_coloured_noise_costs_what_its_innovation_costs() -> None:
    """A resonance driven by noise: who predicts it pays for the noise alone, though the sound is 20 dB louder."""
    rng = np.random.default_rng(1)
    x, drive = np.zeros(20_000), rng.normal(0, 0.02, 20_000)
    for t in range(2, len(x)):
        x[t] = 1.8 * x[t - 1] - 0.95 * x[t - 2] + drive[t]
    assert x.std() > 8 * 0.02
    assert bits(x) < entropy_of_noise(float(x.std())) - 2


def test_only_the_past_within_the_context_counts() -> None:
    rng = np.random.default_rng(2)
    codes: Codes = rng.integers(100, 156, 20_000)
    changed = codes.copy()
    changed[: 12_000 - CONTEXT] = rng.integers(0, 256, 12_000 - CONTEXT)
    changed[16_000:] = 0
    last = (Window(12_000, 4000),)
    assert linear.mean_bits(codes, last, CONTEXT) == linear.mean_bits(changed, last, CONTEXT)
    changed[11_999] = 255
    assert linear.mean_bits(codes, last, CONTEXT) != linear.mean_bits(changed, last, CONTEXT)


def test_the_probabilities_of_all_codes_are_one() -> None:
    """Whatever code comes next, its cost is -log2 of a share; the shares of all 256 make one."""
    codes = mulaw.encode(np.random.default_rng(3).normal(0, 0.1, 3000))
    shares = []
    for code in range(256):
        codes[2000] = code
        shares.append(2 ** -linear.mean_bits(codes, (Window(2000, 1),), CONTEXT))
    assert sum(shares) == pytest.approx(1.0, abs=1e-6)
    assert min(shares) > 1e-6


def test_the_cells_of_the_codes_are_those_of_the_encoder() -> None:
    levels, edges = linear.scale(256)
    assert levels == pytest.approx(mulaw.decode(np.arange(256)), abs=1e-7)
    inner = edges[1:-1]
    assert (mulaw.encode(inner + 1e-6) - mulaw.encode(inner - 1e-6)).tolist() == [1] * 255


def test_a_start_without_past_and_a_network_that_looks_back_three_samples() -> None:
    codes = mulaw.encode(np.random.default_rng(4).normal(0, 0.1, 1000))
    assert 0 < linear.mean_bits(codes, (Window(0, 500),), 3) < 12
