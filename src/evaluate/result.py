"""All that was measured of a run, and how metrics/evaluate.json and metrics/summary.json say it (docs/formats.md).

In: measures as the other modules found them. Out: plain dictionaries.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from src.evaluate import catalogue, conditioning, heldout, progress
from src.evaluate.intervals import Measure, rounded

Measures = dict[str, dict[str, Measure]]
"""Genre → name → measure."""
MARKOV = ("markov_genre", "markov_pooled")


@dataclass
class Evaluation:
    """Everything measured about a run; what is missing is explained in `why`."""

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
    copying: dict[int, dict[str, Any]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    @property
    def markov(self) -> dict[str, float]:
        """Genre → bits per sample of the stronger Markov model, the one to beat."""
        found = {}
        for genre, models in self.baselines.items():
            known = [value for name in MARKOV if (value := models[name].value) is not None]
            if known:
                found[genre] = min(known)
        return found

    def add_scores(self, step: int, receptive_field: int, scores: heldout.Scores) -> None:
        """Record what a checkpoint's network made of the held-out songs."""
        self.scores[step], self.receptive_fields[step] = scores, receptive_field
        for genre, bits in heldout.by_genre(scores.own, self.songs).items():
            self.measures.setdefault(step, {}).setdefault(genre, {})["bits_per_sample"] = bits


def to_json(found: Evaluation) -> dict[str, Any]:
    """metrics/evaluate.json."""
    table = accuracy_added(found)
    changes, late = all_changes(found, table)
    return {
        "format": 1,
        "run": found.run,
        "genres": list(found.genres),
        "uniform": found.uniform,
        "markov": {genre: rounded(bits) for genre, bits in found.markov.items()},
        "baselines": by_genre_json(found.baselines),
        "steps": {key(step): step_json(found, step) for step in sorted(found.measures)},
        "references": {
            name: {genre: {"measures": measures_json(measures)} for genre, measures in sorted(by_genre.items())}
            for name, by_genre in found.references.items()
        },
        "conditioning": {
            key(step): conditioning.summarise(truth(found), scores.genres, found.genres)
            for step, scores in sorted(found.scores.items())
        },
        "context": {
            key(step): heldout.context_rows(scores, found.songs, found.receptive_fields[step])
            for step, scores in sorted(found.scores.items())
        },
        "copying": {key(step): rows for step, rows in sorted(found.copying.items())},
        "progress": [progress_json(change, table) for change in changes],
        "sentences": markov_sentences(found) + progress.sentences(table, first_to_last(changes, table), late),
        "why": found.why,
    }


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """metrics/summary.json from metrics/evaluate.json: what `dvc metrics show` prints."""
    names = ("bits_per_sample", "frechet_logmel", "spectral_flatness")
    steps = {}
    for step, genres in found["steps"].items():
        steps[step] = {
            genre: {name: m["value"] for name in names if (m := row["measures"].get(name)) and m["value"] is not None}
            for genre, row in genres.items()
        }
        if step in found["conditioning"]:
            steps[step]["genre_accuracy"] = found["conditioning"][step]["accuracy"]["value"]
    return {"steps": steps, "markov": found["markov"], "uniform": found["uniform"]}


def key(step: int) -> str:
    """A step as metrics/evaluate.json names it."""
    return str(step)


def truth(found: Evaluation) -> list[int]:
    """Genre id of each held-out song."""
    return [found.genres.index(song.genre) for song in found.songs]


def measures_json(measures: Mapping[str, Measure]) -> dict[str, Any]:
    """Name → measure as JSON has it."""
    return {name: bounded(name, measure).to_json() for name, measure in measures.items()}


def bounded(name: str, measure: Measure) -> Measure:
    """The measure, its interval cut to what it can be at all; a value beyond (extrapolated) stays in its interval."""
    entry = catalogue.BY_NAME.get(name)
    if entry is None or measure.value is None or measure.lo is None or measure.hi is None:
        return measure
    lo = measure.lo if entry.least is None else min(measure.value, max(measure.lo, entry.least))
    hi = measure.hi if entry.most is None else max(measure.value, min(measure.hi, entry.most))
    return replace(measure, lo=lo, hi=hi)


