"""Compose the demo library: songs of each genre, computed from a seed.

In: genres, a seed, how many songs and how long. Out: a folder of tagged .mp3 and .flac files, as a person's music
folder has them, a few of them unusable on purpose. The same arguments give the same bytes on the same machine,
whatever the number of jobs.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from src.base.console import progress
from src.base.errors import Problem
from src.config import LibraryParams
from src.library.demo.albums import NOT_MUSIC, NOT_MUSIC_TEXT, Track, shelve, write_track
from src.library.demo.drums import DRUMS
from src.library.demo.score import Note, Score
from src.library.demo.styles import STYLES
from src.library.demo.synth import PITCHED, Samples, gate

INSTRUMENTS = {**PITCHED, **DRUMS}
LEVELS = 12
"""Notes are played at one of so many loudnesses, so that equal notes are computed once."""
LENGTH_GRID_S = 0.02


def compose_song(genre: str, seed: int, index: int, duration_s: float, rate_hz: int, channels: int = 1) -> Samples:
    """Compose song number `index` of a genre.

    Returns float32 of shape (frames, channels) within ±1, `duration_s` long, the end faded.
    Raises `Problem` for a genre that has no style.
    """
    return render(write_score(genre, seed, index, duration_s), rate_hz, channels)


def write_score(genre: str, seed: int, index: int, duration_s: float) -> Score:
    """The notes of song number `index` of a genre. Raises `Problem` for a genre that has no style."""
    if genre not in STYLES:
        known = ", ".join(sorted(STYLES))
        raise Problem(
            f"The demo library has no style for the genre {genre!r} of params.yaml; it can compose {known}. "
            "Set MUSIC_LIBRARY to a folder of your own music to study other genres."
        )
    return STYLES[genre](_generator(genre, seed, index), index, duration_s)


def _generator(genre: str, seed: int, index: int) -> np.random.Generator:
    # The genre's name, not its place: adding a genre leaves the other genres' songs as they are.
    name = int.from_bytes(hashlib.sha256(genre.encode()).digest()[:8])
    return np.random.default_rng([seed, name, index])


def render(score: Score, rate_hz: int, channels: int) -> Samples:
    """Play a score: float32 (frames, channels) within ±1."""
    frames = round(score.duration_s * rate_hz)
    mix = np.zeros((channels, frames), dtype=np.float32)
    starts = score.seconds([note.beat for note in score.notes])
    ends = score.seconds([note.beat + note.beats for note in score.notes])
    played: dict[tuple[str, float, float, int], Samples] = {}
    for name, part in score.parts.items():
        line = np.zeros(frames, dtype=np.float32)
        for note, start_s, end_s in zip(score.notes, starts, ends, strict=True):
            if note.part == name:
                _play(line, note, float(start_s), float(end_s - start_s), part.instrument, rate_hz, played)
        for delay_s, gain in reversed(part.echo):
            late = int(delay_s * rate_hz)
            line[late:] += np.float32(gain) * line[: max(0, frames - late)]
        # Constant-power panning; a mono song takes the part as it is.
        angle = (part.pan + 1) * np.pi / 4
        sides = (1.0,) if channels == 1 else (np.sqrt(2) * np.cos(angle), np.sqrt(2) * np.sin(angle))
        for channel, side in zip(mix, sides, strict=True):
            channel += np.float32(part.gain * side) * line
    return _master(mix, rate_hz, score.loudness_dbfs)


def _play(
    line: Samples, note: Note, start_s: float, seconds: float, instrument: str, rate_hz: int,
    played: dict[tuple[str, float, float, int], Samples],
) -> None:  # fmt: skip
    """Add one note to a part's line; equal notes are taken from `played`."""
    name = note.instrument or instrument
    length_s = 0.0 if name in DRUMS else max(1, round(seconds / LENGTH_GRID_S)) * LENGTH_GRID_S
    level = max(1, round(note.level * LEVELS))
    key = (name, note.pitch, length_s, level)
    if key not in played:
        played[key] = INSTRUMENTS[name](note.pitch, length_s, level / LEVELS, rate_hz)
    sound = played[key]
    first = max(0, int(start_s * rate_hz))
    last = min(len(line), first + len(sound))
    if first < last:
        line[first:last] += sound[: last - first]


def _master(mix: Samples, rate_hz: int, loudness_dbfs: float) -> Samples:
    """Bring the mix to its loudness, round off peaks, fade the end; (channels, frames) → (frames, channels)."""
    rms = float(np.sqrt(np.mean(mix**2)))
    loud = mix * np.float32(10 ** (loudness_dbfs / 20) / max(rms, 1e-9))
    # tanh leaves small values as they are and never passes 1.
    loud = np.float32(0.97) * np.tanh(loud / np.float32(0.97))
    fade_s = min(1.2, 0.1 * mix.shape[1] / rate_hz)
    return np.ascontiguousarray((loud * gate(mix.shape[1], rate_hz, 0.01, fade_s)).T)


def compose(folder: Path, params: LibraryParams, genres: Sequence[str], seed: int, jobs: int) -> int:
    """Compose the whole library into `folder` (made if absent); returns the number of files.

    jobs: songs made at the same time. Of the songs, one has no genre, one no year, one is too short, and one file
    is text under an .mp3 name (with three genres or more).

    Raises `Problem` for a genre that has no style.
    """
    for genre in genres:
        write_score(genre, seed, 0, 1.0)
    tracks = shelve(params, genres, seed)
    # Threads are enough: NumPy, SciPy and the encoder work outside the interpreter's lock, and threads die
    # with the program, however it dies.
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
    song = compose_song(track.style, seed, track.index, track.duration_s, track.rate_hz, track.channels)
    write_track(folder, track, song)
