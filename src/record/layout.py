"""Where the files of a run are: the study's own, or one imported under work/runs/<name>/."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from src.base.errors import Problem
from src.config import Params, step_folder, step_name
from src.record import checkpoint, journal
from src.wavenet.shape import WaveNetConfig

TRAINING = Path("work/train")
IMPORTED = Path("work/runs")
ABOUT = "about.json"
NAME = r"[a-z0-9][a-z0-9-]{0,40}"
"""What an imported run may be called: it becomes a folder."""
SEED = r"seed-(\d+)"
"""A run of the study with another seed of its training, beside the imported ones."""
PREVIEW = "preview"
"""Copies of checkpoints of a training under way (`src.preview`), beside the imported runs."""


class ImportedRun(BaseModel):
    """What an imported run's about.json says: what was imported, and what in it is inferred."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    run: str
    fingerprint: str
    imported: Literal[True] = True
    known_study: bool
    """Whether it is the 2019 study itself."""
    steps: str
    """What the numbers of its steps count, as the end of a sentence that begins with "Steps are"."""
    inferred_fields: dict[str, str]
    """Kind of record → the fields that no file says, and what they follow from."""
    network: WaveNetConfig | None
    genres: tuple[str, ...]
    notes: tuple[str, ...]
    """Sentences on what could not be read."""


@dataclass(frozen=True)
class RunFiles:
    """Paths of one run's files; they need not exist."""

    name: str
    """"current", the imported run's name, seed-2020, preview, or the fingerprint of one trained here otherwise."""
    checkpoints: Path
    generations: Path
    metrics: Path
    training: Path | None
    """Folder with the journal; None if no checkpoint says which run it was or the journal is not on this machine."""

    @property
    def own(self) -> bool:
        """Whether it was trained here, on data/clips/."""
        return self.name in ("current", PREVIEW) or re.fullmatch(SEED, self.name) is not None or self.other

    @property
    def other(self) -> bool:
        """Whether it was trained here with other parameters, in an experiment or before (`record/runs.py`)."""
        return (
            self.training is not None
            and self.training == self.checkpoints.parent
            and self.training.parent.name == TRAINING.name
        )

    @property
    def passing(self) -> bool:
        """Whether it is a look at a training under way, of which nothing is kept in MLflow or with the run."""
        return self.name == PREVIEW

    @property
    def journal(self) -> Path | None:
        """The run's journal, if it is here."""
        path = self.training / journal.NAME if self.training else None
        return path if path is not None and path.is_file() else None

    def checkpoint(self, step: int) -> Path:
        """Folder of a step's checkpoint."""
        return step_folder(self.checkpoints, step)

    def generation(self, step: int) -> Path:
        """Folder of the audio generated at a step."""
        return step_folder(self.generations, step)

    def generation_times(self, step: int) -> Path | None:
        """File with the seconds each clip of a step took; with the run, so that another run's are never shown."""
        home = self.metrics.parent if self.passing else self.training
        return home / "times" / f"generate-{step_name(step)}.json" if home else None


def studied(run: RunFiles, params: Params) -> Params:
    """The parameters with the genres that a run of this study knows: those of params.yaml that had songs."""
    for step in checkpoint.steps(run.checkpoints) if run.own else ():
        try:
            genres = checkpoint.about(run.checkpoint(step)).genres
        except Problem:
            continue  # a damaged one is reported by whoever reads it
        return params.only(genres) if {*genres} <= {*params.genres} else params
    return params


def trained_with(name: str, params: Params) -> Params | None:
    """The parameters with which the run of this name was trained here; None for an imported one."""
    match = re.fullmatch(SEED, name)
    return params.with_seed(int(match[1])) if match else params if name == "current" else None


def training_folder(root: Path, fingerprint: str) -> Path:
    """Where the run of this fingerprint trains."""
    return root / TRAINING / fingerprint


def current(root: Path = Path()) -> RunFiles:
    """The study's own run: whichever run the folders in checkpoints/ came from."""
    return _trained_here("current", root, root)


def seed(number: int, root: Path = Path()) -> RunFiles:
    """The study's run with another seed of its training; it need not exist."""
    return _trained_here(f"seed-{number}", root / IMPORTED / f"seed-{number}", root)


def preview(root: Path = Path()) -> RunFiles:
    """Copies of checkpoints of a training under way; they need not exist."""
    return _trained_here(PREVIEW, root / IMPORTED / PREVIEW, root)


def seeded(root: Path = Path()) -> list[RunFiles]:
    """All runs with another seed, by seed."""
    matches = (re.fullmatch(SEED, path.name) for path in (root / IMPORTED).glob("*") if path.is_dir())
    return [seed(number, root) for number in sorted(int(match[1]) for match in matches if match)]


def _trained_here(name: str, folder: Path, root: Path) -> RunFiles:
    checkpoints = folder / "checkpoints"
    training = None
    for step in checkpoint.steps(checkpoints):
        try:
            training = training_folder(root, checkpoint.about(step_folder(checkpoints, step)).fingerprint)
            break
        except Problem:
            continue  # a damaged one is reported by whoever reads it; another names the run as well
    return RunFiles(
        name=name,
        checkpoints=checkpoints,
        generations=folder / "generations",
        metrics=folder / "metrics",
        training=training,
    )


def imported(name: str, root: Path = Path()) -> RunFiles:
    """A run under work/runs/: imported by `python -m src.legacy`, or trained with another seed.

    Raises `Problem` naming those that exist.
    """
    folder = root / IMPORTED / name
    if not re.fullmatch(NAME, name) or not folder.is_dir():
        known = ", ".join(sorted(path.name for path in (root / IMPORTED).glob("*") if path.is_dir())) or "none"
        raise Problem(
            f"There is no run named {name!r}; imported runs: {known}. Import one with: python -m src.legacy DIR"
        )
    if name == PREVIEW:
        return preview(root)
    if match := re.fullmatch(SEED, name):
        return seed(int(match[1]), root)
    return RunFiles(
        name=name,
        checkpoints=folder / "checkpoints",
        generations=folder / "generations",
        metrics=folder / "metrics",
        training=folder,
    )


def about_import(place: RunFiles) -> ImportedRun | None:
    """What an import wrote about the run; None for a run of this machine. Raises `Problem` if it cannot be read."""
    path = place.metrics.parent / ABOUT
    if place.name == "current" or not path.is_file():
        return None
    try:
        return ImportedRun.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        says = f"{error.error_count()} fields are wrong" if isinstance(error, ValidationError) else str(error)
        raise Problem(f"{path} cannot be read ({says}); write it again with: python -m src.legacy DIR") from None
