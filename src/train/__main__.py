"""Train the WaveNet on the clips, through every interruption.

In: data/clips/ and the `model` and `train` sections of the profile. Out: checkpoints/ (the compared steps) and
metrics/train.json. The run itself lives in work/train/<fingerprint>/ and, as a view of it, in MLflow.

    python -m src.train
    python -m src.train --seed 2020

With --seed the same clips are trained on from other first weights and in another order. That run's checkpoints go to
work/runs/seed-2020/, and checkpoints/ stays as it is (`make seeds`).
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from src import config
from src.base import console, files, options, provenance
from src.base.errors import Problem
from src.config import step_folder, step_name
from src.record import checkpoint, endings, journal, layout, runs, shipping, tracking
from src.record.endings import GIVE_UP
from src.record.shipping import Shipper
from src.train import newcomer
from src.train.run import Run
from src.train.supervisor import end_with, started_by_torchrun, supervise

app = console.command_app("Train the WaveNet on the clips, through every interruption.")

CHECKPOINTS = Path("checkpoints")
GENERATIONS = Path("generations")
SUMMARY = Path("metrics/train.json")

JOURNAL_WAIT_S = 600
"""Machines that took part in a run wait for the one with its journal for this long: it may be starting anew."""


@app.command()
def main(
    profile: options.Profile = None,
    device: options.Device = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**63 - 1, help="Train once more with another seed, on the same clips, beside the study."
        ),
    ] = None,
    child_of: Annotated[int | None, typer.Option(hidden=True)] = None,
    fingerprint: Annotated[str, typer.Option(hidden=True)] = "",
    attempt: Annotated[int, typer.Option(hidden=True)] = 1,
    automatic: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Train to the last step; the same command goes on after an interruption."""
    params = config.load(profile=profile, device=device)
    beside = seed is not None and seed != params.study.seed
    params = params if seed is None else params.with_seed(seed)
    if child_of is not None:
        train_as_child(params, child_of, fingerprint, attempt, automatic)
        return
    run = Run.open(params)
    if started_by_torchrun():
        train_under_torchrun(run, beside=beside)
    else:
        train_supervised(run, beside=beside)


def train_supervised(run: Run, *, beside: bool = False) -> None:
    """The whole training: in one child process after another, until the last step is done.

    beside: it is the study's training with another seed.
    """
    with files.exclusive(run.folder / "lock", what=f"A training of run {run.fingerprint}") as lock:
        prepare(run, beside=beside)
        if run.finished:
            console.say(f"Run {run.fingerprint} has all its {run.params.profile.train.steps:,} steps already.")
            ship_the_rest(run, beside=beside)
        else:
            console.say(newcomer.outlook(run))
            console.outlive_the_terminal()
            child = [sys.executable, "-m", "src.train", "--profile", run.params.study.profile]
            child += ["--device", run.params.device, *(["--seed", str(run.params.study.seed)] if beside else [])]
            child += ["--child-of", str(os.getpid()), "--fingerprint", run.fingerprint]
            with shipping_beside(run, beside=beside):
                supervise(
                    lambda number, auto: [*child, "--attempt", str(number), *(["--automatic"] if auto else [])],
                    run.folder,
                    lock,
                )
        publish(run, beside=beside)


def train_as_child(params: config.Params, parent: int, fingerprint: str, attempt: int, automatic: bool) -> None:
    """One attempt, in the process that the supervisor started. Ends with `GIVE_UP` where another would end the same."""
    end_with(parent)
    console.outlive_the_terminal()
    from src.train.attempt import train
    from src.train.workers import Workers

    try:
        run = Run.open(params)
        if run.fingerprint != fingerprint:
            raise Problem(
                f"The parameters, the clips or the code changed while run {fingerprint} was training; they now mean "
                f"run {run.fingerprint}. Put them back, or start the new run with the same command."
            )
        train(run, attempt, automatic, Workers(0, 1))
    except Problem as problem:
        console.error(problem)
        raise SystemExit(GIVE_UP) from problem


def train_under_torchrun(run: Run, *, beside: bool = False) -> None:
    """One of several processes: torchrun starts and restarts them all, so there is no supervisor of ours."""
    from src.train import workers
    from src.train.attempt import train

    group = workers.join(run.params.device)
    group.rows(run.params.profile.train.batch_size)  # before anything is started: can it be shared at all?
    group.agree_on(run.fingerprint)
    if os.environ.get("LOCAL_RANK") == "0" and not files.is_locked(run.folder / "lock"):
        journal.repair(run.journal)
    group.agree(0)  # nobody reads a journal that is being repaired
    known = journal.read(run.journal).last_step if run.journal.exists() else -1
    if group.agree(known) < 0 and group.agree(int(run.led_elsewhere.exists())):
        wait_for_the_journal(run)
    group = group.led_by_the_furthest(known)
    if not group.leads:
        group.agree(0)
        if not run.journal.exists():
            run.folder.mkdir(parents=True, exist_ok=True)
            run.led_elsewhere.touch()
        train(run, 1, False, group)
        group.part()
        return
    with files.exclusive(run.folder / "lock", what=f"A training of run {run.fingerprint}"):
        run.journal.touch()
        group.agree(0)  # the others look whether they see it
        prepare(run, beside=beside)
        attempts = journal.read(run.journal).attempts
        number = max(attempts, default=0) + 1
        # torchrun does not count a restart because machines came or went; but it is the same torchrun.
        restarted = number > 1 and attempts[number - 1].details.get("launcher") == provenance.launcher()
        with shipping_beside(run, beside=beside):
            train(run, number, restarted, group)
            group.part()
        publish(run, beside=beside)


