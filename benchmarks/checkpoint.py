"""Training time that one checkpoint costs.

    python -m benchmarks checkpoint [--profile study] [--sample-size N] [--pairs 8]

Real steps of the profile's network in one process. In turns: a step with nothing beside it, then a checkpoint as the
training saves it, and steps until the background thread has written it. Lost is the time of the `save` call, and what
those steps took beyond the median of the undisturbed ones. Writes work/bench/checkpoint.json.
"""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import psutil  # type: ignore[import-untyped]
import typer
from rich.table import Table

from benchmarks import measure
from benchmarks.temporary_study import temporary_study
from src.base import console, files
from src.config import step_name
from src.record.journal import Journal
from src.record.tracking import now_ms

PARTS = {
    "step_s": ("a step with nothing beside it", "s"),
    "save_s": ("the call of `save`: wait, journal to the disk, copy", "s"),
    "slowing_s": ("the steps during the write, beyond that", "s"),
    "lost_s": ("lost to one checkpoint", "s"),
    "write_s": ("the write in the background", "s"),
}


@dataclass(frozen=True)
class Saving:
    """One undisturbed step, one checkpoint and the steps during its write. Seconds."""

    step_s: float
    save_s: float
    during_s: tuple[float, ...]
    """Each step that began before the write had ended (at least one)."""
    write_s: float
    """From the end of `save` until the checkpoint stands and the surplus one is deleted."""


def checkpoint(
    profile: Annotated[str, typer.Option(help="Whose network and training.")] = "study",
    sample_size: Annotated[int | None, typer.Option(min=1, help="Scored samples of a row instead of its own.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Checkpoints to save.")] = 8,
    output: Annotated[Path, typer.Option("--out", help="Where the figures go.")] = Path("work/bench/checkpoint.json"),
) -> None:
    """Time what a checkpoint takes from the training."""
    changes = {} if sample_size is None else {"sample_size": sample_size}
    with temporary_study(profile, **changes) as study:
        params = study.params
        study.write_clips(4 * len(params.genres), len(params.genres))
        savings, size = measure_savings(study.root, params, pairs)
        disk = disk_type(study.root)
    parts = lost(savings)
    settings = params.profile.train
    every = settings.checkpoint_every
    found: dict[str, Any] = {
        "profile": profile,
        "sample_size": settings.sample_size,
        "machine": measure.machine("cpu"),
        "disk": disk,
        "checkpoint_mb": size / 1e6,
        "medians": {name: statistics.median(values) for name, values in parts.items()},
        "each": [asdict(saving) for saving in savings],
        "checkpoint_every": every,
    }
    share = found["medians"]["lost_s"] / (every * found["medians"]["step_s"])
    found["share_of_training"] = share
    files.write_json(output, found)
    console.show(_table(parts))
    console.say(
        f"A checkpoint has {found['checkpoint_mb']:.1f} MB, on {disk}. "
        f"One every {every} steps takes {100 * share:.2f} % of the training."
    )
    console.say(f"Written to {output}.")


def measure_savings(root: Path, params: Any, pairs: int) -> tuple[list[Saving], int]:
    """Train and save in turns in `root`; what was timed, and a checkpoint's size in bytes."""
    from benchmarks.bare import bare_training
    from src.clips.clipset import ClipSet
    from src.train.keeper import Keeper
    from src.train.run import Run

    folder = root / "work"
    folder.mkdir()
    book = Journal(folder / "journal.jsonl", 1)
    keeper = Keeper(Run(params, ClipSet([]), "bench", folder), book)
    training, state = bare_training(params, root)
    number = 0

    def step() -> float:
        nonlocal number
        number += 1
        began = time.perf_counter()
        loss = training.step(number)
        seconds = time.perf_counter() - began
        book.append("step", step=number, loss=loss, seconds=seconds, time_ms=now_ms())
        return seconds

    def wait_for_write() -> float:
        keeper.finish()
        return time.perf_counter()

    savings: list[Saving] = []
    console.say("first step (compiles what is not compiled yet) …")
    console.say(f"took {console.duration(step())}")
    with console.progress("checkpoints", pairs, "checkpoints") as meter, ThreadPoolExecutor(1) as watcher:
        for _ in range(pairs):
            alone_s = step()
            began = time.perf_counter()
            keeper.save(number, state.model.state_dict(), state.moments)
            saved = time.perf_counter()
            at = number
            written = watcher.submit(wait_for_write)
            during = [step()]
            while not written.done():
                during.append(step())
            savings.append(Saving(alone_s, saved - began, tuple(during), written.result() - saved))
            meter.advance()
    book.close()
    place = folder / "checkpoints" / step_name(at)
    return savings, sum(path.stat().st_size for path in place.iterdir())


def lost(savings: Sequence[Saving]) -> dict[str, list[float]]:
    """Part (see `PARTS`) → seconds at each checkpoint."""
    usual_s = statistics.median(saving.step_s for saving in savings)
    slowing = [sum(seconds - usual_s for seconds in saving.during_s) for saving in savings]
    return {
        "step_s": [saving.step_s for saving in savings],
        "save_s": [saving.save_s for saving in savings],
        "slowing_s": slowing,
        "lost_s": [saving.save_s + slower for saving, slower in zip(savings, slowing, strict=True)],
        "write_s": [saving.write_s for saving in savings],
    }


def disk_type(path: Path) -> str:
    """File system that holds `path`, such as ext4 or tmpfs."""
    mounts = [mount for mount in psutil.disk_partitions(all=True) if path.resolve().is_relative_to(mount.mountpoint)]
    return str(max(mounts, key=lambda mount: len(mount.mountpoint)).fstype) if mounts else "an unknown file system"


def _table(parts: dict[str, list[float]]) -> Table:
    count = len(parts["step_s"])
    table = Table(title=f"{count} checkpoints")
    for heading in ("what", "median", "least", "most", "unit"):
        table.add_column(heading, justify="left" if heading in ("what", "unit") else "right")
    for name, (what, unit) in PARTS.items():
        values = parts[name]
        table.add_row(what, *(f"{value:.4f}" for value in (statistics.median(values), min(values), max(values))), unit)
    return table
