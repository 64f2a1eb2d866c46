"""Years, and tags of each container."""

import io
from pathlib import Path

import pytest

from src.audio import formats, payload
from src.manifest import tags
from tests import sounds


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("1999", 1999),
        ("2018-12-03", 2018),
        ("20181203", 2018),
        ("20181203114500", 2018),
        ("3/12/2018", 2018),
        ("c. 1725", 1725),
        ("1725?", 1725),
        ("1969/2009", 1969),
        ("©2004", 2004),
        ("１９９９", 1999),
        ("2007-00-00T08:00:00Z", 2007),
        ("99", None),
        ("0", None),
        ("0000-00-00", None),
        ("12345", None),
        ("3019", None),
        ("199912345678901234", None),
        ("", None),
    ],
)
def test_year_of(text: str, year: int | None) -> None:
    assert tags.year_of([text]) == year


def test_the_first_text_with_a_year_wins() -> None:
    assert tags.year_of(["unknown", "1987", "1999"]) == 1987


def _read(data: bytes, form: str = "mp3") -> tags.Tags:
    return tags.read_tags(io.BytesIO(data), form)


def test_id3v1_and_v2_are_joined() -> None:
    data = sounds.id3v2({"TCON": "Jazz"}) + sounds.mp3_bytes(1, 0.5) + sounds.id3v1(17, "1987")
    assert _read(data) == tags.Tags(("Jazz", "Rock"), 1987)


def test_a_date_that_mutagen_drops() -> None:
    assert _read(sounds.id3v2({"TYER": "c. 1725", "TCON": "Classical"})).year == 1725
    assert _read(sounds.id3v2({"TDRC": "ca 1890"}, version=4)).year == 1890
    assert _read(sounds.id3v2({"TORY": "1971"})).year == 1971


def test_id3v22() -> None:
    assert _read(sounds.id3v2({"TCO": "(17)", "TYE": "1990"}, version=2)) == tags.Tags(("Rock",), 1990)


def test_all_id3v2_tags_in_front_are_read() -> None:
    first, second = sounds.id3v2({"TIT2": "x"}), sounds.id3v2({"TCON": "Rock", "TYER": "1999"}, padding=100)
    broken = b"ID3\x04\0\0\0\0\0\x05abcde"
    sound = sounds.mp3_bytes(1, 0.5)
    assert _read(first + second + sound) == tags.Tags(("Rock",), 1999)
    assert _read(first + broken + second + sound) == tags.Tags(("Rock",), 1999)
    assert _read(sounds.id3v2({"TCON": "Jazz"}) + second + sound) == tags.Tags(("Jazz", "Rock"), 1999)


@pytest.mark.parametrize("behind", [b"", sounds.id3v1(255, "")])
def test_an_id3v2_tag_with_a_footer_at_the_end_is_read(behind: bytes) -> None:
    tag = bytearray(sounds.id3v2({"TCON": "Rock", "TDRC": "1999"}, version=4))
    tag[5] = 0x10  # it has a footer
    data = sounds.mp3_bytes(1, 0.5) + tag + b"3DI" + tag[3:10]
    assert _read(data + behind) == tags.Tags(("Rock",), 1999)
    start, end = payload.between_tags(io.BytesIO(data + behind), len(data + behind))
    assert (data + behind)[start:end] == sounds.mp3_bytes(1, 0.5)


@pytest.mark.parametrize(("suffix", "form"), [("mka", "matroska"), ("webm", "matroska"), ("caf", "caf"), ("au", "au")])
def test_what_mutagen_does_not_read_ffmpeg_does(tmp_path: Path, suffix: str, form: str) -> None:
    path = sounds.encode(tmp_path / f"a.{suffix}", 1, *sounds.tagged("Hard; Rock=\\loud"))
    with path.open("rb") as file:
        assert formats.format_of(file) == (form, "")
        found = tags.read_tags(file, form)
    assert found == tags.Tags(("Hard; Rock=\\loud",), None if form == "au" else 1999)  # AU has no field for it


def test_a_film_in_matroska_is_no_music(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    sounds.run_ffmpeg(b"", "-f", "lavfi", "-i", "color=s=32x32:d=1", "-f", "lavfi", "-i", "sine=d=1", str(path))
    with path.open("rb") as file:
        assert formats.format_of(file) == (None, "a video (Matroska)")


def test_long_and_broken_texts_are_bounded() -> None:
    found = _read(sounds.id3v2({"TCON": "rock \x01" * 5000}))
    assert len(found.genres) == 1
    assert len(found.genres[0]) <= tags.MAX_TEXT
    assert found.genres[0].isprintable()


@pytest.mark.parametrize("form", ["mp3", "flac", "vorbis", "opus", "ogg", "m4a", "wav", "aiff", "wma", "ape", "dsf"])
@pytest.mark.parametrize(
    "data", [b"", b"\0" * 300, b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + b"\xff" * 64, b"fLaC\x84\xff\xff\xff"]
)
def test_garbage_is_no_tags(form: str, data: bytes) -> None:
    assert _read(data, form) == tags.Tags((), None)
