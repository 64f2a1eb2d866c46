"""Which items of a stage this process does when `torchrun` started several, and how their results come together.

In: RANK and WORLD_SIZE from the environment; none of them set means one process that does all.
"""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """Which of the processes this one is, and how many there are."""

    rank: int = 0
    world_size: int = 1

    @classmethod
    def of_environment(cls) -> "Share":
        """As `torchrun` sets it."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    @property
    def leads(self) -> bool:
        """Whether this process writes the outputs."""
        return self.rank == 0

    def mine(self, items: Sequence[T]) -> Sequence[T]:
        """Every world-size-th item."""
        return items[self.rank :: self.world_size]

    def gather(self, part: list[T]) -> list[T]:
        """All processes' parts on every process, in the order of their ranks."""
        if self.world_size == 1:
            return part
        import torch.distributed as dist  # here, because one process alone does not need a second to import it

        if not dist.is_initialized():
            dist.init_process_group("gloo")
            atexit.register(dist.destroy_process_group)  # its threads must end before the interpreter does
        parts: list[Any] = [None] * self.world_size
        dist.all_gather_object(parts, part)
        dist.barrier()  # no process may end while another still receives from it
        return [item for one in parts for item in one]
