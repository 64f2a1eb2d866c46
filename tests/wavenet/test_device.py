"""Which processor computes: the choice, the sentence when it is missing, and the same numbers on either path."""

import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src import config
from src.base.errors import Problem
from src.clips.clipset import ClipSet
from src.train import run as training_run
from src.train import step as training_step
from src.wavenet import device, sampler, training
from src.wavenet.gpu.captured import CapturedLoss
from src.wavenet.gpu.device_streams import DeviceStreams
from src.wavenet.network import plain_stack
from src.wavenet.sampling import Sampling
from tests.conftest import ROOT, StudyFolder
from tests.wavenet.examples import random_network, tiny_batch, tiny_network

TRITON_AT = os.environ.get("TRITON_AT", "")
"""A folder with Triton, which torch's build for CPUs comes without; .ci/run sets it."""


@pytest.mark.skipif(not TRITON_AT and find_spec("triton") is None, reason="Triton is not installed")
def test_the_kernel_for_gpus_gives_the_chain_of_layers_in_triton_s_interpreter() -> None:
    code = """
import torch
from src.wavenet.gpu.chain_kernel import chain
torch.manual_seed(0)
for networks, streams, layers, residual, depth in ((1, 3, 4, 24, 20), (3, 1, 1, 16, 16), (2, 2, 50, 32, 32)):
    hidden, before = torch.randn(networks * streams, residual), torch.randn(layers, networks * streams, 2 * depth)
    kernel, bias = torch.randn(networks, layers, residual, 2 * depth) / 8, torch.randn(networks, layers, residual) / 8
    dense = torch.randn(networks, layers, depth, residual) / 8
    hiddens, gated = chain(hidden, before, kernel, dense, bias)
    of = torch.arange(networks).repeat_interleave(streams)
    for layer in range(layers):
        torch.testing.assert_close(hiddens[layer], hidden, rtol=1e-4, atol=1e-4)
        both = before[layer] + torch.einsum("sr,srd->sd", hidden, kernel[of, layer])
        filtered, gate = both.chunk(2, -1)
        activation = torch.tanh(filtered) * torch.sigmoid(gate)
        mine = gated[:, layer * depth : (layer + 1) * depth]
        torch.testing.assert_close(mine, activation, rtol=1e-4, atol=1e-4)
        hidden = hidden + torch.einsum("sd,sdr->sr", activation, dense[of, layer]) + bias[of, layer]
"""
    in_the_interpreter(code)


@pytest.mark.skipif(not TRITON_AT and find_spec("triton") is None, reason="Triton is not installed")
def test_the_training_s_kernels_for_gpus_give_autograd_s_gradients_in_triton_s_interpreter() -> None:
    code = """
import torch
from functools import partial
from src.wavenet import network
from src.wavenet.gpu import layers
from tests.wavenet.examples import random_network
layers.PROGRAMS = 3
for seed in (0, 1, 3, 8):
    model = random_network(seed)
    parameters, config = dict(model.named_parameters()), model.config
    codes = torch.randint(0, config.quantization_channels, (2, config.receptive_field + 150))
    genres = config.global_condition_cardinality
    genre = None if genres is None else torch.randint(0, genres, (2,))
    def gradients(stack):
        loss = network.unchecked_loss(model, codes, genre, stack)
        return loss.detach(), torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
    loss, exact = gradients(None)
    for recompute in (False, True):
        mine, close = gradients(partial(layers.gated, bfloat16=False, recompute=recompute))
        torch.testing.assert_close(mine, loss, rtol=1e-5, atol=1e-5)
        for name, ours, theirs in zip(parameters, close, exact):
            far = float((ours - theirs).norm() / theirs.norm().clamp(min=1e-6))
            assert far < 1e-5, (seed, name, far)
"""
    in_the_interpreter(code)


