"""One attempt at a training: from the newest good checkpoint to the last step, or until it is stopped.

In: parameters, clips and the run's folder. Out: journal lines and checkpoints in that folder. Every step depends on
the step before it, the seed and the step's number alone, so an attempt continues exactly what another one began.
"""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from src.errors import Problem
from src.music.clipset import ClipSet
from src.run import checkpoint, console, files, journal, provenance, shipping, tracking
from src.run.config import Params, TrainParams, step_name
from src.run.endings import Cause
from src.run.feed import Feed
from src.run.journal import Journal
from src.run.keeper import Keeper
from src.run.validation import Validation
from src.run.workers import Workers
from src.wavenet import optimizers
from src.wavenet.network import WaveNet, initialise
from src.wavenet.pieces import AbandonedError
from src.wavenet.training import NotFiniteError, TrainingStep

SYNC_EVERY_S = 1.0
"""The journal is forced to the disk this often: what a power failure can cost."""

SAME_REQUEST_S = 1.0
"""Signals closer together than this are one request."""

LOOK_EVERY_S = 2.0
"""The line of the progress bar looks this often at what was shipped."""


class StopAskedError(Exception):
    """A signal asked for the end, and the step under way is done."""


class OutOfMemoryError(Exception):
    """There was not enough memory. Whether there will be later is not for this process to say."""


def train(
    params: Params, clips: ClipSet, fingerprint: str, folder: Path, attempt: int, automatic: bool, workers: Workers
) -> None:
    """Run one attempt.

    folder: work/train/<fingerprint>. attempt: its number, from 1. automatic: not started by a person.
    Raises SystemExit when a signal asked for the end (what is done is saved then), and `Problem` when going on makes no
    sense: loss not finite, disk full, a clip damaged. Anything else that is raised is worth another attempt.
    """
    settings = params.profile.train
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    path = folder / journal.NAME
    recorded = journal.read(path) if workers.leads else journal.View()
    start, model, state = _resume(params, fingerprint, folder, recorded.last_step, workers)
    book = Journal(path if workers.leads else None, attempt)
    about = _about(recorded, start, automatic, fingerprint, settings, workers)
    book.append("attempt", time_ms=tracking.now_ms(), **about)
    done = start
    with _Stop() as stop:
        try:
            keeper = Keeper(folder / "checkpoints", fingerprint, params, book, start) if workers.leads else None
            with _memory_may_run_out():
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
                score = _Score(params, clips, model, book, recorded, stop) if workers.leads else None
                line = _Line(folder, attempt, keeper)
                if workers.size == 1:
                    stop.abandon = update.abandon
                if score is not None:
                    score.at(start)  # what an end between a step and its validation left out
                total = settings.steps if workers.leads else 0
                with console.progress("training", total, "steps", start=start) as meter:
                    synced = time.monotonic()
                    for step in range(start + 1, settings.steps + 1):
                        began = time.perf_counter()
                        loss = update(*feed.batch(step), learning_rate(settings, step))
                        seconds = round(time.perf_counter() - began, 6)
                        done = step
                        stop.agreed = workers.agree(stop.asked)
                        if keeper is not None and score is not None:
                            book.append("step", step=step, loss=loss, seconds=seconds, time_ms=tracking.now_ms())
                            _compare_with_replay(book, recorded, step, loss, workers.size)
                            score.at(step)
                            if keeper.wants(step):
                                keeper.save(step, model.state_dict(), state)
                            elif time.monotonic() - synced > SYNC_EVERY_S:
                                synced = time.monotonic()
                                book.sync()
                            meter.advance(1, line.text(step, loss))
                        if stop.agreed and step < settings.steps:
                            raise StopAskedError
            if keeper is not None:
                keeper.finish()
            book.append("end", time_ms=tracking.now_ms(), cause="finished", step=done)
        except (StopAskedError, AbandonedError):
            signum = stop.agreed or stop.asked
            if keeper is not None:
                if done > start:
                    keeper.save(done, model.state_dict(), state)
                    keeper.finish()
                where = f"after step {done}, which is saved" if done else "before the first step was done"
                console.say(f"Stopped {where}. The same command goes on from there.")
            _end(book, "interrupted", signal.Signals(signum).name, done)
            raise SystemExit(128 + signum) from None
        except SystemExit:
            _end(book, "interrupted", "asked twice, so it left at once", done)
            raise
        except Problem as problem:
            sentence = str(problem)
            if isinstance(problem, NotFiniteError):
                sentence = f"Step {done + 1}: {problem} Its batch is draw(seed={params.study.seed}, step={done + 1})."
            _end(book, "gave up", sentence, done)
            raise Problem(sentence) from problem
        except OutOfMemoryError as error:
            _end(book, "out of memory", str(error), done)
            raise
        except Exception as error:
            _end(book, "crashed", f"{type(error).__name__}: {error}", done)
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
    params: Params, fingerprint: str, folder: Path, last_recorded: int, workers: Workers
) -> tuple[int, WaveNet, optimizers.State]:
    """Step, network and optimizer state to go on from: the newest good checkpoint that the journal knows all of."""
    settings = params.profile.train
    model = initialise(params.profile.model, params.study.seed)
    state: optimizers.State = _optimizer(settings).start(dict(model.named_parameters()))
    step = 0
    if workers.leads:
        # A kept checkpoint that is missing or damaged is made again, by going back before it. It is not deleted before
        # its new bytes are there: it may only be out of reach for a moment.
        at_most = last_recorded
        for kept in sorted(params.kept_steps):
            place = folder / "checkpoints" / step_name(kept)
            damage = checkpoint.damage(place, fingerprint)
            if damage is not None:
                at_most = min(at_most, kept - 1)
            if isinstance(damage, checkpoint.DamagedCheckpointError):
                console.warn(f"{damage} It is made again.")
        found, passed = checkpoint.newest(folder / "checkpoints", at_most=at_most, fingerprint=fingerprint)
        for sentence in passed:
            console.warn(f"{sentence} Going back to the one before it.")
        if found is not None:
            step = found.step
            model.load_state_dict(found.weights)
            state |= found.optimizer  # an imported checkpoint has no moments: they start as new
        if last_recorded:
            origin = f"the checkpoint of step {step}" if step else "the beginning: there is no checkpoint yet"
            console.say(f"Going on from {origin}.")
    shared = torch.tensor(step)
    workers.follow_leader([shared, *model.state_dict().values(), *(state[name] for name in sorted(state))])
    return int(shared), model, state


