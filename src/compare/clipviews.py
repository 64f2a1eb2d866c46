"""The clips of the page: their sound and pictures as files of its folder, and what its template shows of each.

In: a `Comparison` and the folder. Out: files in audio/ and pictures/, and a `ClipView` for each clip.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from src.compare import sounds
from src.compare.comparison import Comparison
from src.compare.listening import NOISE, SONG
from src.compare.sounds import Sound
from src.compare.words import plural

LARGEST_BYTES = 7_500_000
"""Of the sound of the compared clips; a page of 10 MB has room for it, its pictures, figures and numbers."""
PICTURE_BYTES = 40_000
"""A picture is no larger."""


@dataclass(frozen=True)
class ClipView:
    """A clip as the template shows it."""

    stimulus: str
    """step-20, song or noise."""
    genre: str
    label: str
    heading: str
    row: str = ""
    tone: str = ""
    trouble: str = ""
    digest: str = ""
    audio: str = ""
    """Its file; empty if there is nothing to hear."""
    image: str = ""
    outline: str = ""
    duration_s: float = 0.0
    seam: str = ""
    """Where generation begins, in percent of its width; empty if that is the beginning."""
    rms_dbfs: float = 0.0

    def as_data(self) -> dict[str, Any]:
        """For the page's script."""
        return {
            "stimulus": self.stimulus,
            "label": self.label,
            "heading": self.heading,
            "tone": self.tone,
            "audio": self.audio,
            "image": self.image,
            "outline": self.outline,
            "duration": round(self.duration_s, 4),
            "rms": round(self.rms_dbfs, 2),
            "digest": self.digest,
        }


Key = tuple[int, int, str]
"""The run's index (0 or 1), step, genre."""


@dataclass
class Views:
    """All clips of the page."""

    clips: dict[Key, ClipView] = field(default_factory=dict)
    songs: dict[str, ClipView] = field(default_factory=dict)
    """Genre → a stretch of a held-out song."""
    noise: ClipView | None = None
    notes: list[str] = field(default_factory=list)
    """What had no room, in sentences."""


def place_clips(folder: Path, comparison: Comparison) -> Views:
    """Write sound and pictures of every compared clip, songs, a noise, and of further steps while there is room."""
    (folder / "audio").mkdir()
    (folder / "pictures").mkdir()
    compared = [(index, step, genre) for index, step, genre in _keys(comparison) if step in comparison.steps]
    heard = [*(_sound(comparison, key) for key in compared), *comparison.songs.values()]
    whole = [sound for sound in heard if sound is not None]
    longest_s = _room(whole)
    place = _Place(folder, sounds.brightest(whole), max([0.05, *(10 ** (sound.peak_dbfs / 20) for sound in whole)]))
    views = Views()
    if any(sound.duration_s > longest_s for sound in whole):
        views.notes.append(f"To keep the page small, it has the first {longest_s:.0f} s of each clip.")
    for key in compared:
        views.clips[key] = place.clip(comparison, key, longest_s)
    for genre, sound in comparison.songs.items():
        view = ClipView(SONG, genre, f"{genre}, held-out song", "held-out song", _row(comparison, 0, genre), "real")
        views.songs[genre] = place.sound(view, sound, f"song-{_slug(comparison, genre)}", longest_s)
    if whole:
        frames = min(len(sound.samples) for sound in whole)
        noise = sounds.white_noise(frames, whole[0].rate_hz)
        views.noise = place.sound(ClipView(NOISE, "", "noise", "noise"), noise, NOISE, longest_s)
    room: float = LARGEST_BYTES - place.bytes
    left_out = set()
    for key in _keys(comparison):
        further = _sound(comparison, key)
        if key not in views.clips and further is not None:
            size = further.duration_s * _bytes_per_s(further.rate_hz) + PICTURE_BYTES
            if size > room or further.duration_s > longest_s:
                left_out.add(key[1])
                continue
            room -= size
            views.clips[key] = place.clip(comparison, key, longest_s)
    if left_out:
        steps = plural(len(left_out), "further step")
        views.notes.append(f"{steps} with audio had no room here; name them to compare them.")
    return views


def _keys(comparison: Comparison) -> Sequence[Key]:
    return [
        (index, step, genre)
        for index, run in enumerate(comparison.runs)
        for step in sorted({*comparison.steps, *run.generated})
        for genre in comparison.genres
    ]


def _sound(comparison: Comparison, key: Key) -> Sound | None:
    index, step, genre = key
    return comparison.runs[index].clip(step, genre).sound


def _room(whole: Sequence[Sound]) -> float:
    """Seconds that each of these sounds can have."""
    return LARGEST_BYTES / max(1, sum(_bytes_per_s(sound.rate_hz) for sound in whole))


def _bytes_per_s(rate_hz: int) -> int:
    """Of `sounds.embed`, rounded up."""
    if rate_hz not in sounds.MP3_RATES_HZ:
        return 2 * rate_hz
    return 4_300 if rate_hz < 16_000 else 10_500 if rate_hz <= 24_000 else 20_500


class _Place:
    """Writes what a clip needs into the page's folder; all clips are drawn on one scale."""

    def __init__(self, folder: Path, ceiling_db: float, full: float) -> None:
        self._folder, self._ceiling_db, self._full = folder, ceiling_db, full

    @property
    def bytes(self) -> int:
        """Written so far."""
        return sum(path.stat().st_size for path in (self._folder / "audio").iterdir())

    def clip(self, comparison: Comparison, key: Key, longest_s: float) -> ClipView:
        """A generated clip, or the note that there is none."""
        index, step, genre = key
        run = comparison.runs[index]
        clip = run.clip(step, genre)
        trouble = clip.trouble
        if clip.sound is None and step not in run.generated:
            there = step in run.checkpoints
            kept = "has a checkpoint, but nothing was generated with it" if there else "is not in this run"
            trouble = f"Step {step:,} {kept}."
        view = ClipView(
            f"step-{step}",
            genre,
            label=f"{genre}, step {step:,}{comparison.suffix(run)}",
            heading=f"step {step:,}",
            row=_row(comparison, index, genre),
            tone=str(comparison.steps.index(step)) if step in comparison.steps else "0",
            trouble=trouble,
            digest=clip.digest,
        )
        if clip.sound is None:
            return view
        return self.sound(view, clip.sound, f"{index}-{step}-{_slug(comparison, genre)}", longest_s)

    def sound(self, view: ClipView, sound: Sound, name: str, longest_s: float) -> ClipView:
        """The view with its sound and its picture as files."""
        if sound.duration_s > longest_s:
            cut = sound.samples[: round(longest_s * sound.rate_hz)]
            sound = sounds.draw(cut.astype("float64"), sound.rate_hz, sound.seam_s)
        audio = f"audio/{sounds.embed(sound, self._folder / 'audio', name)}"
        image = f"pictures/{name}.png"
        (self._folder / image).write_bytes(sounds.image(sound.levels_db, self._ceiling_db))
        return replace(
            view,
            audio=audio,
            image=image,
            outline=sounds.outline(sound, self._full),
            duration_s=sound.duration_s,
            seam=f"{100 * sound.seam_s / sound.duration_s:.2f}" if sound.seam_s else "",
            rms_dbfs=sound.rms_dbfs,
        )


def _row(comparison: Comparison, index: int, genre: str) -> str:
    return f"row-{index}-{comparison.genres.index(genre)}"


def _slug(comparison: Comparison, genre: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", genre.lower()).strip("-")[:40] or "genre"
    return f"{comparison.genres.index(genre)}-{plain}"
