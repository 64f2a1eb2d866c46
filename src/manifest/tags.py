"""Genre texts and the year of a music file, from whatever tags its container has.

In: an open file and its format (`formats.format_of`). Out: `Tags`. Text that is not about genre or date (titles,
artists, covers) is not kept. A damaged tag gives what could be read of it: a song is not lost for its tag's sake.
"""

import contextlib
import io
import re
import struct
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.dsf
import mutagen.flac
import mutagen.id3
import mutagen.mp4
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggspeex
import mutagen.oggvorbis
from mutagen.id3 import TextFrame

from src.audio import ffmpeg
from src.audio.formats import chunks, id3_size
from src.manifest import genres

MAX_TEXT = 200
"""Longest genre text kept, in characters."""
MAX_TEXTS = 20
"""Most genre texts kept of one file."""

_TAG_ERRORS = (
    mutagen.MutagenError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError,
    EOFError, RecursionError, NotImplementedError, struct.error,
)  # fmt: skip
"""What mutagen raises on hostile input: its own error, and what its parsers let through. Its own error stands for one
of the disk as well: `facts.read_file` looks for that."""


@dataclass(frozen=True)
class Tags:
    """What a file's tags say."""

    genres: tuple[str, ...]
    """Genre texts in the order found, numbers of ID3v1 written out."""
    year: int | None
    drm: bool = False
    """The audio is encrypted."""


class _Texts(NamedTuple):
    genres: list[str]
    dates: list[str]


_ID3_GENRE = ("TCON",)
_ID3_DATES = ("TDRC", "TYER", "TDRL", "TDOR", "TORY")
# Plain text frames in position of mutagen's: its time stamps drop dates such as "c. 1725", and frames that are not
# listed (covers of 10 MB) are not parsed at all.
_ID3_TEXTS = {name: type(name, (TextFrame,), {}) for name in (*_ID3_GENRE, *_ID3_DATES)}
# The three-letter frames of ID3v2.2; mutagen turns a frame with such a name into its base.
_ID3_SHORT = {"TCO": "TCON", "TYE": "TYER", "TOR": "TORY"}
_ID3_FRAMES = _ID3_TEXTS | {short: type(short, (_ID3_TEXTS[long],), {}) for short, long in _ID3_SHORT.items()}

_GENRE_KEYS = ("genre", "wm/genre", "©gen", "ignr", "----:com.apple.itunes:genre")
_DATE_KEYS = (
    "date", "year", "releasedate", "wm/year", "©day", "icrd", "originaldate", "originalyear", "original year",
    "wm/originalreleaseyear", "wm/originalreleasetime", "----:com.apple.itunes:originaldate",
    "----:com.apple.itunes:originalyear", "----:com.apple.itunes:year",
)  # fmt: skip


def read_tags(file: BinaryIO, form: str) -> Tags:
    """Read the tags of an open file.

    file: seekable, binary. form: its format. Never raises for a damaged tag.
    """
    collected = _Texts([], [])
    drm = False
    for source in _SOURCES.get(form, ()):
        try:
            file.seek(0)
            part = source(file)
        except _TAG_ERRORS:
            # A tag that cannot be read is a tag that is not there: the row then says "no genre".
            continue
        collected.genres.extend(part.genres)
        collected.dates.extend(part.dates)
    if form in ("m4a", "wma"):
        drm = _is_encrypted(file, form)
    texts = dict.fromkeys(text for raw in collected.genres for text in map(_clean, genres.expand_id3(raw)) if text)
    return Tags(tuple(texts)[:MAX_TEXTS], year_of(collected.dates), drm)


def year_of(texts: Iterable[str]) -> int | None:
    """The first year from 1000 to 2099 in the first text that has one: "c. 1725", "20181203", "3/12/1999"."""
    for text in texts:
        plain = unicodedata.normalize("NFKC", text)
        match = re.search(
            r"(?<!\d)(1\d{3}|20\d{2})(?:(?!\d)|(?=(?:0[0-9]|1[0-2])(?:[0-2]\d|3[01])(?:\d{6})?(?!\d)))", plain
        )
        if match is not None:
            return int(match[1])
    return None


