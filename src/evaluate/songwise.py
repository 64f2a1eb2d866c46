"""What the scores of the songs say, song by song: the rows of metrics/evaluate.json about likelihood.

In: scores of held-out and training songs (heldout.py). Out: network against baseline, what the genre is worth, the gap
to training songs, calibration, the use of context; every difference with its verdict.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from src.evaluate import intervals, likelihood
from src.evaluate.heldout import Scores, Song, by_genre, stronger_markov
from src.evaluate.likelihood import Floats
from src.evaluate.measure import Measure, wilson
from src.evaluate.schema import (
    ALL,
    Baseline,
    Calibration,
    CalibrationBin,
    Conditioning,
    ContextRange,
    Difference,
    Generalisation,
    SongBits,
)


def bits(own: Floats, songs: Sequence[Song]) -> dict[str, Measure]:
    """Genre → mean bits per sample over its songs."""
    chosen = by_genre(songs).items()
    return {genre: intervals.mean(own[mask], "bits", "songs").measure() for genre, mask in chosen if genre != ALL}


def song_rows(
    songs: Sequence[Song], baselines: Mapping[str, Floats], scores: Mapping[int, Scores]
) -> dict[str, tuple[SongBits, ...]]:
    """Genre → the bits of each of its songs."""

    def known(value: float) -> float | None:
        return None if np.isnan(value) else float(value)

    markov = stronger_markov(baselines, songs)
    rows = [
        SongBits(
            samples=song.samples,
            unigram=known(baselines["unigram"][index]),
            markov=known(markov[index]),
            linear=float(baselines["linear"][index]),
            network={step: float(each.own[index]) for step, each in scores.items()},
        )
        for index, song in enumerate(songs)
    ]
    chosen = by_genre(songs).items()
    return {genre: tuple(rows[k] for k in np.flatnonzero(mask)) for genre, mask in chosen if genre != ALL}


def against(
    scores: Scores, songs: Sequence[Song], baselines: Mapping[str, Floats], uniform: float
) -> dict[Baseline, dict[str, Difference]]:
    """Network less each baseline, song by song. The linear predictor's are a family of their own, the rest another."""
    rivals: dict[Baseline, Floats] = {
        "linear": baselines["linear"],
        "markov": stronger_markov(baselines, songs),
        "uniform": np.full(len(songs), uniform),
    }
    groups = by_genre(songs)
    primary = intervals.differences(
        {g: (scores.own - rivals["linear"])[mask] for g, mask in groups.items()}, -1, "bits"
    )
    pairs: dict[tuple[Baseline, str], Floats] = {
        (rival, genre): (scores.own - values)[mask]
        for rival, values in rivals.items()
        if rival != "linear"
        for genre, mask in groups.items()
    }
    rest = intervals.differences(pairs, -1, "bits")
    table: dict[Baseline, dict[str, Difference]] = {"linear": primary}
    for (rival, genre), difference in rest.items():
        table.setdefault(rival, {})[genre] = difference
    return table


def conditioning(scores: Scores, songs: Sequence[Song], genres: Sequence[str]) -> Conditioning:
    """Which genre makes each song likeliest, and what its own saves against the mean of the others."""
    truth = np.array([genres.index(song.genre) for song in songs])
    guessed = guesses(scores.genres)
    table = np.zeros((len(genres), len(genres)), dtype=np.int64)
    for true, guess in zip(truth, guessed, strict=True):
        if guess >= 0:
            table[true, guess] += 1
    mine = scores.genres[np.arange(len(songs)), truth]
    gain = mine - (scores.genres.sum(axis=1) - mine) / max(1, len(genres) - 1)
    return Conditioning(
        genres=tuple(genres),
        confusion=tuple(map(tuple, table.tolist())),
        undecided=int((guessed < 0).sum()),
        accuracy=wilson(int((guessed == truth).sum()), len(songs), "songs"),
        chance=1 / len(genres),
        gain=intervals.differences({genre: gain[mask] for genre, mask in by_genre(songs).items()}, -1, "bits"),
    )


def guesses(bits_under: Floats) -> NDArray[np.int64]:
    """The genre of fewest bits for each song, (songs, genres) → (songs,). A tie goes to no genre (-1).

    Without this rule a network that ignores the genre would be right whenever the true genre has the lowest number.
    """
    near = bits_under <= bits_under.min(axis=1, keepdims=True) + 1e-9
    return np.asarray(np.where(near.sum(axis=1) == 1, bits_under.argmin(axis=1), -1), dtype=np.int64)


def right(scores: Scores, songs: Sequence[Song], genres: Sequence[str]) -> Floats:
    """(songs,) 1 where the song's own genre makes it likeliest, else 0."""
    truth = np.array([genres.index(song.genre) for song in songs])
    return np.asarray(guesses(scores.genres) == truth, dtype=np.float64)


def generalisation(
    scores: Scores,
    songs: Sequence[Song],
    training: Sequence[Song],
    linear_held_out: Floats,
    linear_training: Floats,
) -> dict[str, Generalisation]:
    """Bits over the linear predictor's on training songs and on held-out ones, by genre and over all songs."""
    inside, outside = scores.training - linear_training, scores.own - linear_held_out
    seen, unseen = by_genre(training), by_genre(songs)
    names = [genre for genre in unseen if genre in seen]
    gaps = [intervals.contrast([(1, outside[unseen[g]]), (-1, inside[seen[g]])], "bits", "songs") for g in names]
    return {
        genre: Generalisation(
            training=intervals.mean(inside[seen[genre]], "bits", "songs").measure(),
            held_out=intervals.mean(outside[unseen[genre]], "bits", "songs").measure(),
            gap=Difference(difference=gap.measure(), verdict=verdict),
        )
        for genre, gap, verdict in zip(names, gaps, intervals.verdicts(gaps, -1), strict=True)
    }


def calibration(scores: Scores, songs: Sequence[Song]) -> dict[str, Calibration]:
    """What the predictions expect to cost and what they cost, by genre and over all songs."""
    groups = by_genre(songs)
    entropy, cost, count = np.moveaxis(scores.calibration.sum(axis=1), 1, 0)
    excess = [intervals.paired(((cost - entropy) / count)[mask], "bits") for mask in groups.values()]
    said = {"worse": "overconfident", "better": "underconfident"}
    rows = {}
    for (genre, mask), effect, verdict in zip(groups.items(), excess, intervals.verdicts(excess, -1), strict=True):
        bins = scores.calibration[mask].sum(axis=0)
        rows[genre] = Calibration(
            entropy=intervals.mean((entropy / count)[mask], "bits", "songs").measure(),
            cost=intervals.mean((cost / count)[mask], "bits", "songs").measure(),
            excess=effect.measure(),
            says=said.get(verdict, verdict),
            curve=tuple(CalibrationBin(entropy=e / n, cost=c / n, samples=int(n)) for e, c, n in bins.tolist() if n),
        )
    return rows


def context_rows(scores: Scores, songs: Sequence[Song], receptive_field: int) -> dict[str, tuple[ContextRange, ...]]:
    """Genre → bits at each range of context length."""
    means = np.array([row.mean(axis=0) for row in scores.context])
    edges = likelihood.position_edges(receptive_field)
    return {
        genre: tuple(
            ContextRange(first=low, last=high, bits=intervals.mean(means[mask, column], "bits", "songs").measure())
            for column, (low, high) in enumerate(edges)
        )
        for genre, mask in by_genre(songs).items()
        if genre != ALL
    }
