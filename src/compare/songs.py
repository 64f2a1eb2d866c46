"""Songs on the page: a stretch of a held-out song of each genre, only where the music may be heard.

In: data/library.json, data/clips/. Out: `Sound`s, and a sentence that says why songs can be heard or not. The music of
a study is private unless this project composed it, or whoever makes the page says otherwise (--with-songs).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from src.base import files
from src.base.errors import Problem
from src.clips import clipset
from src.clips.clipset import ClipSet
from src.compare import sounds
from src.compare.sounds import Sound

LIBRARY, CLIPS = Path("data/library.json"), Path("data/clips")
PRIVATE = "The music it was trained on is private: neither its titles nor its sound are here"
COMPOSED = "The music it was trained on was composed by this project, so that a song of each genre can be heard here"
UNHEARD = "No song that it was trained on can be heard here"
ALLOWED = "A held-out song of each genre can be heard here, as --with-songs asked"


def may_be_heard(asked: bool | None) -> tuple[bool, str]:
    """Whether songs may be heard, and a sentence (without its full stop). asked: on the command line; None: neither.

    Without being asked only composed music is heard, and only if data/library.json is no newer than the clips: after a
    change of library it would speak of other music than the clips are from.
    """
    if asked is not None:
        return asked, ALLOWED if asked else PRIVATE
    table = CLIPS / clipset.TABLE
    if not LIBRARY.is_file() or not table.is_file() or LIBRARY.stat().st_mtime > table.stat().st_mtime:
        return False, PRIVATE
    try:
        record = files.read_json(LIBRARY, made_by="python -m src.library")
    except Problem:
        return False, PRIVATE
    composed = isinstance(record, dict) and record.get("kind") == "demo"
    return composed, COMPOSED if composed else PRIVATE


def held_out(genres: Iterable[str], duration_s: float) -> dict[str, Sound]:
    """Genre → the middle of its first held-out song, `duration_s` long (the whole of a shorter one).

    Raises `Problem` if data/clips/ is missing or damaged.
    """
    clips = ClipSet.open(CLIPS, memory_bytes=0)
    found: dict[str, Sound] = {}
    for index, clip in enumerate(clips.clips):
        if clip.split == "validation" and clip.genre in genres and clip.genre not in found:
            rate_hz = soundfile.info(clip.path).samplerate
            frames = min(round(duration_s * rate_hz), clip.frames)
            samples = clips.read(index, (clip.frames - frames) // 2, frames)
            found[clip.genre] = sounds.draw(samples.astype(np.float64), rate_hz)
    return found
