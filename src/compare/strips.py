"""Each measure as a strip: where the steps lie between noise and real music, one line a genre, and as a table.

In: an `Evaluation`. Out: positions in percent and texts for the template.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from src.compare.words import number
from src.evaluate import catalogue
from src.evaluate.measure import Measure
from src.evaluate.schema import Evaluation

FLOOR, CEILING = "white_noise", "real"
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


@dataclass(frozen=True)
class Mark:
    """A value on a line; places in percent of its width."""

    tone: str
    """Index of the step, `real` or `noise`: its colour."""
    at: str
    lo: str | None
    hi: str | None


@dataclass(frozen=True)
class Cell:
    """A value in the table."""

    text: str
    spread: str


@dataclass(frozen=True)
class Lane:
    """A genre's line."""

    genre: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Row:
    """A genre's row of the table."""

    genre: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Strip:
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


@dataclass(frozen=True)
class Group:
    """Measures that belong together."""

    name: str
    strips: tuple[Strip, ...]


def groups(evaluation: Evaluation, steps: Sequence[int], genres: Sequence[str], prefix: str = "strip") -> list[Group]:
    """Every measure that has a value at a compared step, in the catalogue's order, unknown ones last.

    prefix: beginning of the strips' addresses within the page.
    """
    found = [replace(strip, id=f"{prefix}-{strip.id}") for strip in strips(evaluation, steps, genres)]
    names = dict.fromkeys(strip.group for strip in found)
    return [Group(name, tuple(strip for strip in found if strip.group == name)) for name in names]


def strips(evaluation: Evaluation, steps: Sequence[int], genres: Sequence[str]) -> list[Strip]:
    """The same without grouping."""
    order = [entry.name for entry in catalogue.ENTRIES]
    names = sorted(evaluation.names(), key=lambda name: order.index(name) if name in order else len(order))
    found = [_strip(evaluation, name, steps, genres) for name in names if name not in ("clips", "samples")]
    return [strip for strip in found if strip is not None]


def shown(name: str, value: float | None) -> str:
    """A value as the catalogue prints it."""
    entry = catalogue.BY_NAME.get(name)
    return entry.shown(value) if entry else number(value)


def _strip(evaluation: Evaluation, name: str, steps: Sequence[int], genres: Sequence[str]) -> Strip | None:
    here = {genre: {step: evaluation.of(step, genre, name) for step in steps} for genre in genres}
    if not any(figure and figure.value is not None for by_step in here.values() for figure in by_step.values()):
        return None
    references = {
        reference: {genre: evaluation.reference(reference, genre, name) for genre in genres}
        for reference in (*BEFORE, *AFTER)
    }
    kept = [
        reference
        for reference, by_genre in references.items()
        if any(figure and figure.value is not None for figure in by_genre.values())
    ]
    drawn = [figure for by_step in here.values() for figure in by_step.values()]
    drawn += [figure for reference in (FLOOR, CEILING) for figure in references[reference].values()]
    values = [
        value for figure in drawn if figure for value in (figure.value, figure.lo, figure.hi) if value is not None
    ]
    low, high = min(values), max(values)
    ends = (shown(name, low), shown(name, high)) if high > low else (f"{shown(name, low)} everywhere", "")
    if high == low:
        low, high = low - 0.5, high + 0.5
    entry = catalogue.BY_NAME.get(name)
    lanes, rows = [], []
    for genre in genres:
        marks = []
        for tone, reference in (("noise", FLOOR), ("real", CEILING)):
            marks += _mark(references[reference][genre], tone, low, high)
        for place, step in enumerate(steps):
            marks += _mark(here[genre][step], str(place), low, high)
        if marks:
            lanes.append(Lane(genre, tuple(marks)))
        columns = [references[reference][genre] for reference in kept if reference in BEFORE]
        columns += [here[genre][step] for step in steps]
        columns += [references[reference][genre] for reference in kept if reference in AFTER]
        rows.append(Row(genre, tuple(_cell(name, figure) for figure in columns)))
    return Strip(
        id=re.sub(r"[^a-z0-9]+", "-", name.lower()),
        group=HEADINGS[entry.group] if entry else "Further measures",
        label=entry.label if entry else name.replace("_", " "),
        explanation=entry.explanation if entry else "",
        low=ends[0],
        high=ends[1],
        lanes=tuple(lanes),
        columns=(
            *(REFERENCE_LABELS[reference] for reference in kept if reference in BEFORE),
            *(f"step {step:,}" for step in steps),
            *(REFERENCE_LABELS[reference] for reference in kept if reference in AFTER),
        ),
        rows=tuple(rows),
    )


def _mark(figure: Measure | None, tone: str, low: float, high: float) -> list[Mark]:
    if figure is None or figure.value is None:
        return []

    def place(value: float) -> str:
        # Marks keep clear of the edges, so that their shapes are not cut.
        return f"{1.5 + 97 * (value - low) / (high - low):.2f}"

    known = figure.lo is not None and figure.hi is not None
    return [
        Mark(
            tone,
            place(figure.value),
            place(figure.lo) if known and figure.lo is not None else None,
            place(figure.hi) if known and figure.hi is not None else None,
        )
    ]


def _cell(name: str, figure: Measure | None) -> Cell:
    if figure is None or figure.value is None:
        return Cell("–", "")
    if figure.lo is None or figure.hi is None:
        return Cell(shown(name, figure.value), "")
    return Cell(shown(name, figure.value), f"{shown(name, figure.lo)} to {shown(name, figure.hi)}")
