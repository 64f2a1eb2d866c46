"""Command-line options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

TIME_LIMIT_S = 120.0
"""For reading one file, and again for decoding it."""

Profile = Annotated[
    str | None, typer.Option(help="Scale of the study: a file in params/ (default: as in params.yaml).")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps: what computes (default: as in params.yaml).")]
Library = Annotated[Path | None, typer.Option(help="Folder of music (default: the one data/library.json names).")]
Work = Annotated[Path, typer.Option(help="Folder that caches what was read for the next time; may be deleted.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that read at once (default: one a core).")]
TimeLimit = Annotated[float, typer.Option(min=0.1, help="Seconds after which reading one file is given up.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Ignore what earlier runs cached and read everything again.")]
Metrics = Annotated[
    Path | None, typer.Option(help="Counts to write as JSON (default: in metrics/, unless --out is given).")
]
