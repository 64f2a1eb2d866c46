"""A study for a benchmark: parameters, made-up clips and trainings in a folder that is gone afterwards.

In: params.yaml and params/<profile>.yaml of the current folder, with changes to `train`. Out: `TemporaryStudy`, in
which `python -m src.train` runs as for a user. Set TMPDIR to choose the disk.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import soundfile
import yaml
from numpy.typing import NDArray

from src import config
from src.base import console, files
from src.base.errors import Problem
from src.clips import clipset
from src.config import Params
from src.record import journal

CHECKOUT = Path(__file__).parents[1]
CLIPS = Path("data/clips")
OUTPUT = Path("output.txt")
HELD_OUT_EVERY = 10
"""One clip in so many validates."""
LOOK_EVERY_S = 0.5
SAY_EVERY_S = 20.0
STARTUP_VARIABLES = ("MUSIC_LIBRARY", "MLFLOW_TRACKING_URI")
"""Of the user's environment: they would lead out of the temporary folder."""


@dataclass(frozen=True)
class TemporaryStudy:
    """A folder with params.yaml, params/ and data/clips/, and what a training adds to it."""

    root: Path
    profile: str

    @property
    def params(self) -> Params:
        """The parameters as they stand."""
        return config.load(self.root)

    @property
    def training(self) -> Path | None:
        """Folder of the study's one run, if it has begun."""
        return next((self.root / "work" / "train").glob("*/"), None)

    def change(self, **train: Any) -> None:
        """Change keys of `train`. The compared steps are then the study's below the last one, and the last one."""
        study_path, scale_path = self.root / "params.yaml", self.root / "params" / f"{self.profile}.yaml"
        study, scale = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (study_path, scale_path))
        scale["train"] |= train
        last = scale["train"]["steps"]
        compared = [step for step in study["steps"] if step < last]
        study["profile"] = self.profile
        study["steps"] = [*compared, last]
        files.write_text(study_path, yaml.safe_dump(study, sort_keys=False))
        files.write_text(scale_path, yaml.safe_dump(scale, sort_keys=False))

    def write_clips(self, count: int, sounds: int) -> None:
        """Write `count` clips, the genres in turn, of `sounds` different sounds: the others are hard links.

        The genres must divide `sounds`, so that a sound has one genre.
        """
        scale, genres, folder = self.params.profile, self.params.genres, self.root / CLIPS
        frames = round(scale.clips.duration_s * scale.clips.rate_hz)
        rows: list[clipset.ClipRow] = []
        for number in range(count):
            genre = genres[number % len(genres)]
            name = f"{genre}/{number:06d}.flac"
            (folder / genre).mkdir(parents=True, exist_ok=True)
            if number < sounds:
                samples = make_sound(number, frames, scale.clips.rate_hz)
                soundfile.write(folder / name, samples, scale.clips.rate_hz, subtype="PCM_16")
                digest = clipset.samples_digest(samples)
            else:
                digest = rows[number % sounds].sha256
                (folder / name).hardlink_to(folder / rows[number % sounds].clip)
            split = "validation" if number // len(genres) % HELD_OUT_EVERY == 0 else "train"
            rows.append(clipset.ClipRow(name, genre, split, frames, -6.0, -18.0, digest))
        clipset.write_table(folder / clipset.TABLE, sorted(rows, key=lambda row: (row.genre, row.clip)))

    def forget(self) -> None:
        """Delete what trainings left, MLflow's database among it: the next one begins anew."""
        for name in ("work", "mlruns", "mlflow.db", "checkpoints", "metrics", OUTPUT):
            files.remove(self.root / name)

    @contextmanager
    def running(self, module: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """`python -m <module>` in the folder; it and all it started are killed when the block ends."""
        kept = {key: value for key, value in os.environ.items() if key not in STARTUP_VARIABLES}
        with (
            (self.root / OUTPUT).open("ab") as output,
            in_session(
                [sys.executable, "-m", module, *arguments],
                cwd=self.root,
                env=kept | {"PYTHONPATH": str(CHECKOUT)} | environment,
                output=output,
            ) as process,
        ):
            yield process

    def follow(self, process: subprocess.Popen[bytes], offset: int = 0) -> Iterator[list[dict[str, Any]]]:
        """What the journal has new behind byte `offset`, again and again until the training has ended.

        Raises `Problem` with its last words if it failed.
        """
        while True:
            ended = process.poll() is not None
            training = self.training
            new = list(journal.records(training / "journal.jsonl", offset)) if training else []
            offset = new[-1][0] if new else offset
            yield [record for _, record in new]
            if ended:
                self.check(process)
                return
            time.sleep(LOOK_EVERY_S)

    def check(self, process: subprocess.Popen[bytes], what: str = "The training", *, status: int = 0) -> None:
        """Raises `Problem` with the last words of a process that ended with another status."""
        if process.poll() not in (None, status):
            words = (self.root / OUTPUT).read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
            raise Problem(f"{what} ended with status {process.returncode}: " + "\n".join(words))

    def wait(self, process: subprocess.Popen[bytes], what: str, *, status: int = 0) -> None:
        """Wait for a process to end with `status`, and say now and then that it has not. Raises `Problem` otherwise."""
        began = time.monotonic()
        while True:
            try:
                process.wait(SAY_EVERY_S)
            except subprocess.TimeoutExpired:
                console.say(f"{what}: {console.duration(time.monotonic() - began)} so far")
            else:
                self.check(process, what, status=status)
                return


@contextmanager
def temporary_study(profile: str, **train: Any) -> Iterator[TemporaryStudy]:
    """A study without clips at this profile, with other values of `train`. Raises `Problem` if they are not usable."""
    config.load(profile=profile)  # a wrong name is an error before anything is made
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        study = TemporaryStudy(Path(folder), profile)
        (study.root / "params").mkdir()
        shutil.copy("params.yaml", study.root)
        shutil.copy(Path("params") / f"{profile}.yaml", study.root / "params")
        study.change(**train)
        yield study


@contextmanager
def in_session(
    command: list[str], *, cwd: Path, env: dict[str, str], output: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own; whatever is in that session is killed when the block ends."""
    with contextlib.ExitStack() as afterwards:
        with _signals_held():
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            afterwards.callback(kill_session, process)
        yield process


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all that still lives in its session, its orphans among them."""
    with _signals_held():
        while alive := session(process.pid):
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.02)
        process.wait()


def session(leader: int) -> list[int]:
    """Living processes of a session. A training and its supervisor share one, although not a process group."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


@contextmanager
def _signals_held() -> Iterator[None]:
    """SIGTERM and Ctrl-C count at the block's end, so that nothing is started and then forgotten."""
    asked: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.signal(number, lambda got, _frame: asked.append(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for got in asked:
            signal.raise_signal(got)


def make_sound(seed: int, frames: int, rate_hz: int) -> NDArray[np.int16]:
    """A plucked melody with a little noise, (frames,) int16."""
    random = np.random.default_rng(seed)
    time_s = np.arange(frames) / rate_hz
    note = rate_hz // 4
    pitch_hz = 220 * 2 ** (random.integers(-12, 12, frames // note + 1).repeat(note)[:frames] / 12)
    sound = 0.5 * np.sin(2 * np.pi * pitch_hz * time_s) * np.exp(-8 * (time_s % 0.25))
    samples: NDArray[np.int16] = np.rint(32767 * (sound + random.normal(0, 0.01, frames)).clip(-1, 1)).astype(np.int16)
    return samples
