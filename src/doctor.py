"""Look at everything a study stands on, and say what is wrong with it and the way out.

In: this checkout and its environment. Out: a line for each thing, `ok`, `warning` or `broken`; with --repair, what is
safe to mend is mended: what dead processes left half written, the rights of data/, MLflow's addresses after a move.
Exit status 0: nothing is broken; 1: something is.

    python -m src.doctor
    python -m src.doctor --repair
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import typer
from packaging.requirements import Requirement

from src import config
from src.base import console, files, provenance
from src.base.console import few
from src.base.errors import Problem
from src.library import record
from src.record import guarded, journal, layout, tracking, tracking_database
from src.wavenet import device

app = console.command_app("Look at everything a study stands on, and say what is wrong with it and the way out.")

LOCK = Path("requirements.lock")
DISK_LOW_BYTES, DISK_FULL_BYTES = 5_000_000_000, 200_000_000
"""The demo takes 0.2 GB, a library of 10,000 songs about 30."""
MLFLOW_LONGEST_S = 10.0
PRIVATE = ("data", "checkpoints", "generations", "metrics", "reports", "work", "bundle",
    ".dvc/cache", "mlruns/mlflow.db")  # fmt: skip
LOCKS = {
    "work/library.lock": "The library is being recorded",
    "data/library-cache/lock": "A library is being read",
    "work/bundle.lock": "A bundle is being made",
    ".dvc/tmp/lock": "DVC is at work",
}
OUTPUTS = (".", "data", "data/library-cache/clips", "checkpoints", "generations", "metrics", "metrics/plots", "reports")
"""Folders in which stages write beside the old; and those of every run."""
_TEMPORARY = re.compile(r"\..+\.(\d+)(\.old)?\.tmp")

State = Literal["ok", "warning", "broken"]


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing."""

    state: State
    text: str
    repair: Callable[[], None] | None = None
    """Mends it without the loss of anything."""


@app.command()
def main(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended without losing anything.")] = False,
) -> None:
    """Say of everything the study stands on whether it is well."""
    states = []
    for finding in findings():
        states.append(finding.state)
        if repair and finding.repair is not None:
            finding.repair()
            states[-1] = "ok"
            console.say(f"{'repaired':<10}{finding.text}")
        else:
            how = " Mend it with: python -m src.doctor --repair" if finding.repair else ""
            console.say(f"{finding.state:<10}{finding.text}{how}")
    if "broken" in states:
        raise SystemExit(1)


def findings() -> Iterator[Finding]:
    """Everything, the quick looks first. Nothing is changed."""
    yield _packages()
    yield _room()
    yield from _parameters()
    yield _library()
    yield from _private()
    yield from _left_behind()
    yield from _at_work()
    yield from _runs()
    yield from _mlflow()


def _packages() -> Finding:
    if not LOCK.is_file():
        return Finding("broken", f"{LOCK} is not here. Run this in the folder of the checkout.")
    lines = [line.rstrip("\\ ") for line in LOCK.read_text(encoding="utf-8").splitlines() if line[:1].isalnum()]
    locked = [one for one in map(Requirement, lines) if one.marker is None or one.marker.evaluate()]
    version = ".".join(map(str, sys.version_info[:3]))
    wrong = [] if version.startswith("3.11.") else [f"Python {version} in place of 3.11"]
    for one in locked:
        try:
            there = metadata.version(one.name)
            if not one.specifier.contains(there, prereleases=True):
                wrong.append(f"{one.name} {there} in place of {str(one.specifier).removeprefix('==')}")
        except metadata.PackageNotFoundError:
            wrong.append(f"no {one.name}")
    if wrong:
        return Finding("broken", f"Not what {LOCK} names: {few(wrong)}. Run: make clean .venv/made")
    return Finding("ok", f"Python {version} with the {len(locked):,} packages of {LOCK}.")


def _room() -> Finding:
    free = shutil.disk_usage(Path()).free
    said = f"{free / 1e9:,.1f} GB are free on this disk"
    if free < DISK_LOW_BYTES:
        state: State = "broken" if free < DISK_FULL_BYTES else "warning"
        return Finding(state, f"{said}. The demo needs 0.2 GB, your music 3 MB a song: free some.")
    return Finding("ok", f"{said}.")


def _parameters() -> Iterator[Finding]:
    try:
        params = config.load()
        yield Finding("ok", f"Parameters: profile {params.study.profile}, {len(params.genres)} genres.")
        kind = params.device
        threads = f", {params.profile.train.threads} threads of {os.cpu_count()} cores" if kind == "cpu" else ""
        yield Finding("ok", f"Device: {device.name(kind)}{threads}.")
    except Problem as problem:
        yield Finding("broken", str(problem))


