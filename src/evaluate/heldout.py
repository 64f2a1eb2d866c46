"""How well the networks and the baselines predict songs that they were not trained on.

In: songs as codes with the windows to score, Markov counts, a network. Out: scores of every song; what follows from
them is in songwise.py.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from src.base.share import Share
from src.evaluate import likelihood, linear
from src.evaluate.likelihood import Codes, Floats, Window
from src.evaluate.schema import ALL
from src.wavenet.cpu.fused import FusedLoss
from src.wavenet.network import WaveNet, own_thread

CONDITIONING_WINDOWS = 3
"""Windows of each song that are scored under the other genres too; the cost grows with genres × this."""
CONTEXT_STARTS = 96
"""Samples of a genre's songs from which the length of context is grown (48 of one song at most, 4 at least)."""
BINS = 8
"""Of the calibration curve: even steps of entropy from 0 to that of guessing."""
MARKOV = ("markov_genre", "markov_pooled")

TotalBits = Callable[[Codes, int], float]
"""Codes (receptive field + n,) and a genre's id → the bits of the last n codes together."""


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
    counts: Mapping[str, Codes], songs: Sequence[Song], context: int, workers: int = 1, share: Share = Share()
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
    return rows | {"linear": score_linear(songs, context, channels, workers, share)}


def score_linear(
    songs: Sequence[Song], context: int, channels: int, workers: int = 1, share: Share = Share()
) -> Floats:
    """(songs,) mean bits per sample of the adaptive linear predictor, `workers` songs at a time."""

    def mean_bits(song: Song) -> float:
        return linear.mean_bits(song.codes, song.windows, context, channels)

    with ThreadPoolExecutor(workers) as pool:
        return np.array(share.gather(list(pool.map(mean_bits, share.mine(songs)))))


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
    total_bits: TotalBits | None = None,
    share: Share = Share(),
) -> Scores:
    """Score every song with one checkpoint's network, `workers` songs at a time in each of the processes.

    Each song is scored by one thread alone, so the figures do not depend on how many there are. `done` and `total_bits`
    are called from these threads. total_bits: the same network's, where there is a faster way to the sum alone.
    """

    def mean_bits(song: Song, windows: Sequence[Window], genre: int) -> float:
        if total_bits is None:
            bits = likelihood.window_bits(network, receptive_field, song.codes, windows, genre, done)
            return float(bits.sum()) / len(bits)
        total = 0.0
        for window in windows:
            total += total_bits(song.codes[window.start - receptive_field : window.start + window.length], genre)
            done(window.length)
        return total / sum(window.length for window in windows)

    def training_bits(song: Song) -> float:
        return mean_bits(song, song.windows, genres.index(song.genre))

    def every(song: Song) -> tuple[float, Floats, Floats, Floats]:
        mine, (few, rest) = genres.index(song.genre), song.parts
        cost, entropy = likelihood.window_entropies(network, receptive_field, song.codes, few, mine, done)
        under = [cost.mean() if genre == mine else mean_bits(song, few, genre) for genre in range(len(genres))]
        count = max(4, min(48, CONTEXT_STARTS // sum(other.genre == song.genre for other in songs)))
        starts = np.linspace(0, len(song.codes) - receptive_field - 1, count).astype(int).tolist()
        context = likelihood.context_bits(network, receptive_field, song.codes, starts, mine, silence)
        others = mean_bits(song, rest, mine) * (song.samples - len(cost)) if rest else 0.0
        own = (float(cost.sum()) + others) / song.samples
        return own, np.array(under), binned(entropy, cost, channels), context

    with ThreadPoolExecutor(workers, initializer=own_thread) as pool:
        rows, inside = pool.map(every, share.mine(songs)), pool.map(training_bits, share.mine(training))
        own, under, calibration, context = zip(*share.gather(list(rows)), strict=True)
        seen = share.gather(list(inside))
    return Scores(np.array(own), np.array(seen), np.array(under), np.array(calibration), context)


def fused_bits(model: WaveNet) -> TotalBits:
    """Bits by the compiled loops of training, on a CPU: a third of the time, the same to 1e-7 of their value."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    here = threading.local()

    def total_bits(codes: Codes, genre: int) -> float:
        if not hasattr(here, "loss"):  # its buffers are one thread's
            here.loss = FusedLoss(model.config, threads=1)
        nats = here.loss.loss(parameters, torch.from_numpy(codes.astype(np.int64))[None], torch.tensor([genre]))
        return float(nats) / math.log(2) * (len(codes) - model.config.receptive_field)

    return total_bits


def binned(entropies: Floats, costs: Floats, channels: int) -> Floats:
    """(bins, 3) sums of entropy and cost and the count of the predictions in each step of entropy."""
    place = np.minimum((entropies / np.log2(channels) * BINS).astype(int), BINS - 1)
    return np.stack([np.bincount(place, each, BINS) for each in (entropies, costs, np.ones(len(place)))], axis=1)
