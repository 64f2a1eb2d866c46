"""Sounds beside each other: what a generation measures, and what the real and the worthless measure in the same way.

In: audio (time,) of generations and songs, their rate. Out: the `measures` of metrics/evaluate.json. References are cut
into pieces of a generation's length, because several figures depend on the length.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from src.evaluate import catalogue, copying, embedding, frechet, intervals, sound
from src.evaluate.embedding import Points
from src.evaluate.intervals import Measure
from src.evaluate.likelihood import Codes
from src.evaluate.spectra import Audio

HELD_OUT_PIECES = 6
TRAINING_PIECES = 2
NOISE_PIECES = 6

Embed = Callable[[Audio, int, float], Points]
"""(audio, rate in Hz, hop in s) → points (windows, dims)."""


@dataclass(frozen=True)
class Embedding:
    """A way to turn audio into points."""

    name: str
    """`logmel` gives the measures frechet_logmel and distance_logmel."""
    embed: Embed
    hop_s: float
    """Hop in generations and pieces, which are short: windows overlap."""
    song_hop_s: float
    """Hop in whole songs: windows do not overlap."""
    together: int
    """So many overlapping windows are resampled together."""
    pieces: int = HELD_OUT_PIECES
    """Pieces of a held-out song that are embedded (of training songs none where this is less than all)."""
    axes: int | None = None
    """Keep the first principal axes of the training songs: a covariance of 200 dimensions needs more windows."""


LOG_MEL = Embedding(
    "logmel", embedding.log_mel_statistics, embedding.HOP_S, embedding.WINDOW_S, embedding.WINDOWS_TOGETHER
)


def trained(embed: Embed) -> Embedding:
    """musicnn: 3 s patches, ten seconds apart in songs; costly, so one piece of each held-out song."""
    return Embedding("musicnn", embed, hop_s=0.32, song_hop_s=10.0, together=9, pieces=1, axes=16)


@dataclass(frozen=True)
class Piece:
    """What is kept of a stretch of sound of a generation's length."""

    values: Mapping[str, float]
    points: Mapping[str, Points]
    fingerprint: copying.Fingerprint


@dataclass(frozen=True)
class RealSong:
    """What is kept of a song; `points` are of the whole song."""

    genre: str
    pieces: tuple[Piece, ...]
    points: Mapping[str, Points]
    fingerprint: copying.Fingerprint


@dataclass(frozen=True)
class Room:
    """How sounds are measured here: rate, encoding, embeddings."""

    rate_hz: int
    encode: Callable[[Audio], Codes]
    embeddings: tuple[Embedding, ...] = (LOG_MEL,)

    def piece(self, audio: Audio, number: int = 0) -> Piece:
        """Measure one stretch of sound; the `number`-th of its kind (costly embeddings take only the first)."""
        return Piece(
            sound.measure(audio, self.rate_hz, self.encode(audio)),
            {e.name: e.embed(audio, self.rate_hz, e.hop_s) for e in self.embeddings if number < e.pieces},
            copying.fingerprint(audio, self.rate_hz),
        )

    def song(self, audio: Audio, genre: str, length: int, pieces: int, first: int = 0) -> RealSong:
        """Measure a song and some pieces of `length` samples, spread over it, numbered from `first`."""
        return RealSong(
            genre,
            tuple(self.piece(part, first + number) for number, part in enumerate(cut(audio, length, pieces))),
            {e.name: e.embed(audio, self.rate_hz, e.song_hop_s) for e in self.embeddings},
            copying.fingerprint(audio, self.rate_hz),
        )


