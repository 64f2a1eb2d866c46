"""Picking a code from logits with a given number, in a numba loop: the CPU's twin of `device_streams.pick`."""

from typing import Any, NamedTuple

import numpy as np

from src.wavenet.cpu.lanes import Index, Lanes, Memory, Register, compiled, counting, exp, in_lanes


class Picking(NamedTuple):
    """The settings of `Sampling` that the loops need, as plain numbers."""

    temperature: float
    top_k: int
    """0: all codes."""
    top_p: float
    """2: all codes."""


@in_lanes
def _greatest(values: Memory, at: Index, blocks: Index) -> Any:
    greatest = Register(values.load(at))
    with counting(blocks) as block:
        value = values.load(at + block * 16)
        greatest.set(value.where(">", greatest.get(), value, greatest.get()))
    return greatest.get().greatest()


@in_lanes
def _weight_block(logits: Memory, at: Index, greatest: Lanes, sharpness: Lanes, out: Memory, to: Index) -> Any:
    value = exp((logits.load(at) - greatest) * sharpness)
    out.store(to, value)
    return value.total()


@compiled
def pick(logits: Any, row: int, quantization: int, number: float, picking: Picking) -> int:
    """The code at which the cumulative softmax passes `number` (codes in rising order)."""
    outputs = logits.shape[1]
    blocks = outputs // 16
    weights = np.empty(outputs, np.float32)
    sums = np.empty(blocks, np.float32)
    greatest = _greatest(logits, row * outputs, blocks)
    for block in range(blocks):
        sums[block] = _weight_block(
            logits, row * outputs + block * 16, greatest, np.float32(1 / picking.temperature), weights, block * 16
        )
    if picking.top_k > 0 or picking.top_p <= 1:
        _keep_likeliest(weights[:quantization], picking.top_k, picking.top_p)
        for block in range(blocks):
            sums[block] = weights[block * 16 : block * 16 + 16].sum()
    total = 0.0
    for block in range(blocks):
        total += sums[block]
    threshold = number * total
    passed = 0.0
    last = 0
    for block in range(blocks):
        if passed + sums[block] > threshold or block == blocks - 1:
            for code in range(block * 16, min(block * 16 + 16, quantization)):
                passed += weights[code]
                if weights[code] > 0:
                    last = code
                    if passed > threshold:
                        break
            break
        passed += sums[block]
        if sums[block] > 0:
            for code in range(block * 16, block * 16 + 16):
                if weights[code] > 0:
                    last = code
    return last


@compiled
def _keep_likeliest(weights: Any, top_k: int, top_p: float) -> None:
    """Set all but the top_k likeliest, and those beyond a share of top_p, to zero; ties go to lower codes."""
    order = np.argsort(-weights, kind="mergesort")
    limit = top_p * weights.sum()
    kept = 0.0
    for rank in range(order.size):
        code = order[rank]
        if (top_k > 0 and rank >= top_k) or (rank > 0 and kept >= limit):
            weights[code] = 0
        kept += weights[code]
