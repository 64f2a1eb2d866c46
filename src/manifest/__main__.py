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
from src.manifest import cache, owner, rows, scan
from src.manifest.decide import Rules
from src.manifest.rows import Row

app = console.command_app(
    "Read every file of a music library into a table: kept, or skipped with a reason. Nothing in it is changed."
)

OUT = rows.PATH
METRICS = Path("metrics/manifest.json")


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
) -> None:
    """Read a music library into a table: every file kept, or skipped with a reason. Nothing in it is changed."""
    params = config.load(profile=profile)
    folder = record.folder(library)
    record.keep_private()
    rules = Rules(
        params.study.genre_rules, params.profile.manifest.minimum_duration_s, params.profile.manifest.require_year
    )
    share = Share.of_environment()
    with cache.opened(work, folder, fresh=fresh, writes=share.leads) as known:
        done = scan.scan(folder, rules, known, time_limit_s=time_limit_s, workers=workers, share=share)
    if not share.leads:
        return
    page = report_path(out)
    files.write_text(page, owner.page(done.rows, params.genres))
    report(done, params.genres)
    if done.missed.total() > params.profile.manifest.unreadable_allowed:
        raise Problem(
            f"{done.missed.total():,} of {len(done.rows):,} files could not be read ({counted(done.missed)}), so no "
            "manifest was written. Run the same command again when the library is there; what was read is remembered. "
            f"Which files: {page}. To go on without files that can never be read, allow so many of them with "
            f"`unreadable_allowed` under `manifest` in params/{params.study.profile}.yaml."
        )
    missing = problem_with(done.rows, params.genres)
    if missing and out == OUT:
        # No manifest that the next stages would take: the owner's report says what to mend.
        raise Problem(f"{missing} Every file with its reason: {page}")
    rows.write(out, done.rows)
    if metrics is not None or out == OUT:
        files.write_json(metrics or METRICS, rows.counts(done.rows, params.genres))
    if missing:
        console.warn(missing)
    kept = sum(row.status == "kept" for row in done.rows)
    console.say(
        f"{kept:,} of {len(done.rows):,} files kept, {len(done.rows) - kept:,} skipped. "
        f"Every file with its reason: {out}; for reading: {page}"
    )


def report_path(out: Path) -> Path:
    """Where the owner's report stands: beside the table, data/library-report.html for data/manifest.csv."""
    return out.with_name("library-report.html" if out == OUT else f"{out.stem}-report.html")


def problem_with(listed: Sequence[Row], genres: tuple[str, ...]) -> str:
    """Why the study cannot be done with these files, in a sentence; empty if it can."""
    if not any(row.format for row in listed):
        return f"No music was found: none of the {len(listed):,} files is in a format known here."
    empty = [genre for genre in genres if not any(row.status == "kept" and row.genre == genre for row in listed)]
    if not empty:
        return ""
    return "; ".join(_missing(genre, listed) for genre in empty) + ". Add songs, or change `genres` in params.yaml."


def _missing(genre: str, listed: Sequence[Row]) -> str:
    reasons = Counter(row.reason for row in listed if row.genre == genre)
    if not reasons:
        return f"No file has a genre tag that means {genre}"
    return f"No usable song for {genre}: of {reasons.total()} tagged so, {counted(reasons)}"


def report(done: scan.Scan, genres: tuple[str, ...]) -> None:
    """Print counts by genre and by reason, and how much had to be read."""
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
        console.say(f"{count:>9,} skipped: {reason}")
    remembered = len(done.rows) - done.files_read
    console.say(f"Read {done.files_read:,} files, decoded {done.songs_decoded:,} songs; {remembered:,} were known.")


if __name__ == "__main__":
    console.run(app, shares=True)
