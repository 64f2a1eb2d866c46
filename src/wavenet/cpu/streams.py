"""Streams being generated on a CPU: packed weights, ring buffers, groups and threads around the kernel."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from src.wavenet import mulaw
from src.wavenet.cpu import sampler_kernel
from src.wavenet.cpu.lanes import padded
from src.wavenet.cpu.picking_kernel import Picking
from src.wavenet.cpu.sampler_kernel import ROWS, panel_columns, panels
from src.wavenet.network import WaveNet, own_thread
from src.wavenet.sampling import Sampling, Weights

Floats = npt.NDArray[np.float32]


class Group:
    """Up to `ROWS` streams that are computed together."""

    def __init__(self, weights: "PackedWeights", genres: Sequence[int | None], sampling: Sampling) -> None:
        self.weights = weights
        self.sampling = sampling
        config, (taps, _, residual) = weights.config, weights.arrays.causal.shape
        slots = (config.filter_width - 1) * sum(config.dilations)
        self.past = sampler_kernel.Past(
            biases=np.ascontiguousarray(np.stack([weights.biases_of(genre) for genre in genres], 1)),
            rings=np.zeros((slots, len(genres), residual), np.float32),
            history=np.full((len(genres), taps), -1, np.int64),
        )
        self.time = 0

    def start(self, primers: Sequence[npt.NDArray[np.integer] | None]) -> None:
        """Set every stream's past: a receptive field of silence, or nothing (all-zero rings), then its primer."""
        config = self.weights.config
        quiet = mulaw.silence(config.quantization_channels)
        pasts = []
        for primer in primers:
            past = np.array([quiet] if primer is None or not len(primer) else primer, np.int64)
            if self.sampling.start == "silence":
                past = np.concatenate([np.full(config.receptive_field, quiet), past])
            pasts.append(past[-config.receptive_field :])
        # All streams of a group share one clock; it starts at the longest past.
        self.time = max(len(past) for past in pasts) - 1
        for row, past in enumerate(pasts):
            bias = np.ascontiguousarray(self.past.biases[:, row])
            sampler_kernel.prime(self.weights.arrays, bias, self.past.rings, past[:-1], row)
            self._turn(row, self.time - (len(past) - 1))
            recent = past[-self.past.history.shape[1] :]
            self.past.history[row, -len(recent) :] = recent

    def _turn(self, row: int, late: int) -> None:
        """Move a stream's rings on by `late` samples, to where the group's clock looks for them."""
        slot = 0
        for dilation in self.weights.config.dilations:
            span = (self.weights.config.filter_width - 1) * dilation
            ring = self.past.rings[slot : slot + span, row]
            ring[:] = np.roll(ring, late % span, axis=0)
            slot += span

    def run(self, codes: npt.NDArray[np.int64], numbers: npt.NDArray[np.float64], seen: Floats | None = None) -> None:
        """Go on for codes.shape[1] samples; `sampler_kernel.advance` explains the arguments."""
        temperature, top_k, top_p = self.sampling.temperature, self.sampling.top_k, self.sampling.top_p
        picking = Picking(float(temperature), top_k or 0, 2.0 if top_p is None else float(top_p))
        probabilities = np.zeros((0, 1, 1), np.float32) if seen is None else seen
        sampler_kernel.advance(self.weights.arrays, self.past, self.time, codes, numbers, picking, probabilities)
        self.time += codes.shape[1]


