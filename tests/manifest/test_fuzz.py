"""Hundreds of broken files: each gives a row that says why, and none stops or slows the scan."""

import random
import re
from pathlib import Path

import pytest

from src import config
from src.manifest import cache, facts, scan
from src.manifest.decide import Rules
from src.manifest.rows import Row
from tests.sounds import encode, tag, tagged, write

RULES = Rules(config.load(Path(__file__).parents[2]).study.genre_rules, minimum_duration_s=0.5, require_year=True)
COUNTS = {"mp3": 100, "flac": 100, "ogg": 100, "wav": 100, "aiff": 80, "opus": 20, "m4a": 25, "wma": 20}
EXPECTED = re.compile(
    r"|empty|silent|no genre tag|a genre that is not studied|no year|shorter than 0\.5 s|no audio in it"
    r"|not music: .+|protected \(DRM\)|damaged: .+|longer than 3 h|the same audio as another file"
    r"|the same recording as another file, encoded again|a kind of audio ffmpeg does not decode"
)


def mutate(data: bytes, seed: int) -> bytes:
    """Flip bytes, cut, splice, or repeat a part of the data; tags and frames alike."""
    draw = random.Random(seed)
    for _ in range(draw.choice((1, 1, 2, 3))):
        place, length = draw.randrange(len(data)), draw.randrange(1, max(2, len(data) // 4))
        # Half of the hits fall on the headers, where a parser has most to lose.
        if draw.random() < 0.5:
            place = draw.randrange(min(600, len(data)))
        match draw.randrange(6):
            case 0:
                data = data[:place] + bytes([draw.randrange(256)]) + data[place + 1 :]
            case 1:
                flips = bytearray(data)
                for _ in range(draw.randrange(1, 40)):
                    flips[min(len(flips) - 1, place + draw.randrange(200))] ^= 1 << draw.randrange(8)
                data = bytes(flips)
            case 2:
                data = data[: max(1, place)]
            case 3:
                data = data[:place] + data[place + length :] or b"\0"
            case 4:
                data = data[:place] + draw.randbytes(draw.randrange(1, 500)) + data[place:]
            case 5:
                data = data[:place] + b"\xff" * 4 + data[place + 4 :]
    return data


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The rows of a library of mutated files."""
    root = tmp_path_factory.mktemp("fuzz")
    library = root / "library"
    library.mkdir()
    for number, (form, count) in enumerate(COUNTS.items()):
        source = root / f"source.{form}"
        if form in ("opus", "m4a", "wma", "ogg"):
            codec = ("-c:a", "libvorbis") if form == "ogg" else ()
            encode(source, number, *codec, *tagged(), duration_s=0.8)
        else:
            tag(write(source, number, 0.8))
        data = source.read_bytes()
        for seed in range(count):
            (library / f"{seed}.{form}").write_bytes(mutate(data, 1000 * number + seed))
    with cache.opened(root / "work", library) as known:
        return scan.scan(library, RULES, known, time_limit_s=30).rows


def test_every_file_has_a_row_that_explains_it(table: list[Row]) -> None:
    assert len(table) == sum(COUNTS.values()) >= 500
    unexplained = {row.reason for row in table if not EXPECTED.fullmatch(row.reason)}
    assert not unexplained
    assert all((row.status == "kept") == (row.reason == "") for row in table)


def test_the_mutations_reach_both_ends(table: list[Row]) -> None:
    kept = sum(row.status == "kept" for row in table)
    assert 20 < kept < len(table) - 100
    assert {row.format for row in table if row.status == "kept"} >= {"mp3", "flac", "wav", "aiff"}
    assert len({row.reason for row in table}) >= 6


def test_no_hash_or_length_is_missing_from_a_kept_row(table: list[Row]) -> None:
    for row in table:
        if row.status == "kept":
            assert row.audio_sha256
            assert row.duration_s is not None
            assert 0.5 <= row.duration_s < 3600 * facts.MAX_HOURS
