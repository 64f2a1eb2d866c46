"""A whole library read into rows.

In: a folder and the rules. Out: the manifest's rows, one for every file.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from src.music import decide, facts
from src.music.decide import Rules
from src.music.facts import FileFacts, SoundFacts
from src.music.rows import Row
from src.music.tags import Tags
from src.music.walk import Seen, walk


def scan(library: Path, rules: Rules) -> list[Row]:
    """Read every file of `library`. Rows come in the order of the paths' bytes."""

    def wanted(found: Tags) -> bool:
        return not rules.tag_reason(found.genres, found.year)

    seen = sorted(walk(library), key=lambda item: item.path)
    found: list[FileFacts | None] = []
    sounds: dict[str, SoundFacts] = {}
    for item in seen:
        path = library / os.fsdecode(item.path)
        known = None if item.reason else facts.read_file(path, wanted)
        found.append(known)
        if known and known.audio_sha256 and known.format and known.audio_sha256 not in sounds:
            sounds[known.audio_sha256] = facts.read_sound(path, known.format)
    return rows_of(seen, found, sounds.get, rules)


def rows_of(
    seen: list[Seen],
    found: list[FileFacts | None],
    sound_of: Callable[[str], SoundFacts | None],
    rules: Rules,
) -> list[Row]:
    """Rows with duplicates marked. sound_of: from an audio hash to what decoding it gave."""
    result = [
        decide.row_of(item, known, sound_of(known.audio_sha256) if known and known.audio_sha256 else None, rules)
        for item, known in zip(seen, found, strict=True)
    ]
    same: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(result):
        if row.status == "kept" and row.audio_sha256:
            same[row.audio_sha256].append(index)
    return decide.mark_duplicates(result, [group for group in same.values() if len(group) > 1])
