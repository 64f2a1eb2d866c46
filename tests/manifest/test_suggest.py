"""Genres for params.yaml from a library's own tags."""

import json

import pytest
import yaml

from src.base.errors import Problem
from src.config import GenreRule
from src.manifest import genres, rows, suggest
from src.manifest.rows import Row
from tests import here
from tests.conftest import StudyFolder
from tests.manifest.conftest import fill

RULES = {
    "metal": GenreRule(prefixes=("metal",)),
    "hip": GenreRule(words=("hip", "rap")),
    "rock": GenreRule(words=("rock",)),
}


def row(text: str | None) -> Row:
    return Row(path="Secret/Name.mp3", status="skipped", reason="x", genre_text=text, format="mp3")


def test_the_counts_are_those_of_a_manifest_by_these_rules() -> None:
    texts = (
        ["Classic Rock"] * 5 + ["Rock; Metal"] * 4 + ["Death Metal"] * 6 + ["No"] * 4 + ["Polka"] * 3 + ["Music"] * 9
    )
    texts += ["Polka"] * 70 + ["Zydeco"] * 3  # four files a genre in a library of a hundred
    said = suggest.block([row(text) for text in texts] + [row(None)] * 2, RULES)
    assert said.splitlines()[0] == (
        "# 106 music files, 2 without a genre tag, 9 whose tag names no genre; too few: zydeco 3."
    )
    assert "  metal: {words: [metal]} # 10 files" in said
    rules = {name: GenreRule(**rule) for name, rule in yaml.safe_load(said)["genres"].items()}
    assert list(rules) == ["polka", "metal", "rock", "no"], "most songs first; `no` is a word and not false"
    found = [genres.genre_of([text], rules) for text in texts]
    assert [found.count(genre) for genre in rules] == [73, 10, 5, 4]
    assert "Secret" not in said


def test_tags_of_which_no_word_is_frequent_are_a_sentence() -> None:
    with pytest.raises(Problem, match=r"in the genre tags of 2 files or more \(3 files were looked at\)"):
        suggest.block([row("Rock"), row("Metal"), row(None)], RULES)


@pytest.mark.parametrize("known", [RULES, {}])
def test_words_that_always_come_together_are_one_genre_and_two_songs_are_enough(known: dict[str, GenreRule]) -> None:
    texts = ["Heavy Metal"] * 4 + ["Hip-Hop"] * 4 + ["Classical"] * 3 + ["Drum & Bass"] * 2 + ["Polka"]
    comment, _, *lines = suggest.block([row(text) for text in texts], known).splitlines()
    assert comment == "# 14 music files, 0 without a genre tag; too few: polka 1."
    metal = "metal: {words: [metal, heavy]}" if known else "heavy: {words: [heavy, metal]}"
    assert sorted(line.strip() for line in lines) == sorted(
        [
            f"{metal} # 4 files",
            "hip: {words: [hip, hop]} # 4 files",
            "classical: {words: [classical]} # 3 files",
            "drum: {words: [drum, bass]} # 2 files",
        ]
    )


def test_what_is_beyond_the_most_genres_is_named() -> None:
    names = [f"genre{letter}" for letter in "abcdefghij"]
    said = suggest.block([row(name) for name in names for _ in range(3)] + [row("Polka")], RULES)
    assert said.splitlines()[0].endswith("tag; more than 8 genres: genrei 3, genrej 3; too few: polka 1.")
    assert list(yaml.safe_load(said)["genres"]) == names[: suggest.MOST]


def test_the_command_decodes_nothing_and_writes_no_manifest(study: StudyFolder) -> None:
    fill(study.root / "music", songs=4)
    (study.root / "data").mkdir()
    (study.root / "data/library.json").write_text(json.dumps({"kind": "own", "path": "music"}))
    for path in (study.root / "music/rock").iterdir():
        path.write_bytes(path.read_bytes()[:3000])  # tags alone: no decoder would take it
    done = here.run(study, "src.manifest", "--suggest-genres")
    assert done.returncode == 0, done.stdout
    said = done.stdout[done.stdout.index("# ") :]
    assert yaml.safe_load(said)["genres"].keys() == {"classical", "hardcore", "metalcore", "rap", "rock"}
    assert not (study.root / rows.PATH).exists()
    assert not (study.root / "metrics").exists()
    study.change("params.yaml", **yaml.safe_load(said))
    assert here.run(study, "src.manifest").returncode == 0
