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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hip-Hop/Rap", ("hip", "hop", "rap")),
        ("Indie_Rock", ("indie", "rock")),
        ("Éxtasis Ñandú", ("extasis", "nandu")),
        ("E\u0301tude", ("etude",)),
        ("STRASSE straße", ("strasse", "strasse")),
        ("ﬁne ＲＯＣＫ ②", ("fine", "rock", "2")),
        ("Рок и Джаз", ("рок", "и", "джаз")),
        ("R&B '90s", ("r", "b", "90s")),
        (" _-/ ", ()),
    ],
)
def test_words_are_normalised(text: str, words: tuple[str, ...]) -> None:
    assert genres.words_of(text) == words


def test_a_word_must_match_whole_and_a_prefix_only_begins_a_word() -> None:
    rules = {"a": GenreRule(words=("rock",)), "b": GenreRule(prefixes=("rock",))}
    assert genres.genre_of(["rock"], rules) == "a"
    assert genres.genre_of(["rockabilly"], rules) == "b"
    assert genres.genre_of(["roc"], rules) is None
    assert genres.genre_of(["krautrock"], rules) is None


def test_a_rule_may_have_words_and_prefixes() -> None:
    rules = {"metal": GenreRule(words=("doom",), prefixes=("metal", "thrash"))}
    matches = {"Doom", "Metal", "Metalcore", "Thrashing"}
    texts = [*matches, "Doomed", "Bimetal"]
    assert {text for text in texts if genres.genre_of([text], rules)} == matches


def test_each_word_of_a_rule_of_several_words_matches_alone() -> None:
    rules = {"hip": GenreRule(words=("Hip-Hop",)), "drum": GenreRule(prefixes=("drum_and bass",))}
    assert [genres.genre_of([text], rules) for text in ("hip", "Trip Hop", "Hip Hop", "hiphop")] == [
        "hip",
        "hip",
        "hip",
        None,
    ]
    assert [genres.genre_of([text], rules) for text in ("Drums", "Basso", "Android", "Candy")] == [
        "drum",
        "drum",
        "drum",
        None,
    ]


def test_rules_are_normalised_as_texts_are() -> None:
    rules = {"metal": GenreRule(words=("MÉTAL",)), "folk": GenreRule(prefixes=("Fólk",))}
    assert genres.genre_of(["Metal"], rules) == "metal"
    assert genres.genre_of(["folklore"], rules) == "folk"


def test_a_rule_without_a_letter_matches_nothing() -> None:
    rules = {"none": GenreRule(words=("-",), prefixes=("&",)), "rock": GenreRule(words=("rock",))}
    assert genres.genre_of(["Rock & Roll - Live"], rules) == "rock"


def test_an_earlier_rule_wins_over_an_earlier_text() -> None:
    rules = {"jazz": GenreRule(prefixes=("jazz",)), "rock": GenreRule(words=("rock",))}
    assert genres.genre_of(["Rock", "Jazzy"], rules) == "jazz"
    assert genres.genre_of(["Rock"], {}) is None


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
        ("(CR)", ["Cover"]),
        ("RX", ["Remix"]),
        ("CR", ["Cover"]),
        ("rx", ["rx"]),
        ("0", ["Blues"]),
        ("(0)", ["Blues"]),
        ("017", ["Rock"]),
        ("191", ["Psybient"]),
        ("192", ["192"]),
        ("255", ["255"]),
        ("(255)", ["255"]),
        ("(255)Own", ["255", "Own"]),
        ("(1234)", ["(1234)"]),
        ("-1", ["-1"]),
        ("１７", ["１７"]),
        ("(17)Rock", ["Rock"]),
        ("(17) (9) Indie", ["Rock", "Metal", "Indie"]),
        ("(17)((x)", ["Rock", "(x)"]),
        (" 17 \0\0 9 ", ["Rock", "Metal"]),
        ("(250)", ["250"]),
        ("Rock (live)", ["Rock (live)"]),
        ("", []),
    ],
)
def test_id3_forms(text: str, expected: list[str]) -> None:
    assert genres.expand_id3(text) == expected


def test_a_number_without_a_meaning_is_no_genre() -> None:
    # 255 is ID3v1's "no genre".
    assert genres.genre_of(genres.expand_id3("(255)"), RULES) is None
    assert genres.genre_of(genres.expand_id3("(17)"), RULES) == "rock"
