"""A small study on disk: parameters of a tiny scale and clips that take no time to learn."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import settings

from src.clips import clipset

ROOT = Path(__file__).parents[1]
GENRES = ("classical", "hardcore", "hip", "metal", "rock")
RATE_HZ = 16_000
PATIENCE_S = 1800
"""After which a process hangs: on a crowded machine one may take many times as long as on an idle one."""

# A busy machine is no failure: no test asserts a duration.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# No library and no MLflow of the tester's.
for _name in ("MUSIC_LIBRARY", "MLFLOW_TRACKING_URI"):
    os.environ.pop(_name, None)
# Two threads per process would fight over the cores that the tests run on.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules with slow tests first, in any order else: what takes longest must not begin when all others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _away_from_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A test sees no study that somebody has made in this checkout, and leaves nothing in it."""
    os.chdir(tmp_path_factory.mktemp("away"))


@dataclass(frozen=True)
class StudyFolder:
    """A folder with params.yaml and params/, in which stages can be run as a user runs them."""

    root: Path

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a stage: this checkout's code."""
        return os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "dumb"} | more

    def start(self, module: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start `python -m <module>` here."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m <module>` here to its end."""
        process = self.start(module, *arguments, **environment)
        output, _ = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def change(self, file: str, **values: Any) -> None:
        """Change parameters: `change("params/tiny.yaml", train__steps=5)`."""
        change_yaml(self.root / file, **values)


def change_yaml(path: Path, **values: Any) -> None:
    """Set values in a YAML file; a double underscore goes one level down."""
    content = yaml.safe_load(path.read_text())
    for place, value in values.items():
        *outer, last = place.split("__")
        target = content
        for key in outer:
            target = target[key]
        target[last] = value
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def make_study(root: Path, steps: tuple[int, ...] = (2, 10, 30)) -> StudyFolder:
    """A study folder at the tiny scale, without clips. steps: the compared ones."""
    (root / "params").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", root)
    change_yaml(root / "params.yaml", profile="tiny", steps=list(steps))
    shutil.copy(ROOT / "tests" / "data" / "tiny.yaml", root / "params")
    return StudyFolder(root)


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """A study folder at the tiny scale, without clips."""
    return make_study(tmp_path)


@pytest.fixture
def study_with_clips(study: StudyFolder) -> StudyFolder:
    """A study folder with three clips for each genre, a validation one among them."""
    write_clips(study.root / "data" / "clips", clips_per_genre=3, duration_s=3.0)
    return study


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that all processes of a test run share, made by the first of them that asks. Nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            make(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A finished training that nothing interrupted."""

    def make(folder: Path) -> None:
        study = make_study(folder / "study")
        write_clips(study.root / "data" / "clips", clips_per_genre=3, duration_s=3.0)
        done = study.run("src.train")
        assert done.returncode == 0, done.stdout

    return StudyFolder(made_once(tmp_path_factory, "undisturbed", make) / "study")


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library of planted words and, in `study`, a clone after `dvc repro` on it."""
    from tests import planted  # it stands on this module

    return made_once(tmp_path_factory, "planted", planted.make_study)


def write_clips(folder: Path, clips_per_genre: int, duration_s: float) -> None:
    """Clips whose genres differ by pitch and tremolo; the first of each genre is for validation."""
    noise = np.random.default_rng(7)
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    rows = []
    for number, genre in enumerate(GENRES):
        (folder / genre).mkdir(parents=True)
        for clip in range(clips_per_genre):
            pitch_hz = 110 * (number + 1) * (1 + 0.07 * clip)
            tone = np.sin(2 * np.pi * pitch_hz * time_s) * (0.6 + 0.4 * np.sin(2 * np.pi * (number + 1) * time_s))
            audio = np.rint(32767 * (0.5 * tone + 0.02 * noise.standard_normal(time_s.size)).clip(-1, 1))
            samples = audio.astype(np.int16)
            digest = clipset.samples_digest(samples)
            name = f"{genre}/{digest[:16]}.flac"
            soundfile.write(folder / name, samples, RATE_HZ, subtype="PCM_16")
            split = "validation" if clip == 0 else "train"
            rows.append(clipset.ClipRow(name, genre, split, samples.size, -6.0, -18.0, digest))
    clipset.write_table(folder / "clips.csv", sorted(rows, key=lambda row: (row.genre, row.clip)))
