"""Import what ibab's tensorflow-wavenet left behind, such as the 2019 study, as a run of ours.

In: a folder with its log, checkpoints and WAVs, whole or in part (a clone of the study's repository, say). Out: the
run in our formats under work/runs/<name>/ and the same in MLflow with its original time stamps. Importing again changes
nothing.

    python -m src.legacy DIR
    python -m src.compare --run study-2019 --steps 20 15000
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from src.base import console, files
from src.base.errors import Problem
from src.legacy import reading, source, writing
from src.legacy.generation_log import Generation
from src.legacy.reading import Findings
from src.record import journal, layout, metrics
from src.record.guarded import Point, TrackingError
from src.record.layout import ImportedRun, RunFiles
from src.record.shipping import Shipper
from src.record.tracking import Store

app = console.command_app("Import the 2019 study, or what tensorflow-wavenet left behind, as a run of ours.")


@app.command()
def main(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A clone of the study, or any folder of tensorflow-wavenet.")
    ],
    name: Annotated[str, typer.Option(help="Name of the run: work/runs/<name>/.")] = "study-2019",
) -> None:
    """Read a folder, write the run, say what was in it, and send the run to MLflow."""
    if not re.fullmatch(layout.NAME, name) or name == "current" or re.fullmatch(layout.SEED, name):
        raise Problem(f"--name {name!r}: use small letters, digits and dashes, such as study-2019.")
    found = reading.read(source.look(folder))
    run_folder = layout.IMPORTED / name
    run_folder.mkdir(parents=True, exist_ok=True)
    with files.exclusive(run_folder / "lock", what=f"The import of {name}"):
        place = layout.imported(name)
        fingerprint = f"{name}-{found.digest}"
        notes = [*found.notes, *writing.write(place, found, fingerprint)]
        description = about(name, found, fingerprint, notes)
        files.write_json(run_folder / layout.ABOUT, description.model_dump(mode="json"))
        console.show(summary(name, found))
        for note in notes:
            console.warn(note)
        console.say(f"The run is in {run_folder}/.")
        try:
            console.say(ship(place, found, fingerprint))
        except TrackingError as failure:
            console.warn(f"{failure} The run is imported all the same; send it by running the same command again.")


def about(name: str, found: Findings, fingerprint: str, notes: Sequence[str]) -> ImportedRun:
    """What about.json says. notes: sentences on what could not be imported."""
    return ImportedRun(
        run=name,
        fingerprint=fingerprint,
        known_study=found.known,
        steps="numbers of the study itself, counted from 0: its step 20 is the network after 21 updates",
        inferred_fields={
            "step": "time_ms: the stamp before the attempt and the seconds of its steps; it cannot have been earlier",
            "attempt": "time_ms where no stamp precedes it; start_step where it wrote no step",
            "generation": "start and temperature: the reference's defaults; the clips' order and shares of an interval",
        },
        network=found.network,
        genres=found.genres,
        notes=tuple(notes),
    )


def summary(name: str, found: Findings) -> Table:
    """A short table of what was read; a row for each kind of file that was there."""
    table = Table("read", "what it holds", title=f"{name}: imported")
    if found.training is not None:
        log, attempts = found.training.log, found.training.attempts
        different = len(np.unique(log.steps))
        table.add_row(
            "step lines", f"{len(log.steps):,} of {different:,} steps, {log.steps.min():,} to {log.steps.max():,}"
        )
        table.add_row("logged seconds", f"{log.millis.sum(dtype=np.int64) / 86_400_000:.2f} days of computing")
        inferred = sum(attempt.inferred for attempt in attempts)
        without = sum(attempt.count == 0 for attempt in attempts)
        unfollowed = bool(log.restarts) and log.restarts[-1].steps_before == len(log.steps)
        table.add_row("restart lines", f"{len(log.restarts):,}{', one of them the last line' if unfollowed else ''}")
        table.add_row(
            "attempts", f"{len(attempts):,}: {without} without a step, {inferred} begun without a restart line"
        )
    if found.generation is not None:
        times = found.generation
        table.add_row("generation", f"{times.clips} clips in {times.total_s:,.1f} s, {times.mean_s:,.1f} s each")
    for index in found.indexes:
        weights = "weights not in this folder" if index.missing() else "with weights"
        size = f"{len(index.variables)} variables, {index.parameters:,} parameters, {weights}"
        table.add_row(f"checkpoint {index.step:,}", size)
    if found.wavs:
        steps = ", ".join(f"{step:,}" for step in sorted({wav.step for wav in found.wavs}))
        table.add_row("clips", f"{len(found.wavs)} of {len({wav.genre for wav in found.wavs})} genres at steps {steps}")
    return table


def ship(place: RunFiles, found: Findings, fingerprint: str) -> str:
    """Send the run to MLflow with its original time stamps: a sentence on what was sent. Again changes nothing.

    Raises `TrackingError` if MLflow does not take it; the same call goes on from there.
    """
    store = Store()
    params = {
        "genres": ",".join(found.genres),
        "model": found.network.model_dump(mode="json") if found.network else {},
        "steps": "numbered from 0: step n is after n + 1 updates",
    }
    tags = {"imported": "true", "source": "ibab/tensorflow-wavenet", "known_study": str(found.known).lower()}
    begin_ms = found.training.clock.begin_ms[0] if found.training is not None else None
    run_id = store.run(fingerprint, place.name, params, tags, start_time_ms=begin_ms)
    sent, ends_ms = 0, []
    if place.training is not None and place.journal is not None:
        sent = Shipper(store, run_id, place.training).ship()
        view = journal.read(place.journal)
        ends_ms += [int(attempt.end["time_ms"]) for attempt in view.attempts.values() if attempt.end]
    clips = 0
    for step in sorted({wav.step for wav in found.wavs}):
        if place.generation(step).is_dir():
            store.files(run_id, place.generation(step), f"generations/{place.generation(step).name}")
            clips += sum(wav.step == step for wav in found.wavs)
    if found.generation is not None:
        store.points(run_id, _generation_points(found, found.generation))
        ends_ms.append(found.generation.stamps_ms[-1])
    store.status(run_id, "FINISHED", max(ends_ms, default=None))
    return f"MLflow: the run {place.name} got {sent:,} new steps; it has {clips} clips."


def _generation_points(found: Findings, times: Generation) -> list[Point]:
    """Seconds of each clip at the time it was done, as far as it is known which is which."""
    points: list[Point] = []
    whole_s: dict[int, float] = {}
    at_ms = times.stamps_ms[0]
    for (step, genre), (seconds, _) in zip(found.order, times.clip_seconds(), strict=bool(found.order)):
        at_ms += round(seconds * 1000)
        whole_s[step] = whole_s.get(step, 0.0) + seconds
        points.append((f"{metrics.GENERATION_SECONDS}.{genre}", seconds, at_ms, step))
    return [*points, *((metrics.GENERATION_SECONDS, seconds, at_ms, step) for step, seconds in whole_s.items())]


if __name__ == "__main__":
    console.run(app)
