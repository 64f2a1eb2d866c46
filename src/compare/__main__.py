"""Contrast checkpoints: a table in the terminal and a page with sound, pictures and figures.

In: checkpoints/, generations/, metrics/, the run's journal and times (docs/formats.md). Out: reports/compare-20-15000/
(index.html, comparison.json, figures, audio). Compared in full, it also writes metrics/compare.json and
metrics/plots/ for DVC. Commands:

    python -m src.compare --steps 20 15000
    python -m src.compare --run study-2019 --steps 20 15000
    python -m src.compare --against study-2019
    python -m src.compare --listening listening.json
    python -m src.compare --webmushra
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from src import config
from src.base import console, csv_table, files, options
from src.base.errors import Problem
from src.compare import answers, gathering, listening, page, record, terminal, webmushra
from src.compare.comparison import Comparison
from src.evaluate.schema import BITS
from src.record import layout, tracking
from src.record.layout import RunFiles
from src.record.runs import EXPERIMENT, named, trained_with

app = console.command_app("Contrast checkpoints: a table in the terminal and a page with sound in reports/.")


@app.command()
def main(
    steps: options.Steps = None,
    more: options.MoreSteps = None,
    run: Annotated[str | None, typer.Option(help="Compare within another run: a name that src.status lists.")] = None,
    against: Annotated[str | None, typer.Option(help="Set a second run beside it, named in the same way.")] = None,
    ratings: Annotated[
        list[Path] | None,
        typer.Option("--listening", help="A file of ratings saved from the page's blind listening; may be repeated."),
    ] = None,
    with_songs: Annotated[
        bool | None,
        typer.Option(
            "--with-songs/--without-songs",
            help="Whether held-out songs may be heard on the page. Default: only those this project composed.",
        ),
    ] = None,
    mushra: Annotated[
        bool, typer.Option("--webmushra", help="Write a listening test for webMUSHRA beside the page.")
    ] = False,
    profile: options.Profile = None,
    metrics: Annotated[
        bool | None,
        typer.Option(help="Write metrics/compare.json and its plots. Default: if the study's own steps are compared."),
    ] = None,
) -> None:
    """Compare two or more steps of a run, or the same steps of two runs."""
    runs = [named(run), *([named(against)] if against else [])]
    params = layout.studied(runs[0], config.load(profile=profile))
    if against and runs[0].name == runs[1].name:
        raise Problem(f"{against} is compared already. Name another run with --against.")
    known = gathering.known_steps(runs[0])
    words = [*(steps or []), *(more or [])]
    chosen = options.parse_steps(words, known) or default_steps(params.compared_steps, runs[0])
    if not chosen:
        raise Problem(f"The run {runs[0].name} has no checkpoint and no audio: there is nothing to compare.")
    if len(chosen) < 2 and not against:
        raise Problem(f"There is nothing to compare step {chosen[0]:,} with. Name two or more: --steps 20 15000")
    sittings = [listening.load(path) for path in ratings or []]
    genres = params.genres if runs[0].name == "current" else ()
    compared = gathering.gather(runs, chosen, genres, with_songs=with_songs)
    heard = listening.tally(sittings, (clip.digest for clip in compared.run.clips)) if sittings else None
    show(compared, heard)
    folder = report_folder(runs, chosen)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    page.write(folder, compared, made=made, command=command_line(runs, chosen, with_songs), listening=heard)
    own = runs[0].name == "current" and not against and set(chosen) == set(params.compared_steps)
    if metrics or (metrics is None and own):
        write_metrics(compared, runs[0].metrics)
    console.say(where(folder, compared.run.fingerprint))
    if mushra:
        config_file = webmushra.write(folder.with_name(f"webmushra-{folder.name}"), compared)
        console.say(f"The listening test for webMUSHRA: {config_file}")
    if runs[0].passing:
        return
    with console.if_slow("Telling MLflow ..."):
        # What its description says is the study's result; a side comparison is a page among its artifacts.
        whole = not against and set(chosen) == set(default_steps(params.compared_steps, runs[0]))
        log(compared, trained_with(runs[0], params), folder, describes=whole)


def where(folder: Path, fingerprint: str) -> str:
    """Where the page is: in the copy of a checkout that DVC runs an experiment in, not for long (see `stage`)."""
    if "/.dvc/tmp/exps/" in Path.cwd().as_posix():
        name = os.environ.get(EXPERIMENT) or fingerprint
        return f"This page goes when the experiment ends. Make it in the checkout: python -m src.compare --run {name}"
    return f"The page: {folder / 'index.html'}"


def default_steps(wanted: Sequence[int], run: RunFiles) -> tuple[int, ...]:
    """The study's steps; of an imported run, those of them it has, or all of its own."""
    if run.name == "current":
        return tuple(wanted)
    known = gathering.known_steps(run)
    return tuple(step for step in wanted if step in known) or tuple(known)