def _clean(text: str) -> str:
    """One line without control characters, bounded."""
    kept = "".join(" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text[: 4 * MAX_TEXT])
    return " ".join(kept.split())[:MAX_TEXT]


def _id3v2(file: BinaryIO) -> _Texts:
    texts = _Texts([], [])
    for start, size in list(_id3v2_tags(file)):
        file.seek(start)
        with contextlib.suppress(*_TAG_ERRORS):  # another one may be whole
            part = _id3_frames(io.BytesIO(file.read(size)) if start else file)
            texts.genres.extend(part.genres)
            texts.dates.extend(part.dates)
    return texts


def _id3v2_tags(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """(start, size) of each tag in front, one behind the other, and of one with a footer at the end."""
    start = 0
    while size := id3_size(file.read(10)):
        yield start, size
        start += size
        file.seek(start)
    total = file.seek(0, io.SEEK_END)
    file.seek(max(start, total - 138))
    footer = re.search(rb"3DI(.{7})(?:TAG.{125})?\Z", file.read(), re.DOTALL)
    if footer is not None and (size := id3_size(b"ID3" + footer[1])):
        yield max(start, total - len(footer[0]) + 10 - size), size


def _id3_frames(file: BinaryIO) -> _Texts:
    file.seek(0)
    tag = mutagen.id3.ID3()
    tag.load(fileobj=file, known_frames=_ID3_FRAMES, translate=False, load_v1=False)
    texts = {name: [str(text) for frame in tag.getall(name) for text in frame.text] for name in _ID3_TEXTS}
    return _Texts(
        [text for name in _ID3_GENRE for text in texts[name]],
        [text for name in _ID3_DATES for text in texts[name]],
    )


def _id3v1(file: BinaryIO) -> _Texts:
    size = file.seek(0, io.SEEK_END)
    if size < 128:
        return _Texts([], [])
    file.seek(size - 128)
    tag = file.read(128)
    if tag[:3] != b"TAG":
        return _Texts([], [])
    number = str(tag[127])
    named = genres.expand_id3(number)
    return _Texts([] if named == [number] else named, [tag[93:97].decode("latin-1")])


def _pairs(pairs: Iterable[tuple[str, Any]]) -> _Texts:
    """Genres and dates among (key, value or values), the keys in any case."""
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        items = value if isinstance(value, list | tuple) else [value]
        for item in items:
            text = bytes(item).decode("utf-8", "replace") if isinstance(item, bytes | bytearray) else str(item)
            values.setdefault(key.lower(), []).extend(text.split("\0"))
    return _Texts(
        [text for key in _GENRE_KEYS for text in values.get(key, [])],
        [text for key in _DATE_KEYS for text in values.get(key, [])],
    )


def _ape(file: BinaryIO) -> _Texts:
    if not _may_have_ape(file):
        return _Texts([], [])
    tag = mutagen.apev2.APEv2()
    file.seek(0)
    tag.load(fileobj=file)
    return _pairs((key, str(value)) for key, value in tag.items())


def _may_have_ape(file: BinaryIO) -> bool:
    """Whether the magic word stands where an APE tag ends (before ID3v1 and Lyrics3) or begins."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 64 * 1024))
    return b"APETAGEX" in file.read()


def _mutagen(kind: Any) -> Any:
    """A reader of the tags of one mutagen file type."""

    def read(file: BinaryIO) -> _Texts:
        tags = kind(fileobj=file).tags
        return _pairs(_items(tags)) if tags is not None else _Texts([], [])

    return read


def _items(tags: Any) -> Iterator[tuple[str, Any]]:
    """(key, value) pairs of any of mutagen's tag types."""
    for item in list(tags) if isinstance(tags, list) else list(tags.items()):
        key, value = item
        yield str(key), value


def _dsf(file: BinaryIO) -> _Texts:
    head = file.read(28)
    file.seek(int.from_bytes(head[20:28], "little"))
    return _id3_frames(io.BytesIO(file.read()))


def _by_ffmpeg(file: BinaryIO) -> _Texts:
    return _pairs(ffmpeg.metadata(file))


def _riff(file: BinaryIO) -> _Texts:
    """RIFF INFO lists and ID3 tags in the chunks of a WAV or AIFF file."""
    genre_texts: list[str] = []
    dates: list[str] = []
    for name, start, size in chunks(file):
        if name in (b"id3 ", b"ID3 "):
            file.seek(start)
            try:
                part = _id3_frames(io.BytesIO(file.read(size)))
            except _TAG_ERRORS:
                continue
            genre_texts[:0], dates[:0] = part.genres, part.dates
        elif name == b"LIST" and size >= 4:
            file.seek(start)
            body = file.read(min(size, 1 << 20))
            if body[:4] == b"INFO":
                part = _pairs(_info_items(body[4:]))
                genre_texts += part.genres
                dates += part.dates
    return _Texts(genre_texts, dates)


def _info_items(body: bytes) -> Iterator[tuple[str, str]]:
    position = 0
    while position + 8 <= len(body):
        size = int.from_bytes(body[position + 4 : position + 8], "little")
        raw = body[position + 8 : position + 8 + size].rstrip(b"\0")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", "replace")
        yield body[position : position + 4].decode("latin-1"), text
        position += 8 + size + size % 2


def _is_encrypted(file: BinaryIO, form: str) -> bool:
    file.seek(0)
    if form == "wma":
        head = file.read(256 * 1024)
        # Content Encryption and Extended Content Encryption objects (ASF specification, 10.1).
        guids = ("fbb3112223bdd211b4b700a0c955fc6e", "14e68a292226174cb935dae07ee9289c")
        return any(bytes.fromhex(guid) in head for guid in guids)
    try:
        codec = str(mutagen.mp4.MP4(fileobj=file).info.codec)
    except _TAG_ERRORS:
        return False
    return codec.split(".")[0] in ("drms", "enca")


_OGG = (_mutagen(mutagen.oggvorbis.OggVorbis),)
_SOURCES: dict[str, tuple[Any, ...]] = {
    "mp3": (_id3v2, _ape, _id3v1),
    "aac": (_id3v2, _ape, _id3v1),
    "tta": (_id3v2, _ape, _id3v1),
    "flac": (_mutagen(mutagen.flac.FLAC), _id3v2, _ape, _id3v1),
    "vorbis": _OGG,
    "opus": (_mutagen(mutagen.oggopus.OggOpus),),
    "ogg": (_mutagen(mutagen.oggflac.OggFLAC), _mutagen(mutagen.oggspeex.OggSpeex)),
    "m4a": (_mutagen(mutagen.mp4.MP4),),
    "wav": (_riff,),
    "aiff": (_riff,),
    "wma": (_mutagen(mutagen.asf.ASF),),
    "wavpack": (_ape, _id3v1),
    "ape": (_id3v2, _ape, _id3v1),
    "musepack": (_id3v2, _ape, _id3v1),
    "dsf": (_dsf,),
    **dict.fromkeys(("matroska", "caf", "au", "w64", "dff"), (_by_ffmpeg,)),
}
