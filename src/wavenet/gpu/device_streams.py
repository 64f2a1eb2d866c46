"""Streams being generated on a GPU, all of them together, of one checkpoint or several; a CPU runs the same code to
test it.

A sample is a few kernels: one product for what all layers add from their past, one Triton kernel that takes
each stream through the chain of layers, products for skip and output layers, and the choice of the codes. A
captured CUDA graph runs `GRAPH_SAMPLES` of them without returning to Python. On a CPU the chain is a loop of torch
operations. Numbers agree with the CPU's within float tolerance, not bit for bit.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch

from src.base.errors import Problem
from src.wavenet import mulaw
from src.wavenet.network import WaveNet
from src.wavenet.sampling import Sampling

GRAPH_SAMPLES = 50


class DeviceStreams:
    """Some streams of each of several networks on their device, each stream with its own genre and history.

    Streams are counted network by network: those of the first, then those of the second.
    """

    def __init__(
        self,
        models: Sequence[WaveNet],
        genres: Sequence[int | None],
        sampling: Sampling = Sampling(),
    ) -> None:
        """models: all of one shape. genres: of the streams that every network has."""
        if sampling.weights != "float32":
            raise Problem(f"generate.weights is {sampling.weights}, which is for a CPU; set it to float32.")
        if any(model.config != models[0].config for model in models):
            raise Problem("The checkpoints are of networks of different shapes. Generate them one by one, with --step.")
        self.sampling = sampling
        self.config = config = models[0].config
        state = {
            name: torch.stack([model.state_dict()[name].detach().float() for model in models])
            for name in models[0].state_dict()
        }
        self.device = device = state["causal.weight"].device
        networks, streams = len(models), len(models) * len(genres)
        layers, width = len(config.dilations), config.filter_width
        residual, depth = config.residual_channels, config.dilation_channels
        causal = state["causal.weight"]
        if config.scalar_input:
            causal = torch.as_tensor(models[0].waveform).to(device)[None, None, :, None] * causal
        # A row of zeros stands for "no code yet".
        self.causal = torch.cat([causal, causal.new_zeros(networks, causal.shape[1], 1, residual)], 2)
        self.network = torch.arange(networks, device=device).repeat_interleave(len(genres))
        kernel = state["dilated.weight"]
        # Products of all layers at once are of (layer, network) pairs.
        self.past_kernel = kernel[:, :, :-1].transpose(0, 1).reshape(layers * networks, -1, 2 * depth).contiguous()
        self.present_kernel = kernel[:, :, -1].contiguous()
        self.dense = state["dense.weight"].contiguous()
        self.dense_bias = state.get("dense.bias", causal.new_zeros(networks, layers, residual)).contiguous()
        self.skip = state["skip.weight"].flatten(1, 2)
        self.skip_bias = state.get("skip.bias", causal.new_zeros(networks, layers, config.skip_channels)).sum(1)
        self.output = [
            (state[f"postprocess{number}.weight"], state.get(f"postprocess{number}.bias")) for number in (1, 2)
        ]
        bias = state.get("dilated.bias", causal.new_zeros(networks, layers, 2 * depth))
        self.biases = bias.transpose(0, 1)[:, :, None].repeat(1, 1, len(genres), 1)  # (layers, networks, genres, 2D)
        for stream, genre in enumerate(genres):
            if genre is not None:
                embedded = state["embedding.weight"][:, genre]
                self.biases[:, :, stream] += torch.einsum("nc,nlcd->lnd", embedded, state["condition.weight"])
        self.spans = torch.tensor([(width - 1) * dilation for dilation in config.dilations], device=device)
        slots = [0, *accumulate(int(span) for span in self.spans)]
        self.slots = torch.tensor(slots[:-1], device=device)
        self.taps = torch.arange(width - 1, device=device) * torch.tensor(config.dilations, device=device)[:, None]
        self.rings = causal.new_zeros(slots[-1], streams, residual)
        self.history = torch.full((streams, causal.shape[1]), config.quantization_channels, device=device)
        self.time = torch.zeros((), dtype=torch.int64, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._numbers = torch.zeros(streams, GRAPH_SAMPLES, dtype=torch.float64, device=device)
        self._codes = torch.zeros(streams, GRAPH_SAMPLES, dtype=torch.int64, device=device)

    def start(self, primers: Sequence[npt.NDArray[np.integer] | None] | None = None) -> None:
        """Set every stream's past: a receptive field of silence, or nothing (all-zero rings), then its primer.

        primers: of the streams that every network has.
        """
        config, networks = self.config, len(self.causal)
        quiet = mulaw.silence(config.quantization_channels)
        pasts = []
        for primer in list(primers or [None] * (len(self.history) // networks)) * networks:
            past = np.array([quiet] if primer is None or not len(primer) else primer, np.int64)
            if self.sampling.start == "silence":
                past = np.concatenate([np.full(config.receptive_field, quiet), past])
            pasts.append(past[-config.receptive_field :])
        longest = max(len(past) for past in pasts)
        # What a stream has no code for is the code of nothing, whose row in the table is zero.
        codes = np.full((len(pasts), longest + self.causal.shape[1] - 1), config.quantization_channels)
        for row, past in enumerate(pasts):
            codes[row, -len(past) :] = past
        self.history.copy_(torch.from_numpy(codes[:, -self.causal.shape[1] :]))
        self._fill_rings(torch.from_numpy(codes[:, :-1]).to(self.device), [len(past) - 1 for past in pasts])
        self.time.fill_(longest - 1)

    def _fill_rings(self, codes: torch.Tensor, known: Sequence[int]) -> None:
        """Run the stack over codes (streams, taps - 1 + frames) at once; the last `known` frames of each count."""
        networks, width = self.causal.shape[:2]
        frames = codes.shape[1] - width + 1
        hidden = self.causal.new_zeros(len(codes), frames, self.causal.shape[3])
        for tap in range(width):
            hidden += self.causal[self.network[:, None], tap, codes[:, tap : tap + frames]]
        frame = torch.arange(frames, device=self.device)
        before = torch.tensor(known, device=self.device)[:, None] < frames - frame
        for layer, (dilation, slot) in enumerate(zip(self.config.dilations, self.slots.tolist(), strict=True)):
            span = int(self.spans[layer])
            hidden[before] = 0  # feeding would have found zeros in the rings there
            recent = frame[-span:] if span < frames else frame
            self.rings[slot + recent % span] = hidden[:, recent].transpose(0, 1)
            wide = torch.nn.functional.pad(hidden, (0, 0, span, 0))
            shifts = range(0, span, dilation)
            past = torch.cat([wide[:, shift : shift + frames] for shift in shifts], -1)
            rows = slice(layer * networks, (layer + 1) * networks)
            both = _each(past, self.past_kernel[rows]) + _each(hidden, self.present_kernel[:, layer])
            both = both + self.biases[layer].flatten(0, 1)[:, None]
            filtered, gate = both.chunk(2, -1)
            gated = torch.tanh(filtered) * torch.sigmoid(gate)
            hidden = hidden + _each(gated, self.dense[:, layer]) + self.dense_bias[self.network, None, layer]

    def sample(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """The next codes (streams, n), picked with numbers (streams, n) in [0, 1)."""
        count = numbers.shape[1]
        result = torch.empty(numbers.shape, dtype=torch.int64, device=self.device)
        given = torch.from_numpy(np.ascontiguousarray(numbers)).to(self.device)
        first = 0
        with torch.inference_mode():
            while first < count:
                whole = self.device.type == "cuda" and count - first >= GRAPH_SAMPLES
                if whole:
                    self._replay(given[:, first : first + GRAPH_SAMPLES])
                    result[:, first : first + GRAPH_SAMPLES] = self._codes
                else:
                    result[:, first] = self._advance(given[:, first])
                first += GRAPH_SAMPLES if whole else 1
        return result.cpu().numpy()

    def logits(self) -> torch.Tensor:
        """Feed every stream its last code: the logits (streams, Q) of the next."""
        networks, streams, layers = len(self.causal), self.rings.shape[1], len(self.spans)
        hidden = self.causal.new_zeros(streams, self.causal.shape[3])
        for tap in range(self.causal.shape[1]):
            hidden = hidden + self.causal[self.network, tap, self.history[:, tap]]
        slots = self.slots[:, None] + (self.time + self.taps) % self.spans[:, None]
        past = self.rings[slots.flatten()].view(layers, -1, streams, hidden.shape[1])
        past = past.transpose(1, 2).reshape(layers * networks, streams // networks, -1)
        before = torch.baddbmm(self.biases.flatten(0, 1), past, self.past_kernel).view(layers, streams, -1)
        hiddens, gated = self._chain(hidden, before)
        self.rings[self.slots + self.time % self.spans] = hiddens
        self.time += 1
        total = torch.baddbmm(self.skip_bias[:, None], gated.view(networks, streams // networks, -1), self.skip)
        for weight, bias in self.output:
            total = torch.bmm(torch.relu(total), weight)
            if bias is not None:
                total = total + bias[:, None]
        return total.flatten(0, 1)

    def _chain(self, hidden: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Every layer's input (layers, streams, R) and the gated activations side by side (streams, layers · D)."""
        if hidden.is_cuda:
            from src.wavenet.gpu.chain_kernel import chain

            return chain(hidden, before, self.present_kernel, self.dense, self.dense_bias)
        hiddens, gated = [], []
        for layer in range(len(before)):
            hiddens.append(hidden)
            both = before[layer] + _each(hidden, self.present_kernel[:, layer])
            filtered, gate = both.chunk(2, -1)
            gated.append(torch.tanh(filtered) * torch.sigmoid(gate))
            hidden = hidden + _each(gated[-1], self.dense[:, layer]) + self.dense_bias[self.network, layer]
        return torch.stack(hiddens), torch.cat(gated, -1)

    def _advance(self, numbers: torch.Tensor) -> torch.Tensor:
        codes = pick(self.logits(), numbers, self.sampling)
        self.history.copy_(torch.cat([self.history[:, 1:], codes[:, None]], 1))
        return codes

    def _replay(self, numbers: torch.Tensor) -> None:
        """`GRAPH_SAMPLES` samples with one captured graph: from `_numbers` to `_codes`."""
        if self._graph is None:
            kept = [tensor.clone() for tensor in (self.rings, self.history, self.time)]
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(3):  # warm-up: libraries allocate, Triton compiles
                    self._advance(self._numbers[:, 0])
            torch.cuda.current_stream().wait_stream(aside)
            for tensor, value in zip((self.rings, self.history, self.time), kept, strict=True):
                tensor.copy_(value)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                for sample in range(GRAPH_SAMPLES):
                    self._codes[:, sample] = self._advance(self._numbers[:, sample])
            self._graph = graph
        self._numbers.copy_(numbers)
        self._graph.replay()


