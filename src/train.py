"""Train the WaveNet on the clips, through every interruption.

In: data/clips/ and the `model` and `train` sections of the profile. Out: checkpoints/ (the compared steps) and
metrics/train.json. The run itself lives in work/train/<fingerprint>/ and, as a view of it, in MLflow.

    python -m src.train
"""

import os
import shutil
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from src.music.clipset import ClipSet
from src.run import checkpoint, config, console, files, identity, journal, layout, shipping, tracking
from src.run.config import Params, step_name
from src.run.shipping import Shipper
from src.run.supervisor import BackgroundShipping, started_by_torchrun, supervise

app = console.command_app("Train the WaveNet on the clips, through every interruption.")

CLIPS = Path("data/clips")
CHECKPOINTS = Path("checkpoints")
SUMMARY = Path("metrics/train.json")
LOSS_WINDOW = 200
"""Steps whose median is called the loss at a step: single steps vary too much."""


@dataclass(frozen=True)
class Run:
    """One training run: its parameters, its clips, its identity and where it lives."""

    params: Params
    clips: ClipSet
    fingerprint: str
    folder: Path

    @property
    def journal(self) -> Path:
        """The run's journal."""
        return self.folder / "journal.jsonl"

    @property
    def checkpoints(self) -> Path:
        """All checkpoints of the run, the compared ones among them."""
        return self.folder / "checkpoints"

    @property
    def finished(self) -> bool:
        """Whether the compared checkpoints and the last one are there, and whole."""
        return all(checkpoint.damage(self.checkpoints / step_name(step)) is None for step in self.params.kept_steps)


@app.command()
def main(
    profile: Annotated[str | None, typer.Option(help="Scale of the study: params/<profile>.yaml.")] = None,
    attempt: Annotated[int | None, typer.Option(hidden=True)] = None,
    automatic: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Train to the last step; the same command goes on after an interruption."""
    run = open_run(config.load(profile=profile))
    if attempt is not None:  # the child that the supervisor below started
        from src.run.attempt import train
        from src.run.workers import Workers

        train(run.params, run.clips, run.fingerprint, run.folder, attempt, automatic, Workers(0, 1))
        return
    if started_by_torchrun():
        train_under_torchrun(run)
        return
    with files.exclusive(run.folder / "lock", what=f"A training of run {run.fingerprint}") as lock:
        if not run.finished:
            child = [sys.executable, "-m", "src.train", "--profile", run.params.study.profile]
            supervise(
                lambda number, auto: [*child, "--attempt", str(number), *(["--automatic"] if auto else [])],
                run.folder,
                lock,
                lambda: connect(run),
            )
        else:
            console.say(f"Run {run.fingerprint} has all its {run.params.profile.train.steps:,} steps already.")
            ship_the_rest(run)
        publish(run)


def train_under_torchrun(run: Run) -> None:
    """One of several processes: torchrun starts and restarts them all, so there is no supervisor of ours."""
    from src.run import workers
    from src.run.attempt import train

    group = workers.join()
    group.rows(run.params.profile.train.batch_size)  # before anything is started: can it be shared at all?
    if not group.leads:
        train(run.params, run.clips, run.fingerprint, run.folder, 1, False, group)
        group.part()
        return
    with files.exclusive(run.folder / "lock", what=f"A training of run {run.fingerprint}"):
        journal.repair(run.journal)
        number = max(journal.read(run.journal).attempts, default=0) + 1
        sender = BackgroundShipping(lambda: connect(run))
        sender.start()
        try:
            restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
            train(run.params, run.clips, run.fingerprint, run.folder, number, restarted, group)
            group.part()
        finally:
            sender.finish()
        publish(run)


def open_run(params: Params) -> Run:
    """The run that these parameters and the clips on the disk make. Raises `Problem` if there are no clips."""
    clips = ClipSet.open(CLIPS)
    fingerprint = identity.fingerprint(params, clips.digest)
    return Run(params, clips, fingerprint, layout.training_folder(Path(), fingerprint))


def connect(run: Run) -> Shipper:
    """Open MLflow for this run. Raises `TrackingError`."""
    store = tracking.Store()
    run_id = tracking.study_run(store, run.fingerprint, run.params)
    counts = {f"{split}_{genre}": 0 for split in ("train", "validation") for genre in run.params.genres}
    for clip in run.clips.clips:
        counts[f"{clip.split}_{clip.genre}"] += 1
    store.dataset(run_id, "clips", run.clips.digest, counts)
    return Shipper(store, run_id, run.folder)


def ship_the_rest(run: Run) -> None:
    """Send what MLflow did not take while the training ran."""
    if shipping.shipped_step(run.folder) < journal.read(run.journal).last_step:
        sender = BackgroundShipping(lambda: connect(run))
        sender.start()
        sender.finish()


def publish(run: Run) -> None:
    """Fill checkpoints/ from the run's own folder and write metrics/train.json.

    checkpoints/ is DVC's: it may be deleted, restored or linked at any time, so the run keeps files of its own.
    """
    with files.replacing(CHECKPOINTS) as temporary:
        for step in run.params.compared_steps:
            shutil.copytree(run.checkpoints / step_name(step), temporary / step_name(step))
    steps = journal.read(run.journal).steps
    losses = {
        step_name(step).removeprefix("step-"): statistics.median(
            steps[near].loss for near in range(max(1, step - LOSS_WINDOW + 1), step + 1)
        )
        for step in run.params.compared_steps
    }
    files.write_json(
        SUMMARY,
        {"fingerprint": run.fingerprint, "steps": run.params.profile.train.steps, "median_loss_nats": losses},
    )
    console.say(f"{CHECKPOINTS}/ has steps {', '.join(str(step) for step in run.params.compared_steps)}.")


if __name__ == "__main__":
    console.run(app)
