"""A training with nothing beside the steps: no journal, no checkpoint, no MLflow, no validation."""

from pathlib import Path

from benchmarks.temporary_study import CLIPS
from src.clips.clipset import ClipSet
from src.config import Params
from src.train.step import State, Training, first_state


def bare_training(params: Params, root: Path) -> tuple[Training, State]:
    """The steps that `src.train` would do with the clips of the study in `root`, and the state that they change."""
    state = first_state(params)
    return Training(params, ClipSet.open(root / CLIPS), state), state
