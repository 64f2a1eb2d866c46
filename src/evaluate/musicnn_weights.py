"""The trained weights that the wheel `musicnn` carries, read as files: nothing of its code is imported or run.

In: the installed package's folder. Out: name → array, as `src.evaluate.musicnn` takes them.
"""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.base import tensorflow_checkpoint
from src.base.errors import Problem

MODEL = "MSD_musicnn"
"""Trained on the Million Song Dataset: its tags are genres, decades and moods."""


def read() -> dict[str, NDArray[np.generic]]:
    """The weights. Raises `Problem` if the package is not installed or its files are damaged."""
    found = importlib.util.find_spec("musicnn")
    if found is None or not found.submodule_search_locations:
        raise Problem("musicnn is not installed. Install it with: .venv/bin/pip install --no-deps musicnn==0.1.0")
    return read_folder(Path(found.submodule_search_locations[0]) / MODEL)


def read_folder(folder: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of the checkpoint in a folder of the wheel. Raises `Problem` if it is missing or damaged."""
    with tempfile.TemporaryDirectory() as links:
        # Its checkpoint has an empty name (".index"); the reader wants one.
        for suffix in (".index", ".data-00000-of-00001"):
            (Path(links) / f"{MODEL}{suffix}").symlink_to((folder / suffix).resolve())
        index = tensorflow_checkpoint.read_index(Path(links) / f"{MODEL}.index")
        return tensorflow_checkpoint.read_tensors(index)
