"""A library of hostile and odd files: each has the row it should have, and the scan goes on."""

import os
import random
import shutil
import socket
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mutagen.apev2
import mutagen.id3
import numpy as np
import pytest
import soundfile

from src import config
from src.manifest import cache, rows, scan
from src.manifest.decide import Rules
from src.manifest.rows import Row
from tests import sounds
from tests.sounds import encode, id3v1, id3v2, mp3_bytes, notes, tag, tagged, write

RULES = Rules(config.load(Path(__file__).parents[2]).study.genre_rules, minimum_duration_s=3.0, require_year=True)

KEPT = ""
DAMAGED = "damaged: the decoder found an error in the audio"
SHORT = "shorter than 3 s"
NOT_STUDIED = "a genre that is not studied"


@dataclass(frozen=True)
class Case:
    """One odd file: how it is made, and what its row says."""

    name: str
    make: Callable[[Path], object]
    reason: str
    genre: str | None = None
    year: int | None = None
    format: str | None = None


CASES: list[Case] = []


def odd(
    name: str, reason: str, genre: str | None = None, year: int | None = None, form: str | None = None
) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    """Register a case; the function makes the file."""

    def add(make: Callable[[Path], object]) -> Callable[[Path], object]:
        CASES.append(Case(name, make, reason, genre, year, form))
        return make

    return add


def plain(name: str, make: Callable[[Path], object], reason: str, *more: object) -> None:
    odd(name, reason, *more)(make)  # type: ignore[arg-type]


