"""The comparison as a table in the terminal: a row for each genre and step.

In: a `Comparison`. Out: a rich table. Columns without a single value are left out.
"""

from collections.abc import Callable

from rich.table import Table

from src.compare.comparison import Comparison, Run
from src.compare.words import number
from src.evaluate import catalogue
from src.evaluate.schema import BITS

SHOWN = ("spectral_flatness", "onset_rate", "tonal_clarity", "frechet_logmel")
"""Measures of the sound that have room in a terminal; the page has all."""

Cell = Callable[[Run, int, str], str]


def table(comparison: Comparison) -> Table:
    """Genre by step: bits per sample with Markov and uniform beside, loss, generation, some measures of the sound."""
    columns: list[tuple[str, Cell]] = [
        ("bits/sample", _bits),
        ("Markov", lambda run, _, genre: number(run.evaluation.markov.get(genre)) if run.evaluation else "–"),
        ("uniform", _uniform),
        ("loss, nats", _loss),
        ("generated in", lambda run, step, genre: _with_unit(run.clip(step, genre).seconds, "s")),
        ("samples/s", lambda run, step, genre: number(run.clip(step, genre).samples_per_s, 4)),
        *((catalogue.BY_NAME[name].label.split(",")[0], _measure(name)) for name in SHOWN),
    ]
    places = [(genre, run, step) for genre in comparison.genres for run in comparison.runs for step in comparison.steps]
    rows = [[cell(run, step, genre) for _, cell in columns] for genre, run, step in places]
    shown = [index for index in range(len(columns)) if any(row[index] != "–" for row in rows)]
    found = Table(title=None, header_style="bold", pad_edge=False, box=None, padding=(0, 1))
    found.add_column("genre")
    if len(comparison.runs) > 1:
        found.add_column("run")
    found.add_column("step", justify="right")
    for index in shown:
        found.add_column(columns[index][0], justify="right")
    last = None
    for (genre, run, step), row in zip(places, rows, strict=True):
        if last not in (None, genre):
            found.add_section()
        names = [run.label] if len(comparison.runs) > 1 else []
        found.add_row(genre if last != genre else "", *names, f"{step:,}", *(row[index] for index in shown))
        last = genre
    return found


def _uniform(run: Run, step: int, genre: str) -> str:
    if run.evaluation is None or run.evaluation.bits(step, genre) is None:
        return "–"
    return number(run.evaluation.uniform)


def _bits(run: Run, step: int, genre: str) -> str:
    figure = run.evaluation.of(step, genre, BITS) if run.evaluation else None
    if figure is None or figure.value is None:
        return "–"
    if figure.lo is None or figure.hi is None:
        return number(figure.value)
    return f"{number(figure.value)} ({number(figure.lo, 2)}–{number(figure.hi, 2)})"


def _loss(run: Run, step: int, _genre: str) -> str:
    return number(run.median_loss(step))


def _measure(name: str) -> Cell:
    def cell(run: Run, step: int, genre: str) -> str:
        figure = run.evaluation.of(step, genre, name) if run.evaluation else None
        return catalogue.BY_NAME[name].shown(figure.value) if figure else "–"

    return cell


def _with_unit(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{number(value)} {unit}"
