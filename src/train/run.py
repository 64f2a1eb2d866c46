"""A training run: its parameters, its clips, its identity and where it lives.

In: parameters and the clips on the disk. Out: `Run`. Its identity, the fingerprint, is a hash of what decides its
numbers: an interrupted run with the same fingerprint goes on; another fingerprint is a new run from scratch, and the
old one stays untouched.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from src.base import code
from src.base.errors import Problem
from src.clips.clipset import MADE_BY, ClipSet
from src.config import Params, step_name
from src.record import checkpoint, journal, layout
from src.record.runs import Trained
from src.wavenet.device import Kind

CLIPS = Path("data/clips")

DECIDES_A_STEP = "src.train.step"
"""The module from which everything is reached that decides a number of a training."""

NOT_IDENTITY = {"steps", "checkpoint_every", "keep_last", "keep_for_audit", "validate_every"}
"""Keys of `train` that change how long a run goes on or what is kept of it, not its numbers."""


@dataclass(frozen=True)
class Run:
    """One training run."""

    params: Params
    clips: ClipSet
    fingerprint: str
    folder: Path
    """work/train/<fingerprint>"""

    @classmethod
    def open(cls, params: Params) -> Self:
        """The run that these parameters and data/clips/ make: of the genres that have clips.

        Raises `Problem` if there are no clips, or some of a genre that is no parameter.
        """
        clips = ClipSet.open(CLIPS)
        genres = {clip.genre for clip in clips.clips}
        if unknown := genres - set(params.genres):
            raise Problem(
                f"{CLIPS} has songs of {', '.join(sorted(unknown))}, which `genres` in params.yaml does not name. Name "
                f"it there, or make the clips again with: {MADE_BY}"
            )
        params = params.only(genres)
        name = fingerprint(params, clips.digest)
        return cls(params, clips, name, layout.training_folder(Path(), name))

    @property
    def journal(self) -> Path:
        """The run's journal."""
        return self.folder / journal.NAME

    @property
    def trained(self) -> Trained:
        """What run.json says of it."""
        songs = dict(Counter(clip.genre for clip in self.clips.clips))
        return Trained(clips=self.clips.digest, code=code.digest(DECIDES_A_STEP), songs=songs, params=self.params)

    @property
    def led_elsewhere(self) -> Path:
        """An empty file: this machine took part in the run, and another one has the journal."""
        return self.folder / "led-elsewhere"

    @property
    def checkpoints(self) -> Path:
        """All checkpoints of the run, the compared ones among them."""
        return self.folder / "checkpoints"

    def checkpoint_damage(self, step: int) -> Problem | None:
        """What is wrong with the run's checkpoint of a step; None if it is there, whole and of this run's network."""
        return checkpoint.damage(self.checkpoints / step_name(step), self.fingerprint, self.params.profile.model)

    @property
    def finished(self) -> bool:
        """Whether the last attempt ended well and the compared checkpoints and the last one are there, whole."""
        attempts = journal.read(self.journal).attempts
        return (
            bool(attempts)
            and attempts[max(attempts)].cause == "finished"
            and all(self.checkpoint_damage(step) is None for step in self.params.kept_steps)
        )


def fingerprint(params: Params, clips_digest: str, device: Kind | None = None) -> str:
    """16 hexadecimal digits that name a run.

    clips_digest: one digest over the whole clip set. device: what it trains on, if that is not what is here.
    Parameters count with the values that they have here, defaults included, and the device with its kind; raising
    `train.steps` does not change the fingerprint, nor does an edit of a comment or a docstring.
    """
    text = json.dumps(identity(params, clips_digest, device), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def identity(params: Params, clips_digest: str, device: Kind | None = None) -> dict[str, Any]:
    """What the fingerprint is the hash of."""
    train = {key: value for key, value in params.profile.train.model_dump().items() if key not in NOT_IDENTITY}
    return {
        "seed": params.study.seed,
        "genres": params.genres,
        "model": params.profile.model.model_dump(),
        "train": train,
        "clips": clips_digest,
        "code": code.digest(DECIDES_A_STEP),
        "device": device or params.device,
    }
