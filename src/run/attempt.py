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

import torch

from src.errors import Problem
from src.music.clipset import ClipSet
from src.run import checkpoint, console, files, journal, provenance, tracking
from src.run.config import Params, TrainParams, step_name
from src.run.feed import Feed
from src.run.journal import Journal
from src.run.keeper import Keeper
from src.run.supervisor import GIVE_UP
from src.run.validation import Validation
from src.run.workers import Workers
from src.wavenet import optimizers
from src.wavenet.network import WaveNet, initialise
from src.wavenet.training import NotFiniteError, TrainingStep

SYNC_EVERY_S = 1.0
"""The journal is forced to the disk this often: what a power failure can cost."""


def train(
    params: Params, clips: ClipSet, fingerprint: str, folder: Path, attempt: int, automatic: bool, workers: Workers
) -> None:
    """Run one attempt.

    folder: work/train/<fingerprint>. attempt: its number, from 1. automatic: not started by a person.
    Raises SystemExit when a signal asked for the end (the step under way is finished and saved then), and with status
    `GIVE_UP`, after a sentence, when going on makes no sense: loss not finite, disk full, out of memory.
    """
    settings = params.profile.train
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    _end_with_parent()
    path = folder / "journal.jsonl"
    if workers.leads:
        repaired = journal.repair(path)
        if repaired:
            console.warn(repaired)
    recorded = journal.read(path) if workers.leads else journal.View()
    start, model, state = _resume(params, folder, recorded.last_step, workers)
    book = Journal(path if workers.leads else None, attempt)
    book.append("attempt", time_ms=tracking.now_ms(), **_about(recorded, start, automatic, fingerprint, workers))
    keeper = Keeper(folder / "checkpoints", fingerprint, params, book) if workers.leads else None
    step = start
    try:
        with _asked_to_stop() as asked, _memory_is_a_problem():
            update = TrainingStep(
                model,
                _optimizer(settings),
                state,
                precision=settings.precision,
                recompute_activations=settings.recompute_activations,
                l2_regularization=settings.l2_regularization,
                threads=settings.threads,
                reduce=workers.average if workers.size > 1 else None,
            )
            feed = Feed(params, clips, workers.rows(settings.batch_size))
            validation = Validation(params, clips) if workers.leads and settings.validate_every else None
            with console.progress("training", settings.steps if workers.leads else 0, "steps", start=start) as meter:
                synced = time.monotonic()
                for step in range(start + 1, settings.steps + 1):
                    began = time.perf_counter()
                    loss = update(*feed.batch(step), learning_rate(settings, step))
                    seconds = time.perf_counter() - began
                    stop = workers.agree(asked[0] if asked else 0)
                    if keeper is None:
                        if stop:
                            raise SystemExit(128 + stop)
                        continue
                    book.append("step", step=step, loss=loss, seconds=round(seconds, 6), time_ms=tracking.now_ms())
                    _compare_with_replay(book, recorded, step, loss, exact=workers.size == 1)
                    if validation is not None and step % settings.validate_every == 0:
                        bits = validation.bits_per_sample(model)
                        book.append("validation", step=step, bits_per_sample=bits, time_ms=tracking.now_ms())
                    if stop or keeper.wants(step):
                        keeper.save(step, model.state_dict(), state)
                    elif time.monotonic() - synced > SYNC_EVERY_S:
                        synced = time.monotonic()
                        book.sync()
                    meter.advance(1, f"loss {loss:.3f}")
                    if stop:
                        raise SystemExit(128 + stop)
        if keeper is not None:
            keeper.finish()
        book.append("end", time_ms=tracking.now_ms(), cause="finished", step=step)
    except SystemExit:
        if keeper is not None:
            keeper.finish()
            console.say(f"Stopped after step {step}, which is saved. The same command goes on from there.")
        book.append("end", time_ms=tracking.now_ms(), cause="interrupted", step=step)
        raise
    except Problem as problem:
        sentence = str(problem)
        if isinstance(problem, NotFiniteError):
            sentence = f"Step {step}: {problem} Its batch is draw(seed={params.study.seed}, step={step})."
        console.err.print(f"error: {sentence}", markup=False, style="bold red")
        _end(book, f"gave up: {sentence}", step)
        raise SystemExit(GIVE_UP) from problem
    except Exception as error:
        _end(book, f"crashed: {type(error).__name__}: {error}", step)
        raise
    finally:
        book.close()


