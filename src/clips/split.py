"""Which songs are trained on and which only validate.

In: clips and a seed. Out: the same clips with their split. A clip's place depends on its own sound and the seed alone,
so adding songs moves no other song, except where a genre would be left without one or the other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from src.clips.clipset import ClipRow


def place_of(clip_id: str, seed: int) -> float:
    """A number in 0..1 that the clip and the seed decide."""
    return int.from_bytes(hashlib.sha256(f"{seed} {clip_id}".encode()).digest()[:8], "big") / 2**64


def divide(clips: Sequence[ClipRow], validation_fraction: float, seed: int) -> tuple[list[ClipRow], dict[str, str]]:
    """(clips with their split, genre → the split a song had to be moved to because it had none).

    A clip validates if its place falls below the fraction. A genre with no such clip gives the one of lowest place,
    a genre with only such clips keeps the one of highest place for training. Needs two clips in each genre.
    """
    places = {clip.clip: place_of(clip.sha256[:16], seed) for clip in clips}
    chosen = {clip.clip for clip in clips if places[clip.clip] < validation_fraction}
    moved: dict[str, str] = {}
    for genre in sorted({clip.genre for clip in clips}):
        ordered = sorted((clip.clip for clip in clips if clip.genre == genre), key=lambda name: (places[name], name))
        if ordered[0] not in chosen:
            chosen.add(ordered[0])
            moved[genre] = "validation"
        elif ordered[-1] in chosen and len(ordered) > 1:
            chosen.remove(ordered[-1])
            moved[genre] = "train"
    return [replace(clip, split="validation" if clip.clip in chosen else "train") for clip in clips], moved
