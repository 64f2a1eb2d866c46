"""The clips of the page: their sound and pictures as files of its folder, and what its template shows of each.

In: a `Comparison` and the folder. Out: files in audio/ and pictures/, and a `ClipView` for each clip.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.base.console import plural
from src.compare import sounds
from src.compare.comparison import Comparison
from src.compare.listening import NOISE, SONG
from src.compare.sounds import Sound
from src.compare.words import percent

LARGEST_BYTES = 7_000_000
"""Of all sound; a page of 10 MB has room for it, its pictures and its numbers."""


@dataclass(frozen=True)
class ClipView:
    """A clip as the template shows it."""

    stimulus: str
    """step-20, song or noise."""
    label: str
    heading: str
    tone: str = ""
    trouble: str = ""
    digest: str = ""
    audio: str = ""
    """Its file; empty if there is nothing to hear."""
    image: str = ""
    outline: str = ""
    duration: float = 0.0
    """Seconds."""
    seam: str = ""
    """Where generation begins, in percent of its width; empty if that is the beginning."""
    rms: float = 0.0
    """dBFS."""


Key = tuple[int, int, str]
"""The run's index (0 or 1), step, genre."""


@dataclass
class Views:
    """All clips of the page."""

    clips: dict[Key, ClipView]
    songs: dict[str, ClipView]
    """Genre → a stretch of a held-out song."""
    noise: ClipView | None
    notes: list[str]
    """What had no room, in sentences."""


def place_clips(folder: Path, comparison: Comparison) -> Views:
    """Write sound and pictures of every compared clip, of songs and a noise, and of further steps if all have room."""
    (folder / "audio").mkdir()
    (folder / "pictures").mkdir()
    keys = [
        (index, step, genre)
        for index, run in enumerate(comparison.runs)
        for step in sorted({*comparison.steps, *run.generated})
        for genre in comparison.genres
    ]
    compared = [key for key in keys if key[1] in comparison.steps]
    notes = []
    if _bytes(comparison, keys) > LARGEST_BYTES and len(keys) > len(compared):
        further = plural(len({step for _, step, _ in keys} - {*comparison.steps}), "further step")
        notes.append(f"{further} with audio had no room here; name them to compare them.")
        keys = compared
    room = min(1.0, LARGEST_BYTES / _bytes(comparison, keys))
    if room < 1:
        notes.append(f"To keep the page small, it has the first {percent(room)} of each clip.")
    heard = _sounds(comparison, keys)
    ceiling_db = sounds.brightest(heard)
    full = max([0.05, *(10 ** (sound.peak_dbfs / 20) for sound in heard)])

    def place(view: ClipView, sound: Sound | None, name: str) -> ClipView:
        """The view with its sound and its picture as files; all are drawn on one scale."""
        if sound is None:
            return view
        if room < 1:
            cut = sound.samples[: math.ceil(room * len(sound.samples))]
            sound = sounds.draw(cut.astype(np.float64), sound.rate_hz, sound.seam_s)
        image = f"pictures/{name}.png"
        (folder / image).write_bytes(sounds.image(sound.levels_db, ceiling_db))
        return replace(
            view,
            audio=f"audio/{sounds.embed(sound, folder / 'audio', name)}",
            image=image,
            outline=sounds.outline(sound, full),
            duration=round(sound.duration_s, 4),
            seam=f"{100 * sound.seam_s / sound.duration_s:.2f}" if sound.seam_s else "",
            rms=round(sound.rms_dbfs, 2),
        )

    slugs = {
        genre: f"{number}-{re.sub(r'[^a-z0-9]+', '-', genre.lower()).strip('-')[:40]}"
        for number, genre in enumerate(comparison.genres)
    }
    views = {
        (index, step, genre): place(
            _view(comparison, index, step, genre),
            comparison.runs[index].clip(step, genre).sound,
            f"{index}-{step}-{slugs[genre]}",
        )
        for index, step, genre in keys
    }
    songs = {
        genre: place(
            ClipView(SONG, f"{genre}, held-out song", "held-out song", tone="real"), sound, f"song-{slugs[genre]}"
        )
        for genre, sound in comparison.songs.items()
    }
    noise = None
    if heard:
        sound = sounds.white_noise(min(len(sound.samples) for sound in heard), heard[0].rate_hz)
        noise = place(ClipView(NOISE, "noise", "noise"), sound, NOISE)
    return Views(views, songs, noise, notes)


def _sounds(comparison: Comparison, keys: Iterable[Key]) -> list[Sound]:
    found = [comparison.runs[index].clip(step, genre).sound for index, step, genre in keys]
    return [sound for sound in (*found, *comparison.songs.values()) if sound is not None]


def _bytes(comparison: Comparison, keys: Iterable[Key]) -> int:
    """About what these clips and the songs take, embedded."""
    return 1 + sum(math.ceil(sounds.bytes_per_s(s.rate_hz) * s.duration_s) for s in _sounds(comparison, keys))


def _view(comparison: Comparison, index: int, step: int, genre: str) -> ClipView:
    """A generated clip before its sound is placed, or the note that there is none."""
    run = comparison.runs[index]
    clip = run.clip(step, genre)
    trouble = clip.trouble
    if clip.sound is None and step not in run.generated:
        there = step in run.checkpoints
        kept = "has a checkpoint, but nothing was generated with it" if there else "is not in this run"
        trouble = f"Step {step:,} {kept}."
    return ClipView(
        f"step-{step}",
        label=f"{genre}, step {step:,}{comparison.suffix(run)}",
        heading=f"step {step:,}",
        tone=str(comparison.steps.index(step)) if step in comparison.steps else "0",
        trouble=trouble,
        digest=clip.digest,
    )
