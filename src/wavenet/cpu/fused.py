"""Loss and gradients of a batch on a CPU, by hand: the same numbers as `network.loss` and autograd, in a
fraction of the time and memory.

The batch is cut into pieces, one row or a stretch of a row, and each thread works through pieces of its own:
there is nothing to wait for until the gradients are added, in the order of the threads. A piece is worked
through in chunks of time that stay in the cache. Forwards, only each layer's input is kept; backwards, a
chunk's activations are computed again (or kept, if memory allows), the output layers and the loss run on that
chunk alone, and what its gradients give to earlier rows waits in a small buffer. Products are torch's,
everything between them is one numba loop each (`fused_kernels.py`).

With bfloat16 the operands of all products are bfloat16; weights, residual sums, loss and the gradients' sums
over chunks stay float32.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event

import numpy as np
import numpy.typing as npt
import torch

from src.wavenet.cpu.packing import Packing
from src.wavenet.cpu.pieces import Piece, Worker, cut
from src.wavenet.network import check_codes, check_inputs, own_thread
from src.wavenet.shape import WaveNetConfig


class FusedLoss:
    """Computes losses and gradients of one network shape; keeps its buffers between calls."""

    def __init__(
        self, config: WaveNetConfig, *, threads: int, bfloat16: bool = False, keep_activations: bool = False
    ) -> None:
        """threads: part of the result, because sums are split by it. keep_activations: more memory, less work.

        Sets this process's torch to one thread: the pieces are what runs in parallel.
        """
        self.config = config
        self.threads = threads
        self.dtype = torch.bfloat16 if bfloat16 else torch.float32
        self.keep_activations = keep_activations
        self.packing = Packing(config)
        self.weights = self.packing.weights(self.dtype)
        torch.set_num_threads(1)  # for good: torch's own threads would spin in the way of ours
        self._pool = ThreadPoolExecutor(threads, initializer=own_thread)
        self._workers: list[Worker] = []
        self.abandoned = Event()
        """Once set, every computation ends with `AbandonedError`, soon."""

    def loss_and_gradients(
        self, parameters: Mapping[str, torch.Tensor], codes: torch.Tensor, genre: torch.Tensor | None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The mean loss in nats (float32 scalar), and its gradient for every parameter."""
        pieces = self._run(parameters, codes, genre, backward=True)
        totals = self._workers[0].gradients
        for worker in self._workers[1:]:
            for name, block in totals.items():
                block.tensor.add_(worker.gradients[name].tensor)
        gradients = {
            name: self.packing.unpacked(name, totals[name].tensor, parameter)
            for name, parameter in parameters.items()
            if name in totals and name != "dilated.bias"
        }
        self._add_bias_gradients(parameters, genre, pieces, gradients)
        return self._loss(codes), gradients

    def loss(
        self, parameters: Mapping[str, torch.Tensor], codes: torch.Tensor, genre: torch.Tensor | None
    ) -> torch.Tensor:
        """The mean loss alone."""
        self._run(parameters, codes, genre, backward=False)
        return self._loss(codes)

    def _run(
        self, parameters: Mapping[str, torch.Tensor], codes: torch.Tensor, genre: torch.Tensor | None, backward: bool
    ) -> list[list[Piece]]:
        check_inputs(self.config, codes[:, :-1], genre)
        check_codes(self.config, codes)
        scored = codes.shape[1] - self.config.receptive_field
        pieces = cut(codes.shape[0], scored, self.threads)
        self.packing.fill(self.weights, parameters)
        longest = max(piece.scored for share in pieces for piece in share)
        room = longest + self.config.receptive_field
        if not self._workers or self._workers[0].room < room or len(self._workers) != len(pieces):
            self._workers = []  # the old buffers go before the new ones come
            self._workers = [
                Worker(self.packing, self.weights, room, self.dtype, self.keep_activations) for _ in pieces
            ]
        rows = np.ascontiguousarray(codes.numpy())
        scale = 1 / (codes.shape[0] * scored)
        biases = self._conditioned_biases(parameters, genre, codes.shape[0])
        jobs = [
            self._pool.submit(worker.run, share, rows, biases, scale, backward, self.abandoned)
            for worker, share in zip(self._workers, pieces, strict=True)
        ]
        wait(jobs)
        for job in jobs:
            job.result()
        return pieces

    def _loss(self, codes: torch.Tensor) -> torch.Tensor:
        scored = codes.shape[0] * (codes.shape[1] - self.config.receptive_field)
        return torch.tensor(sum(worker.loss for worker in self._workers) / scored, dtype=torch.float32)

    def _conditioned_biases(
        self, parameters: Mapping[str, torch.Tensor], genre: torch.Tensor | None, batch: int
    ) -> npt.NDArray[np.float32]:
        """(batch, layers, 2D): each layer's bias, with the genre's share, which is constant over a row."""
        biases = self.weights["dilated.bias"].tensor.repeat(batch, 1, 1, 1)
        if genre is not None:
            embedded = parameters["embedding.weight"].detach()[genre]
            shares = torch.einsum("bc,lcd->bld", embedded, parameters["condition.weight"].detach())
            depth = self.config.dilation_channels
            biases[..., :depth] += shares.view(batch, -1, 2, depth)
        return biases.flatten(2).numpy()

    def _add_bias_gradients(
        self,
        parameters: Mapping[str, torch.Tensor],
        genre: torch.Tensor | None,
        pieces: Sequence[Sequence[Piece]],
        gradients: dict[str, torch.Tensor],
    ) -> None:
        """The gradients of all that acts as a bias of the gates: bias, genre embedding and its projections."""
        depth = self.config.dilation_channels
        shares = [
            (piece.row, torch.from_numpy(bias).view(len(bias), 2, -1)[..., :depth].flatten(1))
            for worker, share in zip(self._workers, pieces, strict=True)
            for piece, bias in zip(share, worker.bias_gradients, strict=True)
        ]
        total = torch.stack([share for _, share in shares])
        if "dilated.bias" in parameters:
            gradients["dilated.bias"] = total.sum(0)
        if genre is not None:
            chosen = genre[torch.tensor([row for row, _ in shares])]
            table, projections = (parameters[f"{name}.weight"].detach() for name in ("embedding", "condition"))
            gradients["condition.weight"] = torch.einsum("pc,pld->lcd", table[chosen], total)
            of_rows = torch.einsum("pld,lcd->pc", total, projections)
            gradients["embedding.weight"] = torch.zeros_like(table).index_add_(0, chosen, of_rows)
