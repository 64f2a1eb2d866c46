"""Generated clips as measures take them: generations/step-20/ without the primer.

In: a folder that `src.generate` or an import wrote. Out: the clips as float32, and a sentence for each one that cannot
be used.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from src.base import files
from src.base.errors import Problem

MADE_BY = "python -m src.generate"


@dataclass(frozen=True)
class Generated:
    """One generated clip."""

    genre: str
    clip: int
    """Its number within the genre, from 1."""
    rate_hz: int
    audio: NDArray[np.float32]
    """(frames,) in [-1, 1], the primer cut off."""


def read(folder: Path) -> tuple[list[Generated], list[str]]:
    """All usable clips of a step, by genre and number, and why others are not usable.

    Raises `Problem` if generation.json is missing or damaged.
    """
    about = files.read_json(folder / "generation.json", made_by=f"{MADE_BY} --step {folder.name.removeprefix('step-')}")
    try:
        rows = sorted(about["clips"], key=lambda row: (row["genre"], row["clip"]))
        rate_hz = int(about["rate_hz"])
    except (KeyError, TypeError, ValueError):
        raise Problem(f"{folder / 'generation.json'} does not list clips. Make it again with: {MADE_BY}") from None
    found, unusable = [], []
    for row in rows:
        try:
            found.append(_read(folder, row, rate_hz))
        except Problem as problem:
            unusable.append(str(problem))
    return found, unusable


def _read(folder: Path, row: dict[str, Any], rate_hz: int) -> Generated:
    path = folder / Path(row["file"]).name
    if not path.is_file():
        raise Problem(f"{path} does not exist. Make it again with: {MADE_BY}")
    try:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise Problem(f"{path} cannot be read as audio ({error}). Make it again with: {MADE_BY}") from None
    if rate != rate_hz:
        raise Problem(f"{path} has {rate} samples a second; generation.json says {rate_hz}.")
    mono = audio.mean(axis=1, dtype=np.float32)[int(row.get("primer_frames", 0)) :]
    if len(mono) < rate_hz // 2:
        raise Problem(f"{path} has {len(mono) / rate_hz:.2f} s of generated sound; half a second is needed.")
    if not np.isfinite(mono).all():
        raise Problem(f"{path} holds samples that are not numbers. Make it again with: {MADE_BY}")
    return Generated(str(row["genre"]), int(row["clip"]), rate_hz, mono)