def raw(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


# Formats ------------------------------------------------------------------------------------------------------------
ROCK = ("rock", 1999)
plain("a.mp3", lambda path: encode(path, 1, *tagged()), KEPT, *ROCK, "mp3")
plain("a.flac", lambda path: encode(path, 2, *tagged()), KEPT, *ROCK, "flac")
plain("a24.flac", lambda path: tag(write(path, 3, subtype="PCM_24", rate_hz=96_000)), KEPT, *ROCK, "flac")
plain("a.ogg", lambda path: encode(path, 4, "-c:a", "libvorbis", *tagged()), KEPT, *ROCK, "vorbis")
plain("a.opus", lambda path: encode(path, 5, *tagged()), KEPT, *ROCK, "opus")
plain("a.oga", lambda path: encode(path, 6, "-c:a", "flac", *tagged()), KEPT, *ROCK, "ogg")
plain("aac.m4a", lambda path: encode(path, 7, *tagged()), KEPT, *ROCK, "m4a")
plain("alac.m4a", lambda path: encode(path, 8, "-c:a", "alac", *tagged()), KEPT, *ROCK, "m4a")
plain("a.wma", lambda path: encode(path, 9, *tagged()), KEPT, *ROCK, "wma")
plain("a.wv", lambda path: encode(path, 10, *tagged()), KEPT, *ROCK, "wavpack")
plain("a.wav", lambda path: tag(write(path, 11)), KEPT, *ROCK, "wav")
plain("a24.wav", lambda path: tag(write(path, 12, subtype="PCM_24")), KEPT, *ROCK, "wav")
plain("float.wav", lambda path: tag(write(path, 13, subtype="FLOAT")), KEPT, *ROCK, "wav")
plain("a8.wav", lambda path: tag(write(path, 14, subtype="PCM_U8", rate_hz=8000)), KEPT, *ROCK, "wav")
plain("a.aiff", lambda path: tag(write(path, 15)), KEPT, *ROCK, "aiff")
plain("surround51.wav", lambda path: tag(write(path, 16, channels=6)), KEPT, *ROCK, "wav")
plain("surround71.flac", lambda path: tag(write(path, 17, channels=8)), KEPT, *ROCK, "flac")
plain("an mp4.mp3", lambda path: encode(path, 18, "-f", "mp4", *tagged()), KEPT, *ROCK, "m4a")
plain("no extension", lambda path: encode(path, 19, "-f", "mp3", *tagged()), KEPT, *ROCK, "mp3")
plain("an mp3.txt", lambda path: encode(path, 20, "-f", "mp3", *tagged()), KEPT, *ROCK, "mp3")
plain("rf64.wav", lambda path: encode(path, 21, "-rf64", "always", *tagged()), KEPT, *ROCK, "wav")
plain("adts.aac", lambda path: encode(path, 22, "-f", "adts", "-write_id3v2", "1", *tagged()), KEPT, *ROCK, "aac")
plain("info.wav", lambda path: encode(path, 23, *tagged("Hip-Hop", "2018-05-01")), KEPT, "hip", 2018, "wav")
plain("layer2.mp2", lambda path: _append(encode(path, 24, *tagged()), id3v1(17)), KEPT, *ROCK, "mp3")


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


# Tags ---------------------------------------------------------------------------------------------------------------
V23 = {"TCON": "Rock", "TYER": "1999"}
plain("v1.mp3", raw(mp3_bytes(30) + id3v1(17)), KEPT, *ROCK)
plain("v22.mp3", raw(id3v2({"TCO": "(17)", "TYE": "1999"}, 2) + mp3_bytes(31)), KEPT, *ROCK)
plain("numbers.mp3", raw(id3v2({"TCON": "(9)(17)Loud", "TYER": "1999"}) + mp3_bytes(32)), KEPT, "metal", 1999)
plain("circa.mp3", raw(id3v2({"TCON": "Classical", "TYER": "c. 1725"}) + mp3_bytes(33)), KEPT, "classical", 1725)
plain("original.mp3", raw(id3v2({"TCON": "Rap", "TORY": "1988"}) + mp3_bytes(34)), KEPT, "hip", 1988)
plain("several.flac", lambda path: tag(write(path, 35), ["Jazz", "Rock"], "20181203"), KEPT, "rock", 2018)
plain("wide.flac", lambda path: tag(write(path, 36), "ＨＩＰ－ＨＯＰ"), KEPT, "hip", 1999)
plain("core.flac", lambda path: tag(write(path, 37), "Metalcore"), KEPT, "metal", 1999)
plain("post.flac", lambda path: tag(write(path, 38), "Post-Hardcore"), KEPT, "hardcore", 1999)
plain("therapy.flac", lambda path: tag(write(path, 39), "Therapy"), NOT_STUDIED)
plain("rockabilly.flac", lambda path: tag(write(path, 40), "Rockabilly"), NOT_STUDIED)
plain("neo.flac", lambda path: tag(write(path, 41), "Neoclassical"), NOT_STUDIED)
plain("endless genre.flac", lambda path: tag(write(path, 42), "x" * 100_000), NOT_STUDIED)
plain("no genre.flac", lambda path: tag(write(path, 43), None), "no genre tag")
plain("no year.flac", lambda path: tag(write(path, 44), date=None), "no year", "rock")
plain("two digits.flac", lambda path: tag(write(path, 45), date="'98"), "no year", "rock")
plain("padding.mp3", raw(id3v2(V23, padding=500_000) + mp3_bytes(46)), KEPT, *ROCK)
plain("broken tag.mp3", raw(b"ID3\x03\0\0\x7f\x7f\x7f\x7f" + mp3_bytes(47)), "not music: only a tag, no sound")
plain("lying frame.mp3", raw(id3v2({"TCON": "Rock"})[:-6] + b"\xff" * 6 + mp3_bytes(48) + id3v1(17)), KEPT, *ROCK)


@odd("ape.mp3", KEPT, "rock", 1975)
def _ape(path: Path) -> None:
    path.write_bytes(mp3_bytes(50))
    mine = mutagen.apev2.APEv2()
    mine["Genre"], mine["Year"] = "Rock", "1975"
    mine.save(path)


@odd("cover.mp3", KEPT, *ROCK)
def _cover(path: Path) -> None:
    path.write_bytes(mp3_bytes(51))
    mine = mutagen.id3.ID3()
    mine.add(mutagen.id3.APIC(mime="image/jpeg", type=3, data=random.Random(0).randbytes(10_000_000)))
    mine.add(mutagen.id3.TCON(text=["Rock"]))
    mine.add(mutagen.id3.TDRC(text=["1999"]))
    mine.save(path)


@odd("itunes number.m4a", KEPT, "metal", 2001)
def _gnre(path: Path) -> None:
    # No library writes the old atom with a number: made from the one with a text of as many bytes.
    encode(path, 52, *tagged("~~", "2001-02-03"))
    text, number = b"\xa9gen\0\0\0\x12data\0\0\0\1\0\0\0\0~~", b"gnre\0\0\0\x12data" + bytes(9) + b"\x0a"
    data = path.read_bytes()
    assert text in data
    path.write_bytes(data.replace(text, number))


# Lengths ------------------------------------------------------------------------------------------------------------
plain("one sample short.wav", lambda path: tag(write(path, 60, 47_999 / 16_000)), SHORT, *ROCK)
plain("to the sample.wav", lambda path: tag(write(path, 61, 3.0)), KEPT, *ROCK)
plain("to the sample.mp3", lambda path: tag(encode(path, 62, duration_s=3.0)), KEPT, *ROCK)
plain("brief.mp3", raw(id3v2(V23) + mp3_bytes(63, 1.0)), SHORT, *ROCK)


# Damaged ------------------------------------------------------------------------------------------------------------
def _shaken(data: bytes, start: int, length: int) -> bytes:
    noise = random.Random(1).randbytes(length)
    return data[:start] + noise + data[start + length :]


plain("empty.mp3", raw(b""), "empty")
plain("text.mp3", raw(b"Not a song, just words.\n" * 50), "not music: text")
plain("zeros.mp3", raw(bytes(5000)), "not music: only zeros")
plain(
    "noise.mp3",
    raw(b"\x01" + random.Random(5).randbytes(3000).replace(b"\xff", b"")),
    "not music: not a format known here",
)
plain("only a tag.mp3", raw(id3v2(V23)), "not music: only a tag, no sound")
plain("tag and zeros.mp3", raw(id3v2(V23) + bytes(100_000)), "not music: only a tag, no sound")
plain("cut.mp3", lambda path: _cut(tag(encode(path, 70)), 0.5), SHORT, *ROCK)
plain("cut.flac", lambda path: _cut(tag(write(path, 71)), 0.5), DAMAGED, *ROCK)
plain("cut.wav", lambda path: _cut(encode(path, 72, *tagged()), 0.5), SHORT, *ROCK)
plain("cut.ogg", lambda path: _cut(encode(path, 73, "-c:a", "libvorbis", *tagged()), 0.5), SHORT, *ROCK)
plain("cut.m4a", lambda path: _cut(encode(path, 74, *tagged()), 0.5), "no genre tag")
plain("middle.flac", lambda path: _shake(tag(write(path, 75))), DAMAGED, *ROCK)
plain("middle.mp3", lambda path: _shake(tag(encode(path, 76))), DAMAGED, *ROCK)
plain("middle.m4a", lambda path: _shake(encode(path, 77, "-movflags", "faststart", *tagged())), DAMAGED, *ROCK)
plain("silent.flac", lambda path: tag(_silence(path)), "silent", *ROCK)


def _cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def _shake(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(_shaken(data, len(data) // 2, 2000))


def _silence(path: Path) -> Path:
    soundfile.write(path, np.zeros(60_000), 16_000)
    return path


@odd("not numbers.wav", KEPT, *ROCK)
def _nan(path: Path) -> None:
    song = notes(80, 3.2)
    song[::100] = np.nan
    song[50::1000] = np.inf
    soundfile.write(path, song, 16_000, subtype="FLOAT")
    tag(path)


@odd("claims hours.flac", SHORT, *ROCK)
def _claims(path: Path) -> None:
    tag(write(path, 81, 1.0))
    data = bytearray(path.read_bytes())
    data[21:26] = bytes([data[21] | 0x0F, 0xFF, 0xFF, 0xFF, 0xFF])  # STREAMINFO's 36 bits of total samples
    path.write_bytes(data)


@odd("claims gigabytes.wav", SHORT, "rock", 1999)
def _huge_header(path: Path) -> None:
    tag(write(path, 82, 1.0))
    data = bytearray(path.read_bytes())
    place = data.index(b"id3 ") if b"id3 " in data else data.index(b"ID3 ")
    # The tag goes in front, the sound behind it with a size that is not there.
    sound = data.index(b"data")
    claimed = data[:sound] + data[place:] + b"data" + struct.pack("<I", 0x7FFFFFF0) + data[sound + 8 : place]
    path.write_bytes(claimed)


@odd("bomb.flac", "longer than 3 h", *ROCK)
def _bomb(path: Path) -> None:
    with soundfile.SoundFile(path, "w", 2000, 1, "PCM_16") as file:
        for _ in range(31):
            file.write(np.full(2000 * 360, 8000, dtype=np.int16))
    tag(path)
    assert path.stat().st_size < 200_000


@odd("protected.m4p", "protected (DRM)", *ROCK)
def _drm(path: Path) -> None:
    encode(path, 83, "-f", "mp4", *tagged())
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"drms"))


@odd("protected.wma", "protected (DRM)", *ROCK)
def _wma_drm(path: Path) -> None:
    encode(path, 84, *tagged())
    codecs, encryption = (
        bytes.fromhex("4052d1861d31d011a3a400a0c90348f6"),
        bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    )
    data = path.read_bytes()
    assert codecs in data
    path.write_bytes(data.replace(codecs, encryption))


@odd("film.mp4", "no audio in it", *ROCK)
def _film(path: Path) -> None:
    sounds.run_ffmpeg(b"", "-f", "lavfi", "-i", "color=s=32x32:d=1", *tagged(), str(path))


# Not music ----------------------------------------------------------------------------------------------------------
plain("cover.jpg", raw(b"\xff\xd8\xff\xe0" + bytes(500)), "not music: a picture")
plain("._a.mp3", raw(b"\0\x05\x16\x07" + bytes(300)), "not music: macOS metadata (AppleDouble)")
plain("notes.mid", raw(b"MThd" + bytes(40)), "not music: MIDI notes, not sound")
plain("booklet.pdf", raw(b"%PDF-1.4 ..."), "not music: a PDF")
plain("clip.avi", raw(b"RIFF\x10\0\0\0AVI LIST" + bytes(50)), "not music: a video or picture (RIFF)")


@odd("archive.flac", "not music: an archive")
def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")


@odd("sparse.mp3", "larger than 4 GiB")
def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(9 << 30)


@odd("sparse2.mp3", "not music: only zeros")
def _sparse_small(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


# Copies -------------------------------------------------------------------------------------------------------------
plain(
    "t copy.flac",
    lambda path: tag(write(path, 35), ["Jazz", "Rock"], "20181203"),
    "the same audio as another file",
    "rock",
    2018,
)
plain(
    "retagged.mp3",
    raw(id3v2({"TCON": "Metal", "TYER": "2020"}) + mp3_bytes(30)),
    "the same audio as another file",
    "metal",
    2020,
)

# Names and places ---------------------------------------------------------------------------------------------------
plain("x" * 246 + ".mp3", raw(id3v2(V23) + mp3_bytes(90)), KEPT, *ROCK)
plain("deep/" + "/".join("d" * 200 for _ in range(9)) + "/a.mp3", raw(id3v2(V23) + mp3_bytes(91)), KEPT, *ROCK)
plain("new\nline\t.mp3", raw(id3v2(V23) + mp3_bytes(92)), KEPT, *ROCK)
plain("-i.m4a", lambda path: encode(path, 93, *tagged()), KEPT, *ROCK)
plain("a:b%d[*]?.opus", lambda path: encode(path, 94, *tagged()), KEPT, *ROCK)
plain(os.fsdecode(b"caf\xe9.mp3"), raw(id3v2(V23) + mp3_bytes(95)), KEPT, *ROCK)
plain(
    os.fsdecode(b"\xff\xfe.m4a"),
    lambda path: _renamed(encode(path.with_name("t.m4a"), 96, *tagged()), path),
    KEPT,
    *ROCK,
)
plain("nowhere.mp3", lambda path: path.symlink_to("gone.mp3"), "a link to nothing")
plain("circle.mp3", lambda path: path.symlink_to(path.name), "a link that leads in a circle")
plain("up", lambda path: path.symlink_to(".."), "a link to a folder that is read elsewhere")
plain("pipe.mp3", lambda path: os.mkfifo(path), "not a file (a pipe, socket or device)")


def _renamed(source: Path, target: Path) -> None:
    source.rename(target)


@odd("socket.mp3", "not a file (a pipe, socket or device)")
def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as mine:
            mine.bind(path.name)
    finally:
        os.chdir(here)


@odd("hidden.mp3", KEPT if os.geteuid() == 0 else "no permission to read it", "rock" if os.geteuid() == 0 else None)
def _hidden(path: Path) -> None:
    path.write_bytes(id3v2(V23) + mp3_bytes(97))
    path.chmod(0)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """The rows of the whole library, by name."""
    root = tmp_path_factory.mktemp("odd")
    library = root / "library" / "sub"
    for case in CASES:
        path = library / case.name
        path.parent.mkdir(parents=True, exist_ok=True)
        case.make(path)
    with cache.opened(root / "work", root / "library") as known:
        done = scan.scan(root / "library", RULES, known, time_limit_s=30)
        again = scan.scan(root / "library", RULES, known, time_limit_s=30)
    assert again.rows == done.rows
    assert again.songs_decoded == 0
    shutil.rmtree(root / "library")
    return {row.path: row for row in done.rows}


def test_there_are_enough_of_them(table: dict[str, Row]) -> None:
    assert len(CASES) >= 60
    assert len(table) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.name)[1:30])
def test_every_file_has_its_row(case: Case, table: dict[str, Row]) -> None:
    row = table[rows.shown(os.fsencode(f"sub/{case.name}"))]
    assert row.reason == case.reason
    assert row.status == ("skipped" if case.reason else "kept")
    assert row.genre == case.genre
    if case.year:
        assert row.year == case.year
    if case.format:
        assert row.format == case.format
    if row.status == "kept":
        assert row.duration_s == pytest.approx(3.2, abs=0.25)
        assert row.file_sha256
        assert row.audio_sha256
