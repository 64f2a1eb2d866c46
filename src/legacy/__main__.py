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
from src.legacy import reading, shipping, source, writing
from src.legacy.reading import Findings
from src.record import layout
from src.record.layout import ImportedRun
from src.record.tracking import TrackingError

app = console.command_app("Import the 2019 study, or what tensorflow-wavenet left behind, as a run of ours.")


@app.command()
def main(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A clone of the study, or any folder of tensorflow-wavenet.")
    ],
    name: Annotated[str, typer.Option(help="Name of the run: work/runs/<name>/.")] = "study-2019",
) -> None:
    """Read a folder, write the run, say what was in it, and send the run to MLflow."""
    if not re.fullmatch(layout.NAME, name) or name == "current":
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
            console.say(shipping.ship(place, found, fingerprint))
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
        table.add_row("restart lines", f"{len(log.restarts):,}")
        table.add_row("attempts", f"{len(attempts):,}: {without} without a step, {inferred} without a restart line")
    if found.generation is not None:
        times = found.generation
        table.add_row("generation", f"{times.clips} clips in {times.total_s:,.1f} s, {times.mean_s:,.1f} s each")
    for index in found.indexes:
        weights = "weights missing" if index.missing() else "with weights"
        size = f"{len(index.variables)} variables, {index.parameters:,} parameters, {weights}"
        table.add_row(f"checkpoint {index.step:,}", size)
    if found.wavs:
        steps = ", ".join(f"{step:,}" for step in sorted({wav.step for wav in found.wavs}))
        table.add_row("clips", f"{len(found.wavs)} of {len({wav.genre for wav in found.wavs})} genres at steps {steps}")
    return table


if __name__ == "__main__":
    console.run(app)
