"""The demo library's shelves: invented artists, albums and titles, formats and tags as real libraries have them.

In: the library's parameters, genres and seed. Out: what each file is to be, as `Artist/Album/01 Title.mp3` or .flac.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.config import LibraryParams


@dataclass(frozen=True)
class Album:
    """A record: what its songs' tags share (None: that tag is absent)."""

    artist: str
    title: str
    genre_text: str | None
    date: str | None


@dataclass(frozen=True)
class Track:
    """One file to make: which song, how it is encoded, what its tags say."""

    genre: str
    index: int
    duration_s: float
    suffix: str
    rate_hz: int
    channels: int
    album: Album
    number: int
    title: str

    @property
    def path(self) -> Path:
        """Relative to the library."""
        return Path(self.album.artist, self.album.title, f"{self.number:02d} {self.title}{self.suffix}")


ALBUMS = {
    "classical": (
        Album("Ilse Harmgart", "Preludes and Nocturnes", "Classical", "1974"),
        Album("Quatuor Vallière", "Quatuors à cordes", "Classical; Chamber Music", "1991-03-12"),
        Album("Orkester Norrsken", "Dances for a Small Court", "Modern Classical", "2008"),
    ),
    "hardcore": (
        Album("Brick Parade", "Nothing Left to Sell", "Hardcore Punk", "1984"),
        Album("Last Exit North", "Half Past Empty", "Post-Hardcore", "2003"),
        Album("Curbside Choir", "Loud Weather", "Hardcore", "2014-10-07"),
    ),
    "hip": (
        Album("MC Quillon", "Corner Store Chronicles", "Hip-Hop/Rap", "1994"),
        Album("Velvet Ledger", "Paper Planets", "Hip Hop", "2006-05-23"),
        Album("Tomo & the Dial", "Night Bus", "Rap", "2017"),
    ),
    "metal": (
        Album("Gravemount", "Iron Liturgy", "Heavy Metal", "1986"),
        Album("Sköldbrand", "Nordvind", "Melodic Death Metal", "1999"),
        Album("Hollow Meridian", "The Ninth Furnace", "Metalcore", "2011-09-13"),
    ),
    "rock": (
        Album("The Paper Lanterns", "Harbour Lights", "Classic Rock", "1972"),
        Album("Static Avenue", "Long Way Down to Morning", "Alternative Rock", "1995"),
        Album("Marlow & Finch", "Second Hand Summer", "Rock", "2012-04-17"),
    ),
}
WORDS = {
    "classical": (("Prelude", "Minuet", "Étude", "Nocturne"), ("No. 1", "Op. 12", "'Der Morgen'", "'Zimní píseň'")),
    "hardcore": (("No More", "Burn the", "Against the", "Stuck in the"), ("Walls", "System", "Clock", "Uniform")),
    "hip": (("Late Night", "Downtown", "Real", "Pocket Full of"), ("Change", "Story", "Letters", "Seasons")),
    "metal": (("Crown of", "Throne of", "Beneath the", "Oath of"), ("Ashes", "Winter", "Wolves", "Ravens")),
    "rock": (("Run to the", "Radio", "Broken", "Golden"), ("Highway", "River", "Summer", "Avenue")),
}
"""Beginnings and ends of titles."""
NOT_MUSIC = Path("The Paper Lanterns", "Harbour Lights", "00 Liner Notes.mp3")
NOT_MUSIC_TEXT = "Recorded in one room with the windows open. Thanks to everybody who waited.\n"
"""A text file that a careless hand named .mp3."""
ENCODINGS = (
    (".mp3", 22050, 1),
    (".flac", 32000, 1),
    (".flac", 44100, 2),
    (".mp3", 24000, 1),
    (".flac", 16000, 1),
    (".flac", 48000, 1),
    (".flac", 22050, 2),
)
"""Format, sample rate and channels, taken in turn: a prime number of them, so that genres do not share one."""


def shelve(params: LibraryParams, genres: Sequence[str], seed: int) -> list[Track]:
    """Plan every song of each genre, then those no study should keep: without a genre, without a year, too short."""
    ordered = sorted(genres)
    count = params.songs_per_genre
    tracks = [_track(genre, index, params, ordered, seed) for genre in ordered for index in range(count)]
    for number, genre in enumerate(ordered[:3]):
        extra = _track(genre, count, params, ordered, seed)
        unusable = (
            replace(extra, title="Untitled", album=replace(extra.album, genre_text=None)),
            replace(extra, title="Demo Tape", album=replace(extra.album, date=None)),
            replace(extra, title="Interlude", duration_s=params.duration_s / 5),
        )
        tracks.append(unusable[number])
    return tracks


def _track(genre: str, index: int, params: LibraryParams, genres: Sequence[str], seed: int) -> Track:
    place = genres.index(genre)
    albums, (first, second) = ALBUMS[genre], WORDS[genre]
    # A little longer than asked, by an amount of its own.
    longer = float(np.random.default_rng([seed, place, index, 1]).uniform(1.01, 1.06))
    return Track(
        genre,
        index,
        params.duration_s * longer,
        *ENCODINGS[(index + 3 * place) % len(ENCODINGS)],
        albums[index % len(albums)],
        number=1 + index // len(albums),
        title=f"{first[index % len(first)]} {second[(index + index // len(first)) % len(second)]}",
    )
