"""Measure the compared checkpoints and what was generated from them, beside references, with intervals.

In: checkpoints/, data/clips/, generations/ (or those of an imported run). Out: metrics/evaluate.json and
metrics/summary.json (docs/formats.md), which `src.compare` shows. Each section is measured on its own: what is missing
gets a sentence in the file and the rest is still measured. docs/measures.md explains every measure.

    python -m src.evaluate
"""

import statistics
from typing import TYPE_CHECKING, Annotated

import typer

from src import config
from src.base import console, files, options
from src.base.errors import Problem
from src.base.share import Share
from src.config import Params
from src.record import checkpoint, journal, layout, metrics, tracking
from src.record.layout import RunFiles

if TYPE_CHECKING:
    from src.evaluate.schema import Evaluation

app = console.command_app("Measure the compared checkpoints and what was generated from them.")


@app.command()
def main(
    profile: options.Profile = None,
    device: options.Device = None,
    run: Annotated[str | None, typer.Option(help="Measure a run under work/runs/ (imported, seed-2020).")] = None,
) -> None:
    """Measure a run's checkpoints and generations."""
    from src.evaluate import result, schema  # torch and scipy take seconds to load, and --help needs neither
    from src.evaluate.evaluation import evaluate

    share = Share.of_environment()
    params = config.load(profile=profile, device=device)
    run_files = layout.imported(run) if run else layout.current()
    path = run_files.metrics / "evaluate.json"
    results = evaluate(run_files, params, own=run_files.own, share=share)
    if not share.leads:
        return
    files.write_json(path, result.report(results).to_json())
    evaluation = schema.read(path)  # what is printed and logged has the digits of the file
    files.write_json(run_files.metrics / "summary.json", result.summary(evaluation))
    for section, reason in evaluation.why.items():
        console.warn(f"{section}: {reason}")
    console.say(f"Everything measured: {path}")
    if run_files.own:
        log(run_files, params, evaluation)


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
            trained = layout.trained_with(run_files.name, params) or params
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
