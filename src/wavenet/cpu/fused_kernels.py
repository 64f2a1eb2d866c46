"""The elementwise parts of a training step, each one loop over the rows of a chunk.

Arrays are float32, or uint16 holding bfloat16 ("stored" below), C-contiguous, with channels padded to whole
lanes. Sums of gradients over the rows are added to float32 arrays. `fused.py` says what is called when.
"""

from typing import Any

import numpy as np

from src.wavenet.cpu.lanes import (
    Index,
    Lanes,
    Memory,
    Register,
    add,
    compiled,
    copy,
    counting,
    exp,
    in_lanes,
    sigmoid,
    tanh,
)


@in_lanes
def _zero(target: Memory, at: Index, value: Lanes) -> None:
    target.store(at, value)


@in_lanes
def _residual(
    product: Memory,
    source_at: Index,
    bias: Memory,
    bias_at: Index,
    hidden: Memory,
    at: Index,
    stored: Memory,
    to: Index,
) -> None:
    value = hidden.load(at) + (product.load(source_at) + bias.load(bias_at))
    hidden.store(at, value)
    stored.store(to, value)


@in_lanes
def _gate(
    both: Memory,
    filter_at: Index,
    gate_at: Index,
    bias: Memory,
    at: Index,
    gate_bias_at: Index,
    gated: Memory,
    to: Index,
) -> None:
    filtered = tanh(both.load(filter_at) + bias.load(at))
    gate = sigmoid(both.load(gate_at) + bias.load(gate_bias_at))
    both.store(filter_at, filtered)
    both.store(gate_at, gate)
    gated.store(to, filtered * gate)


@in_lanes
def _gate_back(
    both: Memory,
    filter_at: Index,
    gate_at: Index,
    gradient: Memory,
    at: Index,
    bias: Memory,
    bias_at: Index,
    gate_bias_at: Index,
    out: Memory,
) -> None:
    filtered, gate, incoming = both.load(filter_at), both.load(gate_at), gradient.load(at)
    through_filter = incoming * gate * (1.0 - filtered * filtered)
    through_gate = incoming * filtered * gate * (1.0 - gate)
    out.store(filter_at, through_filter)
    out.store(gate_at, through_gate)
    bias.store(bias_at, bias.load(bias_at) + through_filter)
    bias.store(gate_bias_at, bias.load(gate_bias_at) + through_gate)


@in_lanes
def _relu(values: Memory, at: Index, bias: Memory, bias_at: Index) -> None:
    value = values.load(at) + bias.load(bias_at)
    values.store(at, value.where("<", 0.0, 0.0, value))


@in_lanes
def _relu_back(gradient: Memory, at: Index, values: Memory, bias: Memory, bias_at: Index) -> None:
    value = values.load(at).where(">", 0.0, gradient.load(at), 0.0)
    gradient.store(at, value)
    bias.store(bias_at, bias.load(bias_at) + value)


@in_lanes
def _greatest_logit(logits: Memory, at: Index, bias: Memory, blocks: Index) -> Any:
    greatest = Register(logits.load(at) + bias.load(blocks * 0))
    with counting(blocks) as block:
        value = logits.load(at + block * 16) + bias.load(block * 16)
        greatest.set(value.where(">", greatest.get(), value, greatest.get()))
    return greatest.get().greatest()


@in_lanes
def _exponentials(logits: Memory, at: Index, bias: Memory, blocks: Index, greatest: Lanes, out: Memory) -> Any:
    total = Register(greatest * 0.0)
    with counting(blocks) as block:
        value = exp(logits.load(at + block * 16) + bias.load(block * 16) - greatest)
        out.store(block * 16, value)
        total.set(total.get() + value)
    return total.get().total()


@in_lanes
def _logit_gradients(
    exponentials: Memory, factor: Lanes, blocks: Index, gradient: Memory, at: Index, bias: Memory
) -> None:
    with counting(blocks) as block:
        value = exponentials.load(block * 16) * factor
        gradient.store(at + block * 16, value)
        bias.store(block * 16, bias.load(block * 16) + value)


@compiled
def embed(table: Any, codes: Any, first: int, rows: int, hidden: Any, stored: Any) -> None:
    """The causal layer of rows first … first + rows - 1: to hidden from row 0 on, and to stored from `first` on.

    table: (taps, codes, R). codes: (time,); tap k of row t is the code at t + k. hidden: (rows, R) float32.
    """
    taps, channels = table.shape[0], table.shape[2]
    size = table.shape[1] * channels
    for row in range(rows):
        for block in range(0, channels, 16):
            at = row * channels + block
            copy(table, codes[first + row] * channels + block, hidden, at)
            for tap in range(1, taps):
                add(table, tap * size + codes[first + row + tap] * channels + block, hidden, at)
            copy(hidden, at, stored, (first + row) * channels + block)


@compiled
def embed_back(gradient: Any, codes: Any, first: int, rows: int, table: Any) -> None:
    """Add the gradient (rows, R) of the causal layer's output to that of its table (taps, codes, R)."""
    taps, channels = table.shape[0], table.shape[2]
    size = table.shape[1] * channels
    for row in range(rows):
        for tap in range(taps):
            to = tap * size + codes[first + row + tap] * channels
            for block in range(0, channels, 16):
                add(gradient, row * channels + block, table, to + block)


