"""The clips of the page: their sound and pictures as files of its folder, and what its template shows of each.

In: a `Comparison` and the folder. Out: files in audio/ and pictures/, and a `ClipView` for each clip.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.compare import sounds
from src.compare.comparison import Comparison
from src.compare.words import number, plural

LARGEST_BYTES = 13_500_000
"""All files but index.html stay below this; wav files are left out first, then clips that only the slider needs."""


@dataclass(frozen=True)
class Source:
    """An audio file of the page."""

    path: str
    type: str
    name: str


@dataclass(frozen=True)
class ClipView:
    """A clip as the template shows it."""

    step: int
    step_text: str
    genre: str
    label: str
    heading: str
    row: str
    tone: int
    trouble: str
    source: tuple[Source, ...] = ()
    image: str = ""
    outline: str = ""
    duration_s: float = 0.0
    offset_s: float = 0.0
    rms_dbfs: float = 0.0
    bits: str = ""
    digest: str = ""

    def as_data(self) -> dict[str, Any]:
        """For the page's script."""
        return {
            "label": self.label,
            "step": self.step,
            "step_text": self.step_text,
            "sources": [{"path": source.path, "type": source.type} for source in self.source],
            "image": self.image,
            "outline": self.outline,
            "duration": round(self.duration_s, 4),
            "offset": round(self.offset_s, 4),
            "rms": round(self.rms_dbfs, 2),
            "digest": self.digest,
            "facts": f"{self.bits} bits per sample on held-out songs" if self.bits else "",
        }


Key = tuple[int, int, str]
"""The run's index (0 or 1), step, genre."""

Views = dict[Key, ClipView]
"""The first clip of each."""


def place_clips(folder: Path, comparison: Comparison) -> tuple[Views, list[str]]:
    """Copy the audio, write the spectrograms; the views of all clips, and sentences on what had no room."""
    (folder / "audio").mkdir()
    (folder / "pictures").mkdir()
    keys = [
        (index, step, genre)
        for index, run in enumerate(comparison.runs)
        for step in sorted({*comparison.steps, *run.generated}, key=lambda step: step not in comparison.steps)
        for genre in comparison.genres
    ]
    room = LARGEST_BYTES - sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    drawn = [clip.sound for run in comparison.runs for clip in run.clips if clip.sound]
    ceiling = sounds.brightest(drawn)
    full = max([0.05, *(10 ** (sound.peak_dbfs / 20) for sound in drawn)]) if drawn else 1.0
    pictures: dict[Key, str] = {}
    sources: dict[Key, list[Source]] = {}
    omitted: set[int] = set()
    for key in keys:
        index, step, genre = key
        clip = comparison.runs[index].clip(step, genre)
        name = f"{index}-{step}-{comparison.genres.index(genre)}-{_slug(genre)}"
        image = sounds.image(clip.sound.levels_db, ceiling) if clip.sound else b""
        listen = clip.mp3 or clip.wav
        size = len(image) + (listen.stat().st_size if listen else 0)
        if step not in comparison.steps and (listen is None or size > room):
            omitted |= {step} if listen else set()
            continue
        room -= size
        pictures[key] = f"pictures/{name}.png" if image else ""
        if image:
            (folder / pictures[key]).write_bytes(image)
        sources[key] = [_copy(listen, folder, name)] if listen else []
    wavs = [
        (key, clip.wav)
        for key in sources
        if key[1] in comparison.steps and (clip := comparison.runs[key[0]].clip(*key[1:])).wav and clip.mp3
    ]
    left_out = []
    if sum(wav.stat().st_size for _, wav in wavs) <= room:
        for key, wav in wavs:
            sources[key].append(_copy(wav, folder, Path(sources[key][0].path).stem))
    elif wavs:
        left_out.append("The wav files were left out to keep the page small; the mp3 files are here.")
    if omitted:
        left_out.append(
            f"{plural(len(omitted), 'further step')} with audio had no room here; name them to compare them."
        )
    views = {key: _view(comparison, key, pictures[key], tuple(sources[key]), full) for key in sources}
    return views, left_out


def _copy(path: Path, folder: Path, name: str) -> Source:
    kind = path.suffix.lstrip(".")
    shutil.copyfile(path, folder / "audio" / f"{name}.{kind}")
    return Source(f"audio/{name}.{kind}", "audio/mpeg" if kind == "mp3" else "audio/wav", kind)


def _view(comparison: Comparison, key: Key, image: str, sources: tuple[Source, ...], full: float) -> ClipView:
    index, step, genre = key
    run = comparison.runs[index]
    clip = run.clip(step, genre)
    bits = run.evaluation.bits(step, genre) if run.evaluation else None
    trouble = clip.trouble
    if clip.sound is None and not clip.wav and step not in run.generated:
        kept = (
            "has a checkpoint, but nothing was generated with it" if step in run.checkpoints else "is not in this run"
        )
        trouble = f"Step {step:,} {kept}."
    return ClipView(
        step=step,
        step_text=f"{step:,}",
        genre=genre,
        label=f"{genre}, step {step:,}{comparison.suffix(run)}",
        heading=f"step {step:,}",
        row=f"row-{index}-{comparison.genres.index(genre)}",
        tone=comparison.steps.index(step) if step in comparison.steps else 0,
        trouble=trouble,
        source=sources,
        image=image,
        outline=sounds.outline(clip.sound, full) if clip.sound else "",
        duration_s=clip.sound.duration_s if clip.sound else 0.0,
        offset_s=clip.primer_s,
        rms_dbfs=clip.sound.rms_dbfs if clip.sound else 0.0,
        bits=number(bits) if bits is not None else "",
        digest=clip.digest,
    )


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "genre"
