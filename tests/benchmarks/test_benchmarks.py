"""The baselines compute the same network, and the commands print a table and write JSON."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.baselines import ConvolutionalWaveNet, QueueLoop
from benchmarks.generate import divergence
from src.wavenet import network
from src.wavenet.cpu.streams import Streams
from src.wavenet.sampling import Sampling
from tests.conftest import StudyFolder
from tests.wavenet.examples import tiny_batch, tiny_network, tiny_values


def test_the_plain_port_is_the_same_network() -> None:
    model, (codes, genre) = tiny_network(), tiny_batch()
    plain = ConvolutionalWaveNet(model)
    loss = plain.loss(codes, genre)
    assert float(loss.detach()) == pytest.approx(tiny_values()["loss"], rel=1e-6)
    ours = torch.autograd.grad(network.loss(model, codes, genre), [model.get_parameter("causal.weight")])[0]
    torch.testing.assert_close(torch.autograd.grad(loss, [plain.causal])[0], ours, rtol=1e-4, atol=1e-7)


def test_the_eager_loop_picks_the_same_codes() -> None:
    model = tiny_network()
    numbers = np.random.default_rng(3).random((2, 60))
    group = Streams(model, [0, 2], Sampling(start="zeros"))
    group.start()
    theirs = QueueLoop(model, [0, 2]).sample(torch.from_numpy(numbers)).numpy()
    assert (group.sample(numbers) == theirs).mean() > 0.95


def test_divergence_of_bfloat16_is_small_and_not_zero() -> None:
    far = divergence(tiny_network(), frames=50)
    assert 0 < far["greatest"] < 0.05
    assert 0 < far["bits_per_sample"] < 0.01


@pytest.mark.parametrize(
    ("arguments", "variants"),
    [
        (("train", "--steps", "1", "--only", "plain", "--only", "bfloat16"), ("plain", "bfloat16")),
        (
            ("generate", "--frames", "20", "--rounds", "1"),
            ("eager PyTorch loop, 1 streams, 1 thread", "ours, float32, 5 streams, 1 threads"),
        ),
    ],
)
def test_the_command_measures_and_writes(study: StudyFolder, arguments: Any, variants: Any) -> None:
    output = study.root / "figures.json"
    done = study.run("benchmarks", *arguments, "--profile", "tiny", "--out", str(output))
    assert done.returncode == 0, done.stdout
    found = json.loads(output.read_text())
    assert set(variants) <= set(found["variants"])
    assert all(row["seconds"] > 0 for row in found["variants"].values())
    assert str(output) in done.stdout.replace("\n", "")
    if arguments[0] == "train":
        losses = [row["loss_of_first_step"] for row in found["variants"].values()]
        assert max(losses) - min(losses) < 0.01


def test_a_device_that_is_not_there_is_one_sentence(study: StudyFolder) -> None:
    done = study.run("benchmarks", "train", "--profile", "tiny", "--device", "tpu")
    assert done.returncode == 1
    assert "cpu, or cuda" in done.stdout
