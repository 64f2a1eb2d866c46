"""All that was measured of a run, put together as metrics/evaluate.json and metrics/summary.json have it.

In: values, scores and matches of the other modules. Out: `schema.Evaluation`, and the summary as a dictionary.
"""

import itertools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from src.evaluate import catalogue, distances, heldout, intervals, progress, songwise
from src.evaluate.intervals import Floats
from src.evaluate.measure import Measure, Over
from src.evaluate.progress import Way
from src.evaluate.references import Values
from src.evaluate.schema import ALL, BITS, Agreement, Change, Closed, Copying, Detection, Evaluation

ACCURACY = "genre_accuracy"


@dataclass
class Results:
    """What the sections measured so far; what is missing is explained in `why`."""

    run: str | None
    genres: tuple[str, ...]
    uniform: float
    songs: tuple[heldout.Song, ...] = ()
    training: tuple[heldout.Song, ...] = ()
    baselines: dict[str, Floats] = field(default_factory=dict)
    """Baseline → (songs,) bits per sample."""
    linear_training: Floats = field(default_factory=lambda: np.zeros(0))
    """(training songs,) of the linear predictor."""
    scores: dict[int, heldout.Scores] = field(default_factory=dict)
    receptive_fields: dict[int, int] = field(default_factory=dict)
    checkpoints: dict[int, str] = field(default_factory=dict)
    """Step → digest of the checkpoint that was scored."""
    values: dict[int, dict[str, Values]] = field(default_factory=dict)
    """Step → genre → measure → (clips,) values."""
    reasons: dict[int, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Step → genre → measure → why it has no values."""
    references: dict[str, dict[str, Values]] = field(default_factory=dict)
    """Reference → genre → measure → values."""
    spreads: dict[str, dict[str, float]] = field(default_factory=dict)
    """Genre → measure → standard deviation over pieces of held-out songs."""
    copying: dict[int, dict[str, Copying]] = field(default_factory=dict)
    detection: Detection | None = None
    why: dict[str, str] = field(default_factory=dict)


def report(results: Results) -> Evaluation:
    """metrics/evaluate.json."""
    ways = ways_of(results)
    songs, scores, baselines = results.songs, results.scores, results.baselines
    rivals = {name: songwise.bits(row, songs) for name, row in baselines.items()}
    markov = songwise.bits(heldout.stronger_markov(baselines, songs), songs) if songs else {}
    genres = [genre for genre in heldout.by_genre(songs) if genre != ALL] if songs else []
    return Evaluation(
        format=2,
        run=results.run,
        genres=results.genres,
        uniform=results.uniform,
        markov={genre: bits.value for genre, bits in markov.items() if bits.value is not None},
        baselines={genre: {name: row[genre] for name, row in rivals.items()} for genre in genres},
        songs=songwise.song_rows(songs, baselines, scores) if songs else {},
        against={step: songwise.against(each, songs, baselines, results.uniform) for step, each in scores.items()},
        steps={step: step_measures(results, step) for step in sorted({*results.values, *scores})},
        references={
            name: {
                genre: measures(values, "clips" if name == "white_noise" else "songs") for genre, values in rows.items()
            }
            for name, rows in results.references.items()
        },
        closed={step: closed_rows(by_genre, ways) for step, by_genre in results.values.items()} if ways else {},
        blind={
            genre: names for genre, row in ways.items() if (names := tuple(name for name in row if row[name].blind))
        },
        conditioning={step: songwise.conditioning(each, songs, results.genres) for step, each in scores.items()},
        generalisation={
            step: songwise.generalisation(each, songs, results.training, baselines["linear"], results.linear_training)
            for step, each in scores.items()
            if results.training
        },
        calibration={step: songwise.calibration(each, songs) for step, each in scores.items()},
        context={
            step: songwise.context_rows(each, songs, results.receptive_fields[step]) for step, each in scores.items()
        },
        copying=results.copying,
        detection=results.detection,
        agreement=agreements(results),
        checkpoints=results.checkpoints,
        progress=tuple(all_changes(results, ways)),
        why=results.why,
    )


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """metrics/summary.json, which `dvc metrics show` and `dvc exp show` print: the last step in five figures."""
    step = max(evaluation.steps, default=0)
    linear, guesses = evaluation.against.get(step, {}).get("linear", {}).get(ALL), evaluation.conditioning.get(step)
    figures = {
        "bits": [row[BITS].value for row in evaluation.steps.get(step, {}).values() if BITS in row],
        "bits_less_linear": [linear.difference.value] if linear else [],
        "accuracy": [guesses.accuracy.value] if guesses else [],
        "sound": [row.share.value for row in evaluation.closed.get(step, {}).get(ALL, {}).values()],
    }
    known = {name: [value for value in values if value is not None] for name, values in figures.items()}
    # Bits are the mean over the genres; of the sound's measures the middle one, as the page says it.
    return {"step": step} | {
        name: float(f"{(statistics.median if name == 'sound' else statistics.mean)(values):.4g}")
        for name, values in known.items()
        if values
    }


def measures(values: Values, over: Over) -> dict[str, Measure]:
    """Name → mean over the units, no interval beyond what the measure can be."""
    return {
        name: bounded(name, intervals.mean(row, catalogue.UNITS[name], over).measure()) for name, row in values.items()
    }


def bounded(name: str, measure: Measure) -> Measure:
    """The measure, its interval cut to what it can be at all; a value beyond stays in its interval."""
    entry = catalogue.BY_NAME[name]
    if measure.value is None or measure.lo is None or measure.hi is None:
        return measure
    lo = measure.lo if entry.least is None else min(measure.value, max(measure.lo, entry.least))
    hi = measure.hi if entry.most is None else max(measure.value, min(measure.hi, entry.most))
    return replace(measure, lo=lo, hi=hi)


def step_measures(results: Results, step: int) -> dict[str, dict[str, Measure]]:
    """Genre → what its generations and the step's checkpoint measure."""
    rows = {genre: measures(values, "clips") for genre, values in results.values.get(step, {}).items()}
    for genre, reasons in results.reasons.get(step, {}).items():
        for name, why in reasons.items():
            rows[genre][name] = Measure(None, catalogue.UNITS[name], 0, "clips", why=why)
    if step in results.scores:
        for genre, bits in songwise.bits(results.scores[step].own, results.songs).items():
            rows[genre] = {BITS: bits} | rows.get(genre, {})
    return dict(sorted(rows.items()))


def ways_of(results: Results) -> dict[str, dict[str, Way]]:
    """Genre → measure → the way from white noise to its held-out songs."""
    ways: dict[str, dict[str, Way]] = {}
    noise = results.references.get("white_noise", {})
    for genre, real in results.references.get("real", {}).items():
        for name in (name for name in catalogue.BY_NAME if name in real and name in noise.get(genre, {})):
            each = progress.way(name, real[name], noise[genre][name], results.spreads.get(genre, {}).get(name))
            if each is not None:
                ways.setdefault(genre, {})[name] = each
    return ways


def closed_rows(by_genre: Mapping[str, Values], ways: Mapping[str, Mapping[str, Way]]) -> dict[str, dict[str, Closed]]:
    """Genre → measure → how much of the way is closed; then the mean over the genres."""
    rows: dict[str, dict[str, Closed]] = {}
    for genre, values in by_genre.items():
        for name, each in ways.get(genre, {}).items():
            if name in values and not each.blind and (gone := progress.closed(values[name], each)) is not None:
                rows.setdefault(genre, {})[name] = gone
    if len(rows) > 1:
        names = [name for name in catalogue.BY_NAME if any(name in row for row in rows.values())]
        rows[ALL] = {
            name: progress.closed_overall([row[name] for row in rows.values() if name in row]) for name in names
        }
    return rows


def all_changes(results: Results, ways: Mapping[str, Mapping[str, Way]]) -> list[Change]:
    """Changes between neighbouring steps, from the first to the last, and from the second to the last."""
    steps = sorted({*results.values, *results.scores})
    pairs = list(itertools.pairwise(steps))
    if len(steps) > 2:
        pairs += [pair for pair in ((steps[0], steps[-1]), (steps[1], steps[-1])) if pair not in pairs]
    return [
        change
        for start, end in pairs
        for change in progress.changes(
            results.values.get(start, {}),
            results.values.get(end, {}),
            ways,
            paired_changes(results, start, end),
            (start, end),
        )
    ]


def paired_changes(results: Results, start: int, end: int) -> dict[tuple[str, str], Floats]:
    """(measure, genre) → (songs,) what changed song by song."""
    before, after = results.scores.get(start), results.scores.get(end)
    if before is None or after is None:
        return {}
    songs, genres = results.songs, results.genres
    bits = {(BITS, genre): (after.own - before.own)[mask] for genre, mask in heldout.by_genre(songs).items()}
    return bits | {(ACCURACY, ALL): songwise.right(after, songs, genres) - songwise.right(before, songs, genres)}


def agreements(results: Results) -> tuple[Agreement, ...]:
    """How far each two embeddings put the generations and references of all genres in one order."""
    sets = [*results.values.values(), *results.references.values()]
    rows: list[Values] = [values for by_genre in sets for values in by_genre.values()]
    names = [name.removeprefix("frechet_") for name in catalogue.BY_NAME if name.startswith("frechet_")]
    found = []
    for measure in ("frechet", "kernel"):
        for first, second in itertools.combinations(names, 2):
            pair = (f"{measure}_{first}", f"{measure}_{second}")
            both = np.array([[row[name].mean() for name in pair] for row in rows if all(name in row for name in pair)])
            if len(both):
                rank = distances.rank_correlation(both[:, 0], both[:, 1])
                found.append(Agreement(measure=measure, embeddings=(first, second), rank_correlation=rank, n=len(both)))
    return tuple(found)
