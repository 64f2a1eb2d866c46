"""The incremental network on a CPU, for up to `ROWS` streams at a time: numba loops over packed weights.

Each weight is read once for all streams of a group. A stream's arithmetic is the same sequence of operations
whatever its group: rows of a product are independent, and each adds its terms in the order of the inputs.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from src.wavenet.cpu.lanes import (
    WIDTH,
    Index,
    Memory,
    Register,
    add,
    case,
    compiled,
    copy,
    counting,
    fma,
    in_lanes,
    padded,
    sigmoid,
    tanh,
)
from src.wavenet.cpu.picking_kernel import Picking, pick

ROWS = 6
"""Streams of one group: six rows of four vectors are what 32 vector registers hold, with the weights."""
PANEL = 64


class Weights(NamedTuple):
    """A network's weights as the loops read them: float32, the products' as `panels`, float32 or bfloat16 in uint16."""

    causal: Any
    """(taps, Q, R)"""
    dilated: Any
    """`panels` of (layers, width · R, 2D)"""
    dense: Any
    """`panels` of (layers, D, R)"""
    dense_bias: Any
    """(layers, R)"""
    skip: Any
    """`panels` of (layers · D, S)"""
    skip_bias: Any
    """(S,): the sum over the layers"""
    inner: Any
    """`panels` of (S, S)"""
    inner_bias: Any
    """(S,)"""
    outer: Any
    """`panels` of (S, Q padded)"""
    outer_bias: Any
    """(Q padded,)"""
    dilations: Any
    """(layers,) int64"""
    width: int
    """Filter width."""


class Past(NamedTuple):
    """What a group of streams remembers; the loops change rings and history in place."""

    biases: Any
    """(layers, streams, 2D) float32, the genre's share included"""
    rings: Any
    """(slots, streams, R) float32: the past inputs of every layer, one ring of (width - 1) · dilation slots after
    the other"""
    history: Any
    """(streams, taps) int64: the last codes, -1 for none; the last column is fed first"""


class Rows(NamedTuple):
    """Rows of numbers in an array of any shape: row r begins at element `at + r · apart`."""

    values: Any
    at: int
    apart: int


