"""How fast a library is read: the scan of many small files, and clips against the way of 2019.

In: nothing; the files measured are made here. Out: figures as `Measured` rows.

    python -m benchmarks scan
    python -m benchmarks clips
"""

import io
import os
import resource
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mutagen
import mutagen.id3
import numpy as np
import psutil  # type: ignore[import-untyped]
import soundfile
from rich.table import Table

from src import config
from src.audio import ffmpeg
from src.audio.decode import open_sound
from src.audio.downmix import Downmix
from src.base import console, pool
from src.clips import cut
from src.config import ClipsParams
from src.manifest import cache, scan
from src.manifest.decide import Rules

GENRES = ("Metalcore", "Hip-Hop/Rap", "Classic Rock", "Hardcore", "Classical", "Jazz", "Pop", "Folk")


@dataclass(frozen=True)
class Measured:
    """One figure."""

    what: str
    value: float
    unit: str
    how: str


def bench_scan(files: int = 100_000, workers: int | None = None) -> list[Measured]:
    """Cold and warm scan of `files` small tagged files (MP3, FLAC, Vorbis; a second of sound each), and memory."""
    params = config.load()
    rules = Rules(params.study.genre_rules, params.profile.manifest.minimum_duration_s, require_year=True)
    with _folder() as root:
        library = root / "library"
        _make_many(library, files)
        figures = []
        for name in ("cold", "warm"):
            with _peak_memory() as peak, cache.opened(root / "work", library) as known:
                began = time.perf_counter()
                done = scan.scan(library, rules, known, workers=workers)
                seconds = time.perf_counter() - began
            how = f"{len(done.rows):,} files, {done.files_read:,} read, {workers or pool.cores()} cores"
            figures += [
                Measured(f"{name} scan", seconds, "s", how),
                Measured(f"{name} scan", len(done.rows) / seconds, "files/s", how),
                Measured(f"{name} scan, memory", peak() / 1e6, "MB", "parent and workers together, at most"),
            ]
    return figures


def bench_clips(songs: int = 4, duration_s: float = 240.0) -> list[Measured]:
    """Clips from MP3 and FLAC songs of four minutes: as here, and with pydub as the 2019 script did, by CPU time."""
    params = config.load().profile.clips
    figures = []
    with _folder() as root:
        for form in ("mp3", "flac"):
            paths = [_song(root / f"{number}.{form}", number, duration_s) for number in range(songs)]
            here = min(_seconds(partial(_as_here, form=form, params=params), paths) for _ in range(2))
            then = min(_seconds(partial(_as_in_2019, root=root, params=params), paths) for _ in range(2))
            how = f"{songs} songs of {duration_s:g} s, {form}, CPU seconds of all processes"
            figures += [
                Measured(f"clips from {form}, here", songs / here, "songs/CPU-s", how),
                Measured(f"clips from {form}, 2019's way", songs / then, "songs/CPU-s", how),
                Measured(f"clips from {form}, gain", then / here, "times", how),
            ]
    return figures


def show(figures: list[Measured]) -> None:
    """Print figures as a table."""
    table = Table(title="Reading a library", title_justify="left")
    for name in ("what", "value", "unit", "how"):
        table.add_column(name, justify="right" if name == "value" else "left")
    for item in figures:
        table.add_row(item.what, f"{item.value:,.1f}", item.unit, item.how)
    console.show(table)


def as_json(figures: list[Measured]) -> list[dict[str, Any]]:
    """Figures as a JSON value."""
    return [asdict(item) for item in figures]


def _as_here(path: Path, form: str, params: ClipsParams) -> None:
    with open_sound(path, form) as sound:
        clip = cut.cut(sound, params, Downmix())
    soundfile.write(path.with_suffix(".clip.flac"), clip.samples, params.rate_hz, subtype="PCM_16")


def _as_in_2019(path: Path, root: Path, params: ClipsParams) -> None:
    """What the published script did: decode all of it, first two minutes, mono, 16 kHz, export as WAV."""
    with warnings.catch_warnings(action="ignore"):
        import pydub  # here, because it looks for an ffmpeg in the path and warns that there is none

    pydub.AudioSegment.converter = ffmpeg.executable()
    if path.suffix == ".flac":
        whole = pydub.AudioSegment.from_file(str(path), codec="flac")
    else:
        whole = pydub.AudioSegment.from_file(str(path), codec="mp3")
    clip = whole[: int(params.duration_s * 1000)].set_channels(1).set_frame_rate(params.rate_hz)
    clip.export(str(root / "clip.wav"), format="wav").close()


def _seconds(act: Callable[[Path], None], paths: list[Path]) -> float:
    """CPU seconds of this process and of those it ran and waited for."""

    def spent() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    act(paths[0])  # imports and caches are not what is measured
    began = spent()
    for path in paths:
        act(path)
    return spent() - began


def _song(path: Path, seed: int, duration_s: float) -> Path:
    rate_hz = 44_100
    random = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    pitch_hz = 220 * 2 ** (random.integers(-12, 12, len(time_s) // 11_025 + 1).repeat(11_025)[: len(time_s)] / 12)
    song = 0.3 * np.sin(2 * np.pi * pitch_hz * time_s) * np.exp(-8 * (time_s % 0.25))
    song = song[:, None] + random.normal(0, 0.01, (len(time_s), 2))
    soundfile.write(path, song.astype(np.float32), rate_hz)
    return path


def _make_many(library: Path, count: int) -> None:
    """Small files that differ in sound and tags: a few encoded once, then tagged and varied at the byte level."""
    random = np.random.default_rng(0)
    bodies: dict[str, list[bytes]] = {"mp3": [], "flac": [], "ogg": []}
    for form, made in bodies.items():
        for number, genre in enumerate(GENRES):
            raw = io.BytesIO()
            soundfile.write(raw, random.normal(0, 0.1, 16_000), 16_000, format=form.upper())
            raw.name = f"a.{form}"
            made.append(_tagged(raw, genre, 1950 + number))
    for number in range(count):
        form = ("mp3", "mp3", "mp3", "flac", "ogg")[number % 5]
        body = bodies[form][number // 5 % len(GENRES)]
        path = library / f"{number // 1000:03d}" / f"{number:06d}.{form}"
        if number % 1000 == 0 or not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
        # A changed sample or two, so that no two files are copies; Vorbis pages would lose their checksum by it.
        tail = b"" if form == "ogg" else number.to_bytes(4, "big")
        path.write_bytes(body[: len(body) - len(tail)] + tail)


def _tagged(raw: io.BytesIO, genre: str, year: int) -> bytes:
    raw.seek(0)
    file = mutagen.File(raw)
    if raw.name.endswith("mp3"):
        file.add_tags()
        file.tags.add(mutagen.id3.TCON(text=[genre]))
        file.tags.add(mutagen.id3.TDRC(text=[str(year)]))
    else:
        file["genre"], file["date"] = [genre], [str(year)]
    raw.seek(0)
    file.save(raw)
    return raw.getvalue()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-library-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _peak_memory() -> Iterator[Callable[[], float]]:
    """Largest sum of this process's and its children's memory, sampled ten times a second."""
    most, stop = [0.0], threading.Event()

    def watch() -> None:
        own = psutil.Process(os.getpid())
        while not stop.wait(0.1):
            total = 0
            for process in (own, *own.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            most[0] = max(most[0], total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        stop.set()
        thread.join()
