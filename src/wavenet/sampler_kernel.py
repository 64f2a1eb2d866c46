"""The CPU's incremental network: ring buffers of each layer and one numba loop over the samples."""

from collections.abc import Sequence
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt
import torch

from src.wavenet import mulaw
from src.wavenet.network import WaveNet

Floats = npt.NDArray[np.float32]


class Streams:
    """Some streams of one network, each with its own genre and history."""

    def __init__(self, model: WaveNet, genres: Sequence[int | None]) -> None:
        config = model.config
        self.config = config
        state = {name: value.detach().float().cpu().numpy() for name, value in model.state_dict().items()}
        layers, width, residual = len(config.dilations), config.filter_width, config.residual_channels
        skip, codes = config.skip_channels, config.quantization_channels
        causal = state["causal.weight"]
        if config.scalar_input:
            causal = mulaw.decode(np.arange(codes), codes)[None, :, None] * causal
        bias = np.tile(state.get("dilated.bias", np.zeros((layers, 2 * config.dilation_channels), np.float32)), (len(genres), 1, 1))
        for stream, genre in enumerate(genres):
            if genre is not None:
                for layer in range(layers):
                    bias[stream, layer] += state["embedding.weight"][genre] @ state["condition.weight"][layer]
        zeros = np.zeros
        self.weights = tuple(
            np.ascontiguousarray(array, np.float32)
            for array in (
                causal,
                state["dilated.weight"].reshape(layers, width * residual, -1),
                bias,
                state["dense.weight"],
                state.get("dense.bias", zeros((layers, residual))),
                state["skip.weight"].reshape(-1, skip),
                state.get("skip.bias", zeros((layers, skip))).sum(0),
                state["postprocess1.weight"],
                state.get("postprocess1.bias", zeros(skip)),
                state["postprocess2.weight"],
                state.get("postprocess2.bias", zeros(codes)),
            )
        )
        self.dilations = np.array(config.dilations)
        self.rings = np.zeros((len(genres), (width - 1) * sum(config.dilations), residual), np.float32)
        self.history = np.full((len(genres), causal.shape[0]), -1)
        self.history[:, -1] = mulaw.silence(codes)
        self.times = np.zeros(len(genres), np.int64)

    def prime(self, stream: int, start: Literal["silence", "zeros"], primer: npt.NDArray[np.integer] | None) -> None:
        """Fill a stream's state as if `start` and then the primer's codes had been its past."""
        codes = np.array([] if primer is None else primer, np.int64)
        if start == "silence":
            codes = np.concatenate([np.full(self.config.receptive_field, mulaw.silence(self.config.quantization_channels)), codes])
        codes = codes[-self.config.receptive_field :]
        if len(codes):
            self.history[stream, -1] = codes[0]
            self._run(stream, codes[1:], np.zeros(len(codes) - 1), 1.0, 0, 2.0)

    def sample(self, numbers: npt.NDArray[np.float64], temperature: float, top_k: int | None, top_p: float | None) -> npt.NDArray[np.int64]:
        """Take numbers (streams, count) to pick the next codes (streams, count)."""
        result = np.full(numbers.shape, -1)
        for stream in range(len(result)):
            self._run(stream, result[stream], numbers[stream], temperature, top_k or 0, top_p or 2.0)
        return result

    def probabilities(self, stream: int, codes: npt.NDArray[np.integer]) -> Floats:
        """Feed codes to a stream; the probabilities (len(codes), Q) of what follows each."""
        raise NotImplementedError

    def _run(self, stream: int, codes, numbers, temperature, top_k, top_p) -> None:
        (causal, dilated, bias, dense, dense_bias, skip, skip_bias, w1, b1, w2, b2) = self.weights
        _advance(causal, dilated, bias[stream], dense, dense_bias, skip, skip_bias, w1, b1, w2, b2, self.dilations, self.rings[stream],
                 self.history[stream], self.times[stream : stream + 1], codes, numbers, np.float32(temperature), top_k, top_p)


@numba.njit(cache=True, nogil=True)
def _advance(causal, dilated, bias, dense, dense_bias, skip, skip_bias, w1, b1, w2, b2, dilations, ring, history, times, codes, numbers, temperature, top_k, top_p):  # noqa
    layers, inputs, both = dilated.shape
    depth, residual = dense.shape[1:]
    width = inputs // residual
    first = history.shape[0]
    x = np.zeros(residual, np.float32)
    z = np.zeros(both, np.float32)
    gated = np.zeros(layers * depth, np.float32)
    for step in range(codes.shape[0]):
        t = times[0]
        x[:] = 0
        for tap in range(first):
            if history[tap] >= 0:
                x += causal[tap, history[tap]]
        offset = 0
        for layer in range(layers):
            dilation = dilations[layer]
            size = (width - 1) * dilation
            z[:] = bias[layer]
            for tap in range(width):
                if tap < width - 1:
                    past = ring[offset + (t + tap * dilation) % size]
                else:
                    past = x
                for k in range(residual):
                    for n in range(both):
                        z[n] += past[k] * dilated[layer, tap * residual + k, n]
            ring[offset + t % size] = x
            offset += size
            for n in range(depth):
                gated[layer * depth + n] = np.tanh(z[n]) / (np.float32(1) + np.exp(-z[depth + n]))
            for k in range(depth):
                for n in range(residual):
                    x[n] += gated[layer * depth + k] * dense[layer, k, n]
            x += dense_bias[layer]
        s = skip_bias.copy()
        for k in range(layers * depth):
            for n in range(s.size):
                s[n] += gated[k] * skip[k, n]
        s2 = b1.copy()
        for k in range(s.size):
            for n in range(s2.size):
                s2[n] += max(s[k], np.float32(0)) * w1[k, n]
        o = b2.copy()
        for k in range(s2.size):
            for n in range(o.size):
                o[n] += max(s2[k], np.float32(0)) * w2[k, n]
        if codes[step] < 0:
            p = np.exp((o - o.max()) / temperature)
            if top_k > 0 or top_p <= 1:
                order = np.argsort(-p, kind="mergesort")
                total = p.sum()
                kept = np.float32(0)
                for rank in range(order.size):
                    if (top_k > 0 and rank >= top_k) or kept >= top_p * total:
                        p[order[rank]] = 0
                    kept += p[order[rank]]
            threshold = numbers[step] * p.sum()
            c = 0.0
            last = 0
            for q in range(p.size):
                if p[q] > 0:
                    c += p[q]
                    last = q
                    if c > threshold:
                        break
            codes[step] = last
        history[:-1] = history[1:].copy()
        history[-1] = codes[step]
        times[0] += 1
