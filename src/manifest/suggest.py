"""Which genres a library's own tags would give: a `genres:` block for params.yaml.

In: the genre texts of every file, as the manifest's rows have them. Out: YAML, only of words of genre tags. Nothing is
hashed or decoded. Command: `python -m src.manifest --suggest-genres`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import yaml

from src.base.console import few
from src.base.errors import Problem
from src.config import GenreRule
from src.manifest.genres import genre_of, words_of
from src.manifest.rows import Row

MOST = 8
LEAST_SONGS = 2
"""One to train on and one to hold out."""
LEAST_SONGS_OF_MANY, MANY = 4, 100
"""In a library of so many tagged files: some of fewer may turn out too short or damaged."""
MEAN_NOTHING = {"and", "genre", "misc", "music", "n", "none", "of", "other", "s", "the", "unknown", "various"}


def block(listed: Sequence[Row], known: Mapping[str, GenreRule]) -> str:
    """The block, most songs first: a song counts for the first genre that has one of its words, as in a manifest.

    known: the present rules, which say what word of "Heavy Metal" names a genre. Raises `Problem` if no word of a genre
    tag has enough files.
    """
    tagged = [row.genre_text for row in listed if row.genre_text]
    least = LEAST_SONGS_OF_MANY if len(tagged) >= MANY else LEAST_SONGS
    waiting = [words for text in tagged if (words := _words(text))]
    unnamed = len(tagged) - len(waiting)
    lines: list[str] = []
    dropped: dict[str, list[str]] = {}
    while waiting:
        words, count = _most_frequent(waiting, known)
        if count < least:
            dropped.setdefault("too few", []).append(f"{words[0]} {count:,}")
        elif len(lines) == MOST:
            dropped.setdefault(f"more than {MOST} genres", []).append(f"{words[0]} {count:,}")
        else:
            name, *others = (word if yaml.safe_load(word) == word else f'"{word}"' for word in words)
            lines.append(f"  {name}: {{words: [{', '.join([name, *others])}]}} # {count:,} files")
        waiting = [text for text in waiting if words[0] not in text]
    if not lines:
        raise Problem(
            f"No word stands in the genre tags of {least} files or more ({len(listed):,} files were looked at). "
            "Tag the songs with their genres first."
        )
    files = sum(row.format is not None for row in listed)
    untagged = sum(row.format is not None and not row.genre_text for row in listed)
    told = [f"{files:,} music files", f"{untagged:,} without a genre tag"]
    told += [f"{unnamed:,} whose tag names no genre"] if unnamed else []
    told = [", ".join(told), *(f"{why}: {few(words)}" for why, words in dropped.items())]
    return "\n".join([f"# {'; '.join(told)}.", "genres:", *lines])


def _most_frequent(texts: Sequence[tuple[str, ...]], known: Mapping[str, GenreRule]) -> tuple[tuple[str, ...], int]:
    """The word that most texts have, with the words that always come with it, and in how many they stand.

    Of words that always come together one that the present rules know stands first, else the first of the tag.
    """
    counts = Counter(word for words in texts for word in set(words))
    ends = Counter(words[-1] for words in texts)
    # Of two words as frequent as each other the one that ends more texts: "Classic Rock" is rock.
    word, count = min(counts.items(), key=lambda item: (-item[1], -ends[item[0]], item[0]))
    with_it = [words for words in texts if word in words]
    together = dict.fromkeys(each for each in with_it[0] if all(each in words for words in with_it))
    group = [each for each in together if counts[each] == count]
    return tuple(sorted(group, key=lambda each: genre_of([each], known) is None)), count


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in words_of(text) if word not in MEAN_NOTHING)
