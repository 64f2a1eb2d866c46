"""What our speed is compared with: the same network and weights, written the plain way.

`ConvolutionalWaveNet` is a (batch, channel, time) port in convolutions, differentiated by autograd;
`QueueLoop` generates sample by sample with PyTorch operations and ring buffers.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import nn

from src.wavenet import mulaw
from src.wavenet.network import WaveNet


class ConvolutionalWaveNet(nn.Module):
    """The network as convolutions over (batch, channel, time), with the weights of a `WaveNet`."""

    def __init__(self, model: WaveNet) -> None:
        super().__init__()
        self.config = model.config
        state = {name: value.detach() for name, value in model.state_dict().items()}

        def parameters(values: Sequence[torch.Tensor]) -> nn.ParameterList:
            return nn.ParameterList([nn.Parameter(value.contiguous()) for value in values])

        layers = range(len(self.config.dilations))
        self.causal = nn.Parameter(state["causal.weight"].clone())
        self.kernels = parameters([state["dilated.weight"][layer].permute(2, 1, 0) for layer in layers])
        self.biases = parameters(list(state["dilated.bias"]))
        self.conditions = parameters(list(state["condition.weight"]))
        self.embedding = nn.Parameter(state["embedding.weight"].clone())
        self.dense = parameters([state["dense.weight"][layer].t()[..., None] for layer in layers])
        self.dense_biases = parameters(list(state["dense.bias"]))
        self.skip = parameters([state["skip.weight"][layer].t()[..., None] for layer in layers])
        self.skip_biases = parameters(list(state["skip.bias"]))
        self.outputs = parameters([state[f"postprocess{number}.weight"].t()[..., None] for number in (1, 2)])
        self.output_biases = parameters([state[f"postprocess{number}.bias"] for number in (1, 2)])

    def loss(self, codes: torch.Tensor, genre: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy in nats, as `network.loss`."""
        inputs = codes[:, :-1]
        taps, length = len(self.causal), inputs.shape[1] - len(self.causal) + 1
        rows = [functional.embedding(inputs[:, tap : tap + length], self.causal[tap]) for tap in range(taps)]
        hidden = torch.stack(rows).sum(0).transpose(1, 2)
        frames = inputs.shape[1] - self.config.receptive_field + 1
        condition = self.embedding[genre]
        total: torch.Tensor | None = None
        for layer, dilation in enumerate(self.config.dilations):
            both = functional.conv1d(hidden, self.kernels[layer], self.biases[layer], dilation=dilation)
            both = both + (condition @ self.conditions[layer])[..., None]
            filtered, gate = both.chunk(2, 1)
            gated = torch.tanh(filtered) * torch.sigmoid(gate)
            skip = functional.conv1d(gated[..., -frames:], self.skip[layer], self.skip_biases[layer])
            total = skip if total is None else total + skip
            dense = functional.conv1d(gated, self.dense[layer], self.dense_biases[layer])
            hidden = hidden[..., -dense.shape[2] :] + dense
        assert total is not None
        for weight, bias in zip(self.outputs, self.output_biases, strict=True):
            total = functional.conv1d(torch.relu(total), weight, bias)
        return functional.cross_entropy(total.float(), codes[:, self.config.receptive_field :])


class QueueLoop:
    """Generation one PyTorch operation after the other, for filter width 2 with biases and genres."""

    def __init__(self, model: WaveNet, genres: Sequence[int]) -> None:
        config = model.config
        state = {name: value.detach() for name, value in model.state_dict().items()}
        embedded = state["embedding.weight"][list(genres)]
        self.dilations = config.dilations
        # A row of zeros stands for "no code yet".
        self.causal = functional.pad(state["causal.weight"], (0, 0, 0, 1))
        self.kernels = list(state["dilated.weight"].flatten(1, 2))
        self.biases = [
            bias + embedded @ condition
            for bias, condition in zip(state["dilated.bias"], state["condition.weight"], strict=True)
        ]
        self.dense, self.dense_biases = list(state["dense.weight"]), list(state["dense.bias"])
        self.skip, self.skip_bias = state["skip.weight"].flatten(0, 1), state["skip.bias"].sum(0)
        self.outputs = [(state[f"postprocess{n}.weight"], state[f"postprocess{n}.bias"]) for n in (1, 2)]
        device = self.causal.device
        self.rings = [
            torch.zeros(dilation, len(genres), config.residual_channels, device=device) for dilation in self.dilations
        ]
        self.code = torch.full((len(genres),), mulaw.silence(config.quantization_channels), device=device)
        self.previous = torch.full_like(self.code, config.quantization_channels)
        self.time = 0

    @torch.inference_mode()
    def sample(self, numbers: torch.Tensor) -> torch.Tensor:
        """Codes (streams, n) picked with numbers (streams, n) in [0, 1)."""
        picked = []
        for number in numbers.unbind(1):
            hidden = self.causal[0][self.previous] + self.causal[1][self.code]
            gates = []
            for layer, dilation in enumerate(self.dilations):
                ring = self.rings[layer][self.time % dilation]
                both = torch.addmm(self.biases[layer], torch.cat([ring, hidden], 1), self.kernels[layer])
                ring.copy_(hidden)
                filtered, gate = both.chunk(2, 1)
                gates.append(torch.tanh(filtered) * torch.sigmoid(gate))
                hidden = hidden + torch.addmm(self.dense_biases[layer], gates[-1], self.dense[layer])
            total = torch.addmm(self.skip_bias, torch.cat(gates, 1), self.skip)
            for weight, bias in self.outputs:
                total = torch.addmm(bias, torch.relu(total), weight)
            passed = torch.softmax(total, 1).cumsum(1)
            code = torch.searchsorted(passed, (number[:, None] * passed[:, -1:]).float())[:, 0]
            self.previous, self.code = self.code, code.clamp(max=total.shape[1] - 1)
            self.time += 1
            picked.append(self.code)
        return torch.stack(picked, 1)