def _about(
    recorded: journal.View, start: int, automatic: bool, fingerprint: str, settings: TrainParams, workers: Workers
) -> dict[str, int | bool | str]:
    """What the journal says of an attempt at its start."""
    known = provenance.describe()
    before = [attempt.details for attempt in recorded.attempts.values()][-1:]
    moved = bool(before and before[0].get("machine") and before[0]["machine"] != known["machine"])
    if before and before[0].get("processor", known["processor"]) != known["processor"]:
        console.warn(
            f"this machine's processor ({known['processor']}) is not the one before ({before[0]['processor']}): "
            "from here on the last digits may differ from a run on one machine."
        )
    return {
        "start_step": start,
        "replays": max(0, recorded.last_step - start),
        "automatic": automatic,
        "moved": moved,
        "steps": settings.steps,
        "pid": os.getpid(),
        "device": "cpu",
        "threads": settings.threads,
        "processes": workers.size,
        "hosts": int(os.environ.get("GROUP_WORLD_SIZE", "1")),
        "launcher": provenance.launcher(),
        "fingerprint": fingerprint,
        **known,
    }


def _compare_with_replay(book: Journal, recorded: journal.View, step: int, loss: float, processes: int) -> None:
    """A step done again after an interruption must give the same loss; say so and record it if it does not.

    To the bit, unless another number of processes shared the batch: then sums are added in another order.
    """
    before = recorded.steps.get(step)
    if before is None or before.loss == loss:
        return
    exact = recorded.attempts[before.attempt].details.get("processes", processes) == processes
    if exact or not math.isclose(before.loss, loss, rel_tol=1e-4):
        console.warn(f"step {step} gave loss {loss!r} now and {before.loss!r} before the interruption")
        book.append("mismatch", step=step, loss=loss, before=before.loss, time_ms=tracking.now_ms())


