"""Songs, generations and noise as pieces of one length, measured alike, because several figures depend on the length.

In: audio (time,) and its rate in Hz. Out: for each set of sounds (a genre's generations at a step, its held-out songs,
noise …) the values of its independent units: one for each clip of a generation, one for each song of a reference.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from src.audio.fingerprint import Words
from src.evaluate import copying, distances, sound
from src.evaluate.copying import Match, Planted
from src.evaluate.embedding import LOG_MEL, Embedding, Points
from src.evaluate.intervals import LEAST_UNITS, Floats, finite
from src.evaluate.likelihood import Codes
from src.evaluate.schema import Detection
from src.evaluate.spectra import Audio
from src.wavenet import mulaw

TRAINING_PIECES = 20
"""Pieces of a genre's training songs that make its cloud of points."""
FEWEST_PIECES = 8
"""Pieces of each reference where fewer clips are generated."""

Values = dict[str, Floats]
"""Measure → (units,) values; NaN where a unit does not have it."""


@dataclass(frozen=True)
class Piece:
    """What is kept of a stretch of sound of a generation's length."""

    values: Mapping[str, float]
    points: Mapping[str, Points]
    words: Words


Units = Sequence[Sequence[Piece]]
"""Pieces by the independent unit they are of: clips have one each, songs some."""


@dataclass(frozen=True)
class MeasuredSong:
    """What is kept of a song."""

    genre: str
    training: bool
    pieces: tuple[Piece, ...]
    words: Words
    """Of the whole song."""
    planted: Planted | None
    """A stretch of it to try the search for copies with."""


@dataclass(frozen=True)
class Method:
    """How sounds are measured: rate, codes, embeddings."""

    rate_hz: int
    channels: int
    embeddings: tuple[Embedding, ...] = (LOG_MEL,)

    def encode(self, audio: Audio) -> Codes:
        """Mu-law codes (time,) int64."""
        return mulaw.encode(audio, self.channels)

    def piece(self, audio: Audio) -> Piece:
        """Measure one stretch of sound."""
        return Piece(
            sound.measure(audio, self.rate_hz, self.encode(audio)),
            {embedding.name: embedding.embed(audio, self.rate_hz) for embedding in self.embeddings},
            copying.words_of(audio, self.rate_hz),
        )

    def song(
        self, audio: Audio, genre: str, *, training: bool, length: int, pieces: int, plant: bool = False
    ) -> MeasuredSong:
        """Measure a song and some pieces of `length` samples, spread over it. plant: keep a stretch to plant."""
        words = copying.words_of(audio, self.rate_hz)
        start, stretch = len(audio) // 3, round(copying.PLANTED_S * self.rate_hz)
        planted = None
        if plant and len(audio) >= start + stretch:
            planted = Planted(audio[start : start + stretch], start / self.rate_hz, words)
        parts = tuple(self.piece(part) for part in cut(audio, length, pieces))
        return MeasuredSong(genre, training, parts, words, planted)

    def noise(self, length: int, count: int) -> list[Piece]:
        """Noise of evenly drawn codes, as an untrained network would emit: the floor."""
        rng = np.random.default_rng(0)
        return [self.piece(mulaw.decode(rng.integers(0, self.channels, length), self.channels)) for _ in range(count)]