def in_the_interpreter(code: str) -> None:
    """Run a program in which Triton's kernels are interpreted, and expect it to end well."""
    paths = os.pathsep.join(path for path in (str(ROOT), TRITON_AT) if path)
    environment = {**os.environ, "PYTHONPATH": paths, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Which kinds of GPU torch finds; none, until a test says otherwise."""
    found = {"cuda": False, "mps": False}
    monkeypatch.setattr(device, "_gpu_is_thinkable", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found["cuda"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: found["mps"])
    return found


@pytest.mark.parametrize(
    ("asked", "cuda", "mps", "chosen"),
    [
        ("auto", False, False, "cpu"),
        ("auto", True, False, "cuda"),
        ("auto", False, True, "mps"),
        ("auto", True, True, "cuda"),
        ("cpu", True, True, "cpu"),
        ("cuda", True, False, "cuda"),
        ("mps", False, True, "mps"),
    ],
)
def test_the_choice(there: dict[str, bool], asked: Any, cuda: bool, mps: bool, chosen: str) -> None:
    there.update(cuda=cuda, mps=mps)
    assert device.choose(asked) == chosen


@pytest.mark.parametrize("asked", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_one_sentence(there: dict[str, bool], asked: Any) -> None:
    with pytest.raises(Problem, match=rf"^device is {asked}, and torch .* finds none here\. Set device to auto or cpu"):
        device.choose(asked)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_stage_says_that_its_device_is_missing(study_with_clips: StudyFolder) -> None:
    done = study_with_clips.run("src.train", "--device", "cuda")
    assert done.returncode == 1
    assert done.stdout.startswith("error: device is cuda, and torch ")


def test_a_word_that_is_no_device_is_refused_with_those_that_are(study: StudyFolder) -> None:
    done = study.run("src.generate", "--steps", "2", "--device", "abacus")
    assert done.returncode == 1
    assert "device: Input should be 'auto', 'cpu', 'cuda' or 'mps'" in done.stdout


def test_another_device_is_another_run(study: StudyFolder, there: dict[str, bool]) -> None:
    anything, cpu = config.load(study.root), config.load(study.root, device="cpu")
    there["cuda"] = True
    assert training_run.fingerprint(anything, "0" * 64) != training_run.fingerprint(cpu, "0" * 64)
    there["cuda"] = False
    assert training_run.fingerprint(anything, "0" * 64) == training_run.fingerprint(cpu, "0" * 64)


def test_layers_computed_again_for_the_gradient_give_the_same_bits() -> None:
    model, (codes, genre) = tiny_network(), tiny_batch()
    parameters = dict(model.named_parameters())
    plain = CapturedLoss(model).loss_and_gradients(parameters, codes, genre)
    again = CapturedLoss(model, recompute=True).loss_and_gradients(parameters, codes, genre)
    assert torch.equal(plain[0], again[0])
    assert all(torch.equal(plain[1][name], again[1][name]) for name in parameters)


def test_layers_computed_again_keep_less_until_the_gradient() -> None:
    model, (codes, genre) = tiny_network(), tiny_batch()
    kept = []
    for recompute in (False, True):
        sizes: list[int] = []

        def keep(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.logits(codes[:, :-1], genre, partial(plain_stack, recompute=recompute))
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 2


def test_a_training_on_the_device_s_path_follows_the_one_on_the_cpu_s(
    study_with_clips: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study_with_clips.root)
    params = config.load()
    clips = ClipSet.open(Path("data/clips"))

    def losses(steps: int = 8) -> list[float]:
        begun = training_step.Training(params, clips, training_step.first_state(params))
        return [begun.step(number) for number in range(1, steps + 1)]

    on_the_cpu = losses()
    monkeypatch.setattr(training, "uses_the_cpu_s_kernels", lambda _: False)
    np.testing.assert_allclose(losses(), on_the_cpu, rtol=1e-5)


@pytest.mark.parametrize("start", ["silence", "zeros"])
def test_generation_on_the_device_s_path_gives_the_codes_of_the_cpu_s(start: Any) -> None:
    model = tiny_network()
    genres = [0, 1, 1]
    numbers = np.random.default_rng(1).random((len(genres), 120))
    on_the_cpu = np.concatenate(list(sampler.generate([model], genres, 120, numbers, Sampling(start=start))), axis=1)
    group = DeviceStreams([model], genres, Sampling(start=start))
    group.start()
    assert np.mean(group.sample(numbers) == on_the_cpu) > 0.99  # a number may fall between two nearly equal sums


def test_checkpoints_that_run_together_give_the_codes_that_each_gives_alone() -> None:
    models = [random_network(3), random_network(3)]
    for parameter in models[1].parameters():
        parameter.data *= 1.1
    genres: list[int | None] = [None, None]
    numbers = np.random.default_rng(2).random((4, 60))
    together = DeviceStreams(models, genres)
    together.start([None, np.array([1, 0, 1])])
    codes = together.sample(numbers)
    for place, model in enumerate(models):
        alone = DeviceStreams([model], genres)
        alone.start([None, np.array([1, 0, 1])])
        mine = slice(2 * place, 2 * place + 2)
        assert np.mean(alone.sample(numbers[mine]) == codes[mine]) > 0.99
    assert (codes[:2] != codes[2:]).any()
    with pytest.raises(Problem, match="different shapes"):
        DeviceStreams([models[0], random_network(4)], genres)


def test_weights_that_are_for_a_cpu_are_refused_elsewhere() -> None:
    with pytest.raises(Problem, match=r"generate\.weights is bfloat16"):
        DeviceStreams([tiny_network()], [0], Sampling(weights="bfloat16"))
