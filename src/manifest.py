"""Read every file of the library: kept, or skipped with a reason.

In: the library (data/library.json says where it is, or --library). Out: data/manifest.csv, one row for every file,
and metrics/manifest.json with counts alone. Command: `python -m src.manifest`.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from src.errors import Problem
from src.music import rows, scan, summary
from src.music.decide import Rules
from src.music.rows import Row
from src.run import config, console, files

app = console.command_app(
    "Read every file of a music library into a table: kept, or skipped with a reason. Nothing in it is changed."
)

LIBRARY = Path("data/library.json")
OUT = Path("data/manifest.csv")
METRICS = Path("metrics/manifest.json")


@app.command()
def main(
    profile: Annotated[
        str | None, typer.Option(help="Scale of the study: a file in params/ (default: as in params.yaml).")
    ] = None,
    library: Annotated[
        Path | None, typer.Option(help="Folder to read (default: the one data/library.json names).")
    ] = None,
    out: Annotated[Path, typer.Option(help="Table to write.")] = OUT,
    metrics: Annotated[
        Path | None,
        typer.Option(help="Counts to write as JSON (default: metrics/manifest.json if --out is not given)."),
    ] = None,
) -> None:
    """Read the library and write the manifest."""
    params = config.load(profile=profile)
    folder = library or library_folder(LIBRARY)
    if not folder.is_dir():
        raise Problem(
            f"{folder} is not a folder that can be read. Give the folder of your music with --library or MUSIC_LIBRARY."
        )
    rules = Rules(params.study.genres, params.profile.manifest.minimum_duration_s, params.profile.manifest.require_year)
    found = scan.scan(folder, rules)
    check(found, params.genres, rules)
    rows.write(out, found)
    counts = summary.counts(found, params.genres)
    if metrics is not None or out == OUT:
        files.write_json(metrics or METRICS, counts)
    report(found, params.genres, out)


def library_folder(path: Path) -> Path:
    """The library's folder, as `src.library` recorded it."""
    known = files.read_json(path, made_by="python -m src.library")
    if not isinstance(known, dict) or not isinstance(known.get("path"), str):
        raise Problem(f"{path} does not say where the library is. Make it again with: python -m src.library")
    return Path(known["path"])


def check(found: list[Row], genres: tuple[str, ...], rules: Rules) -> None:
    """Raise `Problem` if the study cannot be done with these files."""
    if not any(row.format for row in found):
        raise Problem(f"No music was found: none of the {len(found):,} files is in a format known here.")
    empty = [genre for genre in genres if not any(row.status == "kept" and row.genre == genre for row in found)]
    if empty:
        raise Problem(
            "; ".join(_missing(genre, found) for genre in empty) + ". Add songs, or change `genres` in params.yaml."
        )


def _missing(genre: str, found: list[Row]) -> str:
    tagged = [row.reason for row in found if row.genre == genre]
    if not tagged:
        return f"No file has a genre tag that means {genre}"
    told = ", ".join(f"{tagged.count(reason)} {reason}" for reason in sorted(set(tagged)))
    return f"No usable song for {genre}: of {len(tagged)} tagged so, {told}"


def report(found: list[Row], genres: tuple[str, ...], out: Path) -> None:
    """Print the counts by genre and by reason."""
    table = Table(title="The library", title_justify="left")
    for name in ("genre", "kept", "skipped"):
        table.add_column(name, justify="left" if name == "genre" else "right")
    for genre in genres:
        of_genre = [row.status for row in found if row.genre == genre]
        table.add_row(genre, f"{of_genre.count('kept'):,}", f"{of_genre.count('skipped'):,}")
    others = sum(row.genre is None for row in found)
    table.add_row("none of these", "0", f"{others:,}")
    console.show(table)
    for reason in sorted({row.reason for row in found if row.reason}):
        console.say(f"  {sum(row.reason == reason for row in found):>7,} skipped: {reason}")
    kept = sum(row.status == "kept" for row in found)
    console.say(f"{kept:,} of {len(found):,} files kept. Every file with its reason: {out}")


if __name__ == "__main__":
    console.run(app)