def _each(streams: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Products of each network's streams (networks · streams, …, n) with its weights (networks, n, m)."""
    networks = len(weights)
    rows = streams.reshape(networks, math.prod(streams.shape[:-1]) // networks, streams.shape[-1])
    return torch.bmm(rows, weights).view(*streams.shape[:-1], weights.shape[-1])


def pick(logits: torch.Tensor, numbers: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The codes (streams,) at which the cumulative softmax of logits (streams, Q) passes numbers (streams,).

    The softmax is of logits / temperature, cut to the top_k likeliest codes and to the likeliest that together
    have probability top_p; of equally likely codes the lower goes first. `picking_kernel.py` does the same on a CPU.
    """
    top_k, top_p = sampling.top_k, sampling.top_p
    weights = torch.softmax(logits.double() / sampling.temperature, -1)
    if top_k is not None or top_p is not None:
        ranked, order = torch.sort(weights, dim=-1, descending=True, stable=True)
        before = ranked.cumsum(-1) - ranked
        cut = before >= (2.0 if top_p is None else top_p)
        cut[:, 0] = False
        if top_k is not None:
            cut[:, top_k:] = True
        weights = torch.zeros_like(weights).scatter(-1, order, ranked.masked_fill(cut, 0.0))
    passed = weights.cumsum(-1)
    threshold = (numbers * passed[:, -1])[:, None]
    # At the very end of the range rounding may leave nothing beyond the threshold: the last possible code then.
    beyond = (passed > threshold) | (passed >= passed[:, -1:])
    return beyond.to(torch.int8).argmax(-1)
