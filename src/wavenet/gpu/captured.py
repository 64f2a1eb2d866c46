"""Loss and gradients on a GPU: `network.loss` and autograd, recorded once and replayed for every batch.

A step at the study's configuration is thousands of small GPU kernels; a captured CUDA graph starts them all
with one call. With bfloat16 the products run under autocast; weights and gradients stay float32.
"""

from collections.abc import Mapping
from functools import partial

import torch

from src.wavenet.network import Stack, WaveNet, check_inputs, plain_stack, unchecked_loss

WARM_UP_RUNS = 3
"""Runs before a capture, in which the libraries allocate what they need (PyTorch's notes on CUDA graphs)."""


KERNELS_TO = 32
"""Channels of a layer up to which the kernels of `layers.py` are used; beyond, plain operations compute it.

At 33, which is padded to 64, they gave wrong sums in bfloat16 on an H200 (Triton 3.6; right in float32), and the cause
is not known.
"""


class CapturedLoss:
    """Computes losses and gradients of one network; keeps one graph, for the latest shape of batch."""

    def __init__(self, model: WaveNet, *, bfloat16: bool = False, recompute: bool = False) -> None:
        """recompute: keep only the layers' inputs and compute the rest again, in a fraction of the memory."""
        self.model = model
        self.bfloat16 = bfloat16
        self._stack: Stack = partial(plain_stack, recompute=recompute)
        widest = max(model.config.residual_channels, model.config.dilation_channels)
        if next(model.parameters()).is_cuda and widest <= KERNELS_TO:
            from src.wavenet.gpu import layers

            self._stack = partial(layers.gated, bfloat16=bfloat16, recompute=recompute)
            # Deterministic algorithms would first fill every new tensor with NaN; ours are written whole.
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._codes = torch.zeros(0)
        self._genre: torch.Tensor | None = None
        self._result: tuple[torch.Tensor, dict[str, torch.Tensor]]

    def loss_and_gradients(
        self, parameters: Mapping[str, torch.Tensor], codes: torch.Tensor, genre: torch.Tensor | None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The mean loss in nats, and its gradient for every parameter; good until the next call.

        parameters: those of the model. codes, genre: on any device.
        """
        check_inputs(self.model.config, codes[:, :-1], genre)
        device = next(self.model.parameters()).device
        if device.type != "cuda":
            return self._compute(parameters, codes.to(device), None if genre is None else genre.to(device))
        if self._graph is None or self._codes.shape != codes.shape:
            self._capture(parameters, codes.to(device), None if genre is None else genre.to(device))
        else:
            self._codes.copy_(codes, non_blocking=True)
            if self._genre is not None and genre is not None:
                self._genre.copy_(genre)
        assert self._graph is not None
        self._graph.replay()
        return self._result

    def _compute(
        self, parameters: Mapping[str, torch.Tensor], codes: torch.Tensor, genre: torch.Tensor | None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        with torch.autocast(codes.device.type, dtype=torch.bfloat16, enabled=self.bfloat16, cache_enabled=False):
            loss = unchecked_loss(self.model, codes, genre, self._stack)
        # A network of one layer does not use its dense weights: their gradient is zero.
        gradients = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
        return loss.detach(), dict(zip(parameters, gradients, strict=True))

    def _capture(self, parameters: Mapping[str, torch.Tensor], codes: torch.Tensor, genre: torch.Tensor | None) -> None:
        self._graph = None  # the old graph's memory goes before the new one comes
        self._codes, self._genre = codes.clone(), None if genre is None else genre.clone()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_RUNS):
                self._compute(parameters, self._codes, self._genre)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._result = self._compute(parameters, self._codes, self._genre)
        self._graph = graph
