"""Which items of a stage this process does when `torchrun` started several, and how their results come together.

In: RANK and WORLD_SIZE from the environment; none of them set means one process that does all.
"""

import atexit
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

from src.base.errors import Problem

T = TypeVar("T")

_LONGEST_WAIT = timedelta(days=7)
"""A process may have so much more to do than another. That one died is torchrun's to notice: it ends all."""

_SHARED = Path("work")


@dataclass(frozen=True)
class Share:
    """Which of the processes this one is, and how many there are."""

    rank: int = 0
    world_size: int = 1

    @classmethod
    def of_environment(cls) -> "Share":
        """As `torchrun` sets it. Raises `Problem` if the processes do not all work in one folder."""
        share = cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
        if share.world_size > 1 and not share._in_one_folder():
            raise Problem(
                "The processes do not work in one folder: each would write a part of the result to a disk of its own. "
                "Start them in a folder that all machines share (NFS or the like), or start one process alone; "
                "only src.train takes disks of their own."
            )
        return share

    @property
    def leads(self) -> bool:
        """Whether this process writes the outputs."""
        return self.rank == 0

    def mine(self, items: Sequence[T]) -> Sequence[T]:
        """Every world-size-th item."""
        return items[self.rank :: self.world_size]

    def gather(self, part: list[T]) -> list[T]:
        """All processes' parts on every process, in the order in which `mine` dealt the items out."""
        if self.world_size == 1:
            return part
        import torch.distributed as dist  # here, because one process alone does not need a second to import it

        # torch waits without looking at Python's handlers: when torchrun ends this process because another one has
        # failed, it must end at once and not after torchrun's patience.
        before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if not dist.is_initialized():
            dist.init_process_group("gloo", timeout=_LONGEST_WAIT)
            atexit.register(dist.destroy_process_group)  # its threads must end before the interpreter does
        parts: list[Any] = [None] * self.world_size
        dist.all_gather_object(parts, part)
        dist.barrier()  # no process may end while another still receives from it
        signal.signal(signal.SIGTERM, before)
        absent = object()
        return [item for row in zip_longest(*parts, fillvalue=absent) for item in row if item is not absent]

    def _in_one_folder(self) -> bool:
        """Whether all see the file that one of them makes."""
        with ExitStack() as stack:
            names = []
            if self.leads:
                _SHARED.mkdir(exist_ok=True)
                made = stack.enter_context(NamedTemporaryFile(dir=_SHARED, prefix=".seen-by-all-"))
                names = [Path(made.name).name]
            (name,) = self.gather(names)
            return all(self.gather([(_SHARED / name).is_file()]))
