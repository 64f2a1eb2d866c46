"""The search for private names in everything that would be published.

In: bytes of a file, `Name`s. Out: which of them it holds, as UTF-8, UTF-16, UTF-32 or Latin-1, escaped for addresses,
HTML, JSON or Python, in any case, with anything between the words; inside archives, too. Not seen: what is compressed
in another way than zip, gzip, bzip2 or xz, encrypted, written in base64, drawn or sung.
"""

import bz2
import gzip
import html
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import unquote

from src.base.errors import Problem
from src.bundle.names import WORD, Name

CHUNK_BYTES, OVERLAP_BYTES = 2**21, 2**13
"""A file is read in pieces of this size, each with so much of the next one; both even, for UTF-16."""

CROWDED = 0x2E
"""From this first byte on a letter of UTF-16 is of a script that has so many that any bytes look like it."""

DEEPEST = 6
"""Archives within archives that are looked into."""

MOST_UNPACKED_BYTES = 2_000_000_000
"""Of one archive: more is not ours."""

_ESCAPED = re.compile(r"%[0-9a-fA-F]{2}|&#?\w{1,32};|\\[ux][0-9a-fA-F]{2}|\\[nrtbfv]")
_ASCII_WORD = re.compile(r"[a-z0-9]+")


class Search:
    """Names to look for, ordered by their longest word: few places of a text have one of these."""

    def __init__(self, names: Iterable[Name]) -> None:
        self._by_word: dict[str, list[tuple[int, Name]]] = defaultdict(list)
        signs: set[str] = set()
        for name in names:
            place = max(range(len(name.words)), key=lambda index: len(name.words[index]))
            self._by_word[name.words[place]].append((place, name))
            signs.update(*name.words, name.text.upper())
        self._words = self._by_word.keys()
        self._runs = _runs(signs)

    def found(self, content: bytes, path: str = "") -> Iterator[tuple[str, Name]]:
        """Where (`path`, or `path: member` in an archive) and which names stand in a file or in its name."""
        for place, part in _parts(path, content, DEEPEST):
            seen = set(self.named(place))
            for start in range(0, max(len(part), 1), CHUNK_BYTES):
                for text in _readings(part[start : start + CHUNK_BYTES + OVERLAP_BYTES], self._runs):
                    seen |= set(self._in_plain(text))
            for name in sorted(seen, key=lambda name: (name.kind, name.words)):
                yield place, name

    def named(self, path: str) -> Iterator[Name]:
        """The names in a path itself."""
        for text in _unescaped(path):
            yield from self._in_plain(text)

    def shown(self, path: str) -> str:
        """The path up to where a name begins, for a message."""
        parts = re.split(r"(?<=/)|(?<=: )", path)
        clean = next(count for count in range(len(parts), -1, -1) if not any(self.named("".join(parts[:count]))))
        return path if clean == len(parts) else f"{''.join(parts[:clean])}…"

    def _in_plain(self, text: str) -> Iterator[Name]:
        small = text.lower()
        words = (_ASCII_WORD if small.isascii() else WORD).findall(small)
        near = self._words & set(words)
        for index, word in enumerate(words) if near else ():
            for place, name in self._by_word[word] if word in near else ():
                start = index - place
                there = start >= 0 and tuple(words[start : start + len(name.words)]) == name.words
                if there and (not name.as_written or _as_written(name, text)):
                    yield name


def _as_written(name: Name, text: str) -> bool:
    if "/" in name.text or "\\" in name.text:
        pattern = re.escape(name.text) + r"(?!\w)"
    else:
        pattern = r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, WORD.findall(name.text))) + r"(?![^\W_])"
    return re.search(pattern, text) is not None


