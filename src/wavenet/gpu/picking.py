"""Picking codes from logits with given numbers, in torch: the GPU's part of what `sampler_kernel` does."""

import torch


def pick(
    logits: torch.Tensor, numbers: torch.Tensor, temperature: float, top_k: int | None, top_p: float | None
) -> torch.Tensor:
    """The codes (streams,) at which the cumulative softmax of logits (streams, Q) passes numbers (streams,).

    The softmax is of logits / temperature, cut to the top_k likeliest codes and to the likeliest that together
    have probability top_p; of equally likely codes the lower goes first.
    """
    weights = torch.softmax(logits.double() / temperature, -1)
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
