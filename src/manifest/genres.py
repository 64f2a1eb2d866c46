"""From the text of a genre tag to one of the study's genres.

In: every genre text of a file and the table of rules in params.yaml. Out: the genre, or None. Matching is on whole
words of the Unicode-normalised, case-folded text, so "Therapy" is not rap and "Shamrock" is not rock.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from mutagen._constants import GENRES as ID3V1_GENRES

from src.config import GenreRule

_WORD = re.compile(r"\w+")
_NUMBERED = re.compile(r"\((\d{1,3}|RX|CR)\)")
_SPECIAL = {"RX": "Remix", "CR": "Cover"}


@lru_cache(maxsize=1 << 16)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a tag: compatibility-normalised, without accents, case-folded; `_` separates as `-` and `/` do."""
    spread = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    plain = "".join(letter for letter in spread if not unicodedata.combining(letter))
    return tuple(_WORD.findall(plain.replace("_", " ")))


def genre_of(texts: Iterable[str], rules: Mapping[str, GenreRule]) -> str | None:
    """The first genre, in the order of `rules`, of which some word of some text is a word or begins with a prefix."""
    words = {word for text in texts for word in words_of(text)}
    for genre, rule in rules.items():
        prefixes = tuple(joined for prefix in rule.prefixes for joined in words_of(prefix))
        wanted = {part for word in rule.words for part in words_of(word)}
        if words & wanted or (prefixes and any(word.startswith(prefixes) for word in words)):
            return genre
    return None


def expand_id3(text: str) -> list[str]:
    """The genres an ID3 genre text stands for, in all forms that writers have used.

    "17" → Rock; "(17)" → Rock; "(17)Indie" → Rock, Indie; "(4)(17)" → Disco, Rock; "((17)" → "(17)"; several texts
    separated by NUL (ID3v2.4). A number without a meaning stays as it is.
    """
    names: list[str] = []
    for part in text.split("\0"):
        rest = part.strip()
        while (numbered := _NUMBERED.match(rest)) is not None:
            names.append(_id3v1_name(numbered[1]))
            rest = rest[numbered.end() :].strip()
        if rest.startswith("(("):
            rest = rest[1:]
        if rest:
            names.append(_id3v1_name(rest))
    return list(dict.fromkeys(names))


def _id3v1_name(text: str) -> str:
    if text in _SPECIAL:
        return _SPECIAL[text]
    if text.isascii() and text.isdigit() and int(text) < len(ID3V1_GENRES):
        return str(ID3V1_GENRES[int(text)])
    return text
