"""Years, and tags of each container."""

import io

import pytest

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