def wait_for_the_journal(run: Run) -> NoReturn:
    """Wait to be started anew with the machine that has the journal: torchrun does that when it comes.

    Raises `Problem` after `JOURNAL_WAIT_S`.
    """
    console.warn(
        f"the journal of run {run.fingerprint} is on a machine that is not here. Waiting for it for "
        f"{console.duration(JOURNAL_WAIT_S)}."
    )
    time.sleep(JOURNAL_WAIT_S)
    raise Problem(
        f"The machine with the journal of run {run.fingerprint} did not come. Start it, or copy its {run.folder}/ "
        f"here. To begin the run anew without it, delete {run.led_elsewhere} on every machine."
    )


def prepare(run: Run, *, beside: bool = False) -> None:
    """Make the journal fit for a new attempt: whole, an end for every attempt before it; write down what is trained.

    Of a run that begins, say why it does not go on with another one, unless it was asked for `beside` it.
    """
    if (why := newcomer.note(run)) and not beside:
        console.say(why)
    runs.write(run.folder, run.trained)
    repaired = journal.repair(run.journal)
    if repaired:
        console.warn(repaired)
    ending = endings.close_unseen(run.journal)
    if ending is not None:
        console.say(f"The attempt before this one ended unseen: {ending}.")


@contextmanager
def shipping_beside(run: Run, *, beside: bool) -> Iterator[None]:
    """Send the journal to MLflow while the block runs, and the rest of it afterwards."""
    sender = shipping.BackgroundShipping(lambda: connect(run), lambda shipper: register(run, shipper, beside=beside))
    sender.start()
    patience_s = shipping.FINAL_SHIP_S
    try:
        yield
    except SystemExit:
        patience_s = shipping.HASTY_SHIP_S
        raise
    finally:
        sender.finish(patience_s)


def connect(run: Run) -> Shipper:
    """Open MLflow for this run. Raises `TrackingError`."""
    store = tracking.Store()
    close_other_runs(store, run)
    first = next((record for _, record in journal.records(run.journal)), None)
    began_ms = int(first["time_ms"]) if first else None
    run_id = tracking.study_run(store, run.fingerprint, run.params, began_ms, journal.identity(run.journal))
    counts = {f"{split}_{genre}": 0 for split in ("train", "validation") for genre in run.params.genres}
    for clip in run.clips.clips:
        counts[f"{clip.split}_{clip.genre}"] += 1
    store.registry.dataset(run_id, "clips", run.clips.digest, counts)
    return Shipper(store, run_id, run.folder)


def register(run: Run, shipper: Shipper, *, beside: bool) -> None:
    """Put the compared checkpoints of a finished run into MLflow's registry. Raises `TrackingError`.

    beside: the registry's aliases stay with the study.
    """
    if run.finished:
        steps, view = run.params.compared_steps, journal.read(run.journal)
        registry = shipper.store.registry
        registry.register(shipper.run_id, run.fingerprint, view, run.checkpoints, steps, named=not beside)


def ship_the_rest(run: Run, *, beside: bool) -> None:
    """Send what MLflow did not take while the training ran, or has no more: runs are deleted, and mlruns/ is lost."""
    with shipping_beside(run, beside=beside):
        pass


def close_other_runs(store: tracking.Store, run: Run) -> None:
    """Send the ends of this machine's other runs that died and were not taken up: MLflow would call them running."""
    for folder in sorted(layout.TRAINING.iterdir()):
        run_id = shipping.run_id_of(folder, store.uri)
        if folder == run.folder or run_id is None or shipping.is_complete(folder, store.uri):
            continue
        # One that lives sends its own; one that is damaged or was deleted in MLflow must not be in this run's way.
        with suppress(Problem):
            with files.exclusive(folder / "lock", what="A training"):
                endings.close_unseen(folder / journal.NAME)
            Shipper(store, run_id, folder).ship()


def publish(run: Run, *, beside: bool) -> None:
    """Fill checkpoints/ from the run's own folder and write metrics/train.json.

    checkpoints/ is DVC's: it may be deleted, restored or linked at any time, so the run keeps files of its own.
    beside: only that the checkpoints go to a folder of their own.
    """
    folder = layout.seed(run.params.study.seed).checkpoints if beside else CHECKPOINTS
    for left in files.leftovers(folder):
        files.remove(left)
    with files.replacing(folder) as temporary:
        for step in run.params.compared_steps:
            shutil.copytree(run.checkpoints / step_name(step), temporary / step_name(step))
    if beside:
        console.say(f"{folder}/ has the checkpoints of seed {run.params.study.seed}.")
        return
    for step in set(checkpoint.steps(GENERATIONS)) - set(run.params.compared_steps):
        # DVC does not remove what a stage made that is no longer there; it would be hashed as this run's.
        console.say(f"Step {step} is no longer compared: its audio in {GENERATIONS}/ is removed.")
        files.remove(step_folder(GENERATIONS, step))
    view = journal.read(run.journal)
    losses = {str(step): view.median_loss(step) for step in run.params.compared_steps}
    files.write_json(
        SUMMARY,
        {"fingerprint": run.fingerprint, "steps": run.params.profile.train.steps, "median_loss_nats": losses},
    )
    console.say(f"{CHECKPOINTS}/ has steps {', '.join(str(step) for step in run.params.compared_steps)}.")


if __name__ == "__main__":
    console.run(app, "" if "--child-of" in sys.argv else console.KEPT, shares=True)
