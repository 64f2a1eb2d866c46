"""Clips cut once and kept: data/library-cache/clips/, one FLAC for each song's sound and each way of cutting it.

In: the manifest's kept rows. Out: for each a `Made` clip in the cache, or the reason why there is none. The cache lets
a stage that starts with an empty output folder take its clips from here; what is in it is checked before it is used.
"""

import hashlib
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from src.audio.decode import open_sound, versions
from src.audio.downmix import Downmix, without_loss
from src.audio.sound import Undecodable
from src.base import code, console, files, pool
from src.base.console import counted
from src.base.errors import Problem, reason_of
from src.base.pool import Failed
from src.base.share import Share
from src.clips.clipset import samples_digest
from src.config import ClipsParams
from src.manifest import rows
from src.manifest.cache import Cache
from src.manifest.rows import Row

if TYPE_CHECKING:
    from src.clips.cut import Cut

DECIDES_A_CLIP = "src.clips.cut"
"""Only the workers load it: it needs scipy, which takes a second."""


@dataclass(frozen=True)
class Made:
    """One clip in the cache."""

    frames: int
    peak_dbfs: float
    loudness_lufs: float
    sha256: str
    """Of the samples, int16 little-endian."""
    flac_sha256: str


@dataclass(frozen=True)
class _Setting:
    library: str
    folder: str
    params: ClipsParams


_Task = tuple[str, str, str, str]
"""Path relative to the library, format, SHA-256 of the file, key of the clip."""


def key_of(row: Row, params: ClipsParams) -> str:
    """Names a clip by what decides its samples: the encoded audio, how it is cut, and the code that does it."""
    by = code.digest(DECIDES_A_CLIP), versions()
    how = json.dumps([*by, params.duration_s, params.rate_hz, params.trim_dbfs, params.loudness_lufs])
    return hashlib.sha256(f"{row.audio_sha256} {how}".encode()).hexdigest()


def make(
    kept: Sequence[Row],
    library: Path,
    params: ClipsParams,
    cache: Cache,
    folder: Path,
    *,
    time_limit_s: float,
    workers: int | None = None,
    share: Share = Share(),
    fresh: bool = False,
) -> tuple[dict[str, Made | str], int]:
    """(key of each row's clip → the clip, or why there is none; how many had to be cut).

    folder: where the cached clips lie. Songs cut before an interruption are not cut again. Raises `Problem` if a song
    cannot be read just now, or is not the one that the manifest lists: the others would be no whole study.
    """
    clips: dict[str, Made | str] = {}
    tasks: list[_Task] = []
    for row in kept:
        key = key_of(row, params)
        known = None if fresh else cache.clip(key)
        if known is not None and _is_whole(path_in(folder, key), known):
            clips[key] = Made(**json.loads(known))
        else:
            tasks.append((os.fsdecode(rows.path_of(row.path)), row.format or "", row.file_sha256 or "", key))
    if not tasks:
        return clips, 0
    folder.mkdir(parents=True, exist_ok=True)
    mine = share.mine(tasks)
    done: list[tuple[str, Made | Failed]] = []
    with console.progress("Cutting clips", len(mine), "songs") as meter:
        setting = _Setting(str(library), str(folder), params)
        for index, result in pool.run(cut_task, setting, mine, time_limit_s=time_limit_s, workers=workers):
            done.append((mine[index][3], result))
            if share.world_size == 1 and isinstance(result, Made):
                cache.add_clip(mine[index][3], json.dumps(asdict(result)))
            meter.advance()
    done = share.gather(done)
    if share.world_size > 1 and share.leads:
        for key, made in done:
            if isinstance(made, Made):
                cache.add_clip(key, json.dumps(asdict(made)))
    missed = Counter(made.reason for _, made in done if isinstance(made, Failed) and made.passing)
    if missed:
        raise Problem(
            f"{missed.total()} of {len(kept)} songs could not be read ({counted(missed)}), so no clips were written. "
            "Run the same command again when the library is there. "
            "If songs changed or are gone for good: python -m src.manifest --fresh"
        )
    clips.update((key, made.reason if isinstance(made, Failed) else made) for key, made in done)
    return clips, len(tasks)


def cut_task(setting: _Setting, task: _Task) -> Made | Failed:
    """In a worker: cut one clip into the cache. Returns the reason if there is none."""
    from src.clips import cut

    name, form, file_sha256, key = task

    def attempt(mix: Downmix) -> "Cut":
        with open_sound(Path(setting.library) / name, form, file_sha256) as sound:
            return cut.cut(sound, setting.params, mix)

    try:
        clip = without_loss(attempt)
    except Undecodable as error:
        return Failed(str(error), passing=False)
    buffer = io.BytesIO()
    soundfile.write(buffer, clip.samples, setting.params.rate_hz, format="FLAC", subtype="PCM_16")
    flac = buffer.getvalue()
    try:
        with files.replacing(path_in(Path(setting.folder), key)) as temporary:
            temporary.write_bytes(flac)
    except (OSError, files.DiskFullError) as error:
        # A clip's own name follows from the song's hash.
        said = "the disk is full" if isinstance(error, files.DiskFullError) else reason_of(error)
        raise Problem(f"A clip could not be written to {setting.folder} ({said}). Mend that and run again.") from None
    levels = round(clip.peak_dbfs, 2), round(clip.loudness_lufs, 2)
    return Made(len(clip.samples), *levels, samples_digest(clip.samples), hashlib.sha256(flac).hexdigest())


def path_in(folder: Path, key: str) -> Path:
    """Where the cache holds a clip."""
    return folder / f"{key}.flac"


def link_or_copy(cached: Path, target: Path) -> None:
    """Put a cached clip at `target`: a second name for the same file where the disk allows it, else a copy."""
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(cached, target)
    except OSError:
        shutil.copyfile(cached, target)


def _is_whole(path: Path, known: str) -> bool:
    try:
        return bool(files.sha256_of(path) == json.loads(known)["flac_sha256"])
    except OSError:
        return False
