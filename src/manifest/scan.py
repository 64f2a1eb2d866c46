"""Read a whole library into rows, on all cores, and under `torchrun` on all machines.

In: a folder, the rules, and the cache of earlier scans, so that only what is new or changed is read. Out: the
manifest's rows, one for every file.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from src.base import console, options, pool
from src.base.pool import Failed
from src.base.share import Share
from src.base.walk import Seen, walk
from src.manifest import decide, duplicates, facts
from src.manifest.cache import Cache
from src.manifest.decide import Rules
from src.manifest.facts import FileFacts, SoundFacts
from src.manifest.rows import Row

_STORE_EVERY = 256
_FILES_AT_ONCE = 16

T = TypeVar("T")


@dataclass(frozen=True)
class Scan:
    """The rows, and how much work they were."""

    rows: list[Row]
    files_read: int
    songs_decoded: int


def scan(
    library: Path,
    rules: Rules,
    cache: Cache,
    *,
    time_limit_s: float = options.TIME_LIMIT_S,
    workers: int | None = None,
    share: Share = Share(),
) -> Scan:
    """Read every file of `library`. Rows come in the order of the paths' bytes.

    Results are cached as they come, so an interrupted scan goes on where it stopped.
    """
    seen = sorted(walk(library), key=lambda item: item.path)
    at = {item.path: item for item in seen}
    known = {
        path: about for path, about in cache.known_files(seen).items() if not _too_short(about.limit_s, time_limit_s)
    }
    unread = [
        item
        for item in seen
        if not item.reason and ((about := known.get(item.path)) is None or _lacks_hash(about, rules))
    ]
    setting = os.fsencode(library)
    results = _do(
        "Reading tags",
        share.mine([item.path for item in unread]),
        lambda paths: pool.run(
            facts.file_task,
            (setting, rules.want),
            paths,
            time_limit_s=time_limit_s,
            workers=workers,
            chunk=_FILES_AT_ONCE,
        ),
        lambda path, result: (path, _file_facts(result, time_limit_s)),
        lambda part: cache.add_files((at[path], about) for path, about in part) if share.world_size == 1 else None,
    )
    results = share.gather(results)
    if share.world_size > 1 and share.leads:
        cache.add_files((at[path], about) for path, about in results)
    known.update(results)

    first: dict[str, tuple[bytes, str]] = {}
    for item in seen:
        about = known.get(item.path)
        if about and about.audio_sha256 and about.format and not rules.tag_reason(about.genre_texts, about.year):
            first.setdefault(about.audio_sha256, (item.path, about.format))
    sounds = {key: sound for key, sound in cache.sounds(first).items() if not _too_short(sound.limit_s, time_limit_s)}
    unheard = [key for key in first if key not in sounds]
    heard = _do(
        "Decoding",
        share.mine(unheard),
        lambda keys: pool.run(
            facts.sound_task,
            setting,
            [first[key] for key in keys],
            time_limit_s=time_limit_s,
            workers=workers,
            # One at a time, so that all cores end together; more only where there are very many.
            chunk=max(1, min(_FILES_AT_ONCE, len(keys) // 1000)),
        ),
        lambda key, result: (key, _sound_facts(result, time_limit_s)),
        lambda part: cache.add_sounds(part) if share.world_size == 1 else None,
    )
    heard = share.gather(heard)
    if share.world_size > 1 and share.leads:
        cache.add_sounds(heard)
    sounds.update(heard)
    return Scan(rows_of(seen, known, sounds, rules), len(unread), len(unheard))


def rows_of(
    seen: Sequence[Seen], known: dict[bytes, FileFacts], sounds: dict[str, SoundFacts], rules: Rules
) -> list[Row]:
    """Rows with duplicates marked: the same encoded audio first, then the same recording."""
    listed = []
    for item in seen:
        about = known.get(item.path)
        listed.append(decide.row_of(item, about, sounds.get(about.audio_sha256 or "") if about else None, rules))
    same: dict[str, list[int]] = {}
    for index, row in enumerate(listed):
        if row.status == "kept" and row.audio_sha256:
            same.setdefault(row.audio_sha256, []).append(index)
    listed = decide.mark_duplicates(listed, list(same.values()))
    kept = [index for index, row in enumerate(listed) if row.status == "kept"]
    alike = duplicates.groups([sounds[listed[index].audio_sha256 or ""].words for index in kept])
    return decide.mark_duplicates(listed, [[kept[index] for index in group] for group in alike])


def _do(
    label: str,
    items: Sequence[Any],
    start: Callable[[Sequence[Any]], Iterator[tuple[int, Any]]],
    finish: Callable[[Any, Any], T],
    store: Callable[[list[T]], object],
) -> list[T]:
    """Do tasks in the pool with a progress meter, storing results as they come."""
    done: list[T] = []
    stored = 0
    if not items:
        return done
    with console.progress(label, len(items), "files") as meter:
        for index, result in start(items):
            done.append(finish(items[index], result))
            meter.advance()
            if len(done) - stored >= _STORE_EVERY:
                store(done[stored:])
                stored = len(done)
    store(done[stored:])
    return done


def _too_short(limit_s: float | None, present_s: float) -> bool:
    """Whether a file that once took too long has more time now."""
    return limit_s is not None and limit_s < present_s


def _lacks_hash(about: FileFacts, rules: Rules) -> bool:
    """Whether other rules excluded the file before its bytes were read."""
    return not about.reason and about.audio_sha256 is None and not rules.tag_reason(about.genre_texts, about.year)


def _file_facts(result: FileFacts | Failed, limit_s: float) -> FileFacts:
    if isinstance(result, Failed):
        return FileFacts(result.reason, limit_s=limit_s if result.took_too_long else None)
    return result


def _sound_facts(result: SoundFacts | Failed, limit_s: float) -> SoundFacts:
    if isinstance(result, Failed):
        return SoundFacts(result.reason, limit_s=limit_s if result.took_too_long else None)
    return result
