"""The tasks that workers of `pool` do on a library's files."""

import os
from pathlib import Path

from src.manifest import facts
from src.manifest.decide import Rules
from src.manifest.facts import FileFacts, SoundFacts


def read_file(setting: tuple[bytes, Rules], path: bytes) -> FileFacts:
    """setting: the library's folder and the rules. path: relative to the library."""
    library, rules = setting
    return facts.read_file(_joined(library, path), lambda found: not rules.tag_reason(found.genres, found.year))


def read_sound(setting: bytes, task: tuple[bytes, str]) -> SoundFacts:
    """setting: the library's folder. task: path and format."""
    return facts.read_sound(_joined(setting, task[0]), task[1])


def _joined(library: bytes, path: bytes) -> Path:
    return Path(os.fsdecode(library)) / os.fsdecode(path)