def panels(weights: npt.NDArray[np.float32], outputs: int) -> npt.NDArray[np.float32]:
    """Weights (…, K, N) laid out as they are read: (…, panels, K, up to 64 columns), N zero-padded to `outputs`."""
    *lead, inputs, columns = weights.shape
    wide = np.zeros((*lead, inputs, outputs), np.float32)
    wide[..., :columns] = weights
    width = min(PANEL, outputs)
    return np.ascontiguousarray(np.moveaxis(wide.reshape(*lead, inputs, outputs // width, width), -2, -3))


def panel_columns(columns: int) -> int:
    """Columns padded to whole lanes, and to whole panels if there are several."""
    return padded(columns) if columns <= PANEL else -(-columns // PANEL) * PANEL


@in_lanes
def _panel(
    inputs: Memory,
    at: Index,
    row: Index,
    weights: Memory,
    weights_at: Index,
    count: Index,
    out: Memory,
    to: Index,
    out_row: Index,
    rows: Index,
    vectors: Index,
) -> None:
    """out (rows, 16 · vectors) += inputs (rows, count) · weights (count, 16 · vectors), summed in order of count."""
    for height in range(1, ROWS + 1):
        for width in range(1, PANEL // WIDTH + 1):
            with case(rows, height), case(vectors, width):
                sums = [[Register(out.load(to + out_row * r + 16 * v)) for v in range(width)] for r in range(height)]
                with counting(count) as k:
                    base = weights_at + k * (16 * width)
                    terms = [weights.load(base + 16 * v) for v in range(width)]
                    for r in range(height):
                        value = inputs.splat(at + row * r + k)
                        for v in range(width):
                            sums[r][v].set(fma(value, terms[v], sums[r][v].get()))
                for r in range(height):
                    for v in range(width):
                        out.store(to + out_row * r + 16 * v, sums[r][v].get())


@in_lanes
def _gate(both: Memory, filter_at: Index, gate_at: Index, gated: Memory, to: Index) -> None:
    gated.store(to, tanh(both.load(filter_at)) * sigmoid(both.load(gate_at)))


@in_lanes
def _relu(values: Memory, at: Index) -> None:
    value = values.load(at)
    values.store(at, value.where("<", 0.0, 0.0, value))


@compiled
def product(inputs: Rows, count: int, weights: Any, weights_at: int, out: Rows, columns: int, rows: int) -> None:
    """out (rows, columns) += inputs (rows, count) · packed weights (columns // width, count, width)."""
    width = min(PANEL, columns)
    for panel in range(columns // width):
        _panel(
            inputs.values, inputs.at, inputs.apart, weights, weights_at + panel * count * width, count,
            out.values, out.at + panel * width, out.apart, rows, width // 16,
        )  # fmt: skip


@compiled
def advance(weights: Weights, past: Past, time: int, codes: Any, numbers: Any, picking: Picking, seen: Any) -> None:
    """Run a group of streams for codes.shape[1] samples.

    time: samples fed so far. codes (streams, n): a code >= 0 is taken as it is, -1 is replaced by one picked with
    numbers (streams, n) from the softmax of logits / temperature. seen: (n, streams, Q) for the probabilities without
    temperature, or of length 0.
    """
    causal, dilated, dense, dense_bias = weights.causal, weights.dilated, weights.dense, weights.dense_bias
    dilations, width, quantization = weights.dilations, weights.width, weights.causal.shape[1]
    biases, rings, history = past.biases, past.rings, past.history
    rows, taps = history.shape
    layers, depth2 = biases.shape[0], biases.shape[2]
    depth, residual = depth2 // 2, dense_bias.shape[1]
    skips, outputs = weights.skip_bias.shape[0], weights.outer_bias.shape[0]
    hidden = np.zeros((rows, residual), np.float32)
    inputs = np.zeros((rows, width * residual), np.float32)
    both = np.zeros((rows, depth2), np.float32)
    gated = np.zeros((rows, layers * depth), np.float32)
    total = np.zeros((rows, skips), np.float32)
    mixed = np.zeros((rows, skips), np.float32)
    logits = np.zeros((rows, outputs), np.float32)
    dilated_size, dense_size = width * residual * depth2, depth * residual
    for n in range(codes.shape[1]):
        hidden[:] = 0
        for row in range(rows):
            for tap in range(taps):
                if history[row, tap] >= 0:
                    source = (tap * quantization + history[row, tap]) * residual
                    for block in range(0, residual, 16):
                        add(causal, source + block, hidden, row * residual + block)
        slot = 0
        for layer in range(layers):
            span = (width - 1) * dilations[layer]
            for tap in range(width - 1):
                ring = (slot + (time + n + tap * dilations[layer]) % span) * rows * residual
                for row in range(rows):
                    for block in range(0, residual, 16):
                        copy(rings, ring + row * residual + block, inputs, (row * width + tap) * residual + block)
            ring = (slot + (time + n) % span) * rows * residual
            slot += span
            for row in range(rows):
                for block in range(0, residual, 16):
                    at = row * residual + block
                    copy(hidden, at, inputs, (row * width + width - 1) * residual + block)
                    copy(hidden, at, rings, ring + at)
                for block in range(0, depth2, 16):
                    copy(biases, (layer * rows + row) * depth2 + block, both, row * depth2 + block)
            product(
                Rows(inputs, 0, width * residual), width * residual, dilated, layer * dilated_size,
                Rows(both, 0, depth2), depth2, rows,
            )  # fmt: skip
            for row in range(rows):
                for block in range(0, depth, 16):
                    at = row * depth2 + block
                    _gate(both, at, at + depth, gated, (row * layers + layer) * depth + block)
                for block in range(0, residual, 16):
                    add(dense_bias, layer * residual + block, hidden, row * residual + block)
            if layer + 1 < layers:
                product(
                    Rows(gated, layer * depth, layers * depth), depth, dense, layer * dense_size,
                    Rows(hidden, 0, residual), residual, rows,
                )  # fmt: skip
        for row in range(rows):
            for block in range(0, skips, 16):
                copy(weights.skip_bias, block, total, row * skips + block)
                copy(weights.inner_bias, block, mixed, row * skips + block)
            for block in range(0, outputs, 16):
                copy(weights.outer_bias, block, logits, row * outputs + block)
        all_gated, all_total, all_mixed = Rows(gated, 0, layers * depth), Rows(total, 0, skips), Rows(mixed, 0, skips)
        product(all_gated, layers * depth, weights.skip, 0, all_total, skips, rows)
        for at in range(0, rows * skips, 16):
            _relu(total, at)
        product(all_total, skips, weights.inner, 0, all_mixed, skips, rows)
        for at in range(0, rows * skips, 16):
            _relu(mixed, at)
        product(all_mixed, skips, weights.outer, 0, Rows(logits, 0, outputs), outputs, rows)
        for row in range(rows):
            if seen.shape[0] > 0:
                greatest, sum_of_all = logits[row, 0], 0.0
                for code in range(quantization):
                    greatest = max(greatest, logits[row, code])
                for code in range(quantization):
                    sum_of_all += np.exp(np.float64(logits[row, code] - greatest))
                for code in range(quantization):
                    seen[n, row, code] = np.exp(np.float64(logits[row, code] - greatest)) / sum_of_all
            if codes[row, n] < 0:
                codes[row, n] = pick(logits, row, quantization, numbers[row, n], picking)
            for tap in range(taps - 1):
                history[row, tap] = history[row, tap + 1]
            history[row, taps - 1] = codes[row, n]


@compiled
def prime(weights: Weights, bias: Any, rings: Any, codes: Any, row: int) -> None:
    """Fill one stream's rings as if its codes had been fed one by one: all samples of a layer together.

    bias: (layers, 2D) of this stream. codes: (time,); before them the rings' inputs were zero. row: the
    stream's row in rings (slots, streams, R). Blocks of samples take the rows that `advance` gives to
    streams, so every number is the one that feeding would have left.
    """
    causal, width = weights.causal, weights.width
    quantization, residual = causal.shape[1], causal.shape[2]
    taps, frames = causal.shape[0], codes.shape[0]
    depth2 = bias.shape[1]
    depth = depth2 // 2
    hidden = np.zeros((frames, residual), np.float32)
    for time in range(frames):
        for tap in range(taps):
            source = time - (taps - 1 - tap)
            if source >= 0:
                for block in range(0, residual, 16):
                    add(
                        causal, (tap * quantization + codes[source]) * residual + block, hidden, time * residual + block
                    )
    past = np.zeros((ROWS, width * residual), np.float32)
    both = np.zeros((ROWS, depth2), np.float32)
    gated = np.zeros((ROWS, depth), np.float32)
    slot = 0
    for layer in range(bias.shape[0]):
        dilation = weights.dilations[layer]
        span = (width - 1) * dilation
        for time in range(max(frames - span, 0), frames):
            to = ((slot + time % span) * rings.shape[1] + row) * residual
            for block in range(0, residual, 16):
                copy(hidden, time * residual + block, rings, to + block)
        slot += span
        if layer + 1 == bias.shape[0]:
            break
        # From the end: a sample's input is overwritten only when no later sample needs it any more.
        for end in range(frames, 0, -ROWS):
            first = max(end - ROWS, 0)
            rows = end - first
            for r in range(rows):
                for tap in range(width):
                    source = first + r - (width - 1 - tap) * dilation
                    for block in range(0, residual, 16):
                        to = (r * width + tap) * residual + block
                        if source >= 0:
                            copy(hidden, source * residual + block, past, to)
                        else:
                            past[r, tap * residual + block : tap * residual + block + 16] = 0
                for block in range(0, depth2, 16):
                    copy(bias, layer * depth2 + block, both, r * depth2 + block)
            product(
                Rows(past, 0, width * residual), width * residual, weights.dilated,
                layer * width * residual * depth2, Rows(both, 0, depth2), depth2, rows,
            )  # fmt: skip
            for r in range(rows):
                for block in range(0, depth, 16):
                    _gate(both, r * depth2 + block, r * depth2 + depth + block, gated, r * depth + block)
                for block in range(0, residual, 16):
                    add(weights.dense_bias, layer * residual + block, hidden, (first + r) * residual + block)
            product(
                Rows(gated, 0, depth), depth, weights.dense, layer * depth * residual,
                Rows(hidden, first * residual, residual), residual, rows,
            )  # fmt: skip
