"""Several training processes as one: torchrun starts them, gradients are averaged, the batch is shared out by rows.

In: the environment torchrun sets (RANK, WORLD_SIZE). With one process nothing here does anything. The global batch of a
step is the same for any number of processes; only the order in which gradients are added differs.
"""

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

from src.errors import Problem

SILENCE_S = 300
"""A process that hears nothing from the others for this long gives up, and torchrun starts all again."""


@dataclass(frozen=True)
class Workers:
    """This process among those that train one run."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """Whether this process keeps the journal, the checkpoints and the talking."""
        return self.rank == 0

    def rows(self, batch_size: int) -> range:
        """Rows of the batch that this process computes. Raises `Problem` if they cannot be shared evenly."""
        if batch_size % self.size:
            raise Problem(
                f"A batch of {batch_size} cannot be shared evenly by {self.size} processes: set train.batch_size to a "
                "multiple of them, or start fewer."
            )
        share = batch_size // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def average(self, tensors: list[torch.Tensor]) -> None:
        """Average tensors over all processes, in place (one message for all of them)."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].reshape(tensor.shape))
            start += tensor.numel()

    def agree(self, value: int) -> int:
        """The largest value any process has: one that was asked to stop stops all at the same step."""
        if self.size == 1:
            return value
        shared = torch.tensor(value)
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return int(shared)

    def agree_on(self, fingerprint: str) -> None:
        """Raise `Problem` if a process means another run: its machine has other parameters, clips or code."""
        if self.size == 1:
            return
        value = int(fingerprint, 16) >> 4  # fits a signed 64-bit number
        extremes = torch.tensor([value, -value])
        dist.all_reduce(extremes, op=dist.ReduceOp.MAX)
        if int(extremes[0]) != -int(extremes[1]):
            raise Problem(
                f"The processes do not mean the same run (this one: {fingerprint}): parameters, clips or code differ "
                "between the machines. Bring them to the same commit and the same data/clips, then start again."
            )

    def follow_leader(self, tensors: Iterable[torch.Tensor]) -> None:
        """Take over the leader's values: only the leader's disk has to hold the checkpoint."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def part(self) -> None:
        """Leave the group in good order, when all are done."""
        if self.size > 1:
            dist.barrier()
            dist.destroy_process_group()


def join() -> Workers:
    """Meet the other processes that torchrun started."""
    # Nothing is there to save yet, and torch waits for the others without looking at Python's signal handlers: when
    # torchrun ends this process because another one died, it must end at once and not after torchrun's patience.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    timeout = timedelta(seconds=SILENCE_S)
    # torchrun may keep its store over a restart, with the addresses of processes that are gone: two that believe them
    # wait for each other for ever. So each restart has keys of its own.
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    agent = dist.TCPStore(address, port, size, is_master=False, timeout=timeout)  # type: ignore[attr-defined]
    store = distributed_c10d.PrefixStore(f"restart-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", agent)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timeout)
    return Workers(rank, size)
