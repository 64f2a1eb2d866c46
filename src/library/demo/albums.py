"""The demo library's shelves: invented artists, albums and titles, tags as real libraries have them, encoding.

In: the library's parameters, genres and seed; then each song's samples. Out: `Artist/Album/01 Title.mp3` or .flac.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TALB, TCON, TDRC, TIT2, TPE1, TRCK

from src.audio.decode import ffmpeg_executable
from src.base.errors import Problem
from src.config import LibraryParams
from src.library.demo.synth import Samples


@dataclass(frozen=True)
class Album:
    """A record: what its songs' tags share."""

    artist: str
    title: str
    genre_text: str
    date: str


@dataclass(frozen=True)
class Track:
    """One file to make: which song, how it is encoded, what its tags say (None: the tag is absent)."""

    style: str
    index: int
    duration_s: float
    rate_hz: int
    channels: int
    suffix: str
    album: Album
    number: int
    title: str
    genre_text: str | None
    date: str | None

    @property
    def path(self) -> Path:
        """Relative to the library."""
        return Path(self.album.artist, self.album.title, f"{self.number:02d} {self.title}{self.suffix}")


ALBUMS: dict[str, tuple[Album, ...]] = {
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
FIRST_WORDS = {
    "classical": ("Prelude", "Minuet", "Quartet", "Nocturne", "Adagio"),
    "hardcore": ("No More", "Burn the", "Against the", "Stuck in the", "Tear Down the"),
    "hip": ("Late Night", "Downtown", "Real", "Pocket Full of", "Seven"),
    "metal": ("Crown of", "Throne of", "Beneath the", "Oath of", "March of the"),
    "rock": ("Run to the", "Radio", "Broken", "Golden", "Waiting for the"),
}
"""The classical ones are in the order of the style's kinds of piece."""
SECOND_WORDS = {
    "classical": ("No. 1", "No. 5", "Op. 12", "'Der Morgen'", "dans la forêt", "No. 3", "'Zimní píseň'", "Op. 4"),
    "hardcore": ("Walls", "System", "Line", "Clock", "City", "Fence", "Script", "Uniform"),
    "hip": ("Change", "Story", "Blocks", "Static", "Letters", "Seasons", "Signals", "Daze"),
    "metal": ("Ashes", "Winter", "Deep Water", "Wolves", "Ruin", "Black Glass", "Ravens", "Silence"),
    "rock": ("Highway", "River", "Summer", "Windows", "Avenue", "Rain", "Horizon", "Letters"),
}
NOT_MUSIC = Path("The Paper Lanterns", "Harbour Lights", "00 Liner Notes.mp3")
NOT_MUSIC_TEXT = "Recorded in one room with the windows open. Thanks to everybody who waited.\n"
"""A text file that a careless hand named .mp3."""
ENCODINGS = (
    (".mp3", 44100, 2),
    (".flac", 22050, 1),
    (".mp3", 24000, 1),
    (".flac", 32000, 2),
    (".mp3", 22050, 2),
    (".mp3", 48000, 1),
    (".flac", 44100, 1),
)
"""Format, sample rate and channels, taken in turn: a prime number of them, so that genres do not share one."""


def shelve(params: LibraryParams, genres: Sequence[str], seed: int) -> list[Track]:
    """Plan every file: the songs of each genre, then those that no study should keep."""
    tracks = []
    for place, genre in enumerate(sorted(genres)):
        for index in range(params.songs_per_genre):
            tracks.append(_track(genre, index, place, params.duration_s, seed))
    unusable = []
    for number, genre in enumerate(sorted(genres)[:3]):
        extra = _track(genre, params.songs_per_genre, number, params.duration_s, seed)
        if number == 0:
            unusable.append(replace(extra, title="Untitled", genre_text=None))
        elif number == 1:
            unusable.append(replace(extra, title="Demo Tape", date=None))
        else:
            unusable.append(replace(extra, title="Interlude", duration_s=params.duration_s / 5))
    return tracks + unusable


def _track(genre: str, index: int, place: int, duration_s: float, seed: int) -> Track:
    suffix, rate_hz, channels = ENCODINGS[(index + 3 * place) % len(ENCODINGS)]
    albums = ALBUMS[genre]
    album = albums[index % len(albums)]
    first, second = FIRST_WORDS[genre], SECOND_WORDS[genre]
    rng = np.random.default_rng([seed, place, index, 1])
    return Track(
        style=genre,
        index=index,
        # A little longer than asked, by an amount of its own.
        duration_s=duration_s * float(rng.uniform(1.01, 1.06)),
        rate_hz=rate_hz,
        channels=channels,
        suffix=suffix,
        album=album,
        number=1 + index // len(albums),
        title=f"{first[index % len(first)]} {second[(index + index // len(first)) % len(second)]}",
        genre_text=album.genre_text,
        date=album.date,
    )


def write_track(folder: Path, track: Track, song: Samples) -> None:
    """Encode a song, float32 (frames, channels), and tag it; the bytes depend on nothing but the arguments."""
    path = folder / track.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if track.suffix == ".flac":
        soundfile.write(path, song, track.rate_hz, subtype="PCM_16", format="FLAC")
        _tag_flac(path, track)
    else:
        _encode_mp3(path, song, track.rate_hz)
        _tag_mp3(path, track)


def _encode_mp3(path: Path, song: Samples, rate_hz: int) -> None:
    """MP3 at 128 kbit/s; `bitexact` keeps the encoder's name and version out of the file."""
    codes = np.clip(np.round(song * 32767.0), -32768, 32767).astype("<i2")
    raw = ["-f", "s16le", "-ar", str(rate_hz), "-ac", str(song.shape[1]), "-i", "pipe:0"]
    exact = ["-fflags", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1", "-id3v2_version", "0"]
    mp3 = ["-c:a", "libmp3lame", "-b:a", "128k", "-threads", "1"]
    command = [ffmpeg_executable(), "-nostdin", "-v", "error", "-y", *raw, *mp3, *exact, str(path)]
    # The temporary name of the folder may hold no suffix ffmpeg knows; the file's own .mp3 decides.
    done = subprocess.run(command, input=codes.tobytes(), capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
        raise Problem(f"{path} could not be encoded: ffmpeg says: {reason}")


def _tag_mp3(path: Path, track: Track) -> None:
    tags = ID3()
    tags.add(TIT2(encoding=3, text=track.title))
    tags.add(TPE1(encoding=3, text=track.album.artist))
    tags.add(TALB(encoding=3, text=track.album.title))
    tags.add(TRCK(encoding=3, text=str(track.number)))
    if track.genre_text is not None:
        tags.add(TCON(encoding=3, text=track.genre_text.split("; ")))
    if track.date is not None:
        tags.add(TDRC(encoding=3, text=track.date))
    if track.index % 2 == 0:
        tags.save(path, v2_version=4)
    else:
        # Half of the world's files: ID3v2.3, in which the year is TYER and values are joined by a slash.
        tags.update_to_v23()
        tags.save(path, v2_version=3)


def _tag_flac(path: Path, track: Track) -> None:
    tags = FLAC(path)
    tags["title"] = track.title
    tags["artist"] = track.album.artist
    tags["album"] = track.album.title
    tags["tracknumber"] = str(track.number)
    if track.genre_text is not None:
        tags["genre"] = track.genre_text.split("; ")
    if track.date is not None:
        tags["date"] = track.date
    tags.save()
