"""Which checkpoints are written and kept, and their writing beside the training.

In: weights and optimizer state at a step. Out: checkpoint folders. Tensors are copied at once, hashed and written by
one thread while the next steps are computed.
"""

import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from src.base import files
from src.base.files import DiskFullError
from src.config import Params, step_name
from src.record import checkpoint
from src.record.checkpoint import Checkpoint
from src.record.journal import Journal

SPARE = 5
"""With room for fewer checkpoints than this, only the newest is kept besides the compared ones."""


class Keeper:
    """Writes and deletes the checkpoints of one run."""

    def __init__(self, folder: Path, fingerprint: str, params: Params, book: Journal, newest: int = 0) -> None:
        """newest: step of the checkpoint that the training goes on from."""
        settings = params.profile.train
        self._folder = folder
        self._fingerprint = fingerprint
        self._params = params
        self._book = book
        self._every, self._keep_last = settings.checkpoint_every, settings.keep_last
        self._kept = params.kept_steps
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self.newest = newest
        """Step of the newest checkpoint that is safe on the disk; 0 before there is one."""
        with files.disk_full_is_a_problem(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
        for rest in files.leftovers(folder / "step-*"):
            files.remove(rest)

    def wants(self, step: int) -> bool:
        """Whether this step's checkpoint is written."""
        return step in self._kept or step % self._every == 0

    def save(self, step: int, weights: Mapping[str, torch.Tensor], optimizer: Mapping[str, torch.Tensor]) -> None:
        """Copy the state and write it beside the training. Raises what the write before this one met."""
        self.finish()
        self._book.sync()  # a checkpoint never knows a step that the journal could lose
        current = Checkpoint(
            step,
            self._fingerprint,
            self._params.genres,
            self._params.profile.model,
            {name: tensor.detach().clone() for name, tensor in weights.items()},
            {name: tensor.detach().clone() for name, tensor in optimizer.items()},
        )
        self._writing = self._thread.submit(self._write, current)

    def finish(self) -> None:
        """Wait for the write under way; raises what it met (`Problem` if the disk is full)."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, current: Checkpoint) -> None:
        place = self._folder / step_name(current.step)
        if place.exists():
            if checkpoint.damage(place, current.fingerprint, current.model) is None:
                self.newest = current.step
                return  # from before the training went back: the same step has the same bytes
            if not place.is_dir():
                files.retire(place)  # a folder stays until the new one is whole and takes its place
        try:
            checkpoint.save(place, current)
        except DiskFullError:
            # What disk allows: the older ones go first, the newest good one never.
            if not self.prune(current.step - 1, 1):
                raise
            checkpoint.save(place, current)
        self.newest = current.step
        size = sum(path.stat().st_size for path in place.iterdir())
        tight = shutil.disk_usage(self._folder).free < SPARE * size
        self.prune(current.step, 1 if tight else self._keep_last)

    def prune(self, newest: int, keep_last: int) -> int:
        """Delete checkpoints up to step `newest` that are neither kept for good nor among the last; how many went.

        Nothing is deleted before a good one among the last was found on the disk. Later steps, from before the
        training went back, are written again when it comes to them.
        """
        present = [step for step in checkpoint.steps(self._folder) if step <= newest]
        cut = max(0, len(present) - keep_last)
        old = [step for step in present[:cut] if step not in self._kept]
        if not old or all(
            checkpoint.damage(self._folder / step_name(step), self._fingerprint, self._params.profile.model)
            for step in reversed(present[cut:])
        ):
            return 0
        for step in old:
            files.retire(self._folder / step_name(step))
        return len(old)