def _runs(signs: Collection[str]) -> list[tuple[re.Pattern[bytes] | None, str]]:
    """Patterns for what may be text among other bytes, each with its encoding; None: all of them may be.

    signs: letters of the names. In UTF-16 nearly any two bytes are a letter, so it is text where the letters are of
    the scripts that the names have.
    """
    high = sorted({0, *(min(ord(sign) >> 8, 0xFF) for sign in signs)})
    plain = all(sign.isascii() for sign in signs)
    runs: list[tuple[re.Pattern[bytes] | None, str]] = [
        (re.compile(rb"[\x20-\x7e]{5,}" if plain else rb"(?:[\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]{1,3}){2,}"), "utf-8")
    ]
    if high[-1] < CROWDED:
        pair = b"[" + b"".join(re.escape(bytes([byte])) for byte in high) + b"]"
        runs.append((re.compile(rb"(?:[\x00-\xff]" + pair + rb"){5,}", re.DOTALL), "utf-16-le"))
        runs.append((re.compile(rb"(?:" + pair + rb"[\x00-\xff]){5,}", re.DOTALL), "utf-16-be"))
        runs.append((re.compile(rb"(?:[\x00-\xff]" + pair + rb"\x00\x00){5,}", re.DOTALL), "utf-32-le"))
    else:
        runs += [(None, "utf-16-le"), (None, "utf-16-be")]
        runs.append((re.compile(rb"(?:[^\x00]\x00\x00\x00){5,}"), "utf-32-le"))
        runs.append((re.compile(rb"(?:[\x00-\xff][\x2e-\xff]\x00\x00){2,}"), "utf-32-le"))
    if any("\x80" <= sign <= "\xff" for sign in signs):
        runs.append((re.compile(rb"[\x20-\x7e\xc0-\xff]{5,}"), "latin-1"))
    return runs


def _readings(content: bytes, runs: Iterable[tuple[re.Pattern[bytes] | None, str]]) -> Iterator[str]:
    """The texts that some bytes may be."""
    try:
        yield from _unescaped(content.decode())
        if b"\0" not in content:
            return
    except UnicodeDecodeError:
        pass  # not text, or not whole: what in it may be text is looked at below
    for pattern, encoding in runs:
        if pattern is None:
            yield from (content[start:].decode(encoding, "replace") for start in (0, 1))
            continue
        text = "\n".join(run.decode(encoding, "replace") for run in pattern.findall(content))
        yield from _unescaped(text) if encoding == "utf-8" else (text,)


def _unescaped(text: str) -> Iterator[str]:
    """The text, and what it says when its escapes are read, twice over if need be."""
    yield text
    for _ in range(2):
        if not _ESCAPED.search(text):
            return
        plain = re.sub(r"(?:\\+u[0-9a-fA-F]{4})+", _of_json, text)
        plain = re.sub(r"(?:\\+x[0-9a-fA-F]{2})+", _of_python, plain)
        plain = re.sub(r"\\+[nrtbfv]", " ", plain)
        plain = html.unescape(unquote(plain))
        if plain == text:
            return
        text = plain
        yield text


def _of_json(escapes: re.Match[str]) -> str:
    return bytes.fromhex(re.sub(r"\\+u", "", escapes[0])).decode("utf-16-be", "replace")


def _of_python(escapes: re.Match[str]) -> str:
    content = bytes.fromhex(re.sub(r"\\+x", "", escapes[0]))
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _parts(path: str, content: bytes, deeper: int) -> Iterator[tuple[str, bytes]]:
    """A file and, if it is an archive, what is in it. Raises `Problem` for one that cannot be looked into."""
    yield path, content
    try:
        for name, member in _members(content):
            if deeper == 0:
                raise Problem(f"{path} holds archives within archives, too deep to look for private names in them.")
            yield from _parts(f"{path}: {name}" if name else path, member, deeper - 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, RuntimeError) as error:
        raise Problem(
            f"{path} looks like an archive and cannot be read ({error}), so nobody can tell whether it names a song. "
            "Take it out of what is published, or make it again."
        ) from None


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _bounded(sum(item.file_size for item in archive.infolist()))
            yield "", archive.comment
            for item in archive.infolist():
                yield item.filename, item.comment + b"\n" + item.extra
                yield item.filename, archive.read(item)
    elif content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                yield member.name, f"{member.linkname}\n{member.uname}\n{member.pax_headers}".encode()
                if member.isfile() and (file := archive.extractfile(member)) is not None:
                    yield member.name, file.read()
    elif content[:3] == b"\x1f\x8b\x08":
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as zipped:
            yield "", _read(zipped)
    elif content[:3] == b"BZh" and content[4:10] == b"1AY&SY":
        with bz2.BZ2File(io.BytesIO(content)) as packed:
            yield "", _read(packed)
    elif content[:6] == b"\xfd7zXZ\x00":
        with lzma.LZMAFile(io.BytesIO(content)) as pressed:
            yield "", _read(pressed)


def _read(file: io.BufferedIOBase) -> bytes:
    content = file.read(MOST_UNPACKED_BYTES + 1)
    _bounded(len(content))
    return content


def _bounded(size: int) -> None:
    if size > MOST_UNPACKED_BYTES:
        raise Problem(f"An archive has more than {MOST_UNPACKED_BYTES:,} bytes unpacked: no file of a study has.")
