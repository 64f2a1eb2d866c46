"""The comparison as a table in the terminal: a row for each genre and step.

In: a `Comparison`. Out: a rich table. Columns without a single value are left out.
"""

from collections.abc import Callable

from rich.table import Table

from src.compare.comparison import Comparison, Run
from src.compare.words import interval, number
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
    keys = [(genre, run, step) for genre in comparison.genres for run in comparison.runs for step in comparison.steps]
    rows = [[cell(run, step, genre) for _, cell in columns] for genre, run, step in keys]
    shown = [index for index in range(len(columns)) if any(row[index] != "–" for row in rows)]
    several = len(comparison.runs) > 1
    printed = Table(title=None, header_style="bold", pad_edge=False, box=None, padding=(0, 1))
    for name in ("genre", "run") if several else ("genre",):
        printed.add_column(name)
    for name in ("step", *(columns[index][0] for index in shown)):
        printed.add_column(name, justify="right")
    last = None
    for (genre, run, step), row in zip(keys, rows, strict=True):
        if last not in (None, genre):
            printed.add_section()
        names = [genre if last != genre else "", *([run.label] if several else [])]
        printed.add_row(*names, f"{step:,}", *(row[index] for index in shown))
        last = genre
    return printed


def _uniform(run: Run, step: int, genre: str) -> str:
    if run.evaluation is None or run.evaluation.bits(step, genre) is None:
        return "–"
    return number(run.evaluation.uniform)


def _bits(run: Run, step: int, genre: str) -> str:
    figure = run.evaluation.of(step, genre, BITS) if run.evaluation else None
    if figure is None or figure.value is None:
        return "–"
    within = interval(number, figure.lo, figure.hi, between="–")
    return f"{number(figure.value)} ({within})" if within else number(figure.value)


def _loss(run: Run, step: int, _genre: str) -> str:
    return number(run.median_loss(step))


def _measure(name: str) -> Cell:
    def cell(run: Run, step: int, genre: str) -> str:
        figure = run.evaluation.of(step, genre, name) if run.evaluation else None
        return catalogue.BY_NAME[name].shown(figure.value) if figure else "–"

    return cell


def _with_unit(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{number(value)} {unit}"
