"""The reference's numbers, and random small networks."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from src.wavenet import network, reference
from src.wavenet.network import WaveNet, WaveNetConfig

DATA = Path(__file__).parents[1] / "data"
SHARED = Path(__file__).parents[2].parent / "shared" / "reference"
"""The whole of the reference's numbers, where it lies beside the checkout."""


@cache
def tiny_values() -> Any:
    """Figures of the reference's small configuration."""
    return json.loads((DATA / "wavenet_tiny.json").read_text())


def tiny_arrays(kind: str) -> dict[str, npt.NDArray[Any]]:
    """arrays, variables, gradients, or the variables after 5 updates with adam, sgd, rmsprop."""
    with np.load(DATA / "wavenet_tiny.npz") as archive:
        return {name.split("|")[1]: archive[name] for name in archive.files if name.startswith(f"{kind}|")}


def tiny_network() -> WaveNet:
    """The small configuration with the reference's weights."""
    model = WaveNet(WaveNetConfig(**tiny_values()["config"]))
    model.load_state_dict(reference.from_reference(tiny_arrays("variables")))
    return model


def tiny_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """The batch of the reference's losses and gradients: codes (2, 400) and genres (2,)."""
    arrays = tiny_arrays("arrays")
    return torch.from_numpy(arrays["loss_codes"]).long(), torch.from_numpy(arrays["loss_gc"]).long()


def random_network(seed: int) -> WaveNet:
    """A network of random shape with random weights, biases included; every switch is met by some seed."""
    random = np.random.default_rng(seed)
    conditioned = seed % 3 != 0
    config = WaveNetConfig(
        dilations=[int(dilation) for dilation in random.integers(1, 12, random.integers(1, 6))],
        filter_width=int(random.integers(2, 5)),
        residual_channels=int(random.integers(1, 40)),
        dilation_channels=int(random.integers(1, 40)),
        skip_channels=int(random.integers(1, 140)),
        quantization_channels=int(random.integers(2, 90)),
        use_biases=seed % 4 != 1,
        scalar_input=seed % 5 == 2,
        initial_filter_width=int(random.integers(2, 9)),
        global_condition_channels=int(random.integers(1, 6)) if conditioned else None,
        global_condition_cardinality=int(random.integers(1, 5)) if conditioned else None,
    )
    model = network.initialise(config, seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(torch.from_numpy(random.normal(0, 0.3, parameter.shape).astype(np.float32)))
    return model


def random_genres(model: WaveNet, count: int, seed: int) -> list[int] | None:
    """Genre ids for a batch, or None."""
    known = model.config.global_condition_cardinality
    return None if known is None else np.random.default_rng(seed).integers(0, known, count).tolist()
