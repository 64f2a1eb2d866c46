"""Made-up evaluations: random figures of songs and clips, put together by `src.evaluate` itself."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.evaluate.heldout import Scores, Song
from src.evaluate.likelihood import Window, position_edges
from src.evaluate.result import Results, report
from src.evaluate.schema import Copying, Detection, Evaluation, Found

GENRES = ("classical", "hardcore", "hip", "metal", "rock")
SOUND = ("frechet_logmel", "spectral_flatness", "rms", "onset_rate", "tempo_strength", "tonal_clarity", "drift_level")
RECEPTIVE_FIELD = 64


def made(
    seed: int,
    steps: Sequence[int],
    genres: Sequence[str] = GENRES,
    *,
    songs: int = 4,
    clips: int = 10,
    learned: float = 1.0,
    shares: Sequence[float] = (1, 1, 1, 1, 1),
) -> Evaluation:
    """songs, clips: of each genre. learned: how far towards music the last step is; may be below 0.

    shares: of that way, how much the sound of each genre goes.
    """
    rng = np.random.default_rng(seed)
    way = {step: learned * math.log(step / steps[0] + 1) / math.log(steps[-1] / steps[0] + 1) for step in steps}
    held_out, training = ([song(genre) for genre in genres for _ in range(songs)] for _ in range(2))
    linear = rng.uniform(2.5, 4.5, len(held_out))
    results = Results(
        run=None,
        genres=tuple(genres),
        uniform=8.0,
        songs=tuple(held_out),
        training=tuple(training),
        baselines={"linear": linear, "unigram": linear + 3, "markov_genre": linear + 1, "markov_pooled": linear + 1.1},
        linear_training=rng.uniform(2.5, 4.5, len(training)),
        receptive_fields=dict.fromkeys(steps, RECEPTIVE_FIELD),
    )
    for step in steps:
        own = 8 - way[step] * (8.3 - linear) + rng.normal(0, 0.1, len(held_out))
        results.scores[step] = scores(rng, own, 8 - way[step] * (8.4 - results.linear_training), genres, songs)
    noise, real = (rng.uniform(0.1, 0.9, len(SOUND)) for _ in range(2))
    noise[0], real[0] = 0.95, 0.2  # of a distance
    speed = rng.choice([1.0, 1.0, 0.6, -0.3], len(SOUND))
    for step in steps:
        results.values[step] = {
            genre: values(rng, noise + share * speed * way[step] * (real - noise), clips)
            for genre, share in zip(genres, shares, strict=False)
        }
        results.copying[step] = {genre: copying(bool(rng.integers(8) == 0)) for genre in genres}
    results.references["real"] = {genre: values(rng, real, songs) for genre in genres}
    results.references["white_noise"] = {genre: values(rng, noise, clips) for genre in genres}
    results.spreads = {genre: dict.fromkeys(SOUND, 0.05) for genre in genres}
    found = (Found(at=10.0, share=1.0), Found(at=40.0, share=0.2))
    results.detection = Detection(
        duration_s=3.0, planted=20, level_db=found, noise_db=found, speed_percent=found,
        lowest_level_db=10.0, lowest_noise_db=None, highest_speed_percent=2.0,
    )  # fmt: skip
    return report(results)


def song(genre: str) -> Song:
    """Nothing of a song but its genre and its windows."""
    return Song(genre, np.zeros(2000, np.int64), (Window(RECEPTIVE_FIELD, 1000),))


def values(rng: np.random.Generator, means: NDArray[np.float64], units: int) -> dict[str, NDArray[np.float64]]:
    """Measure → (units,) values around its mean."""
    return {name: mean + rng.normal(0, 0.03, units) for name, mean in zip(SOUND, means, strict=True)}


def scores(
    rng: np.random.Generator,
    own: NDArray[np.float64],
    training: NDArray[np.float64],
    genres: Sequence[str],
    songs: int,
) -> Scores:
    """One checkpoint's; own: (songs,) bits."""
    truth = np.repeat(np.arange(len(genres)), songs)
    under = own[:, None] + rng.normal(0.1, 0.1, (len(own), len(genres)))
    under[np.arange(len(own)), truth] = own
    counted = np.stack([own * 900, own * (900 + rng.normal(0, 60)), np.full(len(own), 900.0)], axis=1)[:, None, :]
    ranges = len(position_edges(RECEPTIVE_FIELD))
    context = tuple(np.linspace(7.5, bits, ranges)[None, :] for bits in own)
    return Scores(own, training, under, counted, context)


def copying(beyond: bool) -> Copying:
    """A genre's longest match."""
    return Copying(
        longest_s=2.5 if beyond else 1.2, clip=1, start_s=0.5, song_genre=None, songs_searched=20,
        held_out_pieces=30, held_out_longest_s=1.5, held_out_as_long=0.0 if beyond else 0.4, beyond_held_out=beyond,
    )  # fmt: skip
