"""All that was measured of a run, put together as metrics/evaluate.json and metrics/summary.json have it.

In: measures, scores and matches of the other modules. Out: `schema.Evaluation`, and the summary as a dictionary.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from src.base.words import listed
from src.evaluate import catalogue, conditioning, heldout, progress
from src.evaluate.measure import Measure, rounded
from src.evaluate.schema import BITS, Change, Copying, Evaluation, Reference, StepRow

Measures = dict[str, dict[str, Measure]]
"""Genre → name → measure."""
MARKOV = ("markov_genre", "markov_pooled")


@dataclass
class Results:
    """What the sections measured so far; what is missing is explained in `why`."""

    run: str | None
    genres: tuple[str, ...]
    uniform: float
    songs: tuple[heldout.Song, ...] = ()
    baselines: Measures = field(default_factory=dict)
    scores: dict[int, heldout.Scores] = field(default_factory=dict)
    receptive_fields: dict[int, int] = field(default_factory=dict)
    measures: dict[int, Measures] = field(default_factory=dict)
    """Step → genre → name → measure."""
    references: dict[str, Measures] = field(default_factory=dict)
    copying: dict[int, dict[str, Copying]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    @property
    def markov(self) -> dict[str, float]:
        """Genre → bits per sample of the stronger Markov model, the one to beat."""
        known = {
            genre: [value for name in MARKOV if (value := models[name].value) is not None]
            for genre, models in self.baselines.items()
        }
        return {genre: min(values) for genre, values in known.items() if values}

    @property
    def truth(self) -> list[int]:
        """Genre id of each held-out song."""
        return [self.genres.index(song.genre) for song in self.songs]

    def add_scores(self, step: int, receptive_field: int, scores: heldout.Scores) -> None:
        """Record how a checkpoint's network scored the held-out songs."""
        self.scores[step], self.receptive_fields[step] = scores, receptive_field
        for genre, bits in heldout.by_genre(scores.own, self.songs).items():
            self.measures.setdefault(step, {}).setdefault(genre, {})[BITS] = bits


def report(results: Results) -> Evaluation:
    """metrics/evaluate.json."""
    table = with_accuracy(results)
    changes, late = all_changes(results, table)
    overall = [change for change in changes if is_overall(change, table)]
    return Evaluation(
        format=1,
        run=results.run,
        genres=results.genres,
        uniform=results.uniform,
        markov=results.markov,
        baselines={genre: within_range(measures) for genre, measures in results.baselines.items()},
        steps={step: step_rows(results, step) for step in results.measures},
        references={
            name: {genre: Reference(measures=within_range(measures)) for genre, measures in by_genre.items()}
            for name, by_genre in results.references.items()
        },
        conditioning={
            step: conditioning.summarise(results.truth, scores.genres, results.genres)
            for step, scores in results.scores.items()
        },
        context={
            step: heldout.context_rows(scores, results.songs, results.receptive_fields[step])
            for step, scores in results.scores.items()
        },
        copying=results.copying,
        progress=tuple(with_trend(change, table) for change in changes),
        sentences=(*markov_sentences(results), *progress.sentences(table, overall, late)),
        why=results.why,
    )


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """metrics/summary.json: what `dvc metrics show` prints."""
    names = (BITS, "frechet_logmel", "spectral_flatness")
    steps: dict[str, dict[str, Any]] = {}
    for step, by_genre in evaluation.steps.items():
        steps[str(step)] = {
            genre: {name: m.value for name in names if (m := row.measures.get(name)) and m.value is not None}
            for genre, row in by_genre.items()
        }
        if step in evaluation.conditioning:
            steps[str(step)]["genre_accuracy"] = evaluation.conditioning[step].accuracy.value
    return {"steps": steps, "markov": evaluation.markov, "uniform": evaluation.uniform}


