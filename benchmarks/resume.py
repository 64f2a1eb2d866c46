"""Seconds until an interrupted training trains again, at the study's scale.

    python -m benchmarks resume [--profile study] [--clips 8920] [--rounds 3]

A state near the end of the run is written, not trained: journal lines of every step so far (MLflow has them too), and
the kept checkpoints with the initial weights. Then `python -m src.train` is started and killed after its first step,
again and again from that same state. The first round finds no compiled code. Writes work/bench/resume.json.
"""

import os
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from benchmarks import measure
from benchmarks.temporary_study import TemporaryStudy, temporary_study
from src import config
from src.base import console, files
from src.base.errors import Problem
from src.config import Params, step_name
from src.record.journal import Journal
from src.record.tracking import now_ms

MOMENTS = {
    "attempt_s": "the attempt is in the journal",
    "step_begins_s": "the first new step begins",
    "step_ends_s": "it ends",
}
STATE = "state"
"""Copy of the run's folder from which every round begins."""
COMPILED = "compiled"
WRITTEN_ONCE = (".safetensors",)


def resume(
    profile: Annotated[str, typer.Option(help="Whose network and training.")] = "study",
    clips: Annotated[int, typer.Option(min=10, help="Clips in clips.csv; 8,920 as in 2019.")] = 8920,
    rounds: Annotated[int, typer.Option(min=1, help="Starts with compiled code.")] = 3,
    cold: Annotated[bool, typer.Option(help="Begin with a round that has to compile.")] = True,
    output: Annotated[Path, typer.Option("--out", help="Where the figures go.")] = Path("work/bench/resume.json"),
    prepare: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Time the way from the command to the first new step."""
    if prepare:
        write_state(profile)
        return
    with temporary_study(profile) as study:
        params = study.params
        console.say(f"making {clips:,} clips ({len(params.genres)} sounds, hard links) …")
        study.write_clips(clips, len(params.genres))
        console.say("writing journal, checkpoints and MLflow's database …")
        with study.running("benchmarks", "resume", "--prepare", "--profile", profile) as process:
            study.wait(process, "writing")
        assert study.training is not None
        training = study.training
        training.rename(study.root / STATE)
        done: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
        for number in range(1 - cold, rounds + 1):
            kind = "cold" if number == 0 else "warm"
            console.say("a round without compiled code" if number == 0 else f"round {number} of {rounds}")
            own = {"NUMBA_CACHE_DIR": str(study.root / COMPILED)} if cold else {}
            done[kind].append(_start(study, training, own))
            console.say(", ".join(f"{MOMENTS[name]} at {value:.1f} s" for name, value in done[kind][-1].items()))
    found = {
        "profile": profile,
        "clips": clips,
        "recorded_steps": recorded_steps(params),
        "machine": measure.machine("cpu"),
        "rounds": done,
        "medians": {name: statistics.median(row[name] for row in done["warm"]) for name in MOMENTS},
    }
    files.write_json(output, found)
    console.show(_table(found))
    console.say(f"Written to {output}.")


def recorded_steps(params: Params) -> int:
    """Steps that the made-up run has done: up to its last checkpoint before the end. Nothing is done twice then."""
    settings = params.profile.train
    return (settings.steps - 1) // settings.checkpoint_every * settings.checkpoint_every


def kept_steps(params: Params) -> list[int]:
    """Steps whose checkpoints the made-up run has: the compared ones so far and the last few."""
    settings, last = params.profile.train, recorded_steps(params)
    recent = range(last, 0, -settings.checkpoint_every)[: settings.keep_last]
    return sorted({step for step in params.kept_steps if step <= last} | set(recent))


def write_state(profile: str) -> None:
    """Write journal, checkpoints and MLflow's database of a run near its end to the current folder."""
    from src.base import provenance
    from src.record import checkpoint
    from src.record.checkpoint import Checkpoint
    from src.train.__main__ import connect
    from src.train.run import Run
    from src.wavenet import network, optimizers

    run = Run.open(config.load(profile=profile))
    settings, last = run.params.profile.train, recorded_steps(run.params)
    if last == 0:
        raise Problem("train.checkpoint_every is more than train.steps: there is no checkpoint to go on from.")
    model = network.initialise(run.params.profile.model, run.params.study.seed)
    optimizer = optimizers.create(settings.optimizer, momentum=settings.momentum, epsilon=settings.epsilon)
    state = optimizer.start(dict(model.named_parameters()))
    for step in kept_steps(run.params):
        checkpoint.save(
            run.checkpoints / step_name(step),
            Checkpoint(step, run.fingerprint, run.params.genres, model.config, dict(model.state_dict()), state),
        )
    book = Journal(run.journal, 1)
    began_ms = now_ms() - 1000 * (last + 1)
    about = {"start_step": 0, "replays": 0, "automatic": False, "moved": False, "pid": 1, "processes": 1}
    book.append("attempt", time_ms=began_ms, fingerprint=run.fingerprint, **about, **provenance.describe())
    for step in range(1, last + 1):
        book.append("step", step=step, loss=5.5, seconds=1.0, time_ms=began_ms + 1000 * step)
    book.close()
    connect(run).ship()


def moments(records: Sequence[Mapping[str, Any]], started_ms: int) -> dict[str, float] | None:
    """Moment (see `MOMENTS`) → seconds after the start, from the new journal lines; None while some are missing."""
    attempt = next((record for record in records if record["kind"] == "attempt"), None)
    step = next((record for record in records if record["kind"] == "step"), None)
    if attempt is None or step is None:
        return None
    ended_s = (step["time_ms"] - started_ms) / 1000
    return {
        "attempt_s": (attempt["time_ms"] - started_ms) / 1000,
        "step_begins_s": ended_s - step["seconds"],
        "step_ends_s": ended_s,
    }


def _start(study: TemporaryStudy, training: Path, environment: Mapping[str, str]) -> dict[str, float]:
    """Put the state back, start the training, and kill it after its first step."""
    files.remove(training)
    shutil.copytree(study.root / STATE, training, copy_function=_copy)
    size = (training / "journal.jsonl").stat().st_size
    began, spoke = time.monotonic(), time.monotonic()
    started_ms = now_ms()
    records: list[dict[str, Any]] = []
    with study.running("src.train", **environment) as process:
        for new in study.follow(process, size):
            records += new
            found = moments(records, started_ms)
            if found is not None:
                return found
            if time.monotonic() - spoke > 20:
                spoke = time.monotonic()
                console.say(f"no step after {console.duration(spoke - began)} yet")
    raise Problem("The training ended without a step.")


def _copy(source: str, target: str) -> None:
    """Tensors are linked, because what is written now would still be on its way to the disk during the round."""
    if source.endswith(WRITTEN_ONCE):
        os.link(source, target)
    else:
        shutil.copy(source, target)


def _table(found: Mapping[str, Any]) -> Table:
    table = Table(title=f"Going on at step {found['recorded_steps']:,}, {found['clips']:,} clips")
    table.add_column("seconds until")
    for heading in ("without compiled code", "each round", "median"):
        table.add_column(heading, justify="right")
    for name, what in MOMENTS.items():
        each = {kind: "  ".join(f"{row[name]:.1f}" for row in rows) for kind, rows in found["rounds"].items()}
        table.add_row(what, each["cold"], each["warm"], f"{found['medians'][name]:.1f}")
    return table
