"""Baselines and windows against sources whose entropy is known."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.evaluate import likelihood


def chain(length: int, seed: int = 0) -> likelihood.Codes:
    """A first-order source over 4 of 256 codes: the next is the same plus 0 or 1 (mod 4), so one bit a sample."""
    steps = np.random.default_rng(seed).integers(0, 2, length)
    return np.cumsum(steps) % 4 + 100


def test_markov_finds_the_bit_of_a_first_order_source_and_the_unigram_does_not() -> None:
    train, test = chain(200_000), chain(50_000, seed=1)
    counts = likelihood.count_pairs(train)
    assert likelihood.markov_bits(counts)[test[:-1], test[1:]].mean() == pytest.approx(1.0, abs=0.01)
    assert likelihood.unigram_bits(counts)[test].mean() == pytest.approx(2.0, abs=0.01)


def test_models_are_distributions_and_an_unseen_pair_costs_a_finite_number_of_bits() -> None:
    bits = likelihood.markov_bits(likelihood.count_pairs(chain(1000)))
    assert np.exp2(-bits).sum(axis=1) == pytest.approx(np.ones(256))
    assert bits[0, 0] == pytest.approx(8.0)  # a code never seen: all 256 are alike
    assert np.isfinite(bits).all()


def test_small_codes_do_not_overflow() -> None:
    codes = np.array([255, 255, 0, 255], dtype=np.uint8)
    counts = likelihood.count_pairs(codes)
    assert counts[255, 255] == counts[255, 0] == counts[0, 255] == 1
    assert counts.sum() == 3


def test_uniform_logits_cost_eight_bits_and_certain_ones_none() -> None:
    targets = torch.tensor([[3, 250]])
    assert likelihood.target_bits(torch.zeros(1, 2, 256), targets).tolist() == [[pytest.approx(8.0)] * 2]
    sure = torch.nn.functional.one_hot(targets, 256) * 1000.0
    assert likelihood.target_bits(sure, targets).abs().max() < 1e-6


@given(frames=st.integers(0, 5000), context=st.integers(1, 600), total=st.integers(1, 3000), length=st.integers(1, 700))
def test_windows_lie_in_the_clip_behind_their_context_and_never_overlap_by_accident(
    frames: int, context: int, total: int, length: int
) -> None:
    windows = likelihood.spread_windows(frames, context, total, length)
    assert all(context <= w.start and w.start + w.length <= frames and w.length >= 1 for w in windows)
    assert bool(windows) == (frames > context)
    starts = [w.start for w in windows]
    assert starts == sorted(starts)
    if frames - context <= total:
        assert sum(w.length for w in windows) == max(0, frames - context)
    elif frames - context >= total + 2 * length:
        assert all(b - a >= length for a, b in itertools.pairwise(starts))
        assert len(windows) == 1 or (starts[0] == context and starts[-1] + length == frames)


def test_context_ranges_cover_the_receptive_field_once() -> None:
    edges = likelihood.position_edges(1025)
    assert [n for low, high in edges for n in range(low, high + 1)] == list(range(1, 1026))
    assert len(edges) == math.floor(math.log2(1025)) + 1
