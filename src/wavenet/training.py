"""One update of the network: loss, gradients, check, optimizer.

In: a batch of codes and genre ids. Out: the loss before the update. Nothing here is random and nothing is
kept between steps except workspaces, so that a step depends on weights, optimizer state and batch alone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch

from src.base.errors import Problem
from src.wavenet import network, optimizers
from src.wavenet.gpu.captured import CapturedLoss

if TYPE_CHECKING:
    from src.wavenet.cpu.fused import FusedLoss

Precision = Literal["float32", "bfloat16"]

Reduce = Callable[[list[torch.Tensor]], None]
"""Averages tensors over all training processes, in place."""


class NotFiniteError(Problem):
    """Loss or gradients are NaN or infinite. The update was not made: weights and state are as before."""


def uses_the_cpu_s_kernels(model: network.WaveNet) -> bool:
    """Whether the compiled loops of `cpu/` compute the gradients; elsewhere it is autograd, on a GPU captured."""
    return next(model.parameters()).device.type == "cpu"


class TrainingStep:
    """Makes updates; call it with a batch."""

    def __init__(
        self,
        model: network.WaveNet,
        optimizer: optimizers.Optimizer,
        state: optimizers.State,
        *,
        precision: Precision = "float32",
        recompute_activations: bool = False,
        l2_regularization: float = 0.0,
        threads: int = 1,
        reduce: Reduce | None = None,
    ) -> None:
        self.model = model
        self.parameters = dict(model.named_parameters())
        self.optimizer = optimizer
        self.state = state
        self.precision = precision
        self.recompute_activations = recompute_activations
        self.l2_regularization = l2_regularization
        self.reduce = reduce
        self._differentiated: FusedLoss | CapturedLoss
        if uses_the_cpu_s_kernels(model):
            from src.wavenet.cpu import fused

            self._differentiated = fused.FusedLoss(
                model.config,
                threads=threads,
                bfloat16=precision == "bfloat16",
                keep_activations=not recompute_activations,
            )
        else:
            self._differentiated = CapturedLoss(
                model, bfloat16=precision == "bfloat16", recompute=recompute_activations
            )

    def __call__(self, codes: torch.Tensor, genre: torch.Tensor | None, learning_rate: float) -> float:
        """Update the weights once and return the loss before it (nats per sample, without the L2 term).

        codes: (batch, receptive_field + n) int64. genre: (batch,) int64 or None.
        Raises `NotFiniteError`, or `AbandonedError` after `abandon`, before anything was changed.
        """
        loss, gradients = self.loss_and_gradients(codes, genre)
        if self.reduce is not None:
            self.reduce([loss, *gradients.values()])
        good = torch.stack([torch.isfinite(tensor).all() for tensor in (loss, *gradients.values())])
        if not bool(good.all()):
            bad = [name for name, fine in zip(("loss", *gradients), good.tolist(), strict=True) if not fine]
            what = "The loss" if bad[0] == "loss" else f"The gradient of {bad[0]}"
            raise NotFiniteError(
                f"{what} is not finite (loss {float(loss)}); the weights are as before this batch. "
                "Lower train.learning_rate."
            )
        if self.l2_regularization > 0:
            for name, parameter in self.parameters.items():
                gradients[name].add_(parameter.detach(), alpha=self.l2_regularization)
        self.optimizer.update(self.parameters, gradients, self.state, learning_rate)
        return float(loss)

    def abandon(self) -> None:
        """Give up the step under way, if its update has not begun, and any later one; call it from where you like.

        A step of a large network takes long on a CPU. On a GPU it is short, and is finished.
        """
        if not isinstance(self._differentiated, CapturedLoss):
            self._differentiated.abandoned.set()

    def loss_and_gradients(
        self, codes: torch.Tensor, genre: torch.Tensor | None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss and its gradient for every parameter; the gradients are good until the next call."""
        return self._differentiated.loss_and_gradients(self.parameters, codes, genre)
