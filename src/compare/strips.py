"""Each measure as a strip: how much of the way from noise to real music each step has gone, a line a genre; as a table.

In: an `Evaluation`. Out: positions in percent and texts for the template.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from src.compare import sentences
from src.compare.sentences import Sentence
from src.compare.words import bits, interval, of_measure, over, shown
from src.evaluate import catalogue
from src.evaluate.measure import Measure
from src.evaluate.schema import ALL, BITS, Difference, Evaluation

BEFORE, AFTER = ("white_noise", "other_genres"), ("training", "real")
HEADINGS = {
    "distance": "Distance to the genre’s real music",
    "sound": "Sound",
    "rhythm and pitch": "Rhythm and pitch",
    "within the clip": "Within the clip, and copying",
    "copying": "Within the clip, and copying",
}
"""Group of the catalogue → heading on the page."""
LABELS = {
    "white_noise": "white noise",
    "other_genres": "other genres",
    "training": "training songs",
    "real": "held-out songs",
}


class Mark(NamedTuple):
    """A value on a line; positions in percent of its width."""

    tone: str
    """Index of the step: its colour."""
    at: str
    lo: str | None
    hi: str | None


class Lane(NamedTuple):
    """A genre's line."""

    genre: str
    marks: tuple[Mark, ...]
    note: str
    """How far the last step is, with its direction."""


class Cell(NamedTuple):
    """A value in the table."""

    text: str
    spread: str = ""


class Strip(NamedTuple):
    """One measure."""

    id: str
    """For addresses within the page."""
    group: str
    label: str
    explanation: str
    said: Sentence | None
    """What changed."""
    note: str
    """Why there is no line for some or all genres."""
    lanes: tuple[Lane, ...]
    columns: tuple[str, ...]
    rows: dict[str, tuple[Cell, ...]]
    """Genre → its cells."""


Group = tuple[str, tuple[Strip, ...]]
"""A heading and its measures."""


def groups(evaluation: Evaluation, steps: Sequence[int], genres: Sequence[str], prefix: str = "strip") -> list[Group]:
    """Every measure of the sound with a value at a compared step, in the catalogue's order, unknown ones last.

    prefix: beginning of the strips' addresses within the page.
    """
    order = [entry.name for entry in catalogue.ENTRIES]
    names = sorted(evaluation.names(), key=lambda name: order.index(name) if name in order else len(order))
    measured = (_strip(evaluation, name, steps, genres, prefix) for name in names if name != BITS)
    strips = [strip for strip in measured if strip is not None]
    headings = dict.fromkeys(strip.group for strip in strips)
    return [(name, tuple(strip for strip in strips if strip.group == name)) for name in headings]


def _strip(evaluation: Evaluation, name: str, steps: Sequence[int], genres: Sequence[str], prefix: str) -> Strip | None:
    def references(keys: Sequence[str]) -> dict[str, dict[str, Measure | None]]:
        return {LABELS[key]: {genre: evaluation.reference(key, genre, name) for genre in genres} for key in keys}

    at_steps = {f"step {step:,}": {genre: evaluation.of(step, genre, name) for genre in genres} for step in steps}
    columns = {**references(BEFORE), **at_steps, **references(AFTER)}
    known = {label: row for label, row in columns.items() if any(_has_value(each) for each in row.values())}
    if not known.keys() & at_steps.keys():
        return None
    entry = catalogue.BY_NAME.get(name)
    blind = [genre for genre in genres if name in evaluation.blind.get(genre, ())]
    where = "" if len(blind) == len(genres) else f" in {', '.join(blind)}"
    return Strip(
        id=f"{prefix}-{re.sub(r'[^a-z0-9]+', '-', name.lower())}",
        group=HEADINGS.get(entry.group, "Prediction") if entry else "Further measures",
        label=entry.label if entry else name.replace("_", " "),
        explanation=entry.explanation if entry else "",
        said=sentences.change(evaluation, name, steps[0], steps[-1]),
        note=f"White noise already looks like real music by this measure{where}." if blind else "",
        lanes=tuple(lane for genre in (ALL, *genres) if (lane := _lane(evaluation, name, steps, genre)).marks),
        columns=tuple(known),
        rows={genre: tuple(_cell(name, row[genre]) for row in known.values()) for genre in genres},
    )


def _has_value(measure: Measure | None) -> bool:
    return measure is not None and measure.value is not None


def _lane(evaluation: Evaluation, name: str, steps: Sequence[int], genre: str) -> Lane:
    rows = {step: evaluation.closed.get(step, {}).get(genre, {}).get(name) for step in steps}
    closed = {step: row for step, row in rows.items() if row is not None and row.share.value is not None}
    marks = tuple(share_mark(row.share, str(steps.index(step))) for step, row in closed.items())
    last = closed.get(steps[-1])
    return Lane("all genres" if genre == ALL else genre, marks, sentences.side(last) if last else "")


def share_mark(share: Measure, tone: str) -> Mark:
    """A share as a mark on a line from 0 to 1."""

    def position(value: float | None) -> str:
        # Marks keep clear of the edges, so that their shapes are not cut.
        return "" if value is None else f"{1.5 + 97 * min(1.0, max(0.0, value)):.2f}"

    lo, hi = position(share.lo), position(share.hi)
    return Mark(tone, position(share.value), *((lo, hi) if lo and hi else (None, None)))


def _cell(name: str, figure: Measure | None) -> Cell:
    if figure is None or figure.value is None:
        return Cell("–")
    within = interval(of_measure(name), figure.lo, figure.hi)
    return Cell(shown(name, figure.value), within or over(figure))


BITS_COLUMNS = ("bits", "gained over linear", "verdict", "linear", "Markov", "songs")
"""The headline first: on a phone the last ones must be scrolled to."""


def bits_row(evaluation: Evaluation, step: int, genre: str) -> tuple[Cell, ...] | None:
    """`BITS_COLUMNS` of a genre (`all`: all songs) at a step; None if no checkpoint was scored."""
    network, linear = evaluation.of(step, genre, BITS), evaluation.baselines.get(genre, {}).get("linear")
    against = evaluation.against.get(step, {}).get("linear", {}).get(genre)
    known = against.difference if against else network
    if known is None:
        return None
    values = [measure.value if measure else None for measure in (network, linear)] + [evaluation.markov.get(genre)]
    own, *baselines = (Cell("–" if value is None else bits(value)) for value in values)
    gained = Cell("–") if against is None else _gained(evaluation, step, genre, against)
    return own, gained, Cell(against.verdict if against else "–"), *baselines, Cell(f"{known.n:,}")


def _gained(evaluation: Evaluation, step: int, genre: str, against: Difference) -> Cell:
    """Bits gained over the linear predictor, its interval; of one or two songs each one's."""
    songs, gained = evaluation.songs.get(genre, ()), against.difference
    if gained.lo is None and 0 < len(songs) <= 2 and all(step in song.network for song in songs):
        return Cell(" and ".join(bits(song.linear - song.network[step]) for song in songs))
    if gained.value is None:
        return Cell("–")
    return Cell(
        bits(-gained.value), "" if gained.lo is None or gained.hi is None else interval(bits, -gained.hi, -gained.lo)
    )