def _optimizer(settings: TrainParams) -> optimizers.Optimizer:
    return optimizers.create(settings.optimizer, momentum=settings.momentum, epsilon=settings.epsilon)


def _end(book: Journal, cause: Cause, detail: str, step: int) -> None:
    """Write the end line; on a full disk the next start writes it when there is room."""
    try:
        book.append("end", time_ms=tracking.now_ms(), cause=cause, detail=detail, step=step)
    except files.DiskFullError:
        console.warn(f"the journal could not take its last line ({cause}: {detail})")


class _Line:
    """What the progress bar says behind the rate."""

    def __init__(self, folder: Path, attempt: int, keeper: Keeper | None) -> None:
        self._folder, self._attempt, self._keeper = folder, attempt, keeper
        self._shipped = 0
        self._looked = -LOOK_EVERY_S

    def text(self, step: int, loss: float) -> str:
        """Loss, attempt, last checkpoint and what is not yet shipped, at a step."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY_S:
            self._looked, self._shipped = now, shipping.shipped_step(self._folder)
        saved = self._keeper.newest if self._keeper is not None else 0
        return (
            f"loss {loss:.3f} · attempt {self._attempt} · "
            f"{f'checkpoint {saved:,}' if saved else 'no checkpoint yet'} · "
            f"{max(0, step - self._shipped):,} steps not in MLflow"
        )


@contextmanager
def _memory_may_run_out() -> Iterator[None]:
    """Tell want of memory from other errors."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise OutOfMemoryError(str(error) or "no memory") from error


class _Stop:
    """Whether a signal asked for the end. Use it in a `with` block: its handlers are there for the block's length."""

    def __init__(self) -> None:
        self.asked = 0
        """The signal; 0 for none."""
        self.agreed = 0
        """The signal that all processes stop for, whichever of them got it."""
        self.abandon: Callable[[], None] | None = None
        """Gives the step under way up: a large network's takes long. None while other processes have a part in it."""
        self._asked_at = 0.0
        self._handlers = ExitStack()

    def __enter__(self) -> "_Stop":
        self._handlers.enter_context(console.signals_handled(self._ask))
        return self

    def __exit__(self, *_error: object) -> None:
        self._handlers.close()

    def _ask(self, signum: int, _frame: object) -> None:
        # One request may come twice: from the system, to all processes of a service, and passed on by the supervisor.
        if self.asked and time.monotonic() - self._asked_at > SAME_REQUEST_S:
            raise SystemExit(128 + signum)
        if not self.asked:
            self.asked, self._asked_at = signum, time.monotonic()
        if self.abandon is not None:
            self.abandon()


class _Score:
    """Validation while training goes on: every so many steps, each step once."""

    def __init__(
        self, params: Params, clips: ClipSet, model: WaveNet, book: Journal, recorded: journal.View, stop: _Stop
    ) -> None:
        self._every = params.profile.train.validate_every
        self._validation = Validation(params, clips) if self._every else None
        self._model, self._book, self._recorded, self._stop = model, book, recorded, stop

    def at(self, step: int) -> None:
        """Score the network after a step, if it is time and the journal does not have it yet."""
        if self._validation is None or step == 0 or step % self._every or step in self._recorded.validations:
            return
        bits = self._validation.bits_per_sample(self._model, stop=lambda: bool(self._stop.asked))
        if bits is not None:
            self._book.append("validation", step=step, bits_per_sample=bits, time_ms=tracking.now_ms())
