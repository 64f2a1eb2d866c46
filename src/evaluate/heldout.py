"""How well the networks and the baselines predict songs that they were not trained on.

In: songs as codes with the windows to score, Markov counts, a network. Out: scores of every song; what follows from
them is in songwise.py.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from src.evaluate import likelihood, linear
from src.evaluate.likelihood import Codes, Floats, Window
from src.evaluate.schema import ALL

CONDITIONING_WINDOWS = 3
"""Windows of each song that are scored under the other genres too; the cost grows with genres × this."""
CONTEXT_STARTS = 96
"""Samples of a genre's songs from which the length of context is grown (48 of one song at most, 4 at least)."""
BINS = 8
"""Of the calibration curve: even steps of entropy from 0 to that of guessing."""
MARKOV = ("markov_genre", "markov_pooled")


@dataclass(frozen=True)
class Song:
    """A song: its genre, its codes (time,) and the windows of it that are scored (all with real context)."""

    genre: str
    codes: Codes
    windows: tuple[Window, ...]

    @property
    def samples(self) -> int:
        """How many samples are scored."""
        return sum(window.length for window in self.windows)

    @property
    def parts(self) -> tuple[list[Window], list[Window]]:
        """A few of the windows, spread over the song, that are scored under every genre; and the rest."""
        count = min(CONDITIONING_WINDOWS, len(self.windows))
        chosen = set(np.linspace(0, len(self.windows) - 1, count).round().astype(int).tolist())
        few, rest = ([w for k, w in enumerate(self.windows) if (k in chosen) == wanted] for wanted in (True, False))
        return few, rest


@dataclass(frozen=True)
class Scores:
    """One checkpoint's scores, songs in their order."""

    own: Floats
    """(songs,) mean bits under the song's own genre."""
    training: Floats
    """(training songs,) the same of training songs."""
    genres: Floats
    """(songs, genres) mean bits of the chosen windows under every genre."""
    calibration: NDArray[np.float64]
    """(songs, bins, 3) predictions of the chosen windows by their entropy: sums of entropy and cost, and how many."""
    context: tuple[Floats, ...]
    """For each song (starts, ranges) bits by length of context."""


def by_genre(songs: Sequence[Song]) -> dict[str, NDArray[np.bool_]]:
    """Genre → which songs are of it, (songs,); then `ALL`."""
    genres = np.array([song.genre for song in songs])
    return {genre: genres == genre for genre in sorted(set(genres.tolist()))} | {ALL: np.ones(len(songs), np.bool_)}


def score_baselines(
    counts: Mapping[str, Codes], songs: Sequence[Song], context: int, workers: int = 1
) -> dict[str, Floats]:
    """Baseline → (songs,) mean bits per sample, on exactly the samples that the networks are scored on.

    counts: genre → (Q, Q) pair counts of its training clips; NaN where a song's genre has none. context: samples that
    the linear predictor may look back, the network's receptive field.
    """
    channels = len(next(iter(counts.values())))
    pooled = likelihood.markov_bits(np.sum(list(counts.values()), axis=0))
    tables = {genre: likelihood.markov_bits(table) for genre, table in counts.items()}
    singles = {genre: likelihood.unigram_bits(table) for genre, table in counts.items()}
    rows = {name: np.full(len(songs), np.nan) for name in ("unigram", *MARKOV)}
    for index, song in enumerate(songs):
        places = np.concatenate([np.arange(w.start, w.start + w.length) for w in song.windows])
        before, now = song.codes[places - 1], song.codes[places]
        rows["markov_pooled"][index] = pooled[before, now].mean()
        if song.genre in counts:
            rows["unigram"][index] = singles[song.genre][now].mean()
            rows["markov_genre"][index] = tables[song.genre][before, now].mean()
    return rows | {"linear": score_linear(songs, context, channels, workers)}


def score_linear(songs: Sequence[Song], context: int, channels: int, workers: int = 1) -> Floats:
    """(songs,) mean bits per sample of the adaptive linear predictor, `workers` songs at a time."""
    with ThreadPoolExecutor(workers) as pool:
        return np.array(
            list(pool.map(lambda song: linear.mean_bits(song.codes, song.windows, context, channels), songs))
        )


def stronger_markov(baselines: Mapping[str, Floats], songs: Sequence[Song]) -> Floats:
    """(songs,) bits of the Markov model, of the genre or pooled, that is better over the song's genre."""
    best = np.full(len(songs), np.nan)
    for genre, mask in by_genre(songs).items():
        if genre != ALL:
            best[mask] = min(
                (baselines[name][mask] for name in MARKOV), key=lambda row: np.nan_to_num(row.mean(), nan=99)
            )
    return best


def predictions(songs: Sequence[Song], training: Sequence[Song], genres: int) -> int:
    """How many predictions `score` makes, for a progress bar."""
    others = sum(window.length for song in songs for window in song.parts[0])
    return sum(song.samples for song in (*songs, *training)) + (genres - 1) * others


def score(
    network: likelihood.Network,
    receptive_field: int,
    songs: Sequence[Song],
    genres: Sequence[str],
    *,
    training: Sequence[Song] = (),
    channels: int = 256,
    silence: int = 128,
    done: Callable[[int], None] = lambda samples: None,
    workers: int = 1,
) -> Scores:
    """Score every song with one checkpoint's network, `workers` songs at a time.

    Each song is scored by one thread alone, so the figures do not depend on how many there are. `done` is called from
    these threads.
    """

    def mean_bits(song: Song) -> float:
        torch.set_num_threads(1)
        genre = genres.index(song.genre)
        return float(likelihood.window_bits(network, receptive_field, song.codes, song.windows, genre, done).mean())

    def every(song: Song) -> tuple[float, Floats, Floats, Floats]:
        torch.set_num_threads(1)
        mine, (few, rest) = genres.index(song.genre), song.parts
        cost, entropy = likelihood.window_entropies(network, receptive_field, song.codes, few, mine, done)
        others = likelihood.window_bits(network, receptive_field, song.codes, rest, mine, done)
        under = [
            cost.mean()
            if genre == mine
            else likelihood.window_bits(network, receptive_field, song.codes, few, genre, done).mean()
            for genre in range(len(genres))
        ]
        count = max(4, min(48, CONTEXT_STARTS // sum(other.genre == song.genre for other in songs)))
        starts = np.linspace(0, len(song.codes) - receptive_field - 1, count).astype(int).tolist()
        context = likelihood.context_bits(network, receptive_field, song.codes, starts, mine, silence)
        own = float(np.concatenate([cost, others]).mean())
        return own, np.array(under), binned(entropy, cost, channels), context

    with ThreadPoolExecutor(workers) as pool:
        own, under, calibration, context = zip(*pool.map(every, songs), strict=True)
        inside = list(pool.map(mean_bits, training))
    return Scores(np.array(own), np.array(inside), np.array(under), np.array(calibration), context)


def binned(entropies: Floats, costs: Floats, channels: int) -> Floats:
    """(bins, 3) sums of entropy and cost and the count of the predictions in each step of entropy."""
    place = np.minimum((entropies / np.log2(channels) * BINS).astype(int), BINS - 1)
    return np.stack([np.bincount(place, each, BINS) for each in (entropies, costs, np.ones(len(place)))], axis=1)
