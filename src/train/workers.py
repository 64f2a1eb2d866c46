"""Several training processes as one: torchrun starts them, gradients are averaged, the batch is shared out by rows.

In: the environment torchrun sets (RANK, WORLD_SIZE). With one process nothing here does anything. The global batch of a
step is the same for any number of processes; only the order in which gradients are added differs.
"""

import os
import secrets
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

from src.base.errors import Problem
from src.wavenet.device import Kind

SILENCE_S = 300
"""A process that hears nothing from the others for this long gives up, and torchrun starts all again."""


class LostProcessError(RuntimeError):
    """This process can do nothing without the one that is gone; torchrun starts them all again."""


@dataclass(frozen=True)
class Workers:
    """This process among those that train one run."""

    rank: int
    size: int
    leader: int = 0
    """Rank of the process that keeps the journal, the checkpoints and the talking."""

    @property
    def leads(self) -> bool:
        """Whether that is this process."""
        return self.rank == self.leader

    def led_by_the_furthest(self, last_step: int) -> "Workers":
        """The same processes, led by the one whose disk knows most of the run; the first of several.

        last_step: of the journal on this process's disk; -1: there is none. Ranks say nothing of it: they change as
        machines come and go.
        """
        furthest = self.agree(last_step * self.size + self.size - 1 - self.rank)
        return replace(self, leader=self.size - 1 - furthest % self.size)

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
        with self._all_present():
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
        with self._all_present():
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
            with self._all_present():
                for tensor in tensors:
                    dist.broadcast(tensor, self.leader)

    def part(self) -> None:
        """Leave the group in good order, when all are done."""
        if self.size > 1:
            with self._all_present():
                dist.barrier()
            dist.destroy_process_group()

    @contextmanager
    def _all_present(self) -> Iterator[None]:
        """Say that a process is missing where gloo speaks of sockets and addresses."""
        try:
            yield
        except RuntimeError as error:
            raise LostProcessError(f"another of the {self.size} processes is gone, or silent") from error


def join(kind: Kind) -> Workers:
    """Meet the other processes that torchrun started. kind: of the device whose tensors they average."""
    # Nothing is there to save yet, and torch waits for the others without looking at Python's signal handlers: when
    # torchrun ends this process because another one died, it must end at once and not after torchrun's patience.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    timeout = timedelta(seconds=SILENCE_S)
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    # With TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 torchrun leaves the store to the first process.
    serves = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    agent: Any = dist.TCPStore(  # type: ignore[attr-defined]
        address, port, size, is_master=serves, timeout=timeout, wait_for_workers=False
    )
    store = distributed_c10d.PrefixStore(f"meeting-{_meeting(agent, rank, size)}", agent)
    backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
    return Workers(rank, size)


def _meeting(store: Any, rank: int, size: int) -> int:
    """A number that these processes share and no earlier ones did.

    torchrun keeps its store over restarts and over changes of the machines taking part, with the addresses of
    processes that are gone: those who believe them wait for each other for ever. So the first process takes a new
    number and gives it to each of the others, who knock with a word of their own that no earlier process knows.
    """
    if rank == 0:
        number = int(store.add("meetings", 1))
        absent = set(range(1, size))
        until = time.monotonic() + SILENCE_S
        while absent:
            for other in sorted(absent):
                if store.check([f"knock-{other}"]):
                    store.set(f"answer-{store.get(f'knock-{other}').decode()}", str(number))
                if store.check([f"here-{number}-{other}"]):
                    absent.discard(other)
            if time.monotonic() > until:
                raise RuntimeError(f"{len(absent)} of {size} processes did not come")
            time.sleep(0.05)
        return number
    word = secrets.token_hex(8)
    store.set(f"knock-{rank}", word)
    number = int(store.get(f"answer-{word}"))  # waits
    store.set(f"here-{number}-{rank}", "")
    return number
