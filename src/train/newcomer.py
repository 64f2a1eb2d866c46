"""Why a training begins at step 0 although there are others: what is different since.

In: a run about to begin, and the run.json of the others. Out: one sentence.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.base.console import few, listed
from src.record import journal, layout, runs
from src.record.runs import Trained
from src.train.run import Run, identity


def note(run: Run) -> str:
    """How a new run differs from the one most like it; empty if it is not new, or the first one."""
    others = [found.parent for found in layout.TRAINING.glob(f"*/{journal.NAME}") if found.parent != run.folder]
    if run.journal.is_file() or not others:
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
    old, new = (_flat(identity(each.params, each.clips)) for each in (before, now))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name} is {_shown(new.get(name))} and was {_shown(old.get(name))}"


def _songs(before: dict[str, int], now: dict[str, int]) -> str:
    change = {genre: now.get(genre, 0) - before.get(genre, 0) for genre in sorted(before.keys() | now.keys())}
    moved = [f"{genre} {count:+,}" for genre, count in change.items() if count]
    return f"songs: {few(moved)}" if moved else "as many songs, other ones or cut otherwise"


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    """Parameters by name, as params.yaml and the profile have them; but for the number of genres, which follows."""
    rest = {name: item for name, item in value.items() if name not in ("clips", "code", "model", "train")}
    nested = {f"{part}.{name}": item for part in ("model", "train") for name, item in value[part].items()}
    return {name: item for name, item in (rest | nested).items() if name != "model.global_condition_cardinality"}


def _shown(value: Any) -> str:
    return few(map(str, value)) if isinstance(value, list | tuple) else str(value)
