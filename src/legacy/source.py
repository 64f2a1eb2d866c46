"""What lies in a folder that ibab's tensorflow-wavenet left behind. In: a folder. Out: `Source`, paths only.

Nothing but known names is looked at: training logs by their content, checkpoints, WAVs named by genre and step.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.base import files
from src.base.console import listed
from src.base.errors import Problem
from src.legacy import audio, training_log

MOST_FILES = 100_000
LOG_SUFFIXES = {".txt", ".log", ".out", ""}
ROTATED = re.compile(r"(.+\.(?:txt|log|out))[.-](\d{1,8})")
"""What logrotate makes of train.log: train.log.1, or train.log-20180724."""
PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
"""Of these .gz is read; the others are named."""
LARGEST_TEXT_BYTES = 2**20
STARTED = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d")
"""The folder below logdir/train/ that the reference makes for each training: when it was started."""


@dataclass(frozen=True)
class Source:
    """Files found; each may be missing."""

    folder: Path
    logs: tuple[tuple[Path, ...], ...]
    """Training logs, each with the parts that a rotation left of it, the oldest first."""
    generation: Path | None
    indexes: tuple[Path, ...]
    wavs: tuple[Path, ...]
    makefile: Path | None
    wavenet_params: Path | None
    notes: tuple[str, ...]
    """What was passed over, and why."""


def look(folder: Path) -> Source:
    """Find what can be imported. Raises `Problem` if there is nothing, or if several trainings lie there."""
    if not folder.is_dir():
        raise Problem(f"{folder} is not a folder. Give a clone of the 2019 study or a folder of tensorflow-wavenet.")
    paths, notes = _files(folder)
    logs = _logs(paths, folder, notes)
    indexes = _indexes(paths, folder)
    _refuse_several([*(path for parts in logs for path in parts), *indexes], folder)
    wavs = tuple(path for path in paths if path.suffix.lower() == ".wav")
    times = [path for path in paths if path.name == "generation.txt"]
    notes += [f"{_below(path, folder)}: a second list of time stamps; it was not read." for path in times[1:]]
    notes += [
        f"{_below(path, folder)} is a checkpoint of before TensorFlow 0.12, without an index; it cannot be read."
        for path in paths
        if re.fullmatch(r"model\.ckpt-\d+", path.name) and not path.with_name(f"{path.name}.index").is_file()
    ]
    params = [path for path in paths if path.name == "wavenet_params.json"]
    params.sort(key=lambda path: path.parent not in {index.parent for index in indexes})  # the network's own first
    found = Source(
        folder=folder,
        logs=logs,
        generation=times[0] if times else None,
        indexes=indexes,
        wavs=wavs,
        makefile=next((path for path in paths if path.name == "Makefile" and _mentions(path, "generate.py")), None),
        wavenet_params=params[0] if params else None,
        notes=tuple(notes),
    )
    generated = any(audio.named(path, ()) for path in wavs)
    if not (found.logs or found.generation or found.indexes or generated):
        raise Problem(
            f"{folder} holds nothing that can be imported: no training log, no generation.txt, no .index, no WAV named "
            "like rock_15000.wav. Give a clone of the 2019 study or a folder of tensorflow-wavenet."
            + "".join(f"\n  - {note}" for note in notes)
        )
    return found


def _logs(paths: Sequence[Path], folder: Path, notes: list[str]) -> tuple[tuple[Path, ...], ...]:
    """The training logs. A file that is named like a log and is none, or cannot be read, is named in the notes."""
    parts: dict[Path, list[tuple[int, Path]]] = {}
    for path in paths:
        name = path.name.removesuffix(path.suffix) if path.suffix in PACKED else path.name
        rotated = ROTATED.fullmatch(name)
        base = path.with_name(rotated[1] if rotated else name)
        if base.suffix.lower() not in LOG_SUFFIXES or path.name == "generation.txt":
            continue
        trouble = f"{_below(path, folder)} holds no line of a training; it was not imported."
        if path.suffix in PACKED - {".gz"} or base.name == "generation.txt":
            trouble = f"{_below(path, folder)} is packed; it was not read. Unpack it if it is of this training."
        else:
            try:
                if training_log.looks_like_one(path):
                    number = int(rotated[2]) if rotated else 0
                    # Numbers grow with age, dates the other way; the file without one is the newest.
                    parts.setdefault(base, []).append((number - 10**8 if number > 10**6 else -number, path))
                    continue
            except Problem as problem:
                trouble = str(problem).replace(f"{folder}/", "")
        if path.suffix in PACKED or base.suffix.lower() in (".log", ".out") or "train" in base.stem.lower():
            notes.append(trouble)
    return tuple(tuple(path for _, path in sorted(found)) for found in parts.values())


def _indexes(paths: Sequence[Path], folder: Path) -> tuple[Path, ...]:
    """One index for each name; of equal ones the one that has its data file beside it."""
    found: dict[str, Path] = {}
    for path in (path for path in paths if path.suffix == ".index"):
        other = found.setdefault(path.name, path)
        if other != path and files.sha256_of(other) != files.sha256_of(path):
            raise _several([other.parent, path.parent], folder)
        if list(path.parent.glob(f"{path.stem}.data-*")) and not list(other.parent.glob(f"{path.stem}.data-*")):
            found[path.name] = path
    return tuple(sorted(found.values()))


def _refuse_several(paths: Sequence[Path], folder: Path) -> None:
    """Raise `Problem` if the reference wrote these files for more than one training."""
    started = {
        parent
        for path in paths
        for parent in path.parents
        if STARTED.fullmatch(parent.name) and folder in parent.parents
    }
    if len(started) > 1:
        raise _several(sorted(started), folder)


def _several(folders: Sequence[Path], folder: Path) -> Problem:
    names = listed([str(_below(path, folder)) for path in folders])
    return Problem(
        f"{folder} holds several trainings, in {names}. Nothing was imported, so that nothing is mixed: give the "
        f"folder of one, such as: python -m src.legacy {str(folders[-1])!r}"
    )


def _below(path: Path, folder: Path) -> Path:
    return path.relative_to(folder)


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    """Regular files below a folder in a fixed order; links, hidden folders and unreadable ones are not followed."""
    found: list[Path] = []
    notes: list[str] = []

    def unreadable(error: OSError) -> None:
        notes.append(f"{Path(error.filename).name}: this folder cannot be read ({error.strerror}).")

    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                found.append(path)
        if len(found) > MOST_FILES:
            raise Problem(f"{folder} holds more than {MOST_FILES} files. Give the folder of the study itself.")
    return found, notes


def _mentions(path: Path, text: str) -> bool:
    try:
        return path.stat().st_size <= LARGEST_TEXT_BYTES and text in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
