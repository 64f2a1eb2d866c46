"""What is compared: the runs, their clips, measures and counts, as `compare/gathering.py` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from src.compare.sounds import Sound
from src.evaluate.schema import Evaluation
from src.evaluate.seeds import Seeds
from src.record import journal
from src.record.runs import Trained
from src.wavenet.shape import WaveNetConfig

MADE_WITH = {
    "device": "trained on",
    "processor": "",
    "seed": "seed",
    "git_commit": "commit",
    "dvc_lock_sha256": "dvc.lock",
    "python": "Python",
    "torch": "torch",
    "numba": "numba",
}
"""What a run's attempts say of themselves, and how the page names it."""


@dataclass(frozen=True)
class Clip:
    """The first generated clip of a genre and step, or the note that there is none."""

    step: int
    genre: str
    sound: Sound | None = None
    """None if there is nothing to draw."""
    digest: str = ""
    """SHA-256 of the wav file, as `src.generate` recorded it."""
    trouble: str = ""
    """Why there is no sound, or what is wrong with it; empty if all is well."""


@dataclass(frozen=True)
class Counts:
    """Songs and clips of one genre."""

    genre: str
    songs: int | None
    training: int | None
    validation: int | None


@dataclass(frozen=True)
class Generated:
    """How many clips of a step there are of each genre, and what they took."""

    clips: int
    seconds: float | None = None
    """Of all clips of the step together."""
    seed: int | None = None


@dataclass(frozen=True)
class Run:
    """One run, read."""

    name: str
    fingerprint: str
    checkpoints: tuple[int, ...]
    generated: Mapping[int, Generated]
    """By step; those with a folder of generated audio."""
    view: journal.View
    evaluation: Evaluation | None
    clips: tuple[Clip, ...]
    """Of the compared steps and of every other generated step."""
    counts: tuple[Counts, ...]
    digest: str
    """One digest over the whole set of clips trained on."""
    network: WaveNetConfig | None
    """Shape of the network, if a checkpoint or an import says it."""
    median_losses: dict[int, float] = field(default_factory=dict)
    """Step → median loss as `src.train` recorded it, for a machine that has no journal."""
    notes: tuple[str, ...] = ()
    seeds: Seeds | None = None
    """What trainings with other seeds say, if there are any."""
    trained: Trained | None = None
    """What it was trained with, if that was here."""

    @property
    def label(self) -> str:
        """The run as the page names it."""
        return "this study" if self.name == "current" else (self.trained and self.trained.experiment) or self.name

    def median_loss(self, step: int) -> float | None:
        """Median loss of the last steps up to this one, in nats per sample."""
        logged = self.view.median_loss(step)
        return self.median_losses.get(step) if logged is None else logged

    @property
    def trained_with(self) -> dict[str, tuple[str, ...]]:
        """What its attempts say of themselves (`MADE_WITH`): each device, commit, version that had a part in it."""
        details = [attempt.details for attempt in self.view.attempts.values()]
        found = {key: {str(each[key]) for each in details if each.get(key)} for key in MADE_WITH if key != "seed"}
        found["seed"] = {str(each.seed) for each in self.generated.values() if each.seed is not None}
        return {key: tuple(sorted(found[key])) for key in MADE_WITH if found[key]}

    @property
    def known_steps(self) -> tuple[int, ...]:
        """Steps that can be compared."""
        return tuple(sorted({*self.checkpoints, *self.generated}))

    def clip(self, step: int, genre: str) -> Clip:
        """The clip of a step and genre; one with a sentence if there is none."""
        for clip in self.clips:
            if (clip.step, clip.genre) == (step, genre):
                return clip
        return Clip(step, genre, trouble=f"There is no clip of {genre} at step {step:,}.")


@dataclass(frozen=True)
class Comparison:
    """What is compared."""

    steps: tuple[int, ...]
    genres: tuple[str, ...]
    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()
    """What is not there, in words."""
    songs: Mapping[str, Sound] = field(default_factory=dict)
    """Genre → a stretch of a held-out song, only where the music may be heard."""
    songs_note: str = ""
    """Why songs can be heard here, or why not."""

    @property
    def run(self) -> Run:
        """The run the comparison is about; the second one, if any, stands beside it."""
        return self.runs[0]

    def name(self, run: Run) -> str:
        """The run's label where there are two to tell apart, else nothing."""
        return run.label if len(self.runs) > 1 else ""

    def suffix(self, run: Run) -> str:
        """The same to stand behind a value: ", study-2019"."""
        return f", {run.label}" if len(self.runs) > 1 else ""
