"""What is said before a run begins: how long and how large it will be, and why it does not go on with one before it.

In: a run about to begin, and the run.json of the others. Out: sentences.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.base import console
from src.base.console import few, listed
from src.record import browsing, journal, layout, runs
from src.record.runs import Trained
from src.record.tracking import flatten
from src.train.run import Run, identity
from src.wavenet.shape import parameter_shapes

RATE_MACS = 3.2e10
"""Multiply-adds in a second that a core did in trainings of the demo's network and the study's; others do half."""
STEP_S = 0.007
"""What a step takes besides: what cannot be shared by cores, writing it down, its part of validation."""


def outlook(run: Run) -> str:
    """How much is trained on what, and about how long it takes and how much disk."""
    settings, clips = run.params.profile.train, run.clips.clips
    songs = sum(clip.split == "train" for clip in clips)
    weights = sum(math.prod(shape) for shape in parameter_shapes(run.params.profile.model).values())
    samples = settings.batch_size * (settings.sample_size + run.params.profile.model.receptive_field)
    cores = min(settings.threads, os.cpu_count() or 1)
    # Forwards, and twice backwards.
    seconds = settings.steps * (STEP_S + 3 * weights * samples / (RATE_MACS * cores))
    long = (
        f"About {console.duration(seconds)} on {cores} fast cores, twice that on slow ones; "
        if run.params.device == "cpu"
        else ""
    )
    # Three numbers of four bytes for each weight; the compared ones also in checkpoints/ and in DVC's cache.
    kept = len(run.params.kept_steps | run.params.audit_steps) + settings.keep_last + 2 * len(run.params.compared_steps)
    last = max(run.params.compared_steps)
    beyond = f" The last step that is compared is {last:,}: train.steps may be as low." if last < settings.steps else ""
    return (
        f"Training to step {settings.steps:,} on {songs:,} songs ({', '.join(run.params.genres)}), "
        f"{len(clips) - songs:,} more held out. {long}{kept * 12 * weights / 1e6:,.0f} MB of checkpoints.{beyond}"
    )


def note(run: Run) -> str:
    """How a new run differs from the one most like it; empty if it is not new, or the first one."""
    others = [found.parent for found in layout.TRAINING.glob(f"*/{journal.NAME}") if found.parent != run.folder]
    if not others or (run.journal.is_file() and run.journal.stat().st_size):  # torchrun's leader has just made it
        return ""
    before = {folder: _changes(folder, run.trained) for folder in others}
    nearest = min(others, key=lambda folder: (len(before[folder]), -(folder / journal.NAME).stat().st_mtime))
    return (
        f"A new run begins at step 0, because {listed(before[nearest])}. The one before stays as it is in {nearest} "
        f"(step {journal.read(nearest / journal.NAME).last_step:,}), and goes on if that is put back."
    )


def _changes(folder: Path, mine: Trained) -> list[str]:
    theirs = runs.about(folder)
    # A run from before there was a run.json: anything may be different.
    return list(_differences(theirs, mine)) if theirs else ["parameters, clips or code are others"]


def _differences(before: Trained, now: Trained) -> Iterator[str]:
    """Each thing that differs, as the end of a sentence that begins with "because"."""
    if before.clips != now.clips:
        yield f"the clips changed ({_songs(before.songs, now.songs)})"
    if before.code != now.code:
        yield "the code that computes a step changed"
    old, new = (_named(identity(each.params, each.clips)) for each in (before, now))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name} is {_shown(new.get(name))} and was {_shown(old.get(name))}"


def _songs(before: dict[str, int], now: dict[str, int]) -> str:
    change = {genre: now.get(genre, 0) - before.get(genre, 0) for genre in sorted(before.keys() | now.keys())}
    moved = [f"{genre} {count:+,}" for genre, count in change.items() if count]
    return f"songs: {few(moved)}" if moved else "as many songs, other ones or cut otherwise"


def _named(value: dict[str, Any]) -> dict[str, Any]:
    """Parameters by name, as params.yaml and the profile have them; but for the number of genres, which follows."""
    rest = {name: item for name, item in value.items() if name not in ("clips", "code")}
    return {name: item for name, item in flatten(rest).items() if name != f"model.{browsing.FOLLOWS}"}


def _shown(value: Any) -> str:
    return few(map(str, value)) if isinstance(value, list | tuple) else str(value)
