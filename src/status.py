"""Say how a training is doing, from any terminal, while it runs and after it died.

In: the journals in work/train/. Out: one table; nothing is changed.

    python -m src.status
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from src.base import console, files
from src.base.errors import Problem
from src.record import checkpoint, history, journal, layout, shipping
from src.record.history import Summary

app = console.command_app("Say how a training is doing, while it runs and after it died.")


@dataclass(frozen=True)
class Status:
    """What is known of one run."""

    fingerprint: str
    alive: bool
    steps: int | None
    """The last step it is to reach; None if its journal does not say."""
    last_step: int
    loss_nats: float | None
    """Median of the last steps."""
    step_s: float | None
    """From one step to the next, everything between them included: mean of the last steps."""
    attempts: list[Summary]
    checkpoint_step: int | None
    unshipped_steps: int
    idle_s: float
    """Since the last line of the journal."""
    validation: dict[str, float]
    """Genre → bits per sample, when last scored."""
    validation_step: int | None
    device: str
    """What computes; empty if the journal does not say."""


@app.command()
def main(
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show every run in work/train/, the one that was last active first."""
    while True:
        runs, problems = [], []
        for folder in sorted(layout.TRAINING.glob("*")):
            try:
                runs += [read(folder)] if (folder / journal.NAME).is_file() else []
            except Problem as damaged:
                problems.append(damaged)
        if not runs and not problems:
            raise Problem(
                f"No training has begun here: {layout.TRAINING}/ holds no run. Start one with: python -m src.train"
            )
        if watch:
            console.out.clear()
        if runs:
            console.show(table(sorted(runs, key=lambda status: status.idle_s)))
        for problem in problems:
            console.warn(str(problem))
        if not watch:
            return
        time.sleep(2)


def read(folder: Path) -> Status:
    """Read one run's status. A journal being written is read up to its last whole line."""
    view = journal.read(folder / journal.NAME)
    last_step = view.last_step
    losses = view.latest_losses(last_step)
    newest = view.attempts[max(view.attempts)] if view.attempts else None
    stamps = [view.steps[step].time_ms for step in losses if newest and view.steps[step].attempt == newest.attempt]
    kept = checkpoint.steps(folder / "checkpoints")
    return Status(
        fingerprint=folder.name,
        alive=files.is_locked(folder / "lock"),
        steps=newest.details.get("steps") if newest else None,
        last_step=last_step,
        loss_nats=view.median_loss(last_step),
        step_s=(stamps[-1] - stamps[0]) / 1000 / (len(stamps) - 1) if len(stamps) > 1 else None,
        attempts=list(history.summaries(view).values()),
        checkpoint_step=kept[-1] if kept else None,
        unshipped_steps=max(0, last_step - shipping.shipped_step(folder)),
        # Of the newest attempt: before it the clock may have been ahead.
        idle_s=max(0.0, time.time() - (view.last_times.get(newest.attempt, 0) if newest else 0) / 1000),
        validation=view.validations[max(view.validations)] if view.validations else {},
        validation_step=max(view.validations, default=None),
        device=str(newest.details.get("device", "")) if newest else "",
    )


def table(runs: list[Status]) -> Table:
    """One column a run."""
    shown = Table(title="Trainings", title_justify="left", show_header=False)
    shown.add_column("what", style="bold")
    for _ in runs:
        shown.add_column("value")
    rows: dict[str, Callable[[Status], str]] = {
        "run": lambda status: status.fingerprint,
        "state": _state,
        "step": lambda status: f"{status.last_step:,}" + (f" of {status.steps:,}" if status.steps else ""),
        "loss": lambda status: "–" if status.loss_nats is None else f"{status.loss_nats:.3f} nats",
        "speed": _speed,
        "time left": _left,
        "device": lambda status: status.device or "–",
        "held-out bits": _validation,
        "attempts": _attempts,
        "last checkpoint": lambda status: "–" if status.checkpoint_step is None else f"step {status.checkpoint_step:,}",
        "not yet in MLflow": lambda status: f"{status.unshipped_steps:,} steps",
    }
    for name, words in rows.items():
        shown.add_row(name, *(words(status) for status in runs))
    return shown


def _state(status: Status) -> str:
    ago = console.duration(status.idle_s)
    if status.alive:
        return f"running; last sign of life {ago} ago"
    ended = status.attempts[-1].ended if status.attempts and status.attempts[-1].cause else "killed with its supervisor"
    advice = "" if ended == "finished" else "; the same command goes on"
    return f"{ended}, {ago} ago{advice}"


def _attempts(status: Status) -> str:
    lost_s = sum(attempt.lost_s or 0 for attempt in status.attempts)
    again = sum(attempt.replayed_steps for attempt in status.attempts)
    words = f"{len(status.attempts)}"
    if len(status.attempts) > 1:
        words += f" ({again:,} steps done again, {console.duration(lost_s)} lost)"
    return words


def _speed(status: Status) -> str:
    if not status.step_s:
        return "–"
    return f"{1 / status.step_s:.1f} steps/s" if status.step_s < 1 else f"{status.step_s:.1f} s a step"


def _left(status: Status) -> str:
    if not status.step_s or not status.steps or status.last_step >= status.steps:
        return "–"
    return console.duration((status.steps - status.last_step) * status.step_s)


def _validation(status: Status) -> str:
    bits = ", ".join(f"{genre} {value:.2f}" for genre, value in status.validation.items())
    return f"{bits} (step {status.validation_step:,})" if bits else "–"


if __name__ == "__main__":
    console.run(app)
