"""How well the networks and the baselines predict songs they were not trained on.

In: held-out songs as codes with the windows to score, Markov counts, a network. Out: the rows of
metrics/evaluate.json: bits per sample, genre guessed from likelihood, bits by length of context.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from src.evaluate import intervals, likelihood, scoring
from src.evaluate.likelihood import Codes, Floats, Window
from src.evaluate.measure import Measure
from src.evaluate.schema import ContextRange

CONDITIONING_WINDOWS = 4
"""Windows of each song that are scored under the other genres too; the cost grows with genres × this."""
CONTEXT_STARTS = 96
"""Samples of a genre's songs from which the length of context is grown (48 of one song at most, 4 at least)."""


@dataclass(frozen=True)
class Song:
    """A held-out song: its genre, its codes (time,) and the windows of it that are scored (all with real context)."""

    genre: str
    codes: Codes
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class Scores:
    """One checkpoint's scores of every song, in the order of the songs."""

    own: tuple[Floats, ...]
    """Mean bits of each window under the song's own genre."""
    genres: tuple[Floats, ...]
    """(genres, windows) bits under every genre, of the windows that `conditioning_windows` chooses."""
    context: tuple[Floats, ...]
    """(starts, ranges) bits by length of context."""


def over_songs(rows: Sequence[Floats], songs: Sequence[Song]) -> Measure:
    """Bits per sample from the bits of each song's windows.

    The interval is over songs; where there is one song, over its windows, and then it speaks of that song only.
    """
    lengths = [np.array([window.length for window in song.windows], dtype=np.float64) for song in songs]
    if len(rows) == 1:
        return intervals.mean(rows[0], "bits", "windows", weights=lengths[0])
    means = [float(np.average(row, weights=length)) for row, length in zip(rows, lengths, strict=True)]
    return intervals.mean(means, "bits", "songs", weights=[float(length.sum()) for length in lengths])


def by_genre(rows: Sequence[Floats], songs: Sequence[Song]) -> dict[str, Measure]:
    """`over_songs` for each genre."""
    measures = {}
    for genre in sorted({song.genre for song in songs}):
        chosen = [(row, song) for row, song in zip(rows, songs, strict=True) if song.genre == genre]
        measures[genre] = over_songs([row for row, _ in chosen], [song for _, song in chosen])
    return measures


def score_baselines(counts: Mapping[str, Codes], songs: Sequence[Song]) -> dict[str, dict[str, Measure]]:
    """Genre → baseline → bits per sample, on exactly the samples that the networks are scored on.

    counts: genre → (Q, Q) pair counts of its training clips.
    """
    pooled = likelihood.markov_bits(np.sum(list(counts.values()), axis=0))
    tables = {genre: likelihood.markov_bits(table) for genre, table in counts.items()}
    singles = {genre: likelihood.unigram_bits(table) for genre, table in counts.items()}
    known = [song for song in songs if song.genre in counts]
    rows: dict[str, list[Floats]] = {"unigram": [], "markov_genre": [], "markov_pooled": []}
    for song in known:
        pairs = [
            (song.codes[w.start - 1 : w.start + w.length - 1], song.codes[w.start :][: w.length]) for w in song.windows
        ]
        rows["unigram"].append(np.array([singles[song.genre][now].mean() for _, now in pairs]))
        rows["markov_genre"].append(np.array([tables[song.genre][before, now].mean() for before, now in pairs]))
        rows["markov_pooled"].append(np.array([pooled[before, now].mean() for before, now in pairs]))
    measured = {name: by_genre(bits, known) for name, bits in rows.items()}
    return {genre: {name: measured[name][genre] for name in rows} for genre in sorted({song.genre for song in known})}


def conditioning_windows(song: Song) -> list[int]:
    """Which of the song's windows are scored under every genre: a few, spread over it."""
    count = min(CONDITIONING_WINDOWS, len(song.windows))
    return sorted(set(np.linspace(0, len(song.windows) - 1, count).round().astype(int).tolist()))


def context_starts(song: Song, songs: Sequence[Song]) -> int:
    """How many of `CONTEXT_STARTS` fall to this song."""
    return max(4, min(48, CONTEXT_STARTS // sum(other.genre == song.genre for other in songs)))


def predictions(songs: Sequence[Song], genres: int) -> int:
    """How many predictions `score` makes, for a progress bar."""
    own = sum(window.length for song in songs for window in song.windows)
    others = sum(song.windows[index].length for song in songs for index in conditioning_windows(song))
    return own + (genres - 1) * others


def score(
    network: scoring.Network,
    receptive_field: int,
    songs: Sequence[Song],
    genres: Sequence[str],
    *,
    silence: int = 128,
    done: Callable[[int], None] = lambda samples: None,
    workers: int = 1,
) -> Scores:
    """Score every song with one checkpoint's network, `workers` songs at a time.

    Each song is scored by one thread alone, so the figures do not depend on how many there are. `done` is called from
    these threads.
    """

    def one(song: Song) -> tuple[Floats, Floats, Floats]:
        torch.set_num_threads(1)
        genre, chosen = genres.index(song.genre), conditioning_windows(song)
        rest = [index for index in range(len(song.windows)) if index not in chosen]
        score_windows = partial(scoring.window_bits, network, receptive_field, song.codes, done=done)
        under = score_windows([song.windows[index] for index in chosen], list(range(len(genres))))
        own = np.zeros(len(song.windows))
        own[chosen] = under[genre]
        own[rest] = score_windows([song.windows[index] for index in rest], [genre])[0]
        starts = np.linspace(0, len(song.codes) - receptive_field - 1, context_starts(song, songs)).astype(int).tolist()
        context = scoring.context_bits(network, receptive_field, song.codes, starts, genre, silence)
        return own, under, context

    with ThreadPoolExecutor(workers) as pool:
        own, under, context = zip(*pool.map(one, songs), strict=True)
    return Scores(own, under, context)


def scored(songs: Sequence[Song], genre: str) -> dict[str, int]:
    """How many clips and samples of a genre are scored."""
    chosen = [song for song in songs if song.genre == genre]
    return {"clips": len(chosen), "samples": sum(window.length for song in chosen for window in song.windows)}


def bits_change(before: Scores, after: Scores, songs: Sequence[Song]) -> dict[str, Measure]:
    """Genre → change of bits per sample, sample by sample the same at both checkpoints."""
    return by_genre([b - a for a, b in zip(before.own, after.own, strict=True)], songs)


def context_rows(scores: Scores, songs: Sequence[Song], receptive_field: int) -> dict[str, tuple[ContextRange, ...]]:
    """Genre → bits at each range of context length."""
    edges = likelihood.position_edges(receptive_field)
    ranges = {}
    for genre in sorted({song.genre for song in songs}):
        rows = [row for row, song in zip(scores.context, songs, strict=True) if song.genre == genre]
        ranges[genre] = tuple(
            ContextRange(first=low, last=high, bits=_range(rows, column)) for column, (low, high) in enumerate(edges)
        )
    return ranges


def _range(rows: Sequence[Floats], column: int) -> Measure:
    if len(rows) == 1:
        return intervals.mean(rows[0][:, column], "bits", "windows")
    return intervals.mean([float(row[:, column].mean()) for row in rows], "bits", "songs")
