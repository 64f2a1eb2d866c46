"""How the sounds changed between checkpoints, and how much of the way from noise to real music they have gone.

In: values of independent units (clips, songs) by genre and measure. Out: `Closed` and `Change` rows with verdicts from
`intervals`. Between two steps bits per sample are one family of comparisons, everything else another, so that the
chance of a single wrong "better" or "worse" in a family is about 5 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from src.evaluate import catalogue, intervals
from src.evaluate.intervals import Effect, Floats
from src.evaluate.measure import Measure
from src.evaluate.references import Values
from src.evaluate.schema import ALL, BITS, Change, Closed, Verdict

BLIND = 2.0
"""Noise that lies within so many standard deviations of the pieces of held-out songs looks like one of them."""


@dataclass(frozen=True)
class Way:
    """The way from white noise to a genre's held-out music, by one measure."""

    name: str
    noise: float
    real: Floats
    """(songs,)"""
    blind: bool
    """White noise already looks like the music."""

    @property
    def length(self) -> float:
        """How far it is, in the measure's unit."""
        return abs(self.noise - float(np.nanmean(self.real)))

    def side(self, value: float) -> float:
        """1 or -1, so that side × (value - real) is how far the value falls short."""
        better = catalogue.BY_NAME[self.name].better
        if better == "closer to real":
            return -1.0 if value < float(np.nanmean(self.real)) else 1.0
        return 1.0 if better == "lower" else -1.0


def way(name: str, real: Floats, noise: Floats, spread: float | None) -> Way | None:
    """The way by a measure; None where music or noise do not have it, or do not differ at all.

    spread: standard deviation of the measure over pieces of held-out songs; None: of a figure of all pieces together,
    whose own standard error is taken.
    """
    music, floor = intervals.mean(real, "", "songs"), intervals.finite(noise)
    if music.value is None or len(floor) == 0 or floor.mean() == music.value:
        return None
    spread = music.error or 0.0 if spread is None else spread
    return Way(name, float(floor.mean()), real, bool(abs(floor.mean() - music.value) <= BLIND * spread))


def closed(values: Floats, way: Way) -> Closed | None:
    """How much of the way these clips, (clips,), have gone."""
    known = intervals.finite(values)
    if len(known) == 0:
        return None
    value, real = float(known.mean()), float(np.nanmean(way.real))
    factor = way.side(value) / way.length
    gone = intervals.contrast([(-factor, values), (factor, way.real)], "share", "clips")
    place = (value - way.noise) / (real - way.noise)
    side: Literal["short", "beyond", "wrong way"] = "wrong way" if place < 0 else "beyond" if place > 1 else "short"
    return Closed(share=_within(replace(gone, value=1 + (gone.value or 0.0), n=len(known))), side=side)


def closed_overall(rows: Sequence[Closed]) -> Closed:
    """The mean over genres, of shares in 0..1; on the side on which all of them are, if they are."""
    shares, sides = [row.share.value or 0.0 for row in rows], {row.side for row in rows}
    return Closed(
        share=_within(intervals.mean(shares, "share", "genres")), side=sides.pop() if len(sides) == 1 else None
    )


def _within(effect: Effect) -> Measure:
    """The measure of a share: nothing of it outside 0..1."""
    measure = effect.measure()
    cut = [None if x is None else min(1.0, max(0.0, x)) for x in (measure.value, measure.lo, measure.hi)]
    return replace(measure, value=cut[0], lo=cut[1], hi=cut[2])


@dataclass(frozen=True)
class _Row:
    """A change before its verdict."""

    name: str
    genre: str
    change: Effect
    gain: Effect | None
    """Above 0 where it is for the better; None where that is not known."""
    favourable: int | None = None


def changes(
    before: Mapping[str, Values],
    after: Mapping[str, Values],
    ways: Mapping[str, Mapping[str, Way]],
    paired: Mapping[tuple[str, str], Floats],
    steps: tuple[int, int],
) -> list[Change]:
    """Every measure that both steps have, with a verdict.

    before, after: genre → values of its clips. ways: genre → measure → the way. paired: (measure, genre) → (songs,)
    changes song by song. steps: the earlier and the later.
    """
    rows = [_paired(name, genre, values) for (name, genre), values in paired.items()]
    for name in catalogue.BY_NAME:
        each = [
            _between(name, genre, before[genre][name], after[genre][name], ways.get(genre, {}).get(name))
            for genre in sorted(before.keys() & after.keys())
            if name in before[genre] and name in after[genre]
        ]
        rows += each
        if len(each) > 1:
            rows.append(_overall(name, each, {genre: ways.get(genre, {}).get(name) for genre in before}))
    said: dict[int, Verdict] = {}
    for primary in (True, False):
        family = [k for k, row in enumerate(rows) if row.gain is not None and (row.name == BITS) == primary]
        said |= zip(family, intervals.verdicts([g for k in family if (g := rows[k].gain) is not None], 1), strict=True)
    for index, row in enumerate(rows):
        if row.genre == ALL and index in said:
            parts = [
                said[k]
                for k, part in enumerate(rows)
                if k in said and k != index and part.name == row.name and not _blind(ways, part)
            ]
            said[index] = intervals.over_all(said[index], parts, row.change.over)
    return [
        Change(
            measure=row.name,
            genre=row.genre,
            from_step=steps[0],
            to_step=steps[1],
            change=row.change.measure(),
            verdict=said.get(index),
            favourable=row.favourable,
        )
        for index, row in enumerate(rows)
    ]


def _blind(ways: Mapping[str, Mapping[str, Way]], row: _Row) -> bool:
    way = ways.get(row.genre, {}).get(row.name)
    return way is not None and way.blind


def _unit(name: str) -> str:
    return catalogue.UNITS[name].replace("dBFS", "dB")


def _paired(name: str, genre: str, values: Floats) -> _Row:
    good = -1 if catalogue.BY_NAME[name].better == "lower" else 1
    change, gain = intervals.paired(values, _unit(name)), intervals.paired(good * values, "")
    return _Row(name, genre, change, gain, intervals.favourable(values, good))


def _between(name: str, genre: str, before: Floats, after: Floats, way: Way | None) -> _Row:
    change = intervals.contrast([(1, after), (-1, before)], _unit(name), "clips")
    if way is None or change.value is None:
        return _Row(name, genre, change, None)
    # How far each falls short, before less after; the music's own uncertainty counts where they lie on two sides of it.
    first, second = (way.side(float(np.nanmean(values))) for values in (before, after))
    terms = [(first, before), (-second, after), (second - first, way.real)]
    return _Row(name, genre, change, intervals.contrast(terms, "", "clips"))


def _overall(name: str, rows: Sequence[_Row], ways: Mapping[str, Way | None]) -> _Row:
    """The mean over genres; for the better if the genres' ways grow shorter, each as a share of its own."""
    change = intervals.mean(
        [np.nan if row.change.value is None else row.change.value for row in rows], _unit(name), "genres"
    )
    gains = np.array(
        [
            row.gain.value / each.length
            for row in rows
            if (each := ways.get(row.genre)) and not each.blind and row.gain and row.gain.value is not None
        ]
    )
    if len(gains) == 0:
        return _Row(name, ALL, change, None)
    return _Row(name, ALL, change, intervals.mean(gains, "", "genres"), intervals.favourable(gains, 1))
