"""Read a whole library into rows, on all cores, and under `torchrun` on all machines.

In: a folder, the rules, and the cache of earlier scans, so that only what is new or changed is read. Out: the
manifest's rows, one for every file, and how many of them say only that a file could not be read just now.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

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

Facts = TypeVar("Facts", FileFacts, SoundFacts)


class _Copy(NamedTuple):
    """A file to decode."""

    path: bytes
    format: str
    sha256: str


@dataclass(frozen=True)
class Scan:
    """The rows, and how much work they were."""

    rows: list[Row]
    files_read: int
    songs_decoded: int
    missed: Counter[str]
    """Reason → files that could not be read just now, however often it was tried. Nothing of them is remembered."""


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

    def work(
        label: str, kind: type[Facts], task: Callable[..., Facts], setting: Any, items: Sequence[Any], chunk: int,
        store: Callable[[Iterable[tuple[Any, Facts]]], object],
    ) -> list[tuple[Any, Facts | Failed]]:  # fmt: skip
        """(item, its facts, or why it could not be read just now) of all processes; facts are stored as they come."""
        mine = share.mine(items)
        done: list[tuple[Any, Facts | Failed]] = []
        stored = 0
        if mine:
            with console.progress(label, len(mine), "files") as meter:
                for index, result in pool.run(
                    task, setting, mine, time_limit_s=time_limit_s, workers=workers, chunk=chunk
                ):
                    lasting = isinstance(result, Failed) and not result.passing
                    done.append((mine[index], kind(result.reason) if lasting else result))
                    meter.advance()
                    if len(done) - stored >= _STORE_EVERY and share.world_size == 1:
                        store(_facts(done[stored:]))
                        stored = len(done)
        done = share.gather(done)
        if share.leads:
            store(_facts(done[stored:]))
        return done

    folder = os.fsencode(library)
    # One process looks, for all: each then takes its share of the same names.
    seen = share.gather(sorted(walk(library), key=lambda item: item.path) if share.leads else [])
    at = {item.path: item for item in seen}
    known = cache.known_files(seen)
    unread = [
        item.path
        for item in seen
        if not item.reason and ((about := known.get(item.path)) is None or _lacks_hash(about, rules))
    ]
    for path, read in work(
        "Reading tags", FileFacts, facts.file_task, (folder, rules.want), unread, _FILES_AT_ONCE,
        lambda part: cache.add_files((at[path], about) for path, about in part),
    ):  # fmt: skip
        if isinstance(read, FileFacts):
            known[path] = read
        else:
            known.pop(path, None)
            at[path] = replace(at[path], reason=read.reason, passing=True)

    copies: dict[str, dict[str, _Copy]] = {}
    for path in at:
        about = known.get(path)
        if about and about.audio_sha256 and about.format and not rules.tag_reason(about.genre_texts, about.year):
            sha256 = str(about.file_sha256)
            copies.setdefault(about.audio_sha256, {}).setdefault(sha256, _Copy(path, about.format, sha256))
    sounds = cache.sounds(key for audio, files in copies.items() for key in (audio, *files))
    missed: dict[str, SoundFacts] = {}
    decoded = 0
    # What decoding gave holds for all files of the same audio; what it did not give, for that one file alone.
    while unheard := _unheard(copies, {*sounds, *missed}):
        decoded += len(unheard)
        for copy, heard in work(
            "Decoding", SoundFacts, facts.sound_task, folder, list(unheard),
            # One at a time, so that all cores end together; more only where there are very many.
            max(1, min(_FILES_AT_ONCE, len(unheard) // 1000)),
            lambda part: cache.add_sounds(
                (copy.sha256 if heard.reason else unheard[copy], heard) for copy, heard in part
            ),
        ):  # fmt: skip
            if isinstance(heard, SoundFacts):
                sounds[copy.sha256 if heard.reason else unheard[copy]] = heard
            else:
                missed[copy.sha256] = SoundFacts(heard.reason)
    listed = rows_of(list(at.values()), known, {**missed, **sounds}, rules)
    lost = Counter(item.reason for item in at.values() if item.passing)
    lost.update(row.reason for row in listed if row.file_sha256 in missed and row.status == "skipped")
    return Scan(listed, len(unread), decoded, lost)


def rows_of(
    seen: Sequence[Seen], known: dict[bytes, FileFacts], sounds: dict[str, SoundFacts], rules: Rules
) -> list[Row]:
    """Rows with duplicates marked: the same encoded audio first, then the same recording.

    sounds: by the SHA-256 of the encoded audio, or of the one file whose sound cannot be used.
    """
    listed = []
    for item in seen:
        about = known.get(item.path)
        sound = sounds.get(about.file_sha256 or "") or sounds.get(about.audio_sha256 or "") if about else None
        listed.append(decide.row_of(item, about, sound, rules))
    same: dict[str, list[int]] = {}
    for index, row in enumerate(listed):
        if row.status == "kept" and row.audio_sha256:
            same.setdefault(row.audio_sha256, []).append(index)
    listed = decide.mark_duplicates(listed, list(same.values()))
    kept = [index for index, row in enumerate(listed) if row.status == "kept"]
    alike = duplicates.groups([sounds[listed[index].audio_sha256 or ""].words for index in kept])
    return decide.mark_duplicates(listed, [[kept[index] for index in group] for group in alike])


def _facts(done: Sequence[tuple[Any, Facts | Failed]]) -> Iterable[tuple[Any, Facts]]:
    return ((item, result) for item, result in done if not isinstance(result, Failed))


def _unheard(copies: dict[str, dict[str, _Copy]], tried: set[str]) -> dict[_Copy, str]:
    """One file that was not tried, of each audio (whose hash is the value) that is not known yet."""
    chosen = {}
    for audio, files in copies.items():
        left = [copy for sha256, copy in files.items() if sha256 not in tried]
        if audio not in tried and left:
            chosen[left[0]] = audio
    return chosen


def _lacks_hash(about: FileFacts, rules: Rules) -> bool:
    """Whether other rules excluded the file before its bytes were read."""
    return not about.reason and about.audio_sha256 is None and not rules.tag_reason(about.genre_texts, about.year)