class Streams:
    """Any number of streams, in groups that threads share out."""

    def __init__(
        self,
        model: WaveNet,
        genres: Sequence[int | None],
        sampling: Sampling = Sampling(),
        threads: int = 1,
    ) -> None:
        packed = PackedWeights(model, sampling.weights)
        # As many groups as fill the threads evenly, and none larger than a group may be.
        rounds = math.ceil(len(genres) / (ROWS * threads))
        count = min(rounds * threads, len(genres))
        edges = [len(genres) * group // count for group in range(count + 1)]
        self.slices = [slice(*pair) for pair in pairwise(edges)]
        self.groups = [Group(packed, genres[part], sampling) for part in self.slices]
        self._pool = ThreadPoolExecutor(threads, initializer=own_thread)

    def start(self, primers: Sequence[npt.NDArray[np.integer] | None] | None = None) -> None:
        """Set every stream's past: what `Sampling.start` says, then its primer."""
        for group, part in zip(self.groups, self.slices, strict=True):
            group.start(primers[part] if primers is not None else [None] * (part.stop - part.start))

    def sample(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """The next codes (streams, n), picked with numbers (streams, n) in [0, 1)."""

        def work(group: Group, part: slice) -> npt.NDArray[np.int64]:
            mine = np.ascontiguousarray(numbers[part], np.float64)
            codes = np.full(mine.shape, -1, np.int64)
            group.run(codes, mine)
            return codes

        return np.concatenate(list(self._pool.map(work, self.groups, self.slices)))


class PackedWeights:
    """A network's weights in the order in which generation reads them."""

    def __init__(self, model: WaveNet, kind: Weights) -> None:
        self.config = config = model.config
        state = {name: value.detach().float().cpu().numpy() for name, value in model.state_dict().items()}
        layers, width = len(config.dilations), config.filter_width
        depth, skip, codes = config.dilation_channels, config.skip_channels, config.quantization_channels
        residual, deep = panel_columns(config.residual_channels), padded(depth)
        if 2 * deep > sampler_kernel.PANEL:
            deep = panel_columns(2 * deep) // 2
        skips, outputs = panel_columns(skip), panel_columns(codes)
        self._state, self._deep = state, deep
        causal = state["causal.weight"]
        if config.scalar_input:
            causal = mulaw.decode(np.arange(codes), codes)[None, :, None] * causal

        def packed(array: Floats, *shape: int) -> npt.NDArray[np.float32] | npt.NDArray[np.uint16]:
            return _stored(panels(_widened(array, shape), shape[-1]).ravel(), kind)

        def bias(name: str, *shape: int) -> Floats:
            return _widened(state[name], shape) if name in state else np.zeros(shape, np.float32)

        dilated = _widened(_halves(state["dilated.weight"], deep), (layers, width, residual, 2 * deep))
        skip_of_all = _widened(state["skip.weight"], (layers, deep, skips))
        outer_bias = bias("postprocess2.bias", outputs)
        outer_bias[codes:] = -1e30  # padded codes have no probability
        self.arrays = sampler_kernel.Weights(
            causal=_widened(causal, (causal.shape[0], codes, residual)),
            dilated=packed(dilated.reshape(layers, width * residual, 2 * deep), layers, width * residual, 2 * deep),
            dense=packed(state["dense.weight"], layers, deep, residual),
            dense_bias=bias("dense.bias", layers, residual),
            skip=packed(skip_of_all.reshape(layers * deep, skips), layers * deep, skips),
            skip_bias=bias("skip.bias", layers, skips).sum(0),
            inner=packed(state["postprocess1.weight"], skips, skips),
            inner_bias=bias("postprocess1.bias", skips),
            outer=packed(state["postprocess2.weight"], skips, outputs),
            outer_bias=outer_bias,
            dilations=np.array(config.dilations, np.int64),
            width=width,
        )

    def biases_of(self, genre: int | None) -> Floats:
        """(layers, 2D): what is added in every layer's gate for a genre; it is constant over a clip."""
        shape = (len(self.config.dilations), 2 * self.config.dilation_channels)
        bias = self._state.get("dilated.bias", np.zeros(shape, np.float32))
        if genre is not None:
            embedded = self._state["embedding.weight"][genre]
            bias = bias + np.stack([embedded @ projection for projection in self._state["condition.weight"]])
        return _halves(bias, self._deep)


def _widened(array: Floats, shape: Sequence[int]) -> Floats:
    wide = np.zeros(shape, np.float32)
    wide[tuple(slice(size) for size in array.shape)] = array
    return wide


def _halves(array: Floats, deep: int) -> Floats:
    """Filter and gate columns (…, 2D), each half padded to `deep`."""
    halves = array.reshape(*array.shape[:-1], 2, -1)
    return _widened(halves, (*halves.shape[:-1], deep)).reshape(*array.shape[:-1], 2 * deep)


def _stored(array: Floats, kind: Weights) -> npt.NDArray[np.float32] | npt.NDArray[np.uint16]:
    if kind == "float32":
        return array
    bits = array.view(np.uint32)
    rounded: npt.NDArray[np.uint16] = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return rounded
