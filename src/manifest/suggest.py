"""Which genres a library's own tags would give: a `genres:` block for params.yaml.

In: the genre texts of every file, as the manifest's rows have them. Out: YAML, only of words of genre tags. Nothing is
hashed or decoded. Command: `python -m src.manifest --suggest-genres`.
"""

from collections import Counter
from collections.abc import Sequence

import yaml

from src.base.errors import Problem
from src.manifest.genres import words_of
from src.manifest.rows import Row

MOST = 8
LEAST_SONGS = 4
"""Fewer, of which some may turn out too short or damaged, leave too little to train on and to hold out."""
MEAN_NOTHING = {"and", "genre", "misc", "music", "n", "none", "of", "other", "s", "the", "unknown", "various"}


def block(listed: Sequence[Row]) -> str:
    """The block, most songs first: a song counts for the first genre that has one of its words, as in a manifest.

    Raises `Problem` if no word of a genre tag has enough files.
    """
    waiting = [words for row in listed if row.genre_text and (words := _words(row.genre_text))]
    lines: list[str] = []
    while len(lines) < MOST and waiting:
        counts = Counter(word for words in waiting for word in set(words))
        ends = Counter(words[-1] for words in waiting)
        # The most frequent word; of two the one that ends more texts: "Classic Rock" is rock.
        word, count = min(counts.items(), key=lambda item: (-item[1], -ends[item[0]], item[0]))
        if count < LEAST_SONGS:
            break
        shown = word if yaml.safe_load(word) == word else f'"{word}"'
        lines.append(f"  {shown}: {{words: [{shown}]}} # {count:,} files")
        waiting = [words for words in waiting if word not in words]
    if not lines:
        raise Problem(
            f"No word stands in the genre tags of {LEAST_SONGS} files or more ({len(listed):,} files were looked at). "
            "Tag the songs with their genres first."
        )
    files = sum(row.format is not None for row in listed)
    untagged = sum(row.format is not None and not row.genre_text for row in listed)
    told = f"# {files:,} music files, {untagged:,} without a genre tag, {len(waiting):,} with another genre than these."
    return "\n".join([told, "genres:", *lines])


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in words_of(text) if word not in MEAN_NOTHING)
