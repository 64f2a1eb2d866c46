"""What stands beside the generations: real songs, shuffled songs and noise, and how far a sound is from a genre.

In: measured pieces of songs, generations and noise. Out: the `measures` of metrics/evaluate.json, for generations and
references alike.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from src.evaluate import catalogue, copying, frechet, intervals, sound
from src.evaluate.embedding import Points
from src.evaluate.measure import Measure
from src.evaluate.pieces import MeasuredSong, Method, Piece, cut, shuffled
from src.evaluate.schema import Copying
from src.evaluate.spectra import Audio

HELD_OUT_PIECES = 6
TRAINING_PIECES = 2


@dataclass(frozen=True)
class ReferenceSongs:
    """The songs that generations are compared with."""

    training: tuple[MeasuredSong, ...]
    held_out: tuple[MeasuredSong, ...]
    axes: Mapping[str, Points]
    """Embedding → (dims, kept axes) that its points are projected on."""
    clouds: Mapping[str, Mapping[str, frechet.Cloud]]
    """Embedding → genre → the genre's training songs as a Gaussian, in these axes."""

    @classmethod
    def of(cls, training: Sequence[MeasuredSong], held_out: Sequence[MeasuredSong], method: Method) -> "ReferenceSongs":
        """These songs, with the axes and clouds of their training part."""
        genres = sorted({song.genre for song in training})
        axes, clouds = {}, {}
        for embedding in method.embeddings:
            name = embedding.name
            points = {g: np.concatenate([song.points[name] for song in training if song.genre == g]) for g in genres}
            usable = {genre: rows for genre, rows in points.items() if len(rows) >= 2}
            if usable:
                axes[name] = frechet.principal_axes(np.concatenate(list(usable.values())), embedding.axes)
                clouds[name] = {genre: frechet.Cloud.fit(rows @ axes[name]) for genre, rows in usable.items()}
        return cls(tuple(training), tuple(held_out), axes, clouds)

    def closest(self, heard: copying.Fingerprint) -> tuple[copying.Match, str | None]:
        """The longest match with any training song, and that song's genre."""
        best, genre = copying.Match(0.0, 0.0, 0.0), None
        for song in self.training:
            match = copying.longest_match(heard, song.fingerprint)
            if match.duration_s > best.duration_s:
                best, genre = match, song.genre
        return best, genre

    @cached_property
    def held_out_matches(self) -> dict[str, list[list[float]]]:
        """Genre → each held-out song → the longest match of each of its pieces, in s. None of them is a copy."""
        matches: dict[str, list[list[float]]] = {}
        for song in self.held_out:
            durations = [self.closest(piece.fingerprint)[0].duration_s for piece in song.pieces]
            matches.setdefault(song.genre, []).append(durations)
        return matches


class Collector:
    """Takes songs one after the other; gives `ReferenceSongs` and the measures of the references."""

    def __init__(self, method: Method, length: int, most: int) -> None:
        """length: samples of a piece. most: songs of a genre and split of which pieces are measured."""
        self._method, self._length, self._most = method, length, most
        self._training: list[MeasuredSong] = []
        self._held_out: list[MeasuredSong] = []
        self._shuffled: dict[str, list[list[Piece]]] = {}
        self._claimed: dict[tuple[str, bool], int] = {}

    def claim(self, genre: str, *, training: bool) -> bool:
        """Whether pieces of the next song of this genre and split are wanted; counts it."""
        count = self._claimed.get((genre, training), 0)
        self._claimed[genre, training] = count + 1
        return count < self._most

    def describe(self, audio: Audio, genre: str, *, training: bool, wanted: bool) -> tuple[MeasuredSong, list[Piece]]:
        """Measure one song, and pieces of it in random order of samples. Safe to call from several threads."""
        pieces = (TRAINING_PIECES if training else HELD_OUT_PIECES) if wanted else 0
        song = self._method.song(audio, genre, self._length, pieces, 1 if training else 0)
        parts = shuffled(cut(audio, self._length, TRAINING_PIECES)) if wanted and not training else []
        return song, [self._method.piece(part, number) for number, part in enumerate(parts)]

    def add(self, song: MeasuredSong, mixed: list[Piece], *, training: bool) -> None:
        """Take a song that `describe` measured."""
        (self._training if training else self._held_out).append(song)
        if mixed:
            self._shuffled.setdefault(song.genre, []).append(mixed)

    def finish(self) -> tuple[ReferenceSongs, dict[str, dict[str, dict[str, Measure]]]]:
        """The songs, and reference → genre → measures."""
        songs = ReferenceSongs.of(self._training, self._held_out, self._method)
        references: dict[str, dict[str, dict[str, Measure]]] = {}
        for genre in sorted({song.genre for song in self._training}):
            groups: dict[str, list[Sequence[Piece]]] = {
                "real": [song.pieces for song in self._held_out if song.genre == genre],
                "training": [song.pieces for song in self._training if song.genre == genre],
                "other_genres": [song.pieces for song in (*self._held_out, *self._training) if song.genre != genre],
                "shuffled": list(self._shuffled.get(genre, [])),
            }
            for name, pieces in groups.items():
                measures = reference(pieces, genre, songs, self._method)
                if measures:
                    references.setdefault(name, {})[genre] = measures
        for genre, matches in songs.held_out_matches.items():
            references["real"][genre]["longest_match"] = over_songs(matches, "longest_match")
        return songs, references


