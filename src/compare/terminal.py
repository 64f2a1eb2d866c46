"""The comparison in a terminal of 80 columns: two tables, then sentences.

In: a `Comparison`. Out: rich tables, and text whose lines end between words. Nothing is left out that would be cut:
names that are too long go on in the next line.
"""

import textwrap

from rich.table import Table

from src.compare import strips
from src.compare.comparison import Comparison, Run
from src.compare.words import percent
from src.evaluate import catalogue
from src.evaluate.schema import ALL, Closed

WIDTH = 80
MOST_STEPS = 6
"""Columns of steps that have room."""
PAST = "+ went past music, and is as near to it from the other side"


def tables(comparison: Comparison) -> list[Table]:
    """For each run what prediction and sound say; a table without a value is left out."""
    made = [table for run in comparison.runs for table in (prediction(comparison, run), sound(comparison, run))]
    return [table for table in made if table.row_count]


def prediction(comparison: Comparison, run: Run) -> Table:
    """Genre by step: bits per sample of the network and the baselines, and what it gained over the linear predictor."""
    title = "Bits per sample on held-out songs (fewer is better; blind guessing needs 8)"
    table = _table(title, comparison, run, ("genre", "step", *strips.BITS_COLUMNS))
    if run.evaluation is None:
        return table
    for genre in (*comparison.genres, ALL):
        rows = [(step, strips.bits_row(run.evaluation, step, genre)) for step in comparison.steps]
        name = "all songs" if genre == ALL else genre
        for step, row in rows:
            if row is not None:
                table.add_row(name, f"{step:,}", *(f"{c.text} ({c.spread})" if c.spread else c.text for c in row))
                name = ""
        table.add_section()
    return table


def sound(comparison: Comparison, run: Run) -> Table:
    """Measure by step: how much of the way from white noise to held-out songs, averaged over the genres."""
    steps = comparison.steps
    steps = steps if len(steps) <= MOST_STEPS else (steps[0], *steps[1 - MOST_STEPS :])
    heads = ("measure", f"step {steps[0]:,}", *(f"{step:,}" for step in steps[1:]))
    table = _table("Of the way from white noise (0 %) to held-out songs (100 %)", comparison, run, heads)
    closed = run.evaluation.closed if run.evaluation else {}
    for entry in catalogue.ENTRIES:
        rows = [closed.get(step, {}).get(ALL, {}).get(entry.name) for step in steps]
        if any(row is not None and row.share.value is not None for row in rows):
            table.add_row(entry.label, *map(_place, rows))
            if any(row is not None and row.side == "beyond" for row in rows):
                table.caption, table.caption_justify = PAST, "left"
    return table


def _place(row: Closed | None) -> str:
    """How near to music, and on which side where that is not the one of noise."""
    if row is None or row.share.value is None:
        return "–  "
    share = "< 0 %" if row.side == "wrong way" else percent(row.share.value)
    return f"{share} +" if row.side == "beyond" else f"{share}  "  # the signs stand below each other


def _table(title: str, comparison: Comparison, run: Run, heads: tuple[str, ...]) -> Table:
    title = f"{name}: {title}" if (name := comparison.name(run)) else title
    table = Table(
        title=title,
        min_width=min(WIDTH, len(title)),
        title_justify="left",
        title_style="",
        header_style="bold",
        pad_edge=False,
        box=None,
        padding=(0, 1),
    )
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place == 0 else "right", overflow="fold", no_wrap=place > 0)
    return table


def wrapped(text: str, width: int = WIDTH) -> str:
    """The text in lines that end between words; a path or another long word is never cut."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
