"""One attempt at a training: from the newest good checkpoint to the last step, or until it is stopped.

In: parameters, clips and the run's folder. Out: journal lines and checkpoints in that folder. Every step depends on
the step before it, the seed and the step's number alone, so an attempt continues exactly what another one began.
"""

import ctypes
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import torch

from src.errors import Problem
from src.music.clipset import ClipSet
from src.run import checkpoint, console, files, journal, provenance, tracking
from src.run.checkpoint import Checkpoint
from src.run.config import Params, TrainParams, step_name
from src.wavenet import batches, mulaw, optimizers
from src.wavenet.network import WaveNet, initialise
from src.wavenet.training import NotFiniteError, TrainingStep

SYNC_EVERY_S = 1.0
"""The journal is forced to the disk this often: what a power failure can cost."""


def train(params: Params, clips: ClipSet, fingerprint: str, folder: Path, attempt: int, automatic: bool) -> None:
    """Run one attempt.

    folder: work/train/<fingerprint>. attempt: its number, from 1. automatic: started by the supervisor.
    Raises `Problem` when going on makes no sense (loss not finite, disk full), SystemExit when a signal asked for the
    end: the last step is saved then.
    """
    settings = params.profile.train
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    _end_with_parent()
    path = folder / "journal.jsonl"
    repaired = journal.repair(path)
    if repaired:
        console.warn(repaired)
    recorded = journal.read(path)
    start, model, state = _resume(params, folder, recorded.last_step)
    book = journal.Journal(path, attempt)
    about = {"start_step": start, "automatic": automatic, "pid": os.getpid(), "fingerprint": fingerprint}
    book.append("attempt", time_ms=tracking.now_ms(), **about, **provenance.describe())
    step = start
    try:
        with _asked_to_stop() as asked:
            update = _training_step(settings, model, state)
            draw = _batches(params, clips)
            kept = kept_steps(params)
            with console.progress("training", settings.steps, "steps", start=start) as meter:
                synced = time.monotonic()
                for step in range(start + 1, settings.steps + 1):
                    began = time.perf_counter()
                    codes, genre = draw(step)
                    loss = update(codes, genre, learning_rate(settings, step))
                    seconds = time.perf_counter() - began
                    book.append("step", step=step, loss=loss, seconds=round(seconds, 6), time_ms=tracking.now_ms())
                    before = recorded.steps.get(step)
                    if before is not None and before.loss != loss:
                        console.warn(f"step {step} gave loss {loss!r} now and {before.loss!r} before the interruption")
                        book.append("mismatch", step=step, loss=loss, before=before.loss, time_ms=tracking.now_ms())
                    meter.advance(1, f"loss {loss:.3f}")
                    if step in kept or step % settings.checkpoint_every == 0 or asked:
                        book.sync()  # a checkpoint never knows a step that the journal could lose
                        current = Checkpoint(
                            step, fingerprint, params.genres, params.profile.model, model.state_dict(), state
                        )
                        checkpoint.save(folder / "checkpoints" / step_name(step), current)
                        prune(folder / "checkpoints", kept, settings.keep_last)
                    elif time.monotonic() - synced > SYNC_EVERY_S:
                        synced = time.monotonic()
                        book.sync()
                    if asked:
                        raise SystemExit(128 + asked[0])
        book.append("end", time_ms=tracking.now_ms(), cause="finished", step=step)
    except SystemExit:
        book.append("end", time_ms=tracking.now_ms(), cause="interrupted", step=step)
        console.say(f"Stopped after step {step}, which is saved. The same command goes on from there.")
        raise
    except NotFiniteError as problem:
        book.append("end", time_ms=tracking.now_ms(), cause=f"not finite at step {step}", step=step - 1)
        raise Problem(f"Step {step}: {problem} The batch is draw(seed={params.study.seed}, step={step}).") from problem
    finally:
        book.close()


