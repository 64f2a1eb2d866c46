"""Read every file of the library: kept, or skipped with a reason.

In: the library (data/library.json says where it is, or --library). Out: data/manifest.csv, one row for every file, a
report for its owner beside it, and metrics/manifest.json with counts alone. Command: `python -m src.manifest`.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from src import config
from src.base import console, files, options
from src.base.console import counted
from src.base.errors import Problem
from src.base.share import Share
from src.library import record
from src.manifest import cache, owner, rows, scan, suggest
from src.manifest.decide import Rules
from src.manifest.rows import Row

app = console.command_app(
    "Read every file of a music library into a table: kept, or skipped with a reason. Nothing in it is changed."
)

OUT = rows.PATH
METRICS = Path("metrics/manifest.json")
NO_GENRES = Rules({}, 0.0, require_year=False)
"""By these no file is worth more than a look at its tags."""
WAY_OUT = (
    "Add songs, or put genres of yours in the place of `genres` in params.yaml: .venv/bin/python -m src.manifest "
    "--suggest-genres prints a block."
)


@app.command()
def main(
    profile: options.Profile = None,
    library: options.Library = None,
    out: Annotated[Path, typer.Option(help="Table to write.")] = OUT,
    metrics: options.Metrics = None,
    work: options.Work = cache.FOLDER,
    workers: options.Workers = None,
    time_limit_s: options.TimeLimit = options.TIME_LIMIT_S,
    fresh: options.Fresh = False,
    suggest_genres: Annotated[
        bool, typer.Option("--suggest-genres", help="Print `genres` for params.yaml from the library's tags, and end.")
    ] = False,
) -> None:
    """Read a music library into a table: every file kept, or skipped with a reason. Nothing in it is changed."""
    params = config.load(profile=profile)
    folder = record.folder(library)
    record.keep_private()
    if suggest_genres:
        with cache.opened(work, folder, fresh=fresh) as known:
            tagged = scan.scan(folder, NO_GENRES, known, time_limit_s=time_limit_s, workers=workers)
        console.say(suggest.block(tagged.rows, params.study.genre_rules))
        return
    wanted = params.profile.manifest
    scale = f"params/{params.study.profile}.yaml"
    year = record.is_demo() and library is None if wanted.require_year == "demo" else wanted.require_year
    rules = Rules(params.study.genre_rules, wanted.minimum_duration_s, year)
    share = Share.of_environment()
    with cache.opened(work, folder, fresh=fresh, writes=share.leads) as known:
        done = scan.scan(folder, rules, known, time_limit_s=time_limit_s, workers=workers, share=share)
    if not share.leads:
        return
    page = report_path(out)
    files.write_text(page, owner.page(done.rows, params.genres))
    report(done, params.genres, scale)
    if done.missed.total() > wanted.unreadable_allowed:
        raise Problem(
            f"{done.missed.total():,} of {len(done.rows):,} files could not be read ({counted(done.missed)}), so no "
            "manifest was written. Run the same command again when the library is there; what was read is remembered. "
            f"Which files: {page}. To go on without files that can never be read, allow so many of them with "
            f"`unreadable_allowed` under `manifest` in {scale}."
        )
    missing = problem_with(done.rows, params.genres, scale)
    if missing and out == OUT:
        # No manifest that the next stages would take: the owner's report says what to mend.
        raise Problem(f"{missing} Every file with its reason: {page}")
    rows.write(out, done.rows)
    if metrics is not None or out == OUT:
        files.write_json(metrics or METRICS, rows.counts(done.rows, params.genres))
    if missing or (missing := left_out(done.rows, params.genres, scale)):
        console.warn(missing)
    kept = sum(row.status == "kept" for row in done.rows)
    console.say(
        f"{kept:,} of {len(done.rows):,} files kept, {len(done.rows) - kept:,} skipped. "
        f"Every file with its reason: {out}; for reading: {page}"
    )


def report_path(out: Path) -> Path:
    """Where the owner's report stands: beside the table, data/library-report.html for data/manifest.csv."""
    return out.with_name("library-report.html" if out == OUT else f"{out.stem}-report.html")


def problem_with(listed: Sequence[Row], genres: tuple[str, ...], scale: str) -> str:
    """Why the study cannot be done with these files, in a sentence; empty if it can. scale: the profile's file."""
    if not any(row.format for row in listed):
        return f"No music was found: none of the {len(listed):,} files is in a format known here."
    if any(row.status == "kept" for row in listed):
        return ""
    return f"No song can be used: {_missing(genres, listed, scale)}. {WAY_OUT}"


def left_out(listed: Sequence[Row], genres: tuple[str, ...], scale: str) -> str:
    """Which genres are not studied because none of their songs is kept, in a sentence; empty if all have some."""
    empty = [genre for genre in genres if not any(row.status == "kept" and row.genre == genre for row in listed)]
    return f"Left out, for want of songs: {_missing(empty, listed, scale)}." if empty else ""


def _missing(genres: Sequence[str], listed: Sequence[Row], scale: str) -> str:
    said = []
    for genre in genres:
        reasons = Counter(decided(row.reason, scale) for row in listed if row.genre == genre)
        skipped = f"{reasons.total()} tagged so: {counted(reasons)}" if reasons else "no file is tagged so"
        said.append(f"{genre} ({skipped})")
    return "; ".join(said)


def decided(reason: str, scale: str) -> str:
    """A reason to skip a file, and the parameter that makes it one, if there is one. scale: the profile's file."""
    decided_by = {
        "a genre that is not studied": "genres in params.yaml",
        "no year": f"manifest.require_year in {scale}",
        "shorter than": f"manifest.minimum_duration_s in {scale}",
    }
    key = next((key for beginning, key in decided_by.items() if reason.startswith(beginning)), "")
    return f"{reason} ({key})" if key else reason


def report(done: scan.Scan, genres: tuple[str, ...], scale: str) -> None:
    """Print counts by genre and by reason, with the parameter that decides it, and how much had to be read."""
    table = Table(title="The library", title_justify="left")
    for name in ("genre", "kept", "skipped", "hours kept"):
        table.add_column(name, justify="left" if name == "genre" else "right")
    for genre in (*genres, None):
        of_genre = [row for row in done.rows if row.genre == genre]
        kept = [row for row in of_genre if row.status == "kept"]
        hours = sum(row.duration_s or 0 for row in kept) / 3600
        table.add_row(genre or "none of these", f"{len(kept):,}", f"{len(of_genre) - len(kept):,}", f"{hours:,.1f}")
    console.show(table)
    for reason, count in sorted(Counter(row.reason for row in done.rows if row.reason).items(), key=lambda x: -x[1]):
        console.say(f"{count:>9,} skipped: {decided(reason, scale)}")
    remembered = len(done.rows) - done.files_read
    console.say(f"Read {done.files_read:,} files, decoded {done.songs_decoded:,} songs; {remembered:,} were known.")


if __name__ == "__main__":
    console.run(app, shares=True)
