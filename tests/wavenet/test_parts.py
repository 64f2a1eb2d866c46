"""Initial weights, batches, lanes: the small functions the rest stands on."""

import hashlib

import numba
import numpy as np
import pytest
import torch

from src.base.errors import Problem
from src.wavenet import batches, network
from src.wavenet.cpu.lanes import Index, Memory, exp, in_lanes, sigmoid, tanh
from src.wavenet.network import WaveNetConfig
from tests.wavenet.examples import tiny_network

SMALL = WaveNetConfig(
    dilations=[1, 2],
    residual_channels=6,
    dilation_channels=5,
    skip_channels=7,
    quantization_channels=16,
    global_condition_channels=4,
    global_condition_cardinality=3,
)


@in_lanes
def _exp(source: Memory, at: Index, out: Memory) -> None:
    out.store(at, exp(source.load(at)))


@in_lanes
def _tanh(source: Memory, at: Index, out: Memory) -> None:
    out.store(at, tanh(source.load(at)))


@in_lanes
def _sigmoid(source: Memory, at: Index, out: Memory) -> None:
    out.store(at, sigmoid(source.load(at)))


@numba.njit
def _apply(function, source, out):  # type: ignore[no-untyped-def]
    for at in range(0, source.size, 16):
        if function == 0:
            _exp(source, at, out)
        elif function == 1:
            _tanh(source, at, out)
        else:
            _sigmoid(source, at, out)


def test_exp_tanh_and_sigmoid_are_accurate_and_keep_nan() -> None:
    x = np.concatenate([np.linspace(-30, 30, 4000), np.logspace(-8, 1, 96)]).astype(np.float32)
    out = np.empty_like(x)
    exact = x.astype(np.float64)
    for number, expected in ((0, np.exp(exact)), (1, np.tanh(exact)), (2, 1 / (1 + np.exp(-exact)))):
        _apply(number, x, out)
        np.testing.assert_allclose(out, expected, rtol=4e-7)
    odd = np.array([np.nan, np.inf, -np.inf, 0.0] * 4, np.float32)
    result = np.empty_like(odd)
    _apply(1, odd, result)
    np.testing.assert_array_equal(result, np.array([np.nan, 1, -1, 0] * 4, np.float32))


def test_bfloat16_is_rounded_as_torch_rounds() -> None:
    random = np.random.default_rng(0)
    values = torch.from_numpy(random.normal(0, 3, 1600).astype(np.float32)).bfloat16()
    stored = values.view(torch.int16).numpy().view(np.uint16)
    out = np.zeros(1600, np.uint16)
    _apply(1, stored, out)
    expected = torch.tanh(values.float()).bfloat16()
    ours = torch.from_numpy(out.view(np.int16)).view(torch.bfloat16)
    assert (ours != expected).float().mean() < 0.001
    torch.testing.assert_close(ours, expected, rtol=0.005, atol=0)


def test_initial_weights_are_the_same_for_a_seed_and_glorot_for_each_layer() -> None:
    one, again, other = (network.initialise(SMALL, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["skip.weight"], other["skip.weight"])
    assert not any(one[name].any() for name in one if name.endswith("bias"))
    fans = {"causal.weight": 2 * (16 + 6), "dilated.weight": 2 * (6 + 5), "condition.weight": 4 + 5, "skip.weight": 12}
    for name, fan in fans.items():
        limit = (6 / fan) ** 0.5
        assert 0.8 * limit < float(one[name].abs().max()) <= limit, name


def test_initial_weights_are_the_same_on_every_machine() -> None:
    state = network.initialise(SMALL, 2019).state_dict()
    digest = hashlib.sha256(b"".join(state[name].numpy().tobytes() for name in sorted(state))).hexdigest()
    assert digest[:16] == "afa00994477a897a"


def test_a_square_embedding_starts_as_the_identity() -> None:
    config = SMALL.model_copy(update={"global_condition_channels": 3})
    assert torch.equal(network.initialise(config, 1).get_parameter("embedding.weight"), torch.eye(3))


def test_audio_that_is_too_short_and_wrong_genres_are_one_sentence() -> None:
    model = tiny_network()
    with pytest.raises(Problem, match="receptive field of 32"):
        model(torch.zeros(1, 31, dtype=torch.long), torch.tensor([0]))
    with pytest.raises(Problem, match=r"0\.\.2"):
        model(torch.zeros(1, 40, dtype=torch.long), torch.tensor([3]))
    with pytest.raises(Problem, match="needs a genre"):
        model(torch.zeros(1, 40, dtype=torch.long))


LENGTHS, GENRES = [1000, 50, 300, 500], [0, 1, 1, 2]


def test_a_row_belongs_to_seed_step_and_number_alone() -> None:
    wide = batches.draw(1, 7, 8, 100, LENGTHS, GENRES, "genre")
    assert batches.draw(1, 7, 3, 100, LENGTHS, GENRES, "genre") == wide[:3]
    assert batches.draw(1, 8, 8, 100, LENGTHS, GENRES, "genre") != wide
    assert batches.draw(2, 7, 8, 100, LENGTHS, GENRES, "genre") != wide


@pytest.mark.parametrize(("balance", "shares"), [("genre", [1 / 3] * 3), ("song", [1 / 3, 1 / 3, 1 / 3])])
def test_draws_are_even_and_never_leave_a_clip(balance: batches.Balance, shares: list[float]) -> None:
    rows = [row for step in range(300) for row in batches.draw(5, step, 10, 100, LENGTHS, GENRES, balance)]
    clips = np.array([clip for clip, _ in rows])
    assert set(clips) == {0, 2, 3}
    np.testing.assert_allclose([np.mean(clips == clip) for clip in (0, 2, 3)], shares, atol=0.03)
    assert all(0 <= start <= LENGTHS[clip] - 100 for clip, start in rows)
    assert {start for clip, start in rows if clip == 2} >= {0, 200}


def test_balance_by_song_follows_the_number_of_songs() -> None:
    rows = [row for step in range(300) for row in batches.draw(5, step, 10, 10, [20] * 10, [0] * 9 + [1], "song")]
    assert np.mean([clip == 9 for clip, _ in rows]) == pytest.approx(0.1, abs=0.02)
    rows = [row for step in range(300) for row in batches.draw(5, step, 10, 10, [20] * 10, [0] * 9 + [1], "genre")]
    assert np.mean([clip == 9 for clip, _ in rows]) == pytest.approx(0.5, abs=0.03)


def test_batches_that_cannot_be_drawn_are_one_sentence() -> None:
    with pytest.raises(Problem, match="the longest has 1000"):
        batches.draw(1, 1, 1, 2000, LENGTHS, GENRES, "song")
    with pytest.raises(Problem, match="1 or more"):
        batches.draw(1, 1, 0, 10, LENGTHS, GENRES, "song")
