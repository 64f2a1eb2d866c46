"""The hand-written gradients against autograd, and what a training step promises."""

import numpy as np
import pytest
import torch

from src.base.errors import Problem
from src.wavenet import network, optimizers
from src.wavenet.cpu import pieces
from src.wavenet.cpu.fused import FusedLoss
from src.wavenet.cpu.pieces import cut
from src.wavenet.cpu.streams import Streams
from src.wavenet.gpu.captured import CapturedLoss
from src.wavenet.network import WaveNet
from src.wavenet.training import NotFiniteError, TrainingStep
from tests.wavenet.examples import random_genres, random_network, tiny_batch, tiny_network

Result = tuple[torch.Tensor, dict[str, torch.Tensor]]


def _batch(model: WaveNet, rows: int, scored: int, seed: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    random = np.random.default_rng(seed)
    shape = (rows, model.config.receptive_field + scored)
    codes = torch.from_numpy(random.integers(0, model.config.quantization_channels, shape))
    genres = random_genres(model, rows, seed)
    return codes, None if genres is None else torch.tensor(genres)


def _autograd(model: WaveNet, codes: torch.Tensor, genre: torch.Tensor | None) -> Result:
    parameters = dict(model.named_parameters())
    loss = network.loss(model, codes, genre)
    # A network of one layer does not use its dense weights.
    gradients = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
    return loss.detach(), dict(zip(parameters, gradients, strict=True))


def _assert_close(ours: Result, theirs: Result, tolerance: float) -> None:
    assert float(ours[0]) == pytest.approx(float(theirs[0]), rel=max(1e-6, tolerance / 10))
    assert set(ours[1]) == set(theirs[1])
    scale = max(float(gradient.norm()) for gradient in theirs[1].values())
    for name, gradient in theirs[1].items():
        assert ours[1][name].shape == gradient.shape
        difference = float((ours[1][name] - gradient).norm())
        assert difference <= tolerance * max(float(gradient.norm()), 1e-2 * scale), name


@pytest.mark.parametrize("seed", range(40))
def test_gradients_equal_autograd_s(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1000 + seed)
    monkeypatch.setattr(pieces, "CHUNK_ROWS", int(random.integers(3, 60)))  # edges everywhere
    model = random_network(seed)
    codes, genre = _batch(model, int(random.integers(1, 4)), int(random.integers(1, 90)), seed)
    ours = FusedLoss(model.config, threads=int(random.integers(1, 4)), keep_activations=seed % 2 == 0)
    parameters = dict(model.named_parameters())
    result = ours.loss_and_gradients(parameters, codes, genre)
    _assert_close(result, _autograd(model, codes, genre), 1e-5)
    assert float(ours.loss(parameters, codes, genre)) == pytest.approx(float(result[0]), rel=1e-6)


@pytest.mark.parametrize("seed", [1, 4, 7])
def test_bfloat16_gradients_point_the_same_way(seed: int) -> None:
    model = random_network(seed)
    codes, genre = _batch(model, 2, 200, seed)
    loss, gradients = FusedLoss(model.config, threads=2, bfloat16=True).loss_and_gradients(
        dict(model.named_parameters()), codes, genre
    )
    exact_loss, exact = _autograd(model, codes, genre)
    assert float(loss) == pytest.approx(float(exact_loss), rel=0.01)
    ours = torch.cat([gradient.flatten() for gradient in gradients.values()])
    theirs = torch.cat([exact[name].flatten() for name in gradients])
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.99


def test_two_runs_give_the_same_bits() -> None:
    weights = []
    for _ in range(2):
        model, (codes, genre) = tiny_network(), tiny_batch()
        optimizer = optimizers.Adam()
        step = TrainingStep(model, optimizer, optimizer.start(dict(model.named_parameters())), threads=2)
        for _ in range(3):
            step(codes, genre, 1e-3)
        weights.append(model.state_dict())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name])


def test_a_change_of_shape_between_steps_leaves_nothing_behind() -> None:
    model = random_network(2)
    ours = FusedLoss(model.config, threads=1)
    parameters = dict(model.named_parameters())
    for rows, scored in ((2, 50), (1, 120), (3, 7)):
        codes, genre = _batch(model, rows, scored, scored)
        _assert_close(ours.loss_and_gradients(parameters, codes, genre), _autograd(model, codes, genre), 1e-5)


def test_pieces_cover_every_scored_sample_once() -> None:
    for batch in range(1, 5):
        for threads in range(1, 5):
            covered = sorted(
                (piece.row, sample)
                for share in cut(batch, 23, threads)
                for piece in share
                for sample in range(piece.first, piece.first + piece.scored)
            )
            assert covered == [(row, sample) for row in range(batch) for sample in range(23)]


