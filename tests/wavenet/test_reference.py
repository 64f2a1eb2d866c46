"""Number for number the reference: ibab/tensorflow-wavenet as run for the fixtures."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from src.wavenet import mulaw, network, optimizers, reference
from src.wavenet.cpu.streams import Group, PackedWeights
from src.wavenet.network import WaveNet, WaveNetConfig
from src.wavenet.sampling import Sampling
from src.wavenet.training import TrainingStep
from tests.wavenet.examples import DATA, SHARED, tiny_arrays, tiny_batch, tiny_network, tiny_values

FULL = SHARED / "full"


@pytest.mark.parametrize("channels", [16, 256])
def test_mu_law_codes_are_the_reference_s(channels: int) -> None:
    arrays = tiny_arrays("arrays")
    np.testing.assert_array_equal(mulaw.encode(arrays["mulaw_grid"], channels), arrays[f"mulaw{channels}_codes"])
    decoded = mulaw.decode(np.arange(channels), channels)
    np.testing.assert_allclose(decoded, arrays[f"mulaw{channels}_decoded"], atol=2e-7)


def test_mu_law_codes_of_noise_with_256_channels() -> None:
    with np.load(DATA / "wavenet_full.npz") as full:
        np.testing.assert_array_equal(mulaw.encode(full["loss_audio"]), full["loss_codes"])


def test_mu_law_zero_is_code_128_and_decodes_to_a_trace() -> None:
    assert mulaw.silence() == 128
    assert mulaw.decode(np.array([128]))[0] == pytest.approx(8.62e-5, abs=1e-7)


def test_mu_law_round_trip_keeps_every_code_and_clips() -> None:
    codes = np.arange(256)
    np.testing.assert_array_equal(mulaw.encode(mulaw.decode(codes)), codes)
    assert mulaw.encode(np.array([-3.0, 3.0])).tolist() == [0, 255]


def test_logits_of_each_genre() -> None:
    arrays, model = tiny_arrays("arrays"), tiny_network()
    codes = torch.from_numpy(arrays["codes"]).long()[None]
    for genre in range(3):
        with torch.no_grad():
            logits = model(codes, torch.tensor([genre]))[0].numpy()
        np.testing.assert_allclose(logits, arrays[f"logits_gc{genre}"], atol=2e-5)


def test_loss_and_gradients_by_autograd_and_by_hand() -> None:
    model, (codes, genre) = tiny_network(), tiny_batch()
    theirs = tiny_arrays("gradients")
    step = TrainingStep(model, optimizers.Adam(), {})
    for loss, gradients in (_by_autograd(model, codes, genre), step.loss_and_gradients(codes, genre)):
        assert float(loss) == pytest.approx(tiny_values()["loss"], rel=1e-6)
        ours = reference.to_reference(gradients)
        for name, gradient in theirs.items():
            assert np.linalg.norm(ours[name] - gradient) <= 1e-5 * np.linalg.norm(gradient), name
        for name in tiny_values()["without_gradient"]:
            assert not ours[name].any()


@pytest.mark.parametrize(("name", "epsilon"), [("adam", 1e-4), ("sgd", 0.0), ("rmsprop", 1e-5)])
def test_five_updates(name: str, epsilon: float) -> None:
    model, (codes, genre) = tiny_network(), tiny_batch()
    optimizer = optimizers.create(name, momentum=0.9, epsilon=epsilon)
    step = TrainingStep(model, optimizer, optimizer.start(dict(model.named_parameters())), threads=2)
    losses = [step(codes, genre, 1e-3) for _ in range(5)]
    theirs = tiny_values()[f"{name}_losses_before_each_of_5_updates_then_after"]
    np.testing.assert_allclose([*losses, float(network.loss(model, codes, genre).detach())], theirs, rtol=1e-6)
    ours = reference.to_reference(model.state_dict())
    for variable, value in tiny_arrays(name).items():
        np.testing.assert_allclose(ours[variable], value, atol=1e-6, err_msg=variable)


def test_incremental_probabilities_from_all_zero_buffers() -> None:
    arrays = tiny_arrays("arrays")
    codes = arrays["incremental_codes"].astype(np.int64)
    group = Group(PackedWeights(tiny_network(), "float32"), [1], Sampling(start="zeros"))
    group.start([codes[:1]])
    seen = np.zeros((len(codes), 1, 16), np.float32)
    fed = np.append(codes[1:], 0)[None]
    group.run(fed, np.zeros(fed.shape), seen=seen)
    np.testing.assert_allclose(seen[:, 0], arrays["incremental_probs_gc1"], atol=1e-6)


def test_names_and_shapes_are_the_reference_s() -> None:
    there = json.loads((DATA / "wavenet_full.json").read_text())
    model = network.initialise(_full_config(there), 1)
    ours = reference.to_reference(model.state_dict())
    assert len(ours) == there["values"]["n_variables"] == 506
    assert sum(value.size for value in ours.values()) == there["values"]["n_params"] == 1618528
    assert model.config.receptive_field == there["values"]["receptive_field"] == 5117
    for name, shape in there["shapes_of_layer_0_and_the_rest"].items():
        assert list(ours[name].shape) == shape, name
    back = reference.from_reference({f"{name}:0": value for name, value in ours.items()})
    assert set(back) == set(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(back[name], value), name


@pytest.mark.skipif(
    not FULL.is_dir(), reason="the reference's checkpoint of the study's size is not beside the checkout"
)
@pytest.mark.slow
def test_the_study_s_network_from_the_reference_s_checkpoint() -> None:
    from src.base.tensorflow_checkpoint import read_index, read_tensors

    there = json.loads((DATA / "wavenet_full.json").read_text())
    model = WaveNet(_full_config(there))
    variables = read_tensors(read_index(FULL / "model.ckpt-20.index"))
    model.load_state_dict(reference.from_reference({name: np.asarray(value) for name, value in variables.items()}))
    codes = torch.from_numpy(np.load(FULL / "logits_input_codes.npy")).long()[None]
    with torch.no_grad():
        logits = model(codes[:, -(5117 + 199) :], torch.tensor([0]))[0].numpy()
    np.testing.assert_allclose(logits, np.load(FULL / "logits_gc0_last200.npy"), atol=2e-5)
    batch = torch.from_numpy(np.load(FULL / "loss_codes.npy")).long()
    genre = torch.from_numpy(np.load(FULL / "loss_gc.npy")).long()
    optimizer = optimizers.Adam()
    step = TrainingStep(model, optimizer, optimizer.start(dict(model.named_parameters())), threads=2)
    losses = [step(batch, genre, 1e-3) for _ in range(3)]
    theirs = there["values"]["adam_losses_before_each_of_5_updates_then_after"][:3]
    assert losses[0] == pytest.approx(there["values"]["loss"], rel=1e-6)
    # Many ReLU inputs of this network lie within rounding of zero: gradients in float32, autograd's too, are
    # 1e-4 from those in float64, and updates carry that into the losses.
    np.testing.assert_allclose(losses, theirs, rtol=1e-4)


def _by_autograd(
    model: WaveNet, codes: torch.Tensor, genre: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    parameters = dict(model.named_parameters())
    loss = network.loss(model, codes, genre)
    return loss.detach(), dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))


def _full_config(there: Any) -> WaveNetConfig:
    described = dict(there["values"]["config"])
    return WaveNetConfig(**(described | {"dilations": [2**power for power in range(10)] * 5}))