def learning_rate(settings: TrainParams, step: int) -> float:
    """Learning rate of a step (from 1): a linear rise over the warm-up, then halving every `half_life_steps`.

    It depends on the step alone, not on the last step, so that a run can be extended.
    """
    rise = min(1.0, step / settings.warmup_steps) if settings.warmup_steps else 1.0
    decay = math.exp2(-step / settings.half_life_steps) if settings.half_life_steps else 1.0
    return settings.learning_rate * rise * decay


def kept_steps(params: Params) -> set[int]:
    """Steps whose checkpoints are never deleted: the compared ones and the last."""
    return {*params.compared_steps, params.profile.train.steps}


def prune(folder: Path, kept: set[int], keep_last: int) -> None:
    """Delete checkpoints that are neither kept for good nor among the last `keep_last`."""
    present = checkpoint.steps(folder)
    for step in present[:-keep_last]:
        if step not in kept:
            files.remove(folder / step_name(step))


def _resume(params: Params, folder: Path, last_recorded: int) -> tuple[int, WaveNet, optimizers.State]:
    settings = params.profile.train
    # A kept checkpoint that is missing or damaged is made again, by going back before it.
    wanted = []
    for step in sorted(kept_steps(params)):
        damage = checkpoint.damage(folder / "checkpoints" / step_name(step))
        if damage is not None:
            wanted.append(step)
        if isinstance(damage, checkpoint.DamagedCheckpointError):
            console.warn(f"{damage} It is made again.")
            files.remove(folder / "checkpoints" / step_name(step))
    at_most = min([last_recorded, *(step - 1 for step in wanted)])
    found, passed = checkpoint.newest(folder / "checkpoints", at_most=at_most)
    for sentence in passed:
        console.warn(f"{sentence} Going back to the one before it.")
    model = initialise(params.profile.model, params.study.seed)
    if found is None:
        start: optimizers.State = _optimizer(settings).start(dict(model.named_parameters()))
        return 0, model, start
    model.load_state_dict(found.weights)
    console.say(f"Going on from the checkpoint of step {found.step}.")
    return found.step, model, dict(found.optimizer)


def _optimizer(settings: TrainParams) -> optimizers.Optimizer:
    return optimizers.create(settings.optimizer, momentum=settings.momentum, epsilon=settings.epsilon)


def _training_step(settings: TrainParams, model: WaveNet, state: optimizers.State) -> TrainingStep:
    return TrainingStep(
        model,
        _optimizer(settings),
        state,
        precision=settings.precision,
        recompute_activations=settings.recompute_activations,
        l2_regularization=settings.l2_regularization,
    )


class _batches:  # noqa: N801  (a function with its tables computed once)
    """The batch of a step, as a function of the step: codes (batch, receptive_field + n) and genre ids (batch,)."""

    def __init__(self, params: Params, clips: ClipSet) -> None:
        self._params = params
        self._clips = clips
        self._train = [index for index, clip in enumerate(clips.clips) if clip.split == "train"]
        self._lengths = [clips.clips[index].frames for index in self._train]
        self._genres = [params.genres.index(clips.clips[index].genre) for index in self._train]
        self._crop = params.profile.model.receptive_field + params.profile.train.sample_size

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        settings = self._params.profile.train
        rows = batches.draw(
            self._params.study.seed,
            step,
            settings.batch_size,
            self._crop,
            self._lengths,
            self._genres,
            settings.balance,
        )
        audio = np.stack([self._clips.read(self._train[clip], start, self._crop) for clip, start in rows])
        codes = mulaw.encode(audio, self._params.profile.model.quantization_channels)
        return torch.from_numpy(codes), torch.tensor([self._genres[clip] for clip, _ in rows])


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Collects SIGTERM and SIGINT, so that the step under way is finished and saved; a second one ends at once."""
    asked: list[int] = []

    def ask(signum: int, _frame: FrameType | None) -> None:
        if asked:
            sys.exit(128 + signum)
        asked.append(signum)

    previous = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end_with_parent() -> None:
    """Ask Linux to send SIGTERM when the supervisor dies: no attempt goes on unwatched."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
