"""The network: its shape, its parameters and its plain definition.

In: codes (batch, time) and genre ids. Out: logits, or the loss in nats per sample. The fast paths compute the
same numbers: `fused.py` for training on a CPU, `sampler.py` for generation; the tests hold them together.
Source: van den Oord et al. 2016, arXiv 1609.03499; where it is silent, ibab/tensorflow-wavenet's `model.py`.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn
from torch.utils.checkpoint import checkpoint

from src.base.errors import Problem
from src.wavenet.mulaw import decode
from src.wavenet.shape import WaveNetConfig as WaveNetConfig
from src.wavenet.shape import part_shapes

Stack = Callable[["WaveNetConfig", Mapping[str, torch.Tensor], torch.Tensor, torch.Tensor | None, int], torch.Tensor]
"""What takes the first layer's output through all layers; arguments and result as `plain_stack`'s."""


class Product(nn.Module):
    """Weights (and biases) of a product; the arithmetic stands in `WaveNet.forward` and in the fast paths."""

    def __init__(self, weight: tuple[int, ...], bias: tuple[int, ...] | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(weight))
        self.bias = nn.Parameter(torch.zeros(bias)) if bias is not None else None


class WaveNet(nn.Module):
    """The network, its parameters stacked over the layers.

    Shapes, with the letters L layers, W filter width, R residual, D dilation, S skip channels, Q codes,
    C condition channels: `embedding.weight` (genres, C), `causal.weight` (W, Q or 1, R), `dilated.weight`
    (L, W, R, 2D) with the filter in the first D columns and the gate in the others, `dilated.bias` (L, 2D),
    `condition.weight` (L, C, 2D), `dense.weight` (L, D, R), `dense.bias` (L, R), `skip.weight` (L, D, S),
    `skip.bias` (L, S), `postprocess1.weight` (S, S), `.bias` (S), `postprocess2.weight` (S, Q), `.bias` (Q).
    Tap 0 of a filter is the oldest. `forward` is the plain definition, in operations that autograd knows.
    """

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        for name, (weight, bias) in part_shapes(config).items():
            self.add_module(name, Product(weight, bias if config.use_biases else None))
        waveform = decode(np.arange(config.quantization_channels), config.quantization_channels)
        self.register_buffer("waveform", torch.from_numpy(waveform), persistent=False)

    def forward(self, codes: torch.Tensor, genre: torch.Tensor | None = None) -> torch.Tensor:
        """Logits of every code that a full receptive field precedes.

        codes: (batch, time) int64. genre: (batch,) int64, or None without conditioning.
        Returns (batch, time - receptive_field + 1, Q): row t predicts the code after codes[t + receptive_field - 1].
        """
        check_inputs(self.config, codes, genre)
        return self.logits(codes, genre)

    def logits(self, codes: torch.Tensor, genre: torch.Tensor | None, stack: "Stack | None" = None) -> torch.Tensor:
        """`forward` without looking at the inputs, which would make a GPU wait.

        stack: takes the place of `plain_stack`.
        """
        parameters = dict(self.named_parameters())
        frames = codes.shape[1] - self.config.receptive_field + 1
        hidden = self._causal(parameters["causal.weight"], codes)
        embedded = None
        if genre is not None:
            table = parameters["embedding.weight"]
            known = torch.arange(table.shape[0], device=genre.device)
            embedded = (genre[:, None] == known).to(table.dtype) @ table
        gated = (stack or plain_stack)(self.config, parameters, hidden, embedded, frames)
        total = gated @ parameters["skip.weight"].flatten(0, 1)
        if self.config.use_biases:
            total = total + parameters["skip.bias"].sum(0)
        for name in ("postprocess1", "postprocess2"):
            total = torch.relu(total) @ parameters[f"{name}.weight"]
            if self.config.use_biases:
                total = total + parameters[f"{name}.bias"]
        return total

    def _causal(self, weight: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """The first layer, with neither bias nor activation: (batch, time) codes to (batch, time - W + 1, R).

        One-hot codes times a filter are rows of the filter; scalar input is the decoded waveform.
        """
        width = weight.shape[0]
        length = codes.shape[1] - width + 1
        if self.config.scalar_input:
            waveform = torch.as_tensor(self.waveform)[codes]
            return waveform.unfold(1, width, 1) @ weight[:, 0]
        taps = [codes[:, tap : tap + length] for tap in range(width)]
        if codes.is_cuda:
            # The gradient of a product needs no atomic additions, so it is the same in every run.
            known = torch.arange(weight.shape[1], device=codes.device)
            rows = [(tap[..., None] == known).to(weight.dtype) @ weight[place] for place, tap in enumerate(taps)]
        else:
            rows = [functional.embedding(tap, weight[place]) for place, tap in enumerate(taps)]
        hidden = rows[0]
        for row in rows[1:]:
            hidden = hidden + row
        return hidden


def plain_stack(
    config: WaveNetConfig,
    parameters: Mapping[str, torch.Tensor],
    hidden: torch.Tensor,
    embedded: torch.Tensor | None,
    frames: int,
    *,
    recompute: bool = False,
) -> torch.Tensor:
    """The activations of all layers side by side: (batch, frames, layers · D).

    hidden: (batch, time, R), the first layer's output. embedded: (batch, C) of the genres, or None. frames: positions
    that are scored, the last ones. recompute: keep only the layers' inputs and compute the rest again for the gradient.
    """

    def through(layer: int, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        dilation = config.dilations[layer]
        length = hidden.shape[1] - (config.filter_width - 1) * dilation
        taps = [hidden[:, tap * dilation : tap * dilation + length] for tap in range(config.filter_width)]
        kernel = parameters["dilated.weight"][layer].flatten(0, 1)
        both = torch.cat(taps, -1) @ kernel
        if config.use_biases:
            both = both + parameters["dilated.bias"][layer]
        if embedded is not None:
            both = both + (embedded @ parameters["condition.weight"][layer])[:, None]
        filtered, gate = both.chunk(2, -1)
        activation = torch.tanh(filtered) * torch.sigmoid(gate)
        following = taps[-1] + activation @ parameters["dense.weight"][layer]
        if config.use_biases:
            following = following + parameters["dense.bias"][layer]
        return activation[:, length - frames :], following

    gated = []
    for layer in range(len(config.dilations)):
        if recompute:
            part, hidden = checkpoint(through, layer, hidden, use_reentrant=False, preserve_rng_state=False)
        else:
            part, hidden = through(layer, hidden)
        gated.append(part)
    return torch.cat(gated, -1)


def check_inputs(config: WaveNetConfig, codes: torch.Tensor, genre: torch.Tensor | None) -> None:
    """Raise `Problem` for inputs that this network cannot take."""
    if codes.shape[1] < config.receptive_field:
        raise Problem(
            f"{codes.shape[1]} samples are less than the receptive field of {config.receptive_field}: use longer audio."
        )
    check_genres(config, None if genre is None else genre.tolist())


def check_codes(config: WaveNetConfig, codes: torch.Tensor) -> None:
    """Raise `Problem` for codes that this network does not know."""
    if not (int(codes.min()) >= 0 and int(codes.max()) < config.quantization_channels):
        raise Problem(
            f"The audio has codes outside 0..{config.quantization_channels - 1}: it was encoded for another network."
        )


def check_genres(config: WaveNetConfig, genres: Sequence[int] | None) -> None:
    """Raise `Problem` for a genre id that this network was not made for."""
    known = config.global_condition_cardinality
    if (genres is None) != (known is None):
        raise Problem("This network needs a genre." if genres is None else "This network was made without genres.")
    if genres is not None and known is not None and not all(0 <= genre < known for genre in genres):
        raise Problem(
            f"Genre ids {sorted(set(genres))} are not all in 0..{known - 1}, which this network was made for."
        )


def loss(model: WaveNet, codes: torch.Tensor, genre: torch.Tensor | None = None) -> torch.Tensor:
    """Mean cross-entropy in nats of every code that has a full receptive field before it.

    codes: (batch, receptive_field + n) int64; the last n of each row are scored. Differentiable.
    """
    check_inputs(model.config, codes[:, :-1], genre)
    return unchecked_loss(model, codes, genre)


def unchecked_loss(
    model: WaveNet, codes: torch.Tensor, genre: torch.Tensor | None, stack: Stack | None = None
) -> torch.Tensor:
    """`loss` without looking at the inputs, which would make a GPU wait. stack: as for `WaveNet.logits`."""
    logits = model.logits(codes[:, :-1], genre, stack).float()
    return functional.cross_entropy(logits.flatten(0, 1), codes[:, model.config.receptive_field :].flatten())


def own_thread() -> None:
    """What each thread that computes on a CPU begins with: torch works in it alone, and denormal numbers count as zero.

    A CPU takes many times as long over numbers below 1e-38, which confident predictions bring (docs/wavenet.md). The
    setting is the thread's, so numba's loops obey it as well. A processor without it goes on as before.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def initialise(config: WaveNetConfig, seed: int) -> WaveNet:
    """A network with random weights, the same for one seed on every machine.

    Glorot-uniform by each layer's own fan-in and fan-out, filter and gate apart; zero biases; a square
    embedding table starts as the identity (all as in the reference).
    """
    model = WaveNet(config)
    with torch.no_grad():
        for number, (name, parameter) in enumerate(model.named_parameters()):
            if name.endswith("bias"):
                continue
            shape = tuple(parameter.shape)
            if name == "embedding.weight" and shape[0] == shape[1]:
                parameter.copy_(torch.eye(shape[0]))
                continue
            taps = shape[-3] if name in ("causal.weight", "dilated.weight") else 1
            outputs = shape[-1] // 2 if name in ("dilated.weight", "condition.weight") else shape[-1]
            limit = math.sqrt(6 / (taps * (shape[-2] + outputs)))
            generator = np.random.Generator(np.random.Philox(key=[seed, number]))
            uniform = (2 * generator.random(shape) - 1) * limit
            parameter.copy_(torch.from_numpy(uniform.astype(np.float32)))
    return model
