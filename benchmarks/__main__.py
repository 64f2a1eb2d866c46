"""Measure this machine, each with --help:

python -m benchmarks train | generate | scan | clips
python -m benchmarks overhead | checkpoint | resume | outage | browse
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.browse import browse
from benchmarks.checkpoint import checkpoint
from benchmarks.generate import generate
from benchmarks.outage import outage
from benchmarks.overhead import overhead
from benchmarks.resume import resume
from benchmarks.train import train
from src.base import console, files

app = console.command_app("Measure this machine: training, generation, reading a library, surviving.")
app.command()(train)
app.command()(generate)
app.command()(overhead)
app.command()(checkpoint)
app.command()(resume)
app.command()(outage)
app.command()(browse)


@app.command()
def scan(
    count: Annotated[int, typer.Option("--files", min=1, help="Small tagged files to make and read.")] = 100_000,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores without it.")] = None,
    output: Annotated[Path, typer.Option("--out", help="Where the figures go.")] = Path("work/bench/scan.json"),
) -> None:
    """Time a first and a second scan of a large library."""
    from benchmarks import library

    figures = library.bench_scan(count, workers)
    library.show(figures)
    files.write_json(output, library.as_json(figures))


@app.command()
def clips(
    songs: Annotated[int, typer.Option(min=1, help="Songs of each format.")] = 4,
    output: Annotated[Path, typer.Option("--out", help="Where the figures go.")] = Path("work/bench/clips.json"),
) -> None:
    """Time cutting clips, beside the way of 2019."""
    from benchmarks import library

    figures = library.bench_clips(songs)
    library.show(figures)
    files.write_json(output, library.as_json(figures))


if __name__ == "__main__":
    console.run(app, interrupted="nothing was written.")
