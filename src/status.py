"""Say how a training is doing, from any terminal, while it runs and after it died.

In: the journals in work/train/. Out: one table; nothing is changed.

    python -m src.status
"""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from src.errors import Problem
from src.run import checkpoint, config, console, files, journal, layout, shipping

app = console.command_app("Say how a training is doing, while it runs and after it died.")

RECENT_STEPS = 200


@dataclass(frozen=True)
class Status:
    """What is known of one run."""

    fingerprint: str
    alive: bool
    last_step: int
    loss_nats: float | None
    """Median of the last steps."""
    seconds_per_step: float | None
    attempts: int
    replayed: int
    cause: str
    """How the last attempt ended; empty if it has not, or was killed with its supervisor."""
    checkpoint_step: int | None
    unshipped_steps: int
    idle_s: float
    """Since the last line of the journal."""
    validation: dict[str, float]
    """Genre → bits per sample, when last scored."""


@app.command()
def main(
    profile: Annotated[str | None, typer.Option(help="Scale of the study: params/<profile>.yaml.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show every run in work/train/, the one that was last active first."""
    steps = config.load(profile=profile).profile.train.steps
    while True:
        found = [read(folder) for folder in sorted(layout.TRAINING.glob("*")) if (folder / "journal.jsonl").is_file()]
        if not found:
            raise Problem(
                f"No training has begun here: {layout.TRAINING}/ holds no run. Start one with: python -m src.train"
            )
        if watch:
            console.out.clear()
        console.show(table(sorted(found, key=lambda status: status.idle_s), steps))
        if not watch:
            return
        time.sleep(2)


def read(folder: Path) -> Status:
    """Read one run's status. A journal being written is read up to its last whole line."""
    view = journal.read(folder / "journal.jsonl")
    recent = [view.steps[step] for step in sorted(view.steps)[-RECENT_STEPS:]]
    seconds = [step.seconds for step in recent if step.seconds is not None]
    last_attempt = view.attempts[max(view.attempts)] if view.attempts else None
    kept = checkpoint.steps(folder / "checkpoints")
    last_ms = max((step.time_ms for step in recent), default=last_attempt.time_ms if last_attempt else 0)
    return Status(
        fingerprint=folder.name,
        alive=files.is_locked(folder / "lock"),
        last_step=view.last_step,
        loss_nats=statistics.median(step.loss for step in recent) if recent else None,
        seconds_per_step=statistics.median(seconds) if seconds else None,
        attempts=len(view.attempts),
        replayed=view.replayed,
        cause=str(last_attempt.end["cause"]) if last_attempt and last_attempt.end else "",
        checkpoint_step=kept[-1] if kept else None,
        unshipped_steps=view.last_step - shipping.shipped_step(folder),
        idle_s=max(0.0, time.time() - last_ms / 1000),
        validation=view.validations[-1]["bits_per_sample"] if view.validations else {},
    )


def table(found: list[Status], steps: int) -> Table:
    """One column a run."""
    shown = Table(title="Trainings", title_justify="left", show_header=False)
    shown.add_column("what", style="bold")
    for _ in found:
        shown.add_column("value")
    rows = {
        "run": [status.fingerprint for status in found],
        "state": [_state(status) for status in found],
        "step": [f"{status.last_step:,} of {steps:,}" for status in found],
        "loss": ["–" if status.loss_nats is None else f"{status.loss_nats:.3f} nats" for status in found],
        "speed": [
            "–" if not status.seconds_per_step else f"{1 / status.seconds_per_step:.1f} steps/s" for status in found
        ],
        "time left": [_left(status, steps) for status in found],
        "held-out bits": [", ".join(f"{k} {v:.2f}" for k, v in status.validation.items()) or "–" for status in found],
        "attempts": [f"{status.attempts} ({status.replayed:,} steps done twice)" for status in found],
        "last checkpoint": [
            "–" if status.checkpoint_step is None else f"{status.checkpoint_step:,}" for status in found
        ],
        "not yet in MLflow": [f"{status.unshipped_steps:,} steps" for status in found],
    }
    for name, values in rows.items():
        shown.add_row(name, *values)
    return shown


def _state(status: Status) -> str:
    if status.alive:
        return f"running; last step {console.duration(status.idle_s)} ago"
    return f"{status.cause or 'killed'}, {console.duration(status.idle_s)} ago"


def _left(status: Status, steps: int) -> str:
    if not status.seconds_per_step or status.last_step >= steps:
        return "–"
    return console.duration((steps - status.last_step) * status.seconds_per_step)


if __name__ == "__main__":
    console.run(app)
