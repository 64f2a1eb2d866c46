"""Each measure as a strip: where the steps lie between noise and real music, one line a genre, and as a table.

In: an `Evaluation`. Out: positions in percent and texts for the template.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from src.compare.words import interval, number
from src.evaluate import catalogue
from src.evaluate.measure import Measure
from src.evaluate.schema import Evaluation

TONES = {"white_noise": "noise", "real": "real"}
"""The references that are marked on the lines: the floor and the ceiling."""
BEFORE, AFTER = ("white_noise", "shuffled", "other_genres"), ("training", "real")
HEADINGS = {
    "likelihood": "Prediction",
    "conditioning": "Prediction",
    "distance": "Distance to the genre’s real music",
    "sound": "Sound",
    "rhythm and pitch": "Rhythm and pitch",
    "within the clip": "Within the clip, and copying",
    "copying": "Within the clip, and copying",
}
"""Group of the catalogue → heading on the page."""
REFERENCE_LABELS = {
    "white_noise": "white noise",
    "shuffled": "shuffled",
    "other_genres": "other genres",
    "training": "training songs",
    "real": "held-out songs",
}


class Mark(NamedTuple):
    """A value on a line; positions in percent of its width."""

    tone: str
    """Index of the step, `real` or `noise`: its colour."""
    at: str
    lo: str | None
    hi: str | None


class Cell(NamedTuple):
    """A value in the table."""

    text: str
    spread: str


class Lane(NamedTuple):
    """A genre's line."""

    genre: str
    marks: tuple[Mark, ...]


class Row(NamedTuple):
    """A genre's row of the table."""

    genre: str
    cells: tuple[Cell, ...]


class Strip(NamedTuple):
    """One measure."""

    id: str
    """For addresses within the page."""
    group: str
    label: str
    explanation: str
    low: str
    high: str
    lanes: tuple[Lane, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class Column(NamedTuple):
    """A step or a reference: a column of the table and, if it has a tone, a mark on every genre's line."""

    label: str
    tone: str
    figures: dict[str, Measure]
    """Genre → its figure; only those with a value."""


class Group(NamedTuple):
    """Measures that belong together."""

    name: str
    strips: tuple[Strip, ...]


def groups(evaluation: Evaluation, steps: Sequence[int], genres: Sequence[str], prefix: str = "strip") -> list[Group]:
    """Every measure that has a value at a compared step, in the catalogue's order, unknown ones last.

    prefix: beginning of the strips' addresses within the page.
    """
    listed = [strip._replace(id=f"{prefix}-{strip.id}") for strip in strips(evaluation, steps, genres)]
    names = dict.fromkeys(strip.group for strip in listed)
    return [Group(name, tuple(strip for strip in listed if strip.group == name)) for name in names]


def strips(evaluation: Evaluation, steps: Sequence[int], genres: Sequence[str]) -> list[Strip]:
    """The same without grouping."""
    order = [entry.name for entry in catalogue.ENTRIES]
    names = sorted(evaluation.names(), key=lambda name: order.index(name) if name in order else len(order))
    measured = (_strip(evaluation, name, steps, genres) for name in names if name not in ("clips", "samples"))
    return [strip for strip in measured if strip is not None]


def shown(name: str, value: float | None) -> str:
    """A value as the catalogue prints it."""
    entry = catalogue.BY_NAME.get(name)
    return entry.shown(value) if entry else number(value)


def _strip(evaluation: Evaluation, name: str, steps: Sequence[int], genres: Sequence[str]) -> Strip | None:
    def column(label: str, tone: str, figures: dict[str, Measure | None]) -> Column:
        return Column(label, tone, {genre: each for genre, each in figures.items() if each and each.value is not None})

    def reference(key: str) -> Column:
        figures = {genre: evaluation.reference(key, genre, name) for genre in genres}
        return column(REFERENCE_LABELS[key], TONES.get(key, ""), figures)

    at_steps = [
        column(f"step {step:,}", str(index), {genre: evaluation.of(step, genre, name) for genre in genres})
        for index, step in enumerate(steps)
    ]
    if not any(each.figures for each in at_steps):
        return None
    before, after = ([each for each in map(reference, side) if each.figures] for side in (BEFORE, AFTER))
    columns = [*before, *at_steps, *after]
    # The references' marks lie under those of the steps.
    marked = sorted((each for each in columns if each.tone), key=lambda each: each.tone.isdigit())
    drawn = [figure for each in marked for figure in each.figures.values()]
    values = [value for figure in drawn for value in (figure.value, figure.lo, figure.hi) if value is not None]
    low, high = min(values), max(values)
    ends = (shown(name, low), shown(name, high)) if high > low else (f"{shown(name, low)} everywhere", "")
    if high == low:
        low, high = low - 0.5, high + 0.5
    entry = catalogue.BY_NAME.get(name)
    marks = {
        genre: tuple(_mark(each.figures[genre], each.tone, low, high) for each in marked if genre in each.figures)
        for genre in genres
    }
    return Strip(
        id=re.sub(r"[^a-z0-9]+", "-", name.lower()),
        group=HEADINGS[entry.group] if entry else "Further measures",
        label=entry.label if entry else name.replace("_", " "),
        explanation=entry.explanation if entry else "",
        low=ends[0],
        high=ends[1],
        lanes=tuple(Lane(genre, of_genre) for genre, of_genre in marks.items() if of_genre),
        columns=tuple(each.label for each in columns),
        rows=tuple(Row(genre, tuple(_cell(name, each.figures.get(genre)) for each in columns)) for genre in genres),
    )


def _mark(figure: Measure, tone: str, low: float, high: float) -> Mark:
    def position(value: float | None) -> str:
        # Marks keep clear of the edges, so that their shapes are not cut.
        return "" if value is None else f"{1.5 + 97 * (value - low) / (high - low):.2f}"

    lo, hi = position(figure.lo), position(figure.hi)
    return Mark(tone, position(figure.value), *((lo, hi) if lo and hi else (None, None)))


def _cell(name: str, figure: Measure | None) -> Cell:
    if figure is None:
        return Cell("–", "")
    return Cell(shown(name, figure.value), interval(partial(shown, name), figure.lo, figure.hi))