def by_genre_json(by_genre: Mapping[str, Mapping[str, Measure]]) -> dict[str, Any]:
    """Genre → name → measure as JSON has it."""
    return {genre: measures_json(measures) for genre, measures in sorted(by_genre.items())}


def step_json(found: Evaluation, step: int) -> dict[str, Any]:
    """One step of metrics/evaluate.json."""
    rows = {}
    for genre, measures in sorted(found.measures[step].items()):
        row: dict[str, Any] = {"measures": measures_json(measures)}
        bits = measures.get("bits_per_sample")
        if bits is not None:
            value, markov = rounded(bits.value), rounded(found.markov.get(genre))
            row |= {"bits_per_sample": value, **heldout.scored(found.songs, genre)}
            row["below_markov"] = None if value is None or markov is None else value < markov
        rows[genre] = row
    return rows


def accuracy_added(found: Evaluation) -> dict[int, Measures]:
    """The measures with genre accuracy under `progress.ALL`, for the changes between steps."""
    table = {step: dict(by_genre) for step, by_genre in found.measures.items()}
    for step, scores in found.scores.items():
        accuracy = conditioning.accuracy(truth(found), scores.genres)
        table.setdefault(step, {})[progress.ALL] = {"genre_accuracy": accuracy}
    return table


def all_changes(found: Evaluation, table: dict[int, Measures]) -> tuple[list[progress.Change], list[progress.Change]]:
    """Changes between neighbouring steps and from the first to the last; and those from the second to the last."""
    steps = sorted(table)
    pairs = list(itertools.pairwise(steps))
    if len(steps) > 2:
        pairs.append((steps[0], steps[-1]))
    changes = [change for pair in pairs for change in between(found, table, *pair)]
    late = between(found, table, steps[1], steps[-1]) if len(steps) > 2 else []
    return changes, late


def between(found: Evaluation, table: dict[int, Measures], start: int, end: int) -> list[progress.Change]:
    """Changes from one step to another; bits per sample song by song."""
    paired = {}
    if start in found.scores and end in found.scores:
        for genre, change in heldout.bits_change(found.scores[start], found.scores[end], found.songs).items():
            paired["bits_per_sample", genre] = change
    return progress.changes(table, start, end, found.references.get("real", {}), paired)


def first_to_last(changes: list[progress.Change], table: dict[int, Measures]) -> list[progress.Change]:
    """Those from the first to the last step."""
    return [c for c in changes if c.from_step == min(table) and c.to_step == max(table)]


def progress_json(change: progress.Change, table: dict[int, Measures]) -> dict[str, Any]:
    """A change; the one over the whole run carries the trend."""
    row = change.to_json()
    if change.from_step == min(table) and change.to_step == max(table):
        row["trend"] = progress.trend(table, change.genre, change.name).to_json()
    return row


def markov_sentences(found: Evaluation) -> list[str]:
    """Whether the last checkpoint beats the stronger Markov model on the same held-out samples."""
    if not found.scores or not found.markov:
        return []
    last = max(found.scores)
    rows = found.measures[last]
    bits = {genre: row["bits_per_sample"].value for genre, row in rows.items() if "bits_per_sample" in row}
    better = [genre for genre, value in bits.items() if value is not None and value < found.markov.get(genre, 0.0)]
    worse = [genre for genre in bits if genre in found.markov and genre not in better]
    text = f"At step {last} the network predicts held-out songs better than a first-order Markov model"
    if not worse:
        return [f"{text} in {'all ' if len(better) > 1 else ''}{len(better)} genres."]
    if not better:
        return [
            f"At step {last} the network predicts no genre's held-out songs better than a first-order Markov model."
        ]
    return [f"{text} in {progress.words(better)}, but not in {progress.words(worse)}."]
