"""Made-up evaluations in the format of metrics/evaluate.json: random figures, verdicts by `src.evaluate`'s own rule."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.evaluate import catalogue, intervals
from src.evaluate.measure import Measure, wilson
from src.evaluate.schema import ALL, BITS, Change, Closed, Conditioning, ContextRange, Difference, Evaluation, SongBits

Floats = NDArray[np.float64]
GENRES = ("classical", "hardcore", "hip", "metal", "rock")
SOUND = ("frechet_logmel", "spectral_flatness", "rms", "onset_rate", "tempo_strength", "tonal_clarity", "drift_level")


def made(
    seed: int,
    steps: Sequence[int],
    genres: Sequence[str] = GENRES,
    *,
    songs: int = 4,
    clips: int = 10,
    learned: float = 1.0,
) -> Evaluation:
    """An evaluation of random figures. learned: how far towards music the last step is, by most."""
    rng = np.random.default_rng(seed)
    progress = {step: learned * math.log(step / steps[0] + 1) / math.log(steps[-1] / steps[0] + 1) for step in steps}
    linear = {genre: rng.uniform(2.5, 4.5, songs) for genre in genres}
    bits = {
        step: {genre: 8 - late * (8.3 - linear[genre]) + rng.normal(0, 0.1, songs) for genre in genres}
        for step, late in progress.items()
    }
    noise, real = (dict(zip(SOUND, rng.uniform(0.1, 0.9, len(SOUND)), strict=True)) for _ in range(2))
    own = {name: float(rng.choice([1.0, 1.0, 0.6, -0.3])) for name in SOUND}
    sound: dict[int, dict[str, dict[str, Floats]]] = {
        step: {
            genre: {
                name: noise[name] + own[name] * late * (real[name] - noise[name]) + rng.normal(0, 0.03, clips)
                for name in SOUND
            }
            for genre in genres
        }
        for step, late in progress.items()
    }
    gaps = {
        step: {
            genre: {name: np.abs(x - real[name]) for name, x in by_name.items()} for genre, by_name in by_genre.items()
        }
        for step, by_genre in sound.items()
    }
    blind = tuple(name for name in SOUND if abs(noise[name] - real[name]) < 0.1)
    pairs = dict.fromkeys(
        [*itertools.pairwise(steps), (steps[0], steps[-1]), (steps[min(1, len(steps) - 1)], steps[-1])]
    )
    return Evaluation(
        format=2,
        run=None,
        genres=tuple(genres),
        uniform=8.0,
        markov={genre: float(linear[genre].mean() + 1) for genre in genres},
        baselines={genre: {"linear": mean(linear[genre], "bits", "songs")} for genre in genres},
        songs={
            genre: tuple(
                SongBits(
                    samples=1000,
                    unigram=7.0,
                    markov=float(linear[genre][song] + 1),
                    linear=float(linear[genre][song]),
                    network={step: float(bits[step][genre][song]) for step in steps},
                )
                for song in range(songs)
            )
            for genre in genres
        },
        against={
            step: {
                "linear": differences({g: bits[step][g] - linear[g] for g in genres}),
                "markov": differences({g: bits[step][g] - linear[g] - 1 for g in genres}),
                "uniform": differences({g: bits[step][g] - 8 for g in genres}),
            }
            for step in steps
        },
        steps={
            step: {
                genre: {
                    BITS: mean(bits[step][genre], "bits", "songs"),
                    **{name: mean(x, catalogue.UNITS[name], "clips") for name, x in sound[step][genre].items()},
                }
                for genre in genres
            }
            for step in steps
        },
        references={
            "real": {genre: {name: mean(np.full(4, real[name]), "", "songs") for name in SOUND} for genre in genres},
            "white_noise": {
                genre: {name: mean(np.full(4, noise[name]), "", "clips") for name in SOUND} for genre in genres
            },
        },
        closed={
            step: {
                genre: {
                    name: closed(sound[step], genre, noise[name], real[name], name)
                    for name in SOUND
                    if name not in blind
                }
                for genre in (ALL, *genres)
            }
            for step in steps
        },
        blind=dict.fromkeys(genres, blind) if blind else {},
        conditioning={step: told(rng, genres, songs) for step in steps},
        context={
            step: {
                genre: tuple(
                    ContextRange(
                        first=2**k, last=2 ** (k + 1) - 1, bits=Measure(7.5 - 0.4 * k * late, "bits", songs, "songs")
                    )
                    for k in range(10)
                )
                for genre in genres
            }
            for step, late in progress.items()
        },
        progress=tuple(change for pair in pairs for change in changes(bits, gaps, *pair)),
    )


def mean(values: Floats, unit: str, over: Any) -> Measure:
    """The mean with its interval, from three units on."""
    x = np.asarray(values, np.float64)
    half = 1.96 * float(x.std(ddof=1)) / math.sqrt(len(x)) if len(x) > 2 else None
    value = float(x.mean())
    return Measure(value, unit, len(x), over, *((None, None) if half is None else (value - half, value + half)))


def differences(by_genre: Mapping[str, Floats]) -> dict[str, Difference]:
    """Genre → difference, and that of all songs; fewer bits are better."""
    values = {**by_genre, ALL: np.concatenate(list(by_genre.values()))}
    return intervals.differences(dict(values), -1, "bits")


def changes(bits: Any, gaps: Any, start: int, end: int) -> list[Change]:
    """Changes of the bits, and of the distances from real music, judged apart."""
    rows = []
    families = {BITS: {g: bits[end][g] - bits[start][g] for g in bits[end]}}
    for name in SOUND:
        families[name] = {g: gaps[end][g][name] - gaps[start][g][name] for g in gaps[end]}
    for name, by_genre in families.items():
        for genre, row in differences(by_genre).items():
            rows.append(
                Change(
                    measure=name, genre=genre, from_step=start, to_step=end, change=row.difference, verdict=row.verdict
                )
            )
    return rows


def closed(sound: Any, genre: str, noise: float, real: float, name: str) -> Closed:
    """The share of the way from noise to real music."""
    genres = list(sound) if genre == ALL else [genre]
    way = np.array([(float(sound[each][name].mean()) - noise) / (real - noise) for each in genres])
    share = float(np.clip(1 - np.abs(1 - way), 0, 1).mean())
    side = None if genre == ALL else "wrong way" if way[0] < 0 else "beyond" if way[0] > 1.05 else "short"
    return Closed(share=Measure(share, "share", len(genres), "genres"), side=side)


def told(rng: np.random.Generator, genres: Sequence[str], songs: int) -> Conditioning:
    """Genres told apart, mostly."""
    right = [int(rng.integers(songs // 2, songs + 1)) for _ in genres]
    table = tuple(
        tuple(right[row] if row == column else (songs - right[row] if column == (row + 1) % len(genres) else 0)
              for column in range(len(genres)))
        for row in range(len(genres))
    )  # fmt: skip
    return Conditioning(
        genres=tuple(genres), confusion=table, undecided=0, accuracy=wilson(sum(right), songs * len(genres), "songs"),
        chance=1 / len(genres), gain=differences({genre: rng.normal(-0.1, 0.1, songs) for genre in genres}),
    )  # fmt: skip