def cut(audio: Audio, length: int, pieces: int) -> list[Audio]:
    """At most `pieces` stretches of `length` samples that do not overlap, spread over the audio."""
    count = min(pieces, len(audio) // length) if length else 0
    starts = np.linspace(0, len(audio) - length, count).astype(int) if count > 1 else [0] * count
    return [audio[start : start + length] for start in starts]


def shares(songs: Sequence[tuple[str, bool]], clips: int) -> list[int]:
    """How many pieces are measured of each song, so that every genre's references have equally many.

    songs: (genre, whether it is of the training part). clips: generated for each genre and step.
    """
    totals = {True: TRAINING_PIECES, False: clips if clips >= LEAST_UNITS else FEWEST_PIECES}
    members: dict[tuple[str, bool], list[int]] = {}
    for index, song in enumerate(songs):
        members.setdefault(song, []).append(index)
    counts = [0] * len(songs)
    for (_, training), indices in members.items():
        for number in range(totals[training]):
            counts[indices[number % len(indices)]] += 1
    return counts


@dataclass(frozen=True)
class Library:
    """The measured songs that generations are compared with."""

    songs: tuple[MeasuredSong, ...]
    method: Method
    matches: dict[str, list[list[float]]] = field(default_factory=dict)
    """Genre → what `held_out_matches` found before."""

    def of(self, genre: str | None = None, *, training: bool | None = None, but: str | None = None) -> Units:
        """The pieces of songs, by song. None: of both parts, or of every genre. but: not of this genre."""
        return [
            song.pieces
            for song in self.songs
            if genre in (None, song.genre) and training in (None, song.training) and song.genre != but and song.pieces
        ]

    @property
    def genres(self) -> list[str]:
        """Those of its training songs."""
        return sorted({song.genre for song in self.songs if song.training})

    @cached_property
    def searched(self) -> list[tuple[str, Words]]:
        """Genre and fingerprint of each training song."""
        return [(song.genre, song.words) for song in self.songs if song.training]

    @cached_property
    def targets(self) -> dict[tuple[str, str], distances.Target]:
        """(embedding, genre) → its training songs as points; left out where they give fewer than two."""
        targets: dict[tuple[str, str], distances.Target] = {}
        for name in (embedding.name for embedding in self.method.embeddings):
            clouds = {genre: pooled(self.of(genre, training=True), name) for genre in self.genres}
            clouds = {genre: cloud for genre, cloud in clouds.items() if len(cloud[0]) > distances.NEIGHBOURS}
            if clouds:
                axes = distances.principal_axes(np.concatenate([points for points, _ in clouds.values()]))
                targets |= {(name, genre): distances.Target(*cloud, axes) for genre, cloud in clouds.items()}
        return targets

    def references(self, noise: Sequence[Piece]) -> dict[str, dict[str, Values]]:
        """Reference → genre → values. The distances of training songs would be from themselves: they have none."""
        rows: dict[str, dict[str, Values]] = {}
        for genre in self.genres:
            held_out = self.of(genre, training=False)
            others = self.of(but=genre)
            size = sum(map(len, held_out)) or FEWEST_PIECES
            groups: dict[str, Units] = {
                "real": held_out,
                "other_genres": [others[k][:1] for k in spread(len(others), size)],
                "white_noise": [[piece] for piece in noise],
            }
            for name, units in groups.items():
                if units:
                    rows.setdefault(name, {})[genre] = sounds(units) | self.distances(units, genre)[0]
            rows.setdefault("training", {})[genre] = sounds(self.of(genre, training=True))
            if held_out:
                matched = [np.mean(durations) for durations in self.held_out_matches(genre)]
                rows["real"][genre]["longest_match"] = np.array(matched)
        return rows

    def distances(self, units: Units, genre: str) -> tuple[Values, dict[str, str]]:
        """Measure → (units,) values in every embedding; measure → why there are none."""
        values: Values = {}
        why: dict[str, str] = {}
        for name in (embedding.name for embedding in self.method.embeddings):
            points, groups = pooled(units, name)
            target = self.targets.get((name, genre))
            names = [f"{each}_{name}" for each in distances.NAMES]
            if target is None:
                why |= dict.fromkeys(names, "There are too few training songs of this genre to compare with.")
            elif len(units) < LEAST_UNITS and len(points) <= distances.NEIGHBOURS:
                why |= dict.fromkeys(names, "One or two short clips are no cloud: raise generate.clips_per_genre.")
            elif len(points) < 2:
                why |= dict.fromkeys(names, "The clips are shorter than a window of the embedding.")
            else:
                values |= {f"{each}_{name}": row for each, row in target.compare(points, groups).items()}
        return values, why

    def match(self, piece: Piece) -> tuple[Match, str | None]:
        """The longest match of a piece with any training song, and that song's genre."""
        return copying.closest(piece.words, self.searched)

    def held_out_matches(self, genre: str) -> list[list[float]]:
        """Of each held-out song of a genre, the longest match of each of its pieces in s. None of them is a copy."""
        if genre not in self.matches:
            songs = self.of(genre, training=False)
            self.matches[genre] = [[self.match(piece)[0].duration_s for piece in song] for song in songs]
        return self.matches[genre]

    def detection(self) -> Detection | None:
        """What the search for copies can find; None where no song is long enough to plant."""
        planted = [song.planted for song in self.songs if song.planted is not None]

        def coded(audio: Audio) -> Audio:
            return mulaw.decode(self.method.encode(audio), self.method.channels)

        return copying.detection(planted, self.method.rate_hz, coded) if planted else None


def pooled(units: Units, embedding: str) -> tuple[Points, distances.Units]:
    """The points (windows, dims) of all pieces, and which unit each is of."""
    rows = [piece.points[embedding] for unit in units for piece in unit]
    groups = [np.full(len(piece.points[embedding]), k) for k, unit in enumerate(units) for piece in unit]
    return (np.concatenate(rows), np.concatenate(groups)) if rows else (np.zeros((0, 1)), np.zeros(0, np.int64))


def sounds(units: Units) -> Values:
    """Measure → (units,) mean over each unit's pieces; NaN where none of them has it."""
    names = dict.fromkeys(name for unit in units for piece in unit for name in piece.values)
    values = {}
    for name in names:
        known = [[x for piece in unit if math.isfinite(x := piece.values[name])] for unit in units]
        values[name] = np.array([np.mean(row) if row else math.nan for row in known])
    return values


def spreads(units: Units) -> dict[str, float]:
    """Measure → standard deviation over all pieces; left out where fewer than three have it."""
    rows = sounds([[piece] for unit in units for piece in unit])
    known = {name: finite(row) for name, row in rows.items()}
    return {name: float(row.std(ddof=1)) for name, row in known.items() if len(row) >= LEAST_UNITS}


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` indices, evenly spread."""
    return sorted({number * count // min(count, most) for number in range(min(count, most))})