def _library() -> Finding:
    if not record.RECORD.exists():
        return Finding("ok", "No library is recorded yet: make repro composes one, or takes MUSIC_LIBRARY.")
    try:
        folder = record.folder()
        if not os.access(folder, os.R_OK | os.X_OK):
            return Finding("broken", "The library may not be read by you. Give yourself the right to (ls -l).")
        return Finding("ok", f"The library is there: {'composed songs' if record.is_demo() else 'your own'}.")
    except Problem as problem:
        return Finding("broken", str(problem))


def _private() -> Iterator[Finding]:
    if provenance.git(Path(), "rev-parse", "--is-inside-work-tree") != "true":
        yield Finding("broken", "This folder is not a git checkout, which DVC needs. Run: git init")
    else:
        tracked = [path for path in PRIVATE if provenance.git(Path(), "ls-files", "--", path)]
        # A rule for folders holds of what is in them, whether they are there or not.
        open_ = [path for path in PRIVATE if not provenance.git(Path(), "check-ignore", "--no-index", f"{path}/x")]
        if tracked:
            way_out = "Take them out (git rm -r --cached), and out of its history before you publish it."
            yield Finding("broken", f"git has private files, in {few(tracked)}. {way_out}")
        if open_:
            yield Finding("broken", f"git does not ignore {few(open_)}. Take .gitignore back: git checkout .gitignore")
        if not (tracked or open_):
            yield Finding("ok", "git ignores everything private.")
    open_to_all = [f"{folder}/" for folder in record.PRIVATE if folder.is_dir() and folder.stat().st_mode & 0o077]
    if open_to_all:
        names = few(open_to_all)
        yield Finding(
            "warning", f"Others on this machine may look into what names songs: {names}.", record.keep_private
        )


def _left_behind() -> Iterator[Finding]:
    """What processes that live no more left half written, or half removed."""
    runs = [folder for path in (layout.TRAINING, layout.IMPORTED) for folder in path.glob("*") if folder.is_dir()]
    inner = [folder / name for folder in runs for name in ("", "checkpoints", "generations", "metrics", "times")]
    left = []
    for folder in [*map(Path, OUTPUTS), Path("mlruns"), *inner]:
        for path in sorted(folder.glob(".*.tmp")):
            match = _TEMPORARY.fullmatch(path.name)
            if match and not _lives(int(match[1])):
                left.append(path)

    def remove() -> None:
        for path in left:
            files.remove(path)

    if left:
        size = sum(map(_size, left)) / 1e6
        yield Finding("warning", f"Dead processes left {len(left):,} parts of outputs, {size:,.1f} MB.", remove)
    else:
        yield Finding("ok", "No process left parts of outputs.")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # another user's, or no number of a process of ours
    return True


def _at_work() -> Iterator[Finding]:
    """Who holds a lock. A lock dies with its process, so none is ever stale."""
    held = {Path(name): what for name, what in LOCKS.items()}
    held |= {path: f"Run {path.parent.name} is being trained" for path in layout.TRAINING.glob("*/lock")}
    busy = [what for path, what in held.items() if files.is_locked(path)]
    yield Finding("ok", f"{few(busy, '; ')}." if busy else "Nothing is at work here; no lock is held.")


def _runs() -> Iterator[Finding]:
    """Runs in work/train/ that are not the study's, nor one with another seed."""
    own = {run.training for run in (layout.current(), *layout.seeded())}
    others = sorted(path.parent for path in layout.TRAINING.glob(f"*/{journal.NAME}") if path.parent not in own)
    waiting = [folder for folder in others if not files.is_locked(folder / "lock")]
    if not waiting:
        yield Finding("ok", "No other runs take room in work/train/.")
        return
    named = few(f"{folder.name} ({_size(folder) / 1e6:,.1f} MB)" for folder in waiting)
    yield Finding(
        "ok",
        f"Other runs: {named}. One goes on when its parameters, clips and code are back. What you want no more you may "
        f"delete: rm -r {layout.TRAINING}/<run>",
    )


def _size(path: Path) -> int:
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(item.lstat().st_size for item in inside if not item.is_dir())


def _mlflow() -> Iterator[Finding]:
    database, artifacts = tracking.DATABASE, tracking_database.ARTIFACTS.resolve()
    local = tracking.address().startswith("sqlite:///")
    if local and not database.exists():
        yield Finding("ok", "MLflow has no database yet: the training makes it.")
        return
    if local and database.is_file() and tracking_database.is_elsewhere(database, artifacts):
        yield Finding(
            "warning",
            "MLflow looks for its files where this checkout was before it was moved.",
            lambda: tracking_database.prepare(database, artifacts),
        )
    console.say(f"{'...':<10}Asking MLflow (10 s at most, once it is loaded).")
    guarded.LONGEST_CALL_S = MLFLOW_LONGEST_S
    try:
        tracking.Store(writes=False)
        yield Finding("ok", "MLflow answers.")
    except Problem as problem:
        yield Finding("warning", f"{problem} A training goes on without it, and sends what is missing later.")


if __name__ == "__main__":
    console.run(app, "nothing was changed.")