def report_folder(runs: Sequence[RunFiles], steps: Sequence[int]) -> Path:
    """reports/compare-20-15000, with the runs' names where they are not the study's own."""
    names = [runs[0].name] if runs[0].name != "current" or len(runs) > 1 else []
    names += ["against", runs[1].name] if len(runs) > 1 else []
    return Path("reports") / "-".join(["compare", *names, *(str(step) for step in sorted(set(steps)))])


def write_metrics(compared: Comparison, folder: Path) -> None:
    """metrics/compare.json and the rows of its plots: nothing in them differs from machine to machine."""
    files.write_json(folder / "compare.json", record.metrics(compared))
    csv_table.write(folder / "plots" / "loss.csv", ("step", "loss"), record.loss_rows(compared))
    csv_table.write(folder / "plots" / "bits.csv", ("step", "genre", BITS), record.bits_rows(compared))


def show(compared: Comparison, heard: listening.Listening | None) -> None:
    """Print the tables, the answers and what is not there."""
    for table in terminal.tables(compared):
        console.show(table)
        console.say("")
    for answer in answers.answers(compared):
        console.say(terminal.wrapped(" ".join([answer.question, *(said.text for said in answer.said)])))
    for said in heard.sentences() if heard else []:
        console.say(terminal.wrapped(said.text))
    for note in compared.notes:
        console.warn(note)
    for run in compared.runs:
        for clip in run.clips:
            if clip.trouble and clip.step in compared.steps:
                console.warn(f"{clip.genre} at step {clip.step:,}: {clip.trouble}")


def command_line(runs: Sequence[RunFiles], steps: Sequence[int], with_songs: bool | None = None) -> str:
    """The command that makes the page again; nothing of this machine, such as the path of a file, is in it."""
    words = ["python -m src.compare"]
    if runs[0].name != "current":
        words.append(f"--run {runs[0].name}")
    if len(runs) > 1:
        words.append(f"--against {runs[1].name}")
    if with_songs is not None:
        words.append("--with-songs" if with_songs else "--without-songs")
    return " ".join([*words, "--steps", *map(str, steps)])


def log(compared: Comparison, trained: config.Params | None, folder: Path, *, describes: bool) -> None:
    """Put the page and its figures into the MLflow run they are about; what MLflow does not take is a warning.

    trained: what the run was trained with, if it was here. describes: whether its answers are the run's description.
    """
    run = compared.run
    if not run.fingerprint:
        return
    try:
        store = tracking.Store()
        if trained is not None:
            run_id = tracking.study_run(store, run.fingerprint, trained)
        else:
            run_id = store.run(run.fingerprint, run.name, {}, {"imported": "true"})
        store.files(run_id, folder, f"reports/{folder.name}")
        if describes:
            store.describe(run_id, results=results(compared, folder))
    except tracking.TrackingError as failure:
        console.warn(f"{failure} The page is in {folder}/.")


def results(compared: Comparison, folder: Path) -> str:
    """What MLflow says of the run: the page's three answers, and where the page is."""
    said = [f"**{one.question}** {' '.join(each.text for each in one.said)}" for one in answers.answers(compared)]
    where = f"The page with sound and pictures: `reports/{folder.name}/index.html` under *Artifacts*, and on the disk."
    return "\n\n".join([*said, where])


if __name__ == "__main__":
    console.run(app)
