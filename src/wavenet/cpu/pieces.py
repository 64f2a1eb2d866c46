"""A piece of a batch, worked through in chunks of time: forwards, then backwards, by one thread on a CPU.

In: packed weights, codes, the gates' biases. Out: the summed loss and the sums of all gradients. `fused.py`
explains the whole; products are torch's, everything between them is a loop of `fused_kernels.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from threading import Event

import numpy as np
import numpy.typing as npt
import torch

from src.wavenet.cpu import fused_kernels as kernels
from src.wavenet.cpu.packing import Block, Packing

Chunk = tuple[int, int]
Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

CHUNK_ROWS = 2048
"""Rows of a chunk: their activations in one layer should fit the second-level cache."""


class AbandonedError(Exception):
    """The step under way was given up because somebody asked for it. Weights and state are as before it."""


@dataclass(frozen=True)
class Piece:
    """A stretch of one row of the batch: `scored` samples, and the receptive field that precedes them."""

    row: int
    first: int
    scored: int


def cut(batch: int, scored: int, threads: int) -> list[list[Piece]]:
    """Each thread's pieces. Rows are cut in time where they cannot be shared out evenly whole."""
    parts = 1 if batch % threads == 0 else threads
    parts = min(parts, scored)
    edges = [scored * part // parts for part in range(parts + 1)]
    pieces = [Piece(row, first, end - first) for row in range(batch) for first, end in pairwise(edges)]
    return [share for thread in range(threads) if (share := pieces[thread::threads])]


class Worker:
    """The buffers of one thread, and its walk through its pieces."""

    def __init__(
        self, packing: Packing, weights: Mapping[str, Block], room: int, dtype: torch.dtype, keep_activations: bool
    ) -> None:
        """weights: packed, shared by all workers. room: samples of the longest piece, receptive field included."""
        config = packing.config
        self.config, self.weights, self.room = config, weights, room
        self.gradients = packing.gradients()
        self.bias_gradients: list[Floats] = []
        self.loss = 0.0
        shapes = packing.outer
        self.residual, self.depth = shapes["dense.bias"][1], shapes["dense.weight"][1]
        skip, codes = shapes["postprocess2.weight"]
        layers, width = len(config.dilations), config.filter_width
        self.spans = [(width - 1) * dilation for dilation in config.dilations]
        self.starts = [0, *accumulate(self.spans)]
        """Row of the causal layer's output at which each layer's input begins; last, where scoring begins."""
        self.size = min(CHUNK_ROWS, room)
        self.kept_chunks = -(-room // self.size) if keep_activations else 1
        size, both = self.size, 2 * self.depth

        def block(*shape: int) -> Block:
            return Block.zeros(shape, dtype)

        self.inputs = block(layers, room, self.residual)
        self.both = [block(layers, size, both) for _ in range(self.kept_chunks)]
        self.gated = [block(size, layers * self.depth) for _ in range(self.kept_chunks)]
        self.taps, self.tap_gradients = block(size, width * self.residual), block(size, width * self.residual)
        self.dense, self.dense_gradient = block(size, self.residual), block(size, self.depth)
        self.hidden = Block.zeros((size, self.residual))
        self.total, self.total_gradient = block(size, skip), block(size, skip)
        self.inner, self.inner_gradient = block(size, skip), block(size, skip)
        self.logits = block(size, codes)
        self.gated_gradient = block(size, layers * self.depth)
        self.both_gradient = block(size, both)
        self.hidden_gradient = block(size, self.residual)
        self.pending = [Block.zeros((span + size, self.residual)) for span in self.spans]

    def run(
        self,
        pieces: Sequence[Piece],
        rows: Codes,
        biases: Floats,
        scale: float,
        backward: bool,
        abandoned: Event,
    ) -> None:
        """Work through the pieces: sets `loss` (sum in nats), `gradients` and `bias_gradients`.

        Raises `AbandonedError` within a chunk's time of `abandoned` being set.
        """
        self.loss = 0.0
        self.bias_gradients = []
        for block in self.gradients.values():
            block.tensor.zero_()
        for piece in pieces:
            codes = rows[piece.row, piece.first : piece.first + piece.scored + self.config.receptive_field]
            bias = biases[piece.row]
            bias_gradient = np.zeros_like(bias)
            end = self.starts[-1] + piece.scored
            chunks = [(first, min(first + self.size, end)) for first in range(0, end, self.size)]
            for number, chunk in enumerate(chunks):
                _go_on(abandoned)
                self._forward(number % self.kept_chunks, chunk, codes, bias, first_time=True)
                if not backward:
                    self._output(number % self.kept_chunks, chunk, codes, scale, backward=False)
            if backward:
                for pending in self.pending:
                    pending.array[:] = 0
                for number in reversed(range(len(chunks))):
                    _go_on(abandoned)
                    if number < len(chunks) - self.kept_chunks:
                        self._forward(number % self.kept_chunks, chunks[number], codes, bias, first_time=False)
                    self._backward(number % self.kept_chunks, chunks[number], codes, bias_gradient, scale)
            self.bias_gradients.append(bias_gradient)

    def _forward(
        self,
        slot: int,
        chunk: Chunk,
        codes: Codes,
        bias: Floats,
        first_time: bool,
    ) -> None:
        """The stack on rows chunk[0] … chunk[1] - 1: fills both, gated and, the first time, the layers' inputs."""
        first, end = chunk
        weights, width = self.weights, self.config.filter_width
        gated = self.gated[slot]
        inputs = self.inputs
        if first_time:
            kernels.embed(weights["causal.weight"].array, codes, first, end - first, self.hidden.array, inputs.array[0])
        for layer, dilation in enumerate(self.config.dilations):
            begin = max(first, self.starts[layer + 1])
            count, at, column = end - begin, begin - first, layer * self.depth
            if count <= 0:
                break
            both = self.both[slot].tensor[layer]
            kernels.gather(inputs.array[layer], begin, count, width, dilation, self.taps.array)
            kernel = weights["dilated.weight"].tensor[layer].view(width * self.residual, -1)
            torch.mm(self.taps.tensor[:count], kernel, out=both[at : at + count])
            kernels.gate(self.both[slot].array[layer], bias[layer], at, count, gated.array, column)
            if first_time and layer + 1 < len(self.spans):
                activation = gated.tensor[at : at + count, column : column + self.depth]
                torch.mm(activation, weights["dense.weight"].tensor[layer], out=self.dense.tensor[:count])
                kernels.residual(
                    self.dense.array,
                    weights["dense.bias"].array[layer],
                    self.hidden.array,
                    at,
                    count,
                    inputs.array[layer + 1],
                    begin,
                )

    def _output(self, slot: int, chunk: Chunk, codes: Codes, scale: float, backward: bool) -> int:
        """Skip sum, output layers and loss of a chunk's scored rows; the chunk's row at which they begin.

        Backward: leaves the gradient of the gated activations in `gated_gradient`.
        """
        first = max(chunk[0], self.starts[-1])
        count, at = chunk[1] - first, first - chunk[0]
        if count <= 0:
            return chunk[1] - chunk[0]
        weights, gradients = self.weights, self.gradients
        gated = self.gated[slot].tensor[at : at + count]
        skip = weights["skip.weight"].tensor.view(gated.shape[1], -1)
        one, two = weights["postprocess1.weight"].tensor, weights["postprocess2.weight"].tensor
        total, inner, logits = self.total.tensor[:count], self.inner.tensor[:count], self.logits.tensor[:count]
        torch.mm(gated, skip, out=total)
        kernels.relu(self.total.array, weights["skip.bias"].array, count)
        torch.mm(total, one, out=inner)
        kernels.relu(self.inner.array, weights["postprocess1.bias"].array, count)
        torch.mm(inner, two, out=logits)
        # Row i of the causal layer's output has seen the codes before code starts[-1] + i … + receptive field.
        target = first - self.starts[-1] + self.config.receptive_field
        self.loss += kernels.cross_entropy(
            self.logits.array,
            weights["postprocess2.bias"].array,
            codes,
            target,
            count,
            scale,
            gradients["postprocess2.bias"].array,
        )
        if not backward:
            return at
        inner_gradient, total_gradient = self.inner_gradient.tensor[:count], self.total_gradient.tensor[:count]
        _accumulate(gradients["postprocess2.weight"].tensor, inner, logits)
        torch.mm(logits, two.t(), out=inner_gradient)
        kernels.relu_back(self.inner_gradient.array, self.inner.array, count, gradients["postprocess1.bias"].array)
        _accumulate(gradients["postprocess1.weight"].tensor, total, inner_gradient)
        torch.mm(inner_gradient, one.t(), out=total_gradient)
        kernels.relu_back(self.total_gradient.array, self.total.array, count, gradients["skip.bias"].array)
        _accumulate(gradients["skip.weight"].tensor.view(skip.shape), gated, total_gradient)
        torch.mm(total_gradient, skip.t(), out=self.gated_gradient.tensor[at : at + count])
        return at

    def _backward(
        self,
        slot: int,
        chunk: Chunk,
        codes: Codes,
        bias_gradient: Floats,
        scale: float,
    ) -> None:
        """Loss and all gradients of one chunk, after every later chunk."""
        first, end = chunk
        size = end - first
        weights, gradients, width = self.weights, self.gradients, self.config.filter_width
        scored = self._output(slot, chunk, codes, scale, backward=True)
        self.hidden.array[:size] = 0
        gated = self.gated[slot].tensor
        unused = np.zeros(self.residual, np.float32)
        for layer in reversed(range(len(self.spans))):
            begin = max(first, self.starts[layer + 1])
            count, at, column = max(end - begin, 0), begin - first, layer * self.depth
            dilation, last = self.config.dilations[layer], layer + 1 == len(self.spans)
            if count:
                if not last:
                    incoming = self.hidden_gradient.tensor[at : at + count]
                    dense = weights["dense.weight"].tensor[layer]
                    activation = gated[at : at + count, column : column + self.depth]
                    torch.mm(incoming, dense.t(), out=self.dense_gradient.tensor[:count])
                    _accumulate(gradients["dense.weight"].tensor[layer], activation, incoming)
                kernels.gate_back(
                    self.both[slot].array[layer],
                    self.gated_gradient.array,
                    column,
                    scored,
                    self.dense_gradient.array,
                    not last,
                    at,
                    count,
                    self.both_gradient.array,
                    bias_gradient[layer],
                )
                outgoing = self.both_gradient.tensor[at : at + count]
                kernels.gather(self.inputs.array[layer], begin, count, width, dilation, self.taps.array)
                kernel = weights["dilated.weight"].tensor[layer].view(width * self.residual, -1)
                _accumulate(
                    gradients["dilated.weight"].tensor[layer].view(kernel.shape), self.taps.tensor[:count], outgoing
                )
                torch.mm(outgoing, kernel.t(), out=self.tap_gradients.tensor[:count])
            kernels.spread(
                self.tap_gradients.array,
                width,
                dilation,
                at,
                count,
                size,
                self.size if first else 0,
                self.pending[layer].array,
                self.hidden.array,
                self.hidden_gradient.array,
                gradients["dense.bias"].array[layer - 1] if layer else unused,
            )
        kernels.embed_back(self.hidden.array, codes, first, size, gradients["causal.weight"].array)


def _go_on(abandoned: Event) -> None:
    if abandoned.is_set():
        raise AbandonedError


def _accumulate(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """total (float32) += leftᵀ right."""
    if left.dtype == total.dtype:
        total.addmm_(left.t(), right)
    else:
        total.add_(torch.mm(left.t(), right))