def distances(piece: Piece, genre: str, songs: ReferenceSongs, method: Method, *, spread: bool) -> dict[str, Measure]:
    """Fréchet and mean distance of a piece from a genre's training songs, in every embedding."""
    measures: dict[str, Measure] = {}
    for embedding in method.embeddings:
        if embedding.name not in piece.points:
            continue
        cloud = songs.clouds.get(embedding.name, {}).get(genre)
        points = piece.points[embedding.name]
        frechet_name, mean_name = f"frechet_{embedding.name}", f"distance_{embedding.name}"
        if cloud is None or len(points) == 0:
            why = "No training song of this genre to compare with." if cloud is None else "The clip is too short."
            measures |= {name: unmeasured(name, why) for name in (frechet_name, mean_name)}
            continue
        points = points @ songs.axes[embedding.name]
        measures[frechet_name] = frechet.extrapolated(cloud, points, seed=0, together=embedding.together, spread=spread)
        each = frechet.typical_distance(cloud, points)
        blocks = [float(part.mean()) for part in np.array_split(each, max(1, len(each) // embedding.together))]
        measures[mean_name] = intervals.whole_with_windows(float(each.mean()), blocks, "")
    return {name: replace(measure, unit=catalogue.UNITS[name]) for name, measure in measures.items()}


def generation(
    audios: Sequence[Audio], pieces: Sequence[Piece], genre: str, songs: ReferenceSongs | None, method: Method
) -> tuple[dict[str, Measure], Copying | None]:
    """Every measure of a genre's generations at one step, with intervals from the parts of the clips; the longest copy.

    pieces: the same clips as `Method.piece` gives them.
    """
    rows = [
        sound.window_measures(part, method.rate_hz, coded)
        for audio in audios
        for part, coded in sound.parts(audio, method.encode(audio))
    ]
    measures = {}
    for name in pieces[0].values:
        values = [piece.values[name] for piece in pieces if math.isfinite(piece.values[name])]
        whole = float(np.mean(values)) if values else float("nan")
        measures[name] = intervals.whole_with_windows(
            whole, [row[name] for row in rows if name in row], catalogue.UNITS[name]
        )
    copied = None
    if songs is not None:
        joined = {
            embedding.name: np.concatenate([piece.points[embedding.name] for piece in pieces])
            for embedding in method.embeddings
        }
        measures |= distances(Piece({}, joined, pieces[0].fingerprint), genre, songs, method, spread=True)
        copied = longest_copy(pieces, songs)
        measures["longest_match"] = Measure(copied.longest_s, "s", copied.songs_searched, "songs")
    return measures, copied


def reference(
    groups: Iterable[Sequence[Piece]], genre: str | None, songs: ReferenceSongs | None, method: Method
) -> dict[str, Measure]:
    """The measures of a reference, from the pieces of each of its songs.

    genre: whose training songs the distances are from; None for none.
    """
    rows: list[list[dict[str, float]]] = []
    for pieces in groups:
        measured = []
        for piece in pieces:
            row = dict(piece.values)
            if genre is not None and songs is not None:
                far = distances(piece, genre, songs, method, spread=False)
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


def noise_reference(
    pieces: Sequence[Piece], genres: Sequence[str], songs: ReferenceSongs | None, method: Method
) -> dict[str, dict[str, Measure]]:
    """Genre → measures of white noise; only the distances depend on the genre."""
    known = songs.clouds.get(method.embeddings[0].name, {}) if songs else {}
    rows = {}
    for genre in genres:
        measures = reference([[piece] for piece in pieces], genre if genre in known else None, songs, method)
        rows[genre] = {name: replace(measure, over="clips") for name, measure in measures.items()}
    return rows


def longest_copy(pieces: Sequence[Piece], songs: ReferenceSongs) -> Copying:
    """The longest match of a genre's generations, beside those of held-out pieces as long."""
    best, genre, clip = copying.Match(0.0, 0.0, 0.0), None, 1
    for number, piece in enumerate(pieces, start=1):
        match, whose = songs.closest(piece.fingerprint)
        if match.duration_s > best.duration_s:
            best, genre, clip = match, whose, number
    held_out = [s for by_song in songs.held_out_matches.values() for durations in by_song for s in durations]
    longer = sum(duration_s >= best.duration_s for duration_s in held_out)
    return Copying(
        longest_s=best.duration_s,
        clip=clip,
        start_s=best.start_s,
        song_genre=genre,
        held_out_as_long=longer / len(held_out) if held_out else None,
        held_out_pieces=len(held_out),
        held_out_longest_s=max(held_out) if held_out else None,
        songs_searched=len(songs.training),
    )
