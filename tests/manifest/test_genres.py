"""Genre texts to genres."""

from pathlib import Path

import pytest

from src import config
from src.config import GenreRule
from src.manifest import genres

RULES = config.load(Path(__file__).parents[2]).study.genre_rules


@pytest.mark.parametrize(
    ("text", "genre"),
    [
        ("Metalcore", "metal"),
        ("Heavy Metal", "metal"),
        ("Hip-Hop/Rap", "hip"),
        ("hiphop", "hip"),
        ("Gangsta Rap", "hip"),
        ("Trap", "hip"),
        ("Post-Hardcore", "hardcore"),
        ("Classic Rock", "rock"),
        ("Rock & Roll", "rock"),
        ("Indie_Rock", "rock"),
        ("ＲＯＣＫ", "rock"),
        ("Röck", "rock"),
        ("Classical", "classical"),
        ("CLASSICAL; Baroque", "classical"),
        ("Rap Metal", "metal"),
        ("Rap Rock", "hip"),
        ("Hardcore Rock", "rock"),
        ("Classical Hardcore", "hardcore"),
        *((text, None) for text in ("Therapy", "Grape", "Trapped", "Shamrock", "Rockabilly", "Neoclassical")),
        *((text, None) for text in ("Worship", "Bimetal", "Crabcore", "Jazz", "", "  ", "()", "17")),
    ],
)
def test_whole_words_decide(text: str, genre: str | None) -> None:
    assert genres.genre_of([text], RULES) == genre


def test_several_texts_count_together() -> None:
    assert genres.genre_of(["Rock", "Metal"], RULES) == "metal"
    assert genres.genre_of([], RULES) is None


def test_the_order_of_the_table_decides() -> None:
    rules = {"jazz": GenreRule(words=("jazz",)), "funk": GenreRule(prefixes=("funk",))}
    assert genres.genre_of(["Jazz-Funk"], rules) == "jazz"
    assert genres.genre_of(["Jazz-Funk"], dict(reversed(rules.items()))) == "funk"
    assert genres.genre_of(["Funky"], rules) == "funk"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17", ["Rock"]),
        ("(17)", ["Rock"]),
        ("(17)Indie", ["Rock", "Indie"]),
        ("(9)(17)", ["Metal", "Rock"]),
        ("((17)", ["(17)"]),
        ("Rock\0Jazz", ["Rock", "Jazz"]),
        ("(RX)", ["Remix"]),
        ("(250)", ["250"]),
        ("Rock (live)", ["Rock (live)"]),
        ("", []),
    ],
)
def test_id3_forms(text: str, expected: list[str]) -> None:
    assert genres.expand_id3(text) == expected
