"""What would name a song, a person or a machine: the private names that no file of a bundle may hold.

In: data/manifest.csv, data/clips/clips.csv, this machine. Out: `Name`s for `search`.

What a name is (docs/publish.md says it for people): the parts of each path in the manifest, without track numbers, as
a whole and split at dashes. A word that the program or its tests use (`rock`, `music`) is everyday: alone it is no
name, and several of them are one only as they are written, capitals included. Nor are short words alone.
"""

import getpass
import os
import re
import socket
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import src
from src.base.errors import Problem
from src.clips import clipset
from src.manifest import rows
from src.record import journal

FILE, FOLDER, TEXT = "the name of a song's file", "the name of a folder of the library", "the genre text of a song"
HASH, PATH = "the hash of a single song", "a path of this machine"
HOST, USER = "the name of a machine", "the name of its user"

SHORTEST_WORD, SHORTEST_NAME, SHORTEST_EVERYDAY = 5, 6, 8
"""Letters that a single word, several words, and several everyday words must have to be a name. A letter of a script
that writes words without blanks counts twice."""

WORD = re.compile(r"[^\W_\u2e80-\U0010ffff]+|[\u2e80-\ud7ff\uf900-\ufffd\U00010000-\U0010ffff]")
"""A word; in Chinese, Japanese and Korean a letter, because there no blank tells words apart."""

EVERYWHERE = frozenset({"localhost", "root", "user", "runner", "ubuntu", "debian", "docker", "none", "vagrant"})
"""Names of machines and users that name nobody."""


@dataclass(frozen=True)
class Name:
    """One thing to search for."""

    words: tuple[str, ...]
    """In small letters; between them anything may stand that is neither letter nor digit."""
    kind: str
    text: str
    """As it is written."""
    as_written: bool = False
    """Whether capitals, and for a path its signs, must be as in `text`."""
    in_source: bool = True
    """Whether it is searched for in the source archive, too."""


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, in small letters."""
    return tuple(WORD.findall(text.lower()))


@cache
def everyday() -> frozenset[str]:
    """The words that the program, its tests and the names of its packages are made of."""
    root = Path(src.__file__).parents[1]
    own = [path for room in ("src", "tests", "benchmarks") for path in (root / room).rglob("*")]
    texts = [path for path in own if path.suffix in (".py", ".j2", ".css", ".js")] + [root / "requirements.lock"]
    words = {word for path in texts if path.is_file() for word in words_of(path.read_text(encoding="utf-8"))}
    return frozenset(word for word in words if word < "\u2e80")  # beyond it a word is a letter


def of_library(manifest: Path, clips: Path, genres: Iterable[str]) -> list[Name]:
    """What names a song: parts of its path, unusual genre texts, its hashes. genres: words of the study's genres.

    Raises `Problem` if the manifest or the clips' table cannot be read.
    """
    known = everyday() | {word for text in genres for word in words_of(text)}
    listed = rows.read(manifest)
    found: set[Name] = set()
    for path in {row.path for row in listed}:
        found |= set(_of_path(path, known, frozenset(genres)))
    for text in {part.strip() for row in listed if row.genre_text for part in row.genre_text.split(";")}:
        if set(words_of(text)) - known:
            found |= {name for name in _forms(text, TEXT, known) if not name.as_written}
    hashes = {digest for row in listed for digest in (row.file_sha256, row.audio_sha256) if digest}
    for clip in clipset.read_table(clips):
        hashes |= {clip.sha256, PurePosixPath(clip.clip).stem}
    found |= {Name((digest,), HASH, digest) for digest in hashes}
    return sorted(found, key=lambda name: (name.kind, name.words, name.text))


def of_machine(root: Path, library: Path | None, view: journal.View) -> list[Name]:
    """Paths, user and names of machines: of this one, and of those that an older journal names. root: the checkout."""
    paths = {root.resolve(), Path.home(), *([library.expanduser().absolute()] if library else [])}
    found = [Name(words_of(str(path)), PATH, str(path), as_written=True) for path in paths]
    found = [name for name in found if len(name.words) > 1 and _letters(name.words) >= SHORTEST_NAME]
    hosts = {
        socket.gethostname(),
        *(str(one.details["host"]) for one in view.attempts.values() if "host" in one.details),
    }
    hosts |= {host.partition(".")[0] for host in hosts}
    user = _user()
    for text, kind, before in [(user, USER, "user"), *((host, HOST, "host") for host in sorted(hosts))]:
        words = words_of(text)
        if not words or text.lower() in EVERYWHERE:
            continue
        found.append(Name((before, *words), kind, text, in_source=False))
        if _letters(words) >= SHORTEST_WORD and not set(words) <= everyday():
            found.append(Name(words, kind, text, in_source=False))
    return found


def allowed(path: Path | None) -> frozenset[tuple[str, ...]]:
    """The names that the user says may be published: one a line of a text file."""
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise Problem(f"{path} cannot be read. It has one name a line that may be published, in UTF-8.") from None
    return frozenset(form for line in lines for form in _spellings(words_of(line)))


def _of_path(path: str, known: frozenset[str], genres: frozenset[str]) -> Iterator[Name]:
    *folders, file = os.fsencode(rows.path_of(path)).decode("utf-8", "replace").split("/")
    for folder in folders:
        yield from _forms(folder, FOLDER, known)
    stem, dot, suffix = file.rpartition(".")
    stem = stem if dot else file
    yield from _forms(stem, FILE, known)
    telling = [word for word in words_of(stem) if not word.isdigit() and word not in genres]
    if dot and _letters(telling) >= SHORTEST_WORD and len(words_of(stem)) > 1:
        yield from _named((*words_of(stem), *words_of(suffix)), FILE, file)


def _forms(text: str, kind: str, known: frozenset[str]) -> Iterator[Name]:
    """The names in one part of a path: without numbers, without brackets, whole and split at dashes."""
    bare = re.sub(r"[(\[{].*?[)\]}]", " ", text)
    for whole in {text, bare}:
        for part in {whole, *re.split(r"[\s_]+[-–—~][\s_]+", whole)}:
            written = re.sub(r"^[\W\d_]+|[\W_]+$|[\W_]+\d+$", "", part)
            yield from _name(written, kind, known)


def _name(written: str, kind: str, known: frozenset[str]) -> Iterator[Name]:
    words = words_of(written)
    letters = _letters(words)
    strange = [word for word in words if not word.isdigit() and word not in known and len(word) + _letters((word,)) > 2]
    if len(words) == 1:
        if strange and letters >= SHORTEST_WORD:
            yield from _named(words, kind, written)
    elif strange:
        if letters >= SHORTEST_NAME:
            yield from _named(words, kind, written)
    elif letters >= SHORTEST_EVERYDAY and not written.islower():
        yield Name(words, kind, written, as_written=True)


def _named(words: tuple[str, ...], kind: str, written: str) -> Iterator[Name]:
    for spelling in _spellings(words):
        yield Name(spelling, kind, written)


def _spellings(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The words with accents in one sign, in two, and without them."""
    text = " ".join(words)
    two = unicodedata.normalize("NFKD", text)
    plain = "".join(sign for sign in two if not unicodedata.combining(sign))
    return {words_of(form) for form in (text, unicodedata.normalize("NFC", text), two, plain)}


def _letters(words: Iterable[str]) -> int:
    return sum((2 if sign >= "\u2e80" else 1) for word in words for sign in word if sign.isalpha())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a container may run under a number that has no name
