"""What lies in a folder that ibab's tensorflow-wavenet left behind. In: a folder. Out: `Source`, paths only.

Nothing but known names is looked at: training logs by their content, checkpoints, WAVs named by genre and step.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from src.base.errors import Problem
from src.legacy import audio, training_log

MOST_FILES = 100_000
LOG_SUFFIXES = {".txt", ".log", ".out", ""}
LARGEST_TEXT_BYTES = 2**20


@dataclass(frozen=True)
class Source:
    """Files found; each may be missing."""

    folder: Path
    training: Path | None
    generation: Path | None
    indexes: tuple[Path, ...]
    wavs: tuple[Path, ...]
    makefile: Path | None
    wavenet_params: Path | None
    notes: tuple[str, ...]
    """What was passed over, and why."""


def look(folder: Path) -> Source:
    """Find what can be imported. Raises `Problem` if there is nothing."""
    if not folder.is_dir():
        raise Problem(f"{folder} is not a folder. Give a clone of the 2019 study or a folder of tensorflow-wavenet.")
    paths, notes = _files(folder)
    logs = [path for path in paths if path.suffix.lower() in LOG_SUFFIXES and path.stem != "generation"]
    trainings = [path for path in logs if training_log.looks_like_one(path)]
    # A log was often copied; the longest one holds the others.
    trainings.sort(key=lambda path: (-path.stat().st_size, str(path)))
    notes += [
        f"{path.relative_to(folder)}: another training log; {trainings[0].relative_to(folder)} is longer and was used."
        for path in trainings[1:]
    ]
    wavs = tuple(path for path in paths if path.suffix.lower() == ".wav")
    found = Source(
        folder=folder,
        training=trainings[0] if trainings else None,
        generation=next((path for path in paths if path.name == "generation.txt"), None),
        indexes=tuple(path for path in paths if path.suffix == ".index"),
        wavs=wavs,
        makefile=next((path for path in paths if path.name == "Makefile" and _mentions(path, "generate.py")), None),
        wavenet_params=next((path for path in paths if path.name == "wavenet_params.json"), None),
        notes=tuple(notes),
    )
    generated = any(audio.named(path, ()) for path in wavs)
    if not (found.training or found.generation or found.indexes or generated):
        raise Problem(
            f"{folder} holds nothing that can be imported: no training log, no generation.txt, no .index, no WAV named "
            "like rock_15000.wav. Give a clone of the 2019 study or a folder of tensorflow-wavenet."
        )
    return found


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