@compiled
def gather(stored: Any, first: int, rows: int, width: int, dilation: int, taps: Any) -> None:
    """Lay each row beside its past: taps (rows, W · R) of stored (time, R), the oldest tap first."""
    channels = stored.shape[1]
    for row in range(rows):
        for tap in range(width):
            source = (first + row - (width - 1 - tap) * dilation) * channels
            to = (row * width + tap) * channels
            for block in range(0, channels, 16):
                copy(stored, source + block, taps, to + block)


@compiled
def gate(both: Any, bias: Any, first: int, rows: int, gated: Any, column: int) -> None:
    """both (C, 2D) becomes tanh(filter) and sigmoid(gate) in place; their product goes to gated from `column` on."""
    depth = both.shape[1] // 2
    for row in range(first, first + rows):
        for block in range(0, depth, 16):
            at = row * 2 * depth + block
            _gate(both, at, at + depth, bias, block, depth + block, gated, row * gated.shape[1] + column + block)


@compiled
def residual(product: Any, bias: Any, hidden: Any, first: int, rows: int, stored: Any, time: int) -> None:
    """hidden (C, R) += product + bias from row `first` on, and a copy to stored from row `time` on."""
    channels = hidden.shape[1]
    for row in range(rows):
        for block in range(0, channels, 16):
            at = (first + row) * channels + block
            _residual(product, row * channels + block, bias, block, hidden, at, stored, (time + row) * channels + block)


@compiled
def relu(values: Any, bias: Any, rows: int) -> None:
    """values (C, S) = max(values + bias, 0)."""
    channels = values.shape[1]
    for row in range(rows):
        for block in range(0, channels, 16):
            _relu(values, row * channels + block, bias, block)


@compiled
def relu_back(gradient: Any, values: Any, rows: int, bias: Any) -> None:
    """The gradient (C, S) before a ReLU whose output is `values`; its sum over rows is added to bias (S)."""
    channels = values.shape[1]
    for row in range(rows):
        for block in range(0, channels, 16):
            _relu_back(gradient, row * channels + block, values, bias, block)


@compiled
def cross_entropy(logits: Any, bias: Any, codes: Any, first: int, rows: int, scale: float, bias_gradient: Any) -> float:
    """The summed cross-entropy in nats; logits (C, Q) become their gradient times `scale`.

    The target of row i is codes[first + i]. bias_gradient (Q): the gradients' sum over the rows is added.
    """
    width = logits.shape[1]
    blocks = width // 16
    exponentials = np.empty(width, np.float32)
    loss = 0.0
    one = np.empty(16, np.float32)
    for row in range(rows):
        at = row * width
        target = codes[first + row]
        greatest = _greatest_logit(logits, at, bias, blocks)
        total = _exponentials(logits, at, bias, blocks, greatest, exponentials)
        lane = target % 16
        copy(logits, at + target - lane, one, 0)
        loss += np.log(np.float64(total)) + np.float64(greatest) - np.float64(one[lane] + bias[target])
        exponentials[target] -= total
        _logit_gradients(exponentials, np.float32(scale / total), blocks, logits, at, bias_gradient)
    return loss


@compiled
def gate_back(
    both: Any,
    from_skip: Any,
    column: int,
    skip_first: int,
    from_dense: Any,
    dense: bool,
    first: int,
    rows: int,
    out: Any,
    bias: Any,
) -> None:
    """The gradient before tanh and sigmoid: out (C, 2D), and its sum over rows added to bias (2D).

    both: what `gate` left. from_skip: (C, L · D), this layer's D from `column` on, rows before skip_first
    have none. from_dense: (C, D) from row 0 on, if `dense`. It is overwritten.
    """
    depth = both.shape[1] // 2
    width = from_skip.shape[1]
    for row in range(first, first + rows):
        for block in range(0, depth, 16):
            at = (row - first) * depth + block
            if not dense:
                _zero(from_dense, at, np.float32(0))
            if row >= skip_first:
                add(from_skip, row * width + column + block, from_dense, at)
            to = row * 2 * depth + block
            _gate_back(both, to, to + depth, from_dense, at, bias, block, depth + block, out)


@compiled
def spread(
    taps: Any,
    width: int,
    dilation: int,
    first: int,
    rows: int,
    size: int,
    carry: int,
    pending: Any,
    hidden: Any,
    stored: Any,
    bias: Any,
) -> None:
    """Give each tap's gradient to the row it came from, and complete the gradient of this chunk's rows.

    taps: (rows, W · R), from row `first` of the chunk on. pending: (span + C, R) float32 with span =
    (W - 1) · dilation, what later rows have given to the chunk's `size` rows and the span before them.
    hidden: (C, R) float32, the gradient so far; stored: the same for products; bias (R): their sum is added.
    carry: rows of the next (earlier) chunk, for which `pending` is left in place; 0 if there is none.
    """
    channels = hidden.shape[1]
    span = (width - 1) * dilation
    for row in range(rows):
        for tap in range(width):
            to = (first + row + tap * dilation) * channels
            for block in range(0, channels, 16):
                add(taps, (row * width + tap) * channels + block, pending, to + block)
    for row in range(size):
        for block in range(0, channels, 16):
            at = row * channels + block
            add(pending, span * channels + at, hidden, at)
            copy(hidden, at, stored, at)
            add(hidden, at, bias, block)
    if carry > 0:
        for row in range(span - 1, -1, -1):
            for block in range(0, channels, 16):
                copy(pending, row * channels + block, pending, (carry + row) * channels + block)
        pending[:carry] = 0
