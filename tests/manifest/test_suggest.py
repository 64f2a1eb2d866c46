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


def row(text: str | None) -> Row:
    return Row(path="Secret/Name.mp3", status="skipped", reason="x", genre_text=text, format="mp3")


def test_the_counts_are_those_of_a_manifest_by_these_rules() -> None:
    texts = (
        ["Classic Rock"] * 5 + ["Rock; Metal"] * 4 + ["Death Metal"] * 6 + ["No"] * 4 + ["Polka"] * 3 + ["Music"] * 9
    )
    said = suggest.block([row(text) for text in texts] + [row(None)] * 2)
    assert said.splitlines()[0] == "# 33 music files, 2 without a genre tag, 3 with another genre than these."
    assert "  metal: {words: [metal]} # 10 files" in said
    rules = {name: GenreRule(**rule) for name, rule in yaml.safe_load(said)["genres"].items()}
    assert list(rules) == ["metal", "rock", "no"], "most songs first; `no` is a word and not false"
    found = [genres.genre_of([text], rules) for text in texts]
    assert [found.count(genre) for genre in rules] == [10, 5, 4]
    assert "Secret" not in said


def test_tags_of_which_no_word_is_frequent_are_a_sentence() -> None:
    with pytest.raises(Problem, match=r"in the genre tags of 4 files or more \(3 files were looked at\)"):
        suggest.block([row("Rock"), row("Metal"), row(None)])


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
