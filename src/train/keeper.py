"""A run's checkpoints: which one a training goes on from, which are written and kept, and their writing beside it.

In: a run's folder, weights and optimizer state at a step. Out: the state to go on from; checkpoint folders. Tensors are
copied at once, hashed and written by one thread while the next steps are computed. Each kept one gets a line in the
journal with the digests of its files, and carries a digest over the losses that led to it.
"""

import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from src.base import console, files
from src.base.files import DiskFullError
from src.config import step_name
from src.record import checkpoint, journal, tracking
from src.record.checkpoint import Checkpoint
from src.record.journal import Journal, View
from src.train.run import Run
from src.train.step import State, first_state
from src.train.workers import Workers

SPARE = 5
"""With room for fewer checkpoints than this, only the newest is kept besides the compared ones."""


def resume(run: Run, last_recorded: int, workers: Workers) -> tuple[int, State]:
    """Step and state that the training goes on from, the same in every process.

    It is the newest whole checkpoint up to the journal's last step, or the beginning if there is none.

    last_recorded: last step in the leader's journal; 0 in other processes.
    """
    state = first_state(run.params)
    model, moments = state.model, state.moments
    step = 0
    if workers.leads:
        newest = _newest(run, last_recorded)
        if newest is not None:
            step = newest.step
            model.load_state_dict(newest.weights)
            for name, saved in newest.optimizer.items():  # an imported checkpoint has none: they start as new
                moments[name].copy_(saved)
        if last_recorded:
            origin = f"the checkpoint of step {step}" if step else "the beginning: there is no checkpoint yet"
            console.say(f"Going on from {origin}.")
    shared = torch.tensor(step)
    workers.follow_leader([shared, *model.state_dict().values(), *(moments[name] for name in sorted(moments))])
    return int(shared), state


def _newest(run: Run, last_recorded: int) -> Checkpoint | None:
    """The newest whole checkpoint before which no kept one is missing; warns of each one that is passed over."""
    # A kept checkpoint that is missing or damaged is made again, by going back before it. It is not deleted before its
    # new bytes are there: it may only be out of reach for a moment.
    at_most = last_recorded
    for kept in sorted(run.params.kept_steps):
        damage = run.checkpoint_damage(kept)
        if damage is not None:
            at_most = min(at_most, kept - 1)
        if isinstance(damage, checkpoint.DamagedCheckpointError):
            console.warn(f"{damage} It is made again.")
        elif damage is not None and kept < last_recorded:
            console.warn(f"step {kept} is to be kept and has no checkpoint: the training goes back and makes it.")
    newest, passed = checkpoint.newest(
        run.checkpoints, at_most=at_most, fingerprint=run.fingerprint, model=run.params.profile.model
    )
    for sentence in passed:
        console.warn(f"{sentence} Going back to the one before it.")
    return newest


