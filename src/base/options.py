"""Command-line options that several commands have."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from src.base.errors import Problem

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
Steps = Annotated[
    list[str] | None, typer.Option(help="Steps of checkpoints: --steps 20 15000 (default: those of params.yaml).")
]
MoreSteps = Annotated[list[str] | None, typer.Argument(hidden=True, metavar="STEPS")]
"""What stands behind `--steps 20`: click gives an option one value."""


def parse_steps(words: Sequence[str], known: Sequence[int] = ()) -> tuple[int, ...]:
    """The steps of the command line, ascending, each once: numbers (20, 15,000) or folder names (step-20).

    They are separated by blanks or commas. A comma before three digits groups thousands, unless there is no such step
    and the parts are steps: 20,300 are two where 20 and 300 are `known`. Raises `Problem` for any other word.
    """
    steps: set[int] = set()
    for word in re.findall(r"[^\s,]+(?:,[^\s,]+)*", " ".join(words)):
        whole = re.fullmatch(r"[0-9]{1,3}(?:,[0-9]{3})+", word)
        parts = [_step(part) for part in word.split(",")]
        number = int(word.replace(",", "")) if whole else None
        steps |= {*parts} if number is None or (number not in known and {*parts} <= {*known}) else {number}
    return tuple(sorted(steps))


def _step(word: str) -> int:
    match = re.fullmatch(r"(?:step-)?([0-9]+)", word)
    if match is None:
        raise Problem(f"{word!r} is not a step. Write steps as numbers: --steps 20 15000")
    return int(match[1])
