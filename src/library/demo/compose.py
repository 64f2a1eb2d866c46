"""Compose the demo library: songs of each genre, encoded and tagged as a person's music folder has them.

In: genres, a seed, how many songs and how long. Out: a folder of .mp3 and .flac files, a few of them unusable on
purpose. The same arguments give the same bytes on the same machine, whatever the number of jobs.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import soundfile
from mutagen.easyid3 import EasyID3
from mutagen.flac import FLAC

from src.base.console import progress
from src.config import LibraryParams
from src.library.demo import music
from src.library.demo.albums import NOT_MUSIC, NOT_MUSIC_TEXT, Track, shelve

SIDES = (1.1, 0.9)
"""Stereo leans a little to the left; the mean of both sides is what a mono file has."""


def compose(folder: Path, params: LibraryParams, genres: Sequence[str], seed: int, jobs: int) -> int:
    """Compose the whole library into `folder` (made if absent); returns the number of files.

    jobs: songs made at the same time. Raises `Problem` for a genre that cannot be composed.
    """
    music.check(genres)
    tracks = shelve(params, genres, seed)
    # Threads are enough: NumPy and the encoders work outside the interpreter's lock, and threads die with the
    # program, however it dies.
    with progress("Composing", len(tracks), "songs") as meter, ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(_make, folder, track, seed) for track in tracks]
        try:
            for done in as_completed(pending):
                done.result()
                meter.advance()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    liner_notes = folder / NOT_MUSIC
    liner_notes.parent.mkdir(parents=True, exist_ok=True)
    liner_notes.write_text(NOT_MUSIC_TEXT, encoding="utf-8")
    return len(tracks) + 1


def _make(folder: Path, track: Track, seed: int) -> None:
    path = folder / track.path
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = music.song(track.genre, seed, track.index, track.duration_s, track.rate_hz)
    if track.channels == 2:
        samples = np.outer(samples, np.array(SIDES, np.float32))
    if track.suffix == ".flac":
        soundfile.write(path, samples, track.rate_hz, format="FLAC", subtype="PCM_16")
    else:
        # As a careful collector has them: 256 kbit/s at 44.1 kHz.
        soundfile.write(path, samples, track.rate_hz, format="MP3", bitrate_mode="CONSTANT", compression_level=0.2)
    _tag(path, track)


def _tag(path: Path, track: Track) -> None:
    album = track.album
    said: dict[str, str | list[str]] = {"title": track.title, "tracknumber": str(track.number)}
    said |= {"artist": album.artist, "album": album.title}
    if album.genre_text is not None:
        said["genre"] = album.genre_text.split("; ")
    if album.date is not None:
        said["date"] = album.date
    if track.suffix == ".flac":
        tags = FLAC(path)
        tags.update(said)
        tags.save()
    else:
        tags = EasyID3()
        tags.update(said)
        # Half of the world's files have ID3v2.3, in which the year is TYER and genres are joined by a slash.
        tags.save(path, v2_version=3 + track.index % 2)
