"""One attempt at a training: from the newest whole checkpoint to the last step, or until it is stopped.

In: a run. Out: journal lines and checkpoints in its folder. Every step depends on the step before it, the seed and the
step's number alone, so an attempt continues exactly what another one began.
"""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from src.base import console, files, provenance
from src.base.errors import Problem
from src.record import journal, shipping, tracking
from src.record.endings import Cause
from src.record.journal import Journal
from src.train.keeper import Keeper, resume
from src.train.run import Run
from src.train.step import Training
from src.train.validation import ScheduledValidation
from src.train.workers import Workers
from src.wavenet import device
from src.wavenet.cpu.pieces import AbandonedError
from src.wavenet.training import NotFiniteError

SAME_REQUEST_S = 1.0
"""Signals closer together than this are one request to stop."""

SYNC_EVERY_S = 1.0
"""The journal is forced to the disk this often: what a power failure can cost."""

LOOK_EVERY_S = 2.0
"""The line of the progress bar looks this often at what was shipped."""


class OutOfMemoryError(Exception):
    """There was not enough memory. Whether there will be later is not for this process to say."""


class StopAskedError(Exception):
    """A signal asked the training to stop, and the step under way is done."""


def train(run: Run, attempt: int, automatic: bool, workers: Workers) -> None:
    """Run one attempt.

    attempt: its number, from 1. automatic: not started by a person.
    Raises SystemExit when a signal asked the training to stop (what is done is saved then), and `Problem` when going on
    makes no sense: loss not finite, disk full, a clip damaged. Anything else that is raised is worth another attempt.
    """
    params = run.params
    settings = params.profile.train
    recorded = journal.read(run.journal) if workers.leads else journal.View()
    start, state = resume(run, recorded.last_step, workers)
    book = Journal(run.journal if workers.leads else None, attempt)
    book.append("attempt", time_ms=tracking.now_ms(), **_about(run, recorded, start, automatic, workers))
    done = start
    with Stop() as stop:
        try:
            keeper = Keeper(run, book, start, recorded, processes=workers.size) if workers.leads else None
            with _memory_may_run_out():
                training = Training(
                    params,
                    run.clips,
                    state,
                    workers.rows(settings.batch_size),
                    reduce=workers.average if workers.size > 1 else None,
                )
                score = None
                if workers.leads:
                    # Several processes have agreed on the next step already and do it: they leave no score out.
                    score = ScheduledValidation(
                        run, state.model, book, recorded, lambda: workers.size == 1 and bool(stop.asked)
                    )
                line = _Line(run.folder, attempt, keeper)
                if workers.size == 1:
                    stop.abandon = training.abandon
                if score is not None:
                    score.at(start)  # what an end between a step and its validation left out
                total = settings.steps if workers.leads else 0
                with console.progress("training", total, "steps", start=start) as meter:
                    synced = time.monotonic()
                    for step in range(start + 1, settings.steps + 1):
                        began = time.perf_counter()
                        loss = training.step(step)
                        seconds = round(time.perf_counter() - began, 6)
                        done = step
                        stop.agreed = workers.agree(stop.asked)
                        if keeper is not None and score is not None:
                            book.append("step", step=step, loss=loss, seconds=seconds, time_ms=tracking.now_ms())
                            keeper.saw(step, loss)
                            _compare_with_replay(book, recorded, step, loss, workers.size)
                            score.at(step)
                            if keeper.wants(step):
                                keeper.save(step, state.model.state_dict(), state.moments)
                            elif time.monotonic() - synced > SYNC_EVERY_S:
                                synced = time.monotonic()
                                book.sync()
                            meter.advance(1, line.texts(step, loss))
                        if stop.agreed and step < settings.steps:
                            raise StopAskedError
            if keeper is not None:
                keeper.finish()
            book.append("end", time_ms=tracking.now_ms(), cause="finished", step=done)
        except (StopAskedError, AbandonedError):
            signum = stop.agreed or stop.asked
            if keeper is not None:
                if done > start:
                    keeper.save(done, state.model.state_dict(), state.moments)
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


class Stop:
    """Whether a signal asked the training to stop. Its handlers are there while its `with` block runs."""

    def __init__(self) -> None:
        self.asked = 0
        """The signal; 0 for none."""
        self.agreed = 0
        """The signal that all processes stop for, whichever of them got it."""
        self.abandon: Callable[[], None] | None = None
        """Gives the step under way up: a large network's takes long. None while other processes have a part in it."""
        self._asked_at = 0.0
        self._handlers = ExitStack()

    def __enter__(self) -> "Stop":
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


def _about(
    run: Run, recorded: journal.View, start: int, automatic: bool, workers: Workers
) -> dict[str, int | bool | str]:
    """What the journal says of an attempt at its start."""
    settings = run.params.profile.train
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
        "device": device.name(run.params.device),
        "threads": settings.threads,
        "processes": workers.size,
        "hosts": int(os.environ.get("GROUP_WORLD_SIZE", "1")),
        "launcher": provenance.launcher(),
        "fingerprint": run.fingerprint,
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

    def texts(self, step: int, loss: float) -> tuple[str, ...]:
        """Loss, last checkpoint, attempt and what is not yet shipped, at a step."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY_S:
            self._looked, self._shipped = now, shipping.shipped_step(self._folder)
        saved = self._keeper.newest if self._keeper is not None else 0
        behind = max(0, step - self._shipped)
        return (
            f"loss {loss:.3f}",
            f"checkpoint {saved:,}" if saved else "no checkpoint yet",
            *([f"attempt {self._attempt}"] if self._attempt > 1 else []),
            *([f"{behind:,} steps not in MLflow"] if behind else []),
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