def test_averaged_gradients_of_two_processes_are_those_of_the_whole_batch() -> None:
    model, (codes, genre) = tiny_network(), tiny_batch()
    whole = TrainingStep(model, optimizers.Adam(), {}).loss_and_gradients(codes, genre)
    other = TrainingStep(model, optimizers.Adam(), {}).loss_and_gradients(codes[1:], genre[1:])
    averaged: list[torch.Tensor] = []

    def average(tensors: list[torch.Tensor]) -> None:
        for tensor, theirs in zip(tensors, [other[0], *other[1].values()], strict=True):
            tensor.add_(theirs).div_(2)
        averaged.extend(tensor.clone() for tensor in tensors)

    optimizer = optimizers.Adam()
    step = TrainingStep(model, optimizer, optimizer.start(dict(model.named_parameters())), reduce=average)
    step(codes[:1], genre[:1], 1e-3)
    for ours, theirs in zip(averaged, [whole[0], *whole[1].values()], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_codes_of_another_network_are_refused() -> None:
    model, (codes, genre) = tiny_network(), tiny_batch()
    with pytest.raises(Problem, match="another network"):
        TrainingStep(model, optimizers.Adam(), {}).loss_and_gradients(codes + 1, genre)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_changes_nothing(value: float) -> None:
    model, (codes, genre) = tiny_network(), tiny_batch()
    optimizer = optimizers.Adam()
    step = TrainingStep(model, optimizer, optimizer.start(dict(model.named_parameters())))
    step(codes, genre, 1e-3)
    with torch.no_grad():
        model.get_parameter("postprocess1.weight")[0, 0] = value
    before = {name: tensor.clone() for name, tensor in (model.state_dict() | step.state).items()}
    with pytest.raises(NotFiniteError, match="not finite"):
        step(codes, genre, 1e-3)
    for name, tensor in (model.state_dict() | step.state).items():
        assert torch.equal(tensor.nan_to_num(7.0), before[name].nan_to_num(7.0)), name


def test_l2_regularization_shrinks_every_variable_as_the_reference_does() -> None:
    """The reference means to spare biases by name, but its biases have no names: all variables are in its sum."""
    model, (codes, genre) = tiny_network(), tiny_batch()
    _, plain = TrainingStep(model, optimizers.Adam(), {}).loss_and_gradients(codes, genre)
    expected = {
        name: parameter.detach() - 0.1 * (plain[name] + 0.5 * parameter.detach())
        for name, parameter in model.named_parameters()
    }
    optimizer = optimizers.Momentum(momentum=0.0)
    step = TrainingStep(model, optimizer, optimizer.start(dict(model.named_parameters())), l2_regularization=0.5)
    step(codes, genre, 0.1)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["adam", "sgd", "rmsprop"])
def test_a_state_saved_and_loaded_continues_bit_for_bit(kind: str) -> None:
    model, (codes, genre) = tiny_network(), tiny_batch()
    optimizer = optimizers.create(kind)
    step = TrainingStep(model, optimizer, optimizer.start(dict(model.named_parameters())))
    step(codes, genre, 1e-3)
    saved = {name: value.clone() for name, value in model.state_dict().items()}
    state = {name: value.clone() for name, value in step.state.items()}
    expected = step(codes, genre, 1e-3), step(codes, genre, 1e-3)
    other = WaveNet(model.config)
    other.load_state_dict(saved)
    again = TrainingStep(other, optimizers.create(kind), state)
    assert (again(codes, genre, 1e-3), again(codes, genre, 1e-3)) == expected


def test_the_gpu_s_way_computes_the_same_on_a_cpu() -> None:
    for seed in (1, 2, 3):
        model = random_network(seed)
        codes, genre = _batch(model, 2, 30, seed)
        ours = CapturedLoss(model).loss_and_gradients(dict(model.named_parameters()), codes, genre)
        _assert_close(ours, _autograd(model, codes, genre), 1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(("bfloat16", "recompute"), [(False, False), (False, True), (True, False)])
def test_a_captured_step_computes_the_same_on_a_gpu(bfloat16: bool, recompute: bool) -> None:
    for seed in (0, 1, 3, 8):
        model = random_network(seed)
        codes, genre = _batch(model, 2, 300, seed)
        expected = _autograd(model, codes, genre)
        there = random_network(seed).cuda()
        captured = CapturedLoss(there, bfloat16=bfloat16, recompute=recompute)
        runs = []
        for _ in range(3):
            loss, gradients = captured.loss_and_gradients(dict(there.named_parameters()), codes, genre)
            runs.append((loss.cpu(), {name: value.cpu() for name, value in gradients.items()}))
        _assert_close(runs[0], expected, 5e-2 if bfloat16 else 1e-4)
        for again in runs[1:]:  # the same bits every time
            assert torch.equal(again[0], runs[0][0])
            assert all(torch.equal(value, runs[0][1][name]) for name, value in again[1].items())


def test_a_step_that_is_abandoned_changes_nothing() -> None:
    model = random_network(1)
    codes, genre = _batch(model, 2, 40, 1)
    optimizer = optimizers.Adam()
    parameters = dict(model.named_parameters())
    state = optimizer.start(parameters)
    step = TrainingStep(model, optimizer, state, threads=2)
    step(codes, genre, 1e-2)
    weights = {name: tensor.detach().clone() for name, tensor in parameters.items()}
    moments = {name: tensor.clone() for name, tensor in state.items()}
    step.abandon()
    with pytest.raises(pieces.AbandonedError):
        step(codes, genre, 1e-2)
    assert all(torch.equal(parameters[name], weights[name]) for name in weights)
    assert all(torch.equal(state[name], moments[name]) for name in moments)


def test_threads_that_compute_take_denormal_numbers_for_zero() -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot")
    torch.set_flush_denormal(False)
    model = tiny_network()
    tiny = np.float32(1e-30)

    def product() -> tuple[float, float]:
        return float(np.array([tiny]) @ np.array([np.float32(1e-12)])), float(torch.tensor(tiny) * 1e-12)

    assert min(product()) > 0, "this thread is left as it is"
    for pool in (FusedLoss(model.config, threads=1)._pool, Streams(model, [0])._pool):
        assert pool.submit(product).result() == (0.0, 0.0)
