"""Import what ibab's tensorflow-wavenet left behind, such as the 2019 study, as a run of ours.

In: a folder with its log, checkpoints and WAVs, whole or in part (a clone of the study's repository, say). Out: the
run in our formats under work/runs/<name>/, the same in MLflow with its original time stamps, and a forensic report of
what the files say under reports/<name>/. Importing again changes nothing.

    python -m src.legacy DIR
    python -m src.compare --run study-2019 --steps 20 15000
"""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from src.base import console, files
from src.base.errors import Problem
from src.legacy import forensics, page, reading, shipping, source, writing
from src.legacy.reading import Findings
from src.record import layout
from src.record.layout import RunFiles
from src.record.tracking import TrackingError

app = console.command_app("Import the 2019 study, or what tensorflow-wavenet left behind, as a run of ours.")


@app.command()
def main(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A clone of the study, or any folder of tensorflow-wavenet.")
    ],
    name: Annotated[str, typer.Option(help="Name of the run: work/runs/<name>/ and reports/<name>/.")] = "study-2019",
) -> None:
    """Read a folder, write the run and its report, and send the run to MLflow."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", name) or name == "current":
        raise Problem(f"--name {name!r}: use small letters, digits and dashes, such as study-2019.")
    found = reading.read(source.look(folder))
    run_folder = layout.IMPORTED / name
    run_folder.mkdir(parents=True, exist_ok=True)
    with files.exclusive(run_folder / "lock", what=f"The import of {name}"):
        place = layout.imported(name)
        notes = [*found.notes, *import_run(place, found)]
        clips = measured(place, found)
        report = forensics.examine(name, found, clips, notes)
        about = forensics.about(found, report, fingerprint_of(name, found))
        files.write_json(run_folder / "about.json", about)
        target = Path("reports") / name
        files.write_json(target / "forensics.json", report.as_json())
        files.write_text(target / "index.html", page.render(report))
        for line in report.summary():
            console.say(line)
        for note in notes:
            console.warn(note)
        console.say(f"The run is in {run_folder}/, its report in {target}/index.html.")
        try:
            console.say(shipping.ship(place, found, fingerprint_of(name, found), target))
        except TrackingError as failure:
            console.warn(f"{failure} The run is imported all the same; send it by running the same command again.")


def fingerprint_of(name: str, found: Findings) -> str:
    """Identity of an imported run: its name and the content it was made from."""
    return f"{name}-{found.digest}"


def measured(place: RunFiles, found: Findings) -> list[dict[str, Any]]:
    """Sound measures of the imported clips, a row each."""
    if not found.wavs:
        return []
    from src.legacy import measuring

    return measuring.clips(place, sorted({wav.step for wav in found.wavs}))


def import_run(place: RunFiles, found: Findings) -> list[str]:
    """Write the run; returns sentences about what could not be imported."""
    return writing.write(place, found, fingerprint_of(place.name, found))


if __name__ == "__main__":
    console.run(app)