def cut(audio: Audio, length: int, pieces: int) -> list[Audio]:
    """At most `pieces` stretches of `length` samples that do not overlap, spread over the audio."""
    count = min(pieces, len(audio) // length) if length else 0
    starts = np.linspace(0, len(audio) - length, count).astype(int) if count > 1 else [0] * count
    return [audio[start : start + length] for start in starts]


@dataclass(frozen=True)
class Library:
    """The songs that generations are compared with."""

    training: tuple[RealSong, ...]
    held_out: tuple[RealSong, ...]
    axes: Mapping[str, Points] = field(init=False)
    """Embedding → (dims, kept axes) that its points are projected on."""
    clouds: Mapping[str, Mapping[str, frechet.Cloud]] = field(init=False)
    """Embedding → genre → the genre's training songs as a Gaussian, in these axes."""

    @classmethod
    def of(cls, training: Sequence[RealSong], held_out: Sequence[RealSong], room: Room) -> "Library":
        """The library of these songs."""
        library = cls(tuple(training), tuple(held_out))
        axes, clouds = {}, {}
        for way in room.embeddings:
            points = {
                g: [s.points[way.name] for s in training if s.genre == g] for g in sorted({s.genre for s in training})
            }
            joined = {genre: np.concatenate(rows) for genre, rows in points.items()}
            usable = {genre: rows for genre, rows in joined.items() if len(rows) >= 2}
            if usable:
                axes[way.name] = frechet.principal_axes(np.concatenate(list(usable.values())), way.axes)
                clouds[way.name] = {g: frechet.Cloud.fit(rows @ axes[way.name]) for g, rows in usable.items()}
        object.__setattr__(library, "axes", axes)
        object.__setattr__(library, "clouds", clouds)
        return library

    def closest(self, heard: copying.Fingerprint) -> tuple[copying.Match, str | None]:
        """The longest match with any training song, and that song's genre."""
        best, genre = copying.Match(0.0, 0.0, 0.0), None
        for song in self.training:
            match = copying.longest_match(heard, song.fingerprint)
            if match.duration_s > best.duration_s:
                best, genre = match, song.genre
        return best, genre

    def null(self) -> dict[str, list[list[float]]]:
        """Genre → each held-out song → the longest match of each of its pieces, in seconds: what no copying gives."""
        found: dict[str, list[list[float]]] = {}
        for song in self.held_out:
            matches = [self.closest(piece.fingerprint)[0].duration_s for piece in song.pieces]
            found.setdefault(song.genre, []).append(matches)
        return found


class Collector:
    """Takes songs one after the other and becomes a `Library` with its references."""

    def __init__(self, room: Room, length: int, most: int) -> None:
        """length: samples of a piece. most: songs of a genre and split of which pieces are measured."""
        self._room, self._length, self._most = room, length, most
        self._training: list[RealSong] = []
        self._held_out: list[RealSong] = []
        self._shuffled: dict[str, list[list[Piece]]] = {}
        self._claimed: dict[tuple[str, bool], int] = {}

    def claim(self, genre: str, *, training: bool) -> bool:
        """Whether pieces of the next song of this genre and split are wanted; counts it."""
        count = self._claimed.get((genre, training), 0)
        self._claimed[genre, training] = count + 1
        return count < self._most

    def describe(self, audio: Audio, genre: str, *, training: bool, wanted: bool) -> tuple[RealSong, list[Piece]]:
        """Measure one song, and pieces of it in random order of samples. Safe to call from several threads."""
        pieces = (TRAINING_PIECES if training else HELD_OUT_PIECES) if wanted else 0
        song = self._room.song(audio, genre, self._length, pieces, 1 if training else 0)
        parts = shuffled(cut(audio, self._length, TRAINING_PIECES)) if wanted and not training else []
        return song, [self._room.piece(part, number) for number, part in enumerate(parts)]

    def add(self, song: RealSong, mixed: list[Piece], *, training: bool) -> None:
        """Take a song that `describe` measured."""
        (self._training if training else self._held_out).append(song)
        if mixed:
            self._shuffled.setdefault(song.genre, []).append(mixed)

    def finish(self) -> tuple[Library, dict[str, dict[str, dict[str, Measure]]]]:
        """The library, and reference → genre → measures."""
        library = Library.of(self._training, self._held_out, self._room)
        references: dict[str, dict[str, dict[str, Measure]]] = {}
        for genre in sorted({song.genre for song in self._training}):
            groups: dict[str, list[Sequence[Piece]]] = {
                "real": [song.pieces for song in self._held_out if song.genre == genre],
                "training": [song.pieces for song in self._training if song.genre == genre],
                "other_genres": [song.pieces for song in (*self._held_out, *self._training) if song.genre != genre],
                "shuffled": list(self._shuffled.get(genre, [])),
            }
            for name, pieces in groups.items():
                measures = reference(pieces, genre, library, self._room)
                if measures:
                    references.setdefault(name, {})[genre] = measures
        for genre, matches in library.null().items():
            references["real"][genre]["longest_match"] = over_songs(matches, "longest_match")
        return library, references


def distances(piece: Piece, genre: str, library: Library, room: Room, *, spread: bool) -> dict[str, Measure]:
    """Fréchet and mean distance of a piece from a genre's training songs, in every embedding."""
    found = {}
    for way in room.embeddings:
        if way.name not in piece.points:
            continue
        cloud = library.clouds.get(way.name, {}).get(genre)
        points = piece.points[way.name]
        names = f"frechet_{way.name}", f"distance_{way.name}"
        if cloud is None or len(points) == 0:
            why = "No training song of this genre to compare with." if cloud is None else "The clip is too short."
            found.update({name: unmeasured(name, why) for name in names})
            continue
        points = points @ library.axes[way.name]
        found[names[0]] = frechet.extrapolated(cloud, points, seed=0, together=way.together, spread=spread)
        each = frechet.typical_distance(cloud, points)
        blocks = [float(part.mean()) for part in np.array_split(each, max(1, len(each) // way.together))]
        found[names[1]] = intervals.whole_with_windows(float(each.mean()), blocks, "")
    return {name: with_unit(name, measure) for name, measure in found.items()}


def generation(
    audios: Sequence[Audio], pieces: Sequence[Piece], genre: str, library: Library | None, room: Room
) -> dict[str, Measure]:
    """Every measure of a genre's generations at one step; the intervals come from the parts of the clips.

    pieces: the same clips as `Room.piece` gives them.
    """
    rows = [
        sound.window_measures(part, room.rate_hz, coded)
        for audio in audios
        for part, coded in sound.parts(audio, room.encode(audio))
    ]
    found = {}
    for name in pieces[0].values:
        values = [piece.values[name] for piece in pieces if math.isfinite(piece.values[name])]
        whole = float(np.mean(values)) if values else float("nan")
        found[name] = intervals.whole_with_windows(
            whole, [row[name] for row in rows if name in row], catalogue.UNITS[name]
        )
    if library is not None:
        joined = {way.name: np.concatenate([piece.points[way.name] for piece in pieces]) for way in room.embeddings}
        found |= distances(Piece({}, joined, pieces[0].fingerprint), genre, library, room, spread=True)
        longest = max(library.closest(piece.fingerprint)[0].duration_s for piece in pieces)
        found["longest_match"] = Measure(longest, "s", len(library.training), "songs")
    return found


def reference(
    groups: Iterable[Sequence[Piece]], genre: str | None, library: Library | None, room: Room
) -> dict[str, Measure]:
    """The measures of a reference, from the pieces of each of its songs.

    genre: whose training songs the distances are from; None for none.
    """
    rows: list[list[dict[str, float]]] = []
    for pieces in groups:
        measured = []
        for piece in pieces:
            row = dict(piece.values)
            if genre is not None and library is not None:
                far = distances(piece, genre, library, room, spread=False)
                row |= {name: math.nan if m.value is None else m.value for name, m in far.items()}
            measured.append(row)
        if measured:
            rows.append(measured)
    names = sorted({name for song in rows for row in song for name in row})
    return {name: over_songs([[row[name] for row in song if name in row] for song in rows], name) for name in names}


def over_songs(values: Sequence[Sequence[float]], name: str) -> Measure:
    """Mean over songs of each song's mean; over its pieces where there is one song. NaN is left out."""
    known = [[value for value in song if math.isfinite(value)] for song in values]
    known = [song for song in known if song]
    unit = catalogue.UNITS[name]
    if not known:
        return unmeasured(name, "Nothing in these songs has this measure.")
    if len(known) == 1:
        return intervals.mean(known[0], unit, "windows")
    return intervals.mean([float(np.mean(song)) for song in known], unit, "songs")


def unmeasured(name: str, why: str) -> Measure:
    """No figure, and why."""
    return Measure(None, catalogue.UNITS[name], 0, "windows", why=why)


def with_unit(name: str, measure: Measure) -> Measure:
    """The measure with its catalogue unit."""
    return replace(measure, unit=catalogue.UNITS[name])


def white_noise(length: int, decode: Callable[[Codes], Audio], channels: int) -> list[Audio]:
    """Noise of evenly drawn codes, as an untrained network would emit: the floor."""
    rng = np.random.default_rng(0)
    return [decode(rng.integers(0, channels, length)) for _ in range(NOISE_PIECES)]


def noise_reference(
    pieces: Sequence[Piece], genres: Sequence[str], library: Library | None, room: Room
) -> dict[str, dict[str, Measure]]:
    """Genre → measures of white noise; only the distances depend on the genre."""
    known = library.clouds.get(room.embeddings[0].name, {}) if library else {}
    found = {}
    for genre in genres:
        measures = reference([[piece] for piece in pieces], genre if genre in known else None, library, room)
        found[genre] = {name: replace(measure, over="clips") for name, measure in measures.items()}
    return found


def shuffled(pieces: Iterable[Audio]) -> list[Audio]:
    """The same samples in random order: what a model that knows only the unigram could do."""
    rng = np.random.default_rng(0)
    return [rng.permutation(piece) for piece in pieces]


def copying_row(pieces: Sequence[Piece], library: Library, null: Sequence[float]) -> dict[str, object]:
    """The longest match of a genre's generations, beside those of held-out pieces as long (`null`)."""
    best, genre, clip = copying.Match(0.0, 0.0, 0.0), None, 1
    for number, piece in enumerate(pieces, start=1):
        match, whose = library.closest(piece.fingerprint)
        if match.duration_s > best.duration_s:
            best, genre, clip = match, whose, number
    longer = sum(value >= best.duration_s for value in null)
    return {
        "longest_s": intervals.rounded(best.duration_s),
        "clip": clip,
        "start_s": intervals.rounded(best.start_s),
        "song_genre": genre,
        "held_out_as_long": intervals.rounded(longer / len(null)) if null else None,
        "held_out_pieces": len(null),
        "held_out_longest_s": intervals.rounded(max(null)) if null else None,
        "songs_searched": len(library.training),
    }
