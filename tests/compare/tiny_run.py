"""A small made-up run in the formats between the stages, for the tests of the comparison.

It is not trained: its sounds go from noise to a chord and its figures fall, so that there is something to show.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from src.base import files
from src.config import step_name
from src.record import checkpoint
from src.wavenet.network import WaveNetConfig
from tests.compare import evaluations
from tests.compare.evaluations import GENRES as GENRES

ROOT = Path(__file__).parents[2]
STEPS = (20, 120, 220, 300)
FINGERPRINT = "0123456789abcdef"
RATE_HZ = 16000


def make(root: Path, steps: Sequence[int] = STEPS, duration_s: float = 0.5) -> Path:
    """Write a whole project folder below `root` (which must not exist): parameters, journal, audio, times, metrics."""
    root.mkdir(parents=True)
    (root / "params").mkdir()
    study = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    study["steps"] = list(steps)
    (root / "params.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    shutil.copy(ROOT / "params" / "demo.yaml", root / "params" / "demo.yaml")
    write_run(
        root,
        training=root / "work" / "train" / FINGERPRINT,
        steps=steps,
        duration_s=duration_s,
    )
    return root


def make_imported(root: Path, name: str, steps: Sequence[int] = STEPS, duration_s: float = 0.5) -> Path:
    """Write an imported run below work/runs/ of a project made before."""
    folder = root / "work" / "runs" / name
    write_run(folder, training=folder, steps=steps, duration_s=duration_s, seed=7, slow=40)
    return folder


def write_run(
    folder: Path,
    *,
    training: Path,
    steps: Sequence[int],
    duration_s: float,
    seed: int = 0,
    slow: float = 1,
) -> None:
    """Write one run's files."""
    write_journal(training / "journal.jsonl", max(steps), seed=seed, slow=slow)
    for step in steps:
        write_checkpoint(folder / "checkpoints" / step_name(step), step)
        progress = math.log(step / steps[0] + 1) / math.log(steps[-1] / steps[0] + 1)
        write_generation(folder / "generations" / step_name(step), step, progress, duration_s, seed)
        write_times(training / "times" / f"generate-{step_name(step)}.json", step, slow)
    write_metrics(folder / "metrics", steps)


def write_journal(path: Path, last: int, *, seed: int = 0, slow: float = 1) -> None:
    """Attempts: a manual restart at a fifth, a crash loop of three at half, one automatic at two thirds."""
    rng = np.random.default_rng(seed)
    restarts = {last // 5: [False], last // 2: [True, True, True], 2 * last // 3: [True]}
    lines: list[dict[str, Any]] = []
    now, attempt = 1_764_000_000_000, 1

    def begin(step: int, automatic: bool) -> None:
        lines.append(
            {
                "kind": "attempt",
                "attempt": attempt,
                "time_ms": now,
                "start_step": step,
                "automatic": automatic,
                "host": "planted-host",
                "pid": 77,
                "fingerprint": FINGERPRINT,
                "device": "cpu",
                "git_commit": "0123456789abcdef" * 2,
            }
        )

    begin(0, False)
    for step in range(1, last + 1):
        seconds = slow * float(0.06 + rng.exponential(0.004)) * (2 if step > 0.6 * last else 1)
        now += round(1000 * seconds)
        loss = 1.4 + 4.1 * math.exp(-step / (0.02 * last + 20)) + float(rng.normal(0, 0.25))
        lines.append(
            {
                "kind": "step",
                "attempt": attempt,
                "step": step,
                "loss": max(loss, 0.2),
                "seconds": seconds,
                "time_ms": now,
            }
        )
        for automatic in restarts.get(step, []):
            attempt += 1
            now += 20_000
            begin(step, automatic)
    lines.append({"kind": "end", "attempt": attempt, "time_ms": now, "cause": "finished"})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def write_checkpoint(folder: Path, step: int) -> None:
    """A checkpoint's description; nothing here reads its tensors."""
    folder.mkdir(parents=True)
    model = WaveNetConfig(
        dilations=(1, 2, 4, 8),
        residual_channels=16,
        dilation_channels=16,
        skip_channels=64,
        global_condition_channels=8,
        global_condition_cardinality=5,
    )
    about = checkpoint.About(
        step=step,
        fingerprint=FINGERPRINT,
        genres=GENRES,
        model=model,
        weights_sha256="0" * 64,
        optimizer_sha256="0" * 64,
    )
    signed = about.model_copy(update={"about_sha256": about.digest()})
    (folder / checkpoint.ABOUT).write_text(signed.model_dump_json(), encoding="utf-8")


def tune(genre: str, progress: float, duration_s: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Noise that becomes a broken chord as `progress` goes from 0 to 1."""
    place = GENRES.index(genre)
    rng = np.random.default_rng([seed, place])
    time = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    beat = (0.25, 0.125, 0.5, 0.2, 0.3)[place]
    notes = np.array([0, 4, 7, 12, 7, 4])[(time / beat).astype(int) % 6]
    pitch = 110 * 2 ** ((place * 3 + notes) / 12)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    envelope = np.exp(-4 * (time % beat) / beat)
    music = envelope * (np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.2 * np.sin(3 * phase)) / 2
    noise = rng.uniform(-1, 1, len(time))
    return np.asarray(0.45 * (progress * music + (1 - progress) ** 2 * noise))


def write_generation(folder: Path, step: int, progress: float, duration_s: float, seed: int = 0) -> None:
    """A wav and an mp3 for each genre, and generation.json."""
    folder.mkdir(parents=True)
    clips = []
    for genre in GENRES:
        samples = tune(genre, progress, duration_s, seed)
        soundfile.write(folder / f"{genre}.wav", samples, RATE_HZ, subtype="PCM_16")
        soundfile.write(folder / f"{genre}.mp3", samples, RATE_HZ, format="MP3")
        digest = hashlib.sha256((folder / f"{genre}.wav").read_bytes()).hexdigest()
        clips.append(
            {
                "file": f"{genre}.wav",
                "genre": genre,
                "clip": 1,
                "frames": len(samples),
                "primer_frames": 0,
                "sha256": digest,
            }
        )
    files.write_json(
        folder / "generation.json",
        {
            "step": step,
            "rate_hz": RATE_HZ,
            "start": "silence",
            "temperature": 1.0,
            "clips": clips,
        },
    )


def write_times(path: Path, step: int, slow: float = 1) -> None:
    """The clips of a step took 1.1 s to 1.5 s, and `slow` times that for a slow run."""
    clips = [
        {
            "genre": genre,
            "clip": 1,
            "seconds": slow * (1.1 + 0.1 * place),
            "samples_per_s": 8000 / slow / (1.1 + 0.1 * place),
        }
        for place, genre in enumerate(GENRES)
    ]
    files.write_json(path, {"step": step, "seconds": 6.5 * slow, "device": "cpu", "clips": clips})


def write_metrics(folder: Path, steps: Sequence[int]) -> None:
    """metrics/evaluate.json, manifest.json and clips.json."""
    files.write_json(folder / "evaluate.json", evaluations.made(1, steps, GENRES).to_json())
    files.write_json(folder / "manifest.json", {"digest": "d" * 64, "genres": dict.fromkeys(GENRES, 6)})
    files.write_json(
        folder / "clips.json",
        {"digest": "d" * 64, "genres": {genre: {"train": 5, "validation": 1} for genre in GENRES}},
    )
