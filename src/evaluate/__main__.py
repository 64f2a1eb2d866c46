"""Measure the compared checkpoints and what was generated from them, beside references, with intervals.

In: checkpoints/, data/clips/, generations/ (or those of an imported run). Out: metrics/evaluate.json and
metrics/summary.json (docs/formats.md), which `src.compare` shows. Each section is measured on its own: what is missing
gets a sentence in the file and the rest is still measured. docs/measures.md explains every measure.

    python -m src.evaluate
"""

import shutil
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from src import config
from src.base import console, files, options
from src.base.errors import Problem
from src.base.share import Share
from src.clips.clipset import ClipSet
from src.config import Params
from src.record import checkpoint, journal, layout, metrics, runs, tracking
from src.record.layout import RunFiles

if TYPE_CHECKING:
    from src.evaluate.schema import Evaluation

CLIPS = Path("data/clips")
KEPT = ("evaluate.json", "summary.json", "manifest.json", "clips.json", "train.json")

app = console.command_app("Measure the compared checkpoints and what was generated from them.")


@app.command()
def main(
    profile: options.Profile = None,
    device: options.Device = None,
    run: Annotated[str | None, typer.Option(help="Measure another run: a name that src.status lists.")] = None,
) -> None:
    """Measure a run's checkpoints and generations."""
    with console.if_slow("Loading what measures ..."):
        from src.evaluate import result, schema  # torch and scipy take seconds to load, and --help needs neither
        from src.evaluate.evaluation import evaluate

    share = Share.of_environment()
    run_files = runs.named(run) if run else layout.current()
    params = measured_with(run_files, layout.studied(run_files, config.load(profile=profile, device=device)))
    path = run_files.metrics / "evaluate.json"
    results = evaluate(run_files, params, own=run_files.own, share=share)
    if not share.leads:
        return
    files.write_json(path, result.report(results).to_json())
    evaluation = schema.read(path)  # what is printed and logged has the digits of the file
    files.write_json(run_files.metrics / "summary.json", result.summary(evaluation))
    if run_files.name == "current":
        keep(run_files)
    for section, reason in evaluation.why.items():
        console.warn(f"{section}: {reason}")
    console.say(f"Everything measured: {path}")
    if run_files.own and not run_files.passing:
        with console.if_slow("Telling MLflow ..."):
            log(run_files, params, evaluation)


def measured_with(run_files: RunFiles, params: Params) -> Params:
    """The study's parameters with the run's own network.

    Raises `Problem` if the run learned from other clips: among those here may be songs that it was trained on.
    """
    known = runs.about(run_files.training) if run_files.own and run_files.training else None
    if known is None or run_files.name == "current":
        return params
    if ClipSet.open(CLIPS).digest != known.clips:
        raise Problem(
            f"The run {run_files.name} learned from other clips than those in {CLIPS}/, so these cannot measure it."
        )
    profile = params.profile.model_copy(update={"model": known.params.profile.model})
    return params.model_copy(update={"profile": profile})


def keep(run_files: RunFiles) -> None:
    """Copy what was measured to the run itself: metrics/ will be another run's when parameters change."""
    if run_files.training is None or not run_files.training.is_dir():
        return  # it was trained on another machine
    for name in KEPT:
        if (run_files.metrics / name).is_file():
            with files.replacing(run_files.training / "metrics" / name) as temporary:
                shutil.copyfile(run_files.metrics / name, temporary)


def log(run_files: RunFiles, params: Params, evaluation: "Evaluation") -> None:
    """Put every measure of every checkpoint into the MLflow run, linked to the checkpoint."""
    try:
        store = tracking.Store()
        steps = journal.read(run_files.journal).steps if run_files.journal else {}
        for step, by_genre in evaluation.steps.items():
            values = {
                metrics.score(name, genre): measure.value
                for genre, row in by_genre.items()
                for name, measure in row.items()
                if measure.value is not None
            }
            values |= results(evaluation, step)
            fingerprint = checkpoint.about(run_files.checkpoint(step)).fingerprint
            trained_ms = steps[step].time_ms if step in steps else tracking.now_ms()
            trained = runs.trained_with(run_files, params) or params
            run_id = tracking.study_run(store, fingerprint, trained)
            tracking.log_evaluation(store, run_id, fingerprint, step, values, trained_ms)
    except Problem as failure:
        console.warn(f"The measures are not in MLflow: {failure}")


def results(evaluation: "Evaluation", step: int) -> dict[str, float]:
    """What is asked of a checkpoint first, by MLflow's names; what was not measured is left out."""
    from src.evaluate.schema import ALL

    gained = evaluation.against.get(step, {}).get("linear", {}).get(ALL)
    bits = [value for genre in evaluation.genres if (value := evaluation.bits(step, genre)) is not None]
    closed = evaluation.closed.get(step, {})
    shares = [row.share.value for row in closed.get(ALL, {}).values() if row.share.value is not None]
    found = {
        metrics.BITS_GAINED: -gained.difference.value if gained and gained.difference.value is not None else None,
        metrics.BITS_PER_SAMPLE: statistics.mean(bits) if bits else None,
        metrics.WAY_TO_MUSIC: 100 * statistics.median(shares) if shares else None,
    }
    return {name: value for name, value in found.items() if value is not None}


if __name__ == "__main__":
    console.run(app, shares=True)
