"""Trainings to break, and the undisturbed one that each is compared with, byte for byte."""

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from src.record import journal, metrics
from tests.conftest import GENRES, ROOT, StudyFolder, change_yaml, make_study, write_clips
from tests.processes import book


@dataclass(frozen=True)
class Scale:
    """How large the trainings are."""

    steps: int
    checkpoint_every: int
    validate_every: int
    profile: str = "tiny"
    """Whose network and batch: `tiny`, or a file of params/."""
    clip_s: float = 3.0


SCALES = {
    "tiny": Scale(steps=400, checkpoint_every=20, validate_every=50),
    "long": Scale(steps=6000, checkpoint_every=5, validate_every=500),
    "demo": Scale(steps=15000, checkpoint_every=100, validate_every=500, profile="demo", clip_s=20.0),
}


@dataclass
class Outcome:
    """What a fault left behind."""

    fault: str
    happened: str
    problems: list[str]
    tried: bool = True
    seconds: float = 0.0


class Chaos:
    """A place for trainings, and the undisturbed one to compare with."""

    def __init__(self, folder: Path, scale: Scale, seed: int, *, thorough: bool) -> None:
        """thorough: inflict every variant of a fault, where the short form takes a sample."""
        self.folder, self.scale, self.seed, self.thorough = folder, scale, seed, thorough
        self.undisturbed = self.study("undisturbed")
        began = time.monotonic()
        self.finish(self.undisturbed)
        self.reference_s = time.monotonic() - began

    @property
    def compared(self) -> tuple[int, int, int]:
        """The compared steps, whose checkpoints stay."""
        return 20, self.scale.steps * 3 // 8, self.scale.steps

    def study(self, name: str) -> StudyFolder:
        """A fresh study of this scale."""
        root = self.folder / name
        if root.exists():
            return StudyFolder(root)
        scale = self.scale
        study = make_study(root, steps=self.compared)
        if scale.profile != "tiny":
            shutil.copy(ROOT / "params" / f"{scale.profile}.yaml", root / "params")
            change_yaml(root / "params.yaml", profile=scale.profile)
            study.change(
                f"params/{scale.profile}.yaml",
                clips__duration_s=scale.clip_s,
                manifest__minimum_duration_s=scale.clip_s,
            )
        study.change(
            f"params/{scale.profile}.yaml",
            train__steps=scale.steps,
            train__checkpoint_every=scale.checkpoint_every,
            train__validate_every=scale.validate_every,
        )
        write_clips(root / "data" / "clips", clips_per_genre=3, duration_s=scale.clip_s)
        return study

    def finish(self, study: StudyFolder, **environment: str) -> str:
        """Run the training to its end and return what it printed."""
        process = study.start("src.train", **environment)
        printed, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the training ended with {process.returncode}:\n{printed}")
        return str(printed)

    def differences(self, study: StudyFolder, database: Path | None = None) -> list[str]:
        """What is not as in the undisturbed training. database: MLflow's, where it is not the study's own."""
        found = []
        for path in sorted((self.undisturbed.root / "checkpoints").rglob("*")):
            other = study.root / path.relative_to(self.undisturbed.root)
            if path.is_file() and (not other.is_file() or other.read_bytes() != path.read_bytes()):
                found.append(f"{path.parent.name}/{path.name} differs")
        mine, reference = (journal.read(book(place)) for place in (study, self.undisturbed))
        if {step: line.loss for step, line in mine.steps.items()} != {
            step: line.loss for step, line in reference.steps.items()
        }:
            found.append("losses differ")
        if mine.validations != reference.validations:
            found.append("validations differ")
        if b'"kind": "mismatch"' in book(study).read_bytes():
            found.append("a step done again gave another loss")
        open_ended = [number for number, attempt in mine.attempts.items() if attempt.end is None]
        if open_ended:
            found.append(f"attempts without an end: {open_ended}")
        return found + self.differences_in_mlflow(study, database or study.root / "mlruns" / "mlflow.db")

    def differences_in_mlflow(self, study: StudyFolder, database: Path) -> list[str]:
        """What MLflow's database has otherwise than the journal."""
        view = journal.read(book(study))
        found = []
        shipped = in_mlflow(database, metrics.LOSS)
        if shipped != [(line.step, line.loss, line.time_ms) for _, line in sorted(view.steps.items())]:
            found.append(f"MLflow has {len(shipped)} losses of {len({row[0] for row in shipped})} steps")
        seconds = in_mlflow(database, metrics.SECONDS_PER_STEP)
        if [row[0] for row in seconds] != sorted(view.steps):
            found.append(f"MLflow has {len(seconds)} durations")
        genre = GENRES[0]
        scored = in_mlflow(database, metrics.validation_bits(genre))
        if [row[:2] for row in scored] != [(step, bits[genre]) for step, bits in sorted(view.validations.items())]:
            found.append(f"MLflow has {len(scored)} validations")
        wanted = {str(number): attempt.cause for number, attempt in view.attempts.items()}
        if nested_runs(database) != wanted:
            found.append("MLflow's attempts differ")
        return found


def in_mlflow(database: Path, key: str) -> list[tuple[int, float, int]]:
    """(step, value, time) of a metric of the study's run, as MLflow's database has them."""
    with sqlite3.connect(database) as connection:
        return connection.execute(
            "SELECT step, metrics.value, metrics.timestamp FROM metrics JOIN tags ON metrics.run_uuid = tags.run_uuid "
            "WHERE metrics.key = ? AND tags.key = 'part' AND tags.value = 'study' ORDER BY step",
            (key,),
        ).fetchall()


def nested_runs(database: Path) -> dict[str, str]:
    """Attempt → recorded cause, of the nested runs that are closed; with a remark where the status says otherwise."""
    statuses = {"finished": "FINISHED", "crashed": "FAILED", "gave up": "FAILED", "out of memory": "FAILED"}
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT number.value, cause.value, runs.status FROM tags AS number "
            "JOIN tags AS cause ON cause.run_uuid = number.run_uuid AND cause.key = 'cause' "
            "JOIN runs ON runs.run_uuid = number.run_uuid WHERE number.key = 'attempt'"
        ).fetchall()
    return {
        number: cause if statuses.get(cause, "KILLED") == status else f"{cause}, but {status}"
        for number, cause, status in rows
    }


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[bool]:
    """Mount a tmpfs of this size at `place` for the block; False where that is not allowed."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def enlarge(place: Path, size: str) -> None:
    """Give a small disk another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)