def learning_rate(settings: TrainParams, step: int) -> float:
    """Learning rate of a step (from 1): a linear rise over the warm-up, then halving every `half_life_steps`.

    It depends on the step alone, not on the last step, so that a run can be extended.
    """
    rise = min(1.0, step / settings.warmup_steps) if settings.warmup_steps else 1.0
    decay = math.exp2(-step / settings.half_life_steps) if settings.half_life_steps else 1.0
    return settings.learning_rate * rise * decay


def _resume(
    params: Params, folder: Path, last_recorded: int, workers: Workers
) -> tuple[int, WaveNet, optimizers.State]:
    """Step, network and optimizer state to go on from: the newest good checkpoint that the journal knows all of."""
    settings = params.profile.train
    model = initialise(params.profile.model, params.study.seed)
    state: optimizers.State = _optimizer(settings).start(dict(model.named_parameters()))
    step = 0
    if workers.leads:
        # A kept checkpoint that is missing or damaged is made again, by going back before it.
        at_most = last_recorded
        for kept in sorted(params.kept_steps):
            place = folder / "checkpoints" / step_name(kept)
            damage = checkpoint.damage(place)
            if damage is not None:
                at_most = min(at_most, kept - 1)
            if isinstance(damage, checkpoint.DamagedCheckpointError):
                console.warn(f"{damage} It is made again.")
                files.remove(place)
        found, passed = checkpoint.newest(folder / "checkpoints", at_most=at_most)
        for sentence in passed:
            console.warn(f"{sentence} Going back to the one before it.")
        if found is not None:
            step = found.step
            model.load_state_dict(found.weights)
            state |= found.optimizer  # an imported checkpoint has no moments: they start as new
            console.say(f"Going on from the checkpoint of step {step}.")
    shared = torch.tensor(step)
    workers.follow_leader([shared, *model.state_dict().values(), *(state[name] for name in sorted(state))])
    return int(shared), model, state


def _about(
    recorded: journal.View, start: int, automatic: bool, fingerprint: str, workers: Workers
) -> dict[str, int | bool | str]:
    """What the journal says of an attempt at its start."""
    known = provenance.describe()
    before = [attempt.details.get("machine") for attempt in recorded.attempts.values()][-1:]
    return {
        "start_step": start,
        "replays": max(0, recorded.last_step - start),
        "automatic": automatic,
        "moved": bool(before and before[0] and before[0] != known["machine"]),
        "pid": os.getpid(),
        "processes": workers.size,
        "fingerprint": fingerprint,
        **known,
    }


def _compare_with_replay(book: Journal, recorded: journal.View, step: int, loss: float, *, exact: bool) -> None:
    """A step done again after an interruption must give the same loss; say so if it does not."""
    before = recorded.steps.get(step)
    if before is None or before.loss == loss:
        return
    if exact or not math.isclose(before.loss, loss, rel_tol=1e-4):
        console.warn(f"step {step} gave loss {loss!r} now and {before.loss!r} before the interruption")
    book.append("mismatch", step=step, loss=loss, before=before.loss, time_ms=tracking.now_ms())


def _optimizer(settings: TrainParams) -> optimizers.Optimizer:
    return optimizers.create(settings.optimizer, momentum=settings.momentum, epsilon=settings.epsilon)


def _end(book: Journal, cause: str, step: int) -> None:
    """Write the end line; on a full disk the supervisor writes it when there is room."""
    try:
        book.append("end", time_ms=tracking.now_ms(), cause=cause, step=step)
    except Problem:
        console.warn(f"the journal could not take its last line ({cause})")


@contextmanager
def _memory_is_a_problem() -> Iterator[None]:
    """Say what to lower when memory runs out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise Problem(
            "Memory ran out: lower train.batch_size or train.sample_size, or set train.recompute_activations to true."
        ) from error


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
    """Ask Linux to send SIGTERM when the parent dies: no attempt goes on unwatched."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