class Keeper:
    """Writes and deletes the checkpoints of one run."""

    def __init__(
        self, run: Run, book: Journal, newest: int = 0, recorded: View = View(), *, processes: int = 1
    ) -> None:
        """newest: step of the checkpoint that the training goes on from. recorded: what the journal says so far.

        processes: that share the batch. Another number adds in another order, so only the same one gives the same bits.
        """
        self._run = run
        self._book = book
        self._recorded = recorded
        self._exact = all(one.details.get("processes", 1) == processes for one in recorded.attempts.values())
        self._for_good = run.params.kept_steps | run.params.audit_steps
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self.newest = newest
        """Step of the newest checkpoint that is safe on the disk; 0 before there is one."""
        with files.disk_full_is_a_problem(str(run.checkpoints)):
            run.checkpoints.mkdir(parents=True, exist_ok=True)
        for rest in files.leftovers(run.checkpoints / "step-*"):
            files.remove(rest)
        self._losses = self._losses_up_to(newest)
        for step in sorted(self._for_good - recorded.checkpoints.keys()):
            # Whoever wrote it was killed before its line, or is older than such lines.
            if step <= newest and run.checkpoint_damage(step) is None:
                self._record(step, checkpoint.digests_of(run.checkpoints / step_name(step)))

    def _losses_up_to(self, step: int) -> str:
        """The digest that a checkpoint carries; where it has none, that of the journal's losses."""
        if step == 0:
            return ""
        losses = checkpoint.about(self._run.checkpoints / step_name(step)).losses
        return losses or dict(journal.ties(self._recorded))[step]  # nothing goes on from beyond the journal

    def saw(self, step: int, loss: float) -> None:
        """Take note of a step that was done: the next checkpoint is tied to its loss."""
        self._losses = journal.tied(self._losses, step, loss)

    def wants(self, step: int) -> bool:
        """Whether this step's checkpoint is written."""
        return step in self._for_good or step % self._run.params.profile.train.checkpoint_every == 0

    def save(self, step: int, weights: Mapping[str, torch.Tensor], optimizer: Mapping[str, torch.Tensor]) -> None:
        """Copy the state and write it beside the training. Raises what the write before this one met."""
        self.finish()
        self._book.sync()  # a checkpoint never knows a step that the journal could lose
        current = Checkpoint(
            step,
            self._run.fingerprint,
            self._run.params.genres,
            self._run.params.profile.model,
            {name: tensor.detach().clone() for name, tensor in weights.items()},
            {name: tensor.detach().clone() for name, tensor in optimizer.items()},
            self._losses or None,
        )
        self._writing = self._thread.submit(self._write, current)

    def finish(self) -> None:
        """Wait for the write under way; raises what it met (`Problem` if the disk is full)."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, current: Checkpoint) -> None:
        if current.step in self._for_good:
            digests = checkpoint.digests(checkpoint.contents(current))
            self._save(current)
            self._record(current.step, digests)
        else:
            self._save(current)

    def _record(self, step: int, digests: dict[str, str]) -> None:
        """Write a kept checkpoint's line. One that was made again must have the same bytes; a difference is said."""
        now = tracking.now_ms()
        self._book.append("checkpoint", step=step, sha256=digests, time_ms=now)
        before = self._recorded.checkpoints.get(step, digests)
        if self._exact and before != digests:
            console.warn(f"step {step} ends in another checkpoint now than before the interruption")
            self._book.append("mismatch", step=step, sha256=digests, before=before, time_ms=now)

    def _save(self, current: Checkpoint) -> None:
        folder = self._run.checkpoints / step_name(current.step)
        if folder.exists():
            if self._run.checkpoint_damage(current.step) is None:
                self.newest = current.step
                return  # from before the training went back: the same step has the same bytes
            if not folder.is_dir():
                files.retire(folder)  # a folder stays until the new one is whole and takes its place
        try:
            checkpoint.save(folder, current)
        except DiskFullError:
            # What disk allows: the older ones go first, the newest good one never.
            if not self.prune(current.step - 1, 1):
                raise
            checkpoint.save(folder, current)
        self.newest = current.step
        size = sum(path.stat().st_size for path in folder.iterdir())
        tight = shutil.disk_usage(self._run.checkpoints).free < SPARE * size
        self.prune(current.step, 1 if tight else self._run.params.profile.train.keep_last)

    def prune(self, newest: int, keep_last: int) -> int:
        """Delete checkpoints up to step `newest` that are neither kept for good nor among the last; how many went.

        Nothing is deleted before a good one among the last was found on the disk. Later steps, from before the
        training went back, are written again when it comes to them.
        """
        present = [step for step in checkpoint.steps(self._run.checkpoints) if step <= newest]
        cut = max(0, len(present) - keep_last)
        old = [step for step in present[:cut] if step not in self._for_good]
        if not old or all(self._run.checkpoint_damage(step) for step in reversed(present[cut:])):
            return 0
        for step in old:
            files.retire(self._run.checkpoints / step_name(step))
        return len(old)
