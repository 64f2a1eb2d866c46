"""Say how a training is doing, from any terminal, while it runs and after it died; and which runs there are.

In: the journals and run.json in work/. Out: a table of what is training, or trained last, and one with a line for every
run; nothing is changed.

    python -m src.status
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from src import config
from src.base import code, console, files
from src.base.errors import Problem
from src.record import checkpoint, history, journal, layout, runs, shipping
from src.record.history import Summary
from src.record.layout import RunFiles
from src.train.run import DECIDES_A_STEP

app = console.command_app("Say how a training is doing, while it runs and after it died; and which runs there are.")

BITS = (
    "bits: per sample on held-out songs at the last compared step, mean of the genres (src.evaluate). "
    "validation, bits: on short stretches of the same songs, while it trains."
)


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
    """Show what is training, or trained last, and every run of this machine, the one that was last active first."""
    while True:
        seen: list[tuple[RunFiles, Status]] = []
        problems = []
        for run in runs.every():
            if run.passing or run.training is None or run.journal is None:  # a preview is no training
                continue
            try:
                seen.append((run, read(run.training)))
            except Problem as damaged:
                problems.append(damaged)
        if not seen and not problems:
            raise Problem(
                f"No training has begun here: {layout.TRAINING}/ holds no run. Start one with: python -m src.train"
            )
        if watch:
            console.out.clear()
        if seen:
            seen.sort(key=lambda pair: pair[1].idle_s)
            console.show(table([status for _, status in seen if status.alive] or [seen[0][1]]))
            console.show(overview(seen))
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
        "validation, bits": _validation,
        "attempts": _attempts,
        "last checkpoint": lambda status: "–" if status.checkpoint_step is None else f"step {status.checkpoint_step:,}",
        "not yet in MLflow": lambda status: f"{status.unshipped_steps:,} steps",
    }
    for name, words in rows.items():
        shown.add_row(name, *(words(status) for status in runs))
    return shown


def overview(seen: list[tuple[RunFiles, Status]]) -> Table:
    """One line a run. Each of the first three columns names it, to `--run` and `--against` too."""
    now = _now()
    shown = Table(title="Runs of this machine", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("run", "name", "in MLflow", "state", "step", "loss", "bits"):
        shown.add_column(name, justify="right" if name in ("step", "loss", "bits") else "left", no_wrap=True)
    shown.add_column("what differs from the present parameters", overflow="fold")
    shown.caption, shown.caption_justify = BITS, "left"
    for run, status in seen:
        folder = run.training or Path()
        known = runs.about(folder)
        differences = known.differences(now) if known and now else None
        shown.add_row(
            status.fingerprint[:8] if run.own else "–",
            (known and known.experiment) or ("–" if run.other else run.name),
            (shipping.run_id_of(folder) or "–")[:8],
            "running" if status.alive else status.attempts[-1].cause or "killed" if status.attempts else "–",
            f"{status.last_step:,}",
            "–" if status.loss_nats is None else f"{status.loss_nats:.3f}",
            _bits(run),
            "–" if differences is None else console.few(differences) or "nothing",
        )
    return shown


def _now() -> runs.Trained | None:
    """What a training that began now would be: of the genres that have clips. None if the parameters are not usable."""
    try:
        params = config.load()
    except Problem:
        return None
    clips, songs = "", {}
    try:
        counts = json.loads(Path("metrics/clips.json").read_text(encoding="utf-8"))
        clips, songs = str(counts["digest"]), {genre: sum(had.values()) for genre, had in counts["genres"].items()}
        params = params.only(songs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # none were cut here yet: they differ from all others
    return runs.Trained(clips=clips, code=code.digest(DECIDES_A_STEP), songs=songs, params=params)


def _bits(run: RunFiles) -> str:
    """Bits per sample at the last measured step, mean over the genres."""
    try:
        return f"{json.loads((run.metrics / 'summary.json').read_text(encoding='utf-8'))['bits']:.2f}"
    except (OSError, ValueError, KeyError, TypeError):
        return "–"  # not measured


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
    console.run(app, "")
