"""Which clips make the set, and which of them only validate.

In: the clip of each kept song, and a seed. Out: clips without two of the same sound, each with its split. A clip's
sound and the seed give it a position, and the lowest positions validate. So where a share of the songs is held out,
adding songs moves no other song; where a number of them is, a new song may take the place of one.
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

SAME = "the same clip as another song"
LONE = "the only song of its genre that gave a clip"


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
            lost[SAME] += 1
            continue
        genre = str(row.genre)
        name = f"{genre}/{clip.sha256[:16]}.flac"
        levels = clip.peak_dbfs, clip.loudness_lufs
        by_sound[clip.sha256] = key, ClipRow(name, genre, "train", clip.frames, *levels, clip.sha256)
    ordered = sorted(by_sound.values(), key=lambda item: (item[1].genre, item[1].clip))
    return dict(ordered), lost


def studied(made: Sequence[ClipRow], genres: tuple[str, ...], lost: Counter[str]) -> tuple[tuple[str, ...], str]:
    """(genres with two clips, one to train on and one to hold out; a sentence on those with one, which are left out).

    A clip of a genre left out is added to `lost`. Raises `Problem` if no genre has two.
    """
    counts = Counter(clip.genre for clip in made)
    lone = [genre for genre in genres if counts[genre] == 1]
    lost.update({LONE: len(lone)} if lone else {})
    enough = tuple(genre for genre in genres if counts[genre] > 1)
    if not enough:
        reasons = "".join(f" {count:,} songs gave no clip: {reason}." for reason, count in sorted(lost.items()))
        raise Problem(
            f"No genre of params.yaml has two usable songs, one to train on and one to hold out.{reasons} Add "
            "songs, or change `genres` in params.yaml."
        )
    more = "they have" if len(lone) > 1 else "it has"
    return (
        enough,
        f"Left out: {', '.join(lone)}; {more} one usable song and needs two, one to hold out." if lone else "",
    )


def position_of(clip_id: str, seed: int) -> float:
    """A number in 0..1 that follows from the clip and the seed alone."""
    return int.from_bytes(hashlib.sha256(f"{seed} {clip_id}".encode()).digest()[:8], "big") / 2**64


def divide(clips: Sequence[ClipRow], validation_songs: float, seed: int) -> tuple[list[ClipRow], dict[str, str]]:
    """(clips with their split; genre → the split that songs were moved to because it had too few).

    The clips of lowest position in each genre validate: `validation_songs` of them, or, where that is below 1, those
    whose position is below it. But one at least validates, and no more than half of a genre. Needs two clips in each.
    """
    positions = {clip.clip: position_of(clip.sha256[:16], seed) for clip in clips}
    chosen: set[str] = set()
    moved: dict[str, str] = {}
    for genre in sorted({clip.genre for clip in clips}):
        names = sorted((clip.clip for clip in clips if clip.genre == genre), key=lambda name: (positions[name], name))
        share = sum(positions[name] < validation_songs for name in names)
        wanted = share if validation_songs < 1 else int(validation_songs)
        count = max(1, min(wanted, len(names) // 2))
        if count != wanted:
            moved[genre] = "validation" if count > wanted else "train"
        chosen.update(names[:count])
    return [replace(clip, split="validation" if clip.clip in chosen else "train") for clip in clips], moved


def halved(divided: Sequence[ClipRow], moved: dict[str, str]) -> str:
    """What the genres hold out that have too few songs for what was asked: "hip 2 of 5, rock 1 of 3"; or nothing."""
    splits = {genre: [clip.split for clip in divided if clip.genre == genre] for genre in sorted(moved)}
    return ", ".join(
        f"{genre} {parts.count('validation')} of {len(parts)}"
        for genre, parts in splits.items()
        if moved[genre] == "train"
    )