def within_range(measures: Mapping[str, Measure]) -> dict[str, Measure]:
    """Name → measure, no interval beyond what the measure can be."""
    return {name: bounded(name, measure) for name, measure in measures.items()}


def bounded(name: str, measure: Measure) -> Measure:
    """The measure, its interval cut to what it can be at all; a value beyond (extrapolated) stays in its interval."""
    entry = catalogue.BY_NAME.get(name)
    if entry is None or measure.value is None or measure.lo is None or measure.hi is None:
        return measure
    lo = measure.lo if entry.least is None else min(measure.value, max(measure.lo, entry.least))
    hi = measure.hi if entry.most is None else max(measure.value, min(measure.hi, entry.most))
    return replace(measure, lo=lo, hi=hi)


def step_rows(results: Results, step: int) -> dict[str, StepRow]:
    """Genre → what was measured at a step."""
    rows = {}
    for genre, measures in results.measures[step].items():
        row: dict[str, Any] = {"measures": within_range(measures)}
        if BITS in measures:
            value, markov = rounded(measures[BITS].value), rounded(results.markov.get(genre))
            row |= {BITS: value, **heldout.scored(results.songs, genre)}
            row["below_markov"] = None if value is None or markov is None else value < markov
        rows[genre] = StepRow(**row)
    return rows


def with_accuracy(results: Results) -> dict[int, Measures]:
    """The measures with genre accuracy under `progress.ALL`, for the changes between steps."""
    table = {step: dict(by_genre) for step, by_genre in results.measures.items()}
    for step, scores in results.scores.items():
        accuracy = conditioning.accuracy(results.truth, scores.genres)
        table.setdefault(step, {})[progress.ALL] = {"genre_accuracy": accuracy}
    return table


def all_changes(results: Results, table: dict[int, Measures]) -> tuple[list[Change], list[Change]]:
    """Changes between neighbouring steps and from the first to the last; and those from the second to the last."""
    steps = sorted(table)
    pairs = list(itertools.pairwise(steps))
    if len(steps) > 2:
        pairs.append((steps[0], steps[-1]))
    changes = [change for pair in pairs for change in between(results, table, *pair)]
    late = between(results, table, steps[1], steps[-1]) if len(steps) > 2 else []
    return changes, late


def between(results: Results, table: dict[int, Measures], start: int, end: int) -> list[Change]:
    """Changes from one step to another; bits per sample song by song."""
    paired = {}
    if start in results.scores and end in results.scores:
        for genre, change in heldout.bits_change(results.scores[start], results.scores[end], results.songs).items():
            paired[BITS, genre] = change
    return progress.changes(table, start, end, results.references.get("real", {}), paired)


def is_overall(change: Change, table: dict[int, Measures]) -> bool:
    """Whether it is from the first to the last step."""
    return (change.from_step, change.to_step) == (min(table), max(table))


def with_trend(change: Change, table: dict[int, Measures]) -> Change:
    """The change; the one over the whole run carries the trend."""
    if not is_overall(change, table):
        return change
    return change.model_copy(update={"trend": progress.trend(table, change.genre, change.measure)})


def markov_sentences(results: Results) -> list[str]:
    """Whether the last checkpoint beats the stronger Markov model on the same held-out samples."""
    markov = results.markov
    if not results.scores or not markov:
        return []
    last = max(results.scores)
    bits = {genre: row[BITS].value for genre, row in results.measures[last].items() if BITS in row}
    better = [genre for genre, value in bits.items() if value is not None and value < markov.get(genre, 0.0)]
    worse = [genre for genre in bits if genre in markov and genre not in better]
    text = f"At step {last} the network predicts held-out songs better than a first-order Markov model"
    if not worse:
        return [f"{text} in {'all ' if len(better) > 1 else ''}{len(better)} genres."]
    if not better:
        return [
            f"At step {last} the network predicts no genre's held-out songs better than a first-order Markov model."
        ]
    return [f"{text} in {listed(better)}, but not in {listed(worse)}."]
