"""A cache of what was read from files that have not changed since: data/library-cache/known.db.

In and out: facts by file (path, size, mtime, inode), sounds and clips by the hash of the encoded audio. Paths stand in
it as hashes only. Deleting it costs time and nothing else.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np

from src.audio.decode import versions
from src.base import code, files
from src.base.errors import Problem
from src.base.walk import Seen
from src.manifest.facts import FileFacts, SoundFacts

FOLDER = Path("data/library-cache")

_TABLES = """
create table if not exists file (key blob primary key, size int, mtime_ns int, inode int, facts text) without rowid;
create table if not exists sound (key blob primary key, facts text, words blob) without rowid;
create table if not exists clip (key blob primary key, facts text) without rowid;
"""
_SOUND = ("reason", "rate_hz", "channels", "frames")


class Cache:
    """An open cache. Not to be shared between processes that write."""

    def __init__(self, connection: sqlite3.Connection, library: Path) -> None:
        self._connection = connection
        self._library = os.fsencode(library.resolve())

    def known_files(self, seen: Iterable[Seen]) -> dict[bytes, FileFacts]:
        """Path → facts, of the files that are as they were when they were read."""
        known = {
            key: (size, mtime_ns, inode, text)
            for key, size, mtime_ns, inode, text in self._connection.execute(
                "select key, size, mtime_ns, inode, facts from file"
            )
        }
        unchanged = {}
        for item in seen:
            size, mtime_ns, inode, text = known.get(self._key(item.path), (None, None, None, ""))
            if (size, mtime_ns, inode) == (item.size_bytes, item.mtime_ns, item.inode):
                value = json.loads(text)
                value["genre_texts"] = tuple(value["genre_texts"])
                unchanged[item.path] = FileFacts(**value)
        return unchanged

    def add_files(self, items: Iterable[tuple[Seen, FileFacts]]) -> None:
        """Remember facts."""
        self._connection.executemany(
            "insert or replace into file values (?, ?, ?, ?, ?)",
            (
                (self._key(seen.path), seen.size_bytes, seen.mtime_ns, seen.inode, json.dumps(asdict(known)))
                for seen, known in items
            ),
        )
        self._connection.commit()

    def sounds(self, keys: Iterable[str]) -> dict[str, SoundFacts]:
        """Audio hash → what decoding gave."""
        sounds = {}
        for key in keys:
            row = self._connection.execute(
                "select facts, words from sound where key = ?", (bytes.fromhex(key),)
            ).fetchone()
            if row is not None:
                sounds[key] = SoundFacts(**json.loads(row[0]), words=np.frombuffer(row[1], dtype="<u4"))
        return sounds

    def add_sounds(self, items: Iterable[tuple[str, SoundFacts]]) -> None:
        """Remember what decoding gave."""
        self._connection.executemany(
            "insert or replace into sound values (?, ?, ?)",
            (
                (
                    bytes.fromhex(key),
                    json.dumps({name: getattr(sound, name) for name in _SOUND}),
                    sound.words.astype("<u4").tobytes(),
                )
                for key, sound in items
            ),
        )
        self._connection.commit()

    def clip(self, key: str) -> str | None:
        """What was noted of a clip cut before, as JSON."""
        row = self._connection.execute("select facts from clip where key = ?", (bytes.fromhex(key),)).fetchone()
        return None if row is None else str(row[0])

    def add_clip(self, key: str, noted: str) -> None:
        """Remember a clip."""
        self._connection.execute("insert or replace into clip values (?, ?)", (bytes.fromhex(key), noted))
        self._connection.commit()

    def _key(self, path: bytes) -> bytes:
        return hashlib.blake2b(self._library + b"\0" + path, digest_size=16).digest()


@contextmanager
def opened(folder: Path, library: Path, *, fresh: bool = False, writes: bool = True) -> Iterator[Cache]:
    """Open the cache in `folder`, made anew if it is damaged, of another version, or `fresh` is asked for.

    writes: False for a process that only looks things up while another one writes.
    """
    with files.exclusive(folder / "lock", what="Reading a library") if writes else nullcontext():
        try:
            with closing(_connection(folder / "known.db", fresh=fresh, writes=writes)) as connection:
                yield Cache(connection, library)
        except sqlite3.Error as error:
            raise Problem(
                f"The cache in {folder} could not be used ({error}). Free some space, "
                "or name a folder on another disk with --work."
            ) from error


def _connection(path: Path, *, fresh: bool, writes: bool) -> sqlite3.Connection:
    # Other code, or other decoders, may find what these did not. Seven digits fit SQLite's field.
    decided_by = f"{code.digest('src.manifest.facts', 'src.manifest.cache')} {versions()}"
    version = int(hashlib.sha256(decided_by.encode()).hexdigest()[:7], 16)
    connection = None if fresh else _connected(path, version)
    if connection is None and writes:
        for name in (path, Path(f"{path}-journal")):
            name.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
    elif connection is None:
        connection = sqlite3.connect(":memory:")
    connection.executescript(_TABLES)
    connection.execute(f"pragma user_version = {version}")
    # A power cut may cost what was remembered last, never what the manifest says.
    connection.execute("pragma synchronous = normal")
    connection.commit()
    return connection


def _connected(path: Path, version: int) -> sqlite3.Connection | None:
    if not path.exists():
        return None
    connection = sqlite3.connect(path)
    try:
        if connection.execute("pragma user_version").fetchone()[0] == version:
            for table in ("file", "sound", "clip"):
                connection.execute(f"select count(*) from {table}").fetchone()
            return connection
    except sqlite3.DatabaseError:
        pass  # damaged: begun anew
    connection.close()
    return None
