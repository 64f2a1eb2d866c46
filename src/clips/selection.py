"""Which clips make the set, and which of them only validate.

In: the clip of each kept song, and a seed. Out: clips without two of the same sound, each with its split. The split of
a clip depends on its own sound and the seed alone, so adding songs moves no other song, except where a genre would be
left without training or validation.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from src.base.errors import Problem
from src.clips import clipping
from src.clips.clipping import Made
from src.clips.clipset import ClipRow
from src.config import ClipsParams
from src.manifest.rows import Row


def choose(
    kept: Sequence[Row], made: dict[str, Made | str], params: ClipsParams
) -> tuple[dict[str, ClipRow], Counter[str]]:
    """(key → clip, one for each different sound, sorted by genre and id; why the other songs gave none)."""
    lost: Counter[str] = Counter()
    by_sound: dict[str, tuple[str, ClipRow]] = {}
    for row in kept:
        key = clipping.key_of(row, params)
        clip = made[key]
        if isinstance(clip, str):
            lost[clip] += 1
            continue
        if clip.sha256 in by_sound:
            # Two songs that are equal for two minutes: to keep both could put one sound on both sides of the split.
            lost["the same clip as another song"] += 1
            continue
        genre = str(row.genre)
        name = f"{genre}/{clip.sha256[:16]}.flac"
        levels = clip.peak_dbfs, clip.loudness_lufs
        by_sound[clip.sha256] = key, ClipRow(name, genre, "train", clip.frames, *levels, clip.sha256)
    ordered = sorted(by_sound.values(), key=lambda item: (item[1].genre, item[1].clip))
    return dict(ordered), lost


def check(made: Sequence[ClipRow], genres: tuple[str, ...], lost: Counter[str]) -> None:
    """Raise `Problem` if a genre has no two clips: one to train on and one to validate with."""
    reasons = "".join(f" {count} songs gave no clip: {reason}." for reason, count in sorted(lost.items()))
    for genre in genres:
        count = sum(clip.genre == genre for clip in made)
        if count < 2:
            raise Problem(
                f"{genre} has {count} usable song{'' if count == 1 else 's'}; it needs two, one for validation."
                f"{reasons} "
                "Add songs, or change `genres` in params.yaml."
            )


def position_of(clip_id: str, seed: int) -> float:
    """A number in 0..1 that follows from the clip and the seed alone."""
    return int.from_bytes(hashlib.sha256(f"{seed} {clip_id}".encode()).digest()[:8], "big") / 2**64


def divide(clips: Sequence[ClipRow], validation_fraction: float, seed: int) -> tuple[list[ClipRow], dict[str, str]]:
    """(clips with their split, genre → the split a song had to be moved to because it had none).

    A clip validates if its position is below the fraction. In a genre without such a clip the one of lowest position
    validates; in a genre with only such clips the one of highest position trains. Needs two clips in each genre.
    """
    positions = {clip.clip: position_of(clip.sha256[:16], seed) for clip in clips}
    chosen = {clip.clip for clip in clips if positions[clip.clip] < validation_fraction}
    moved: dict[str, str] = {}
    for genre in sorted({clip.genre for clip in clips}):
        ordered = sorted((clip.clip for clip in clips if clip.genre == genre), key=lambda name: (positions[name], name))
        if ordered[0] not in chosen:
            chosen.add(ordered[0])
            moved[genre] = "validation"
        elif ordered[-1] in chosen and len(ordered) > 1:
            chosen.remove(ordered[-1])
            moved[genre] = "train"
    return [replace(clip, split="validation" if clip.clip in chosen else "train") for clip in clips], moved
