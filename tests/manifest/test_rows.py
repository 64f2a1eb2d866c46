"""The manifest as a file."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.base.errors import Problem
from src.manifest import rows
from src.manifest.rows import Row


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name))
def test_any_name_comes_back(name: bytes) -> None:
    shown = rows.shown(name)
    assert shown.isprintable()
    assert os.fsencode(rows.path_of(shown)) == os.fsencode(Path(os.fsdecode(name)))


def test_a_table_comes_back(tmp_path: Path) -> None:
    table = [
        Row(
            'a,"b"/c.mp3', "kept", "", "rock", 'Rock "n" Roll; Pop', 1999, 120.5, "mp3", 44100, 2, 7, "f" * 64, "a" * 64
        ),
        Row("d\\x0a.txt", "skipped", "not music: text", size_bytes=3),
    ]
    rows.write(tmp_path / "m.csv", table)
    assert rows.read(tmp_path / "m.csv") == table


@pytest.mark.parametrize("damage", ["", "path,status\n", "broken", None])
def test_a_damaged_table_is_a_problem(tmp_path: Path, damage: str | None) -> None:
    path = tmp_path / "m.csv"
    rows.write(path, [Row("a", "kept", "")])
    if damage is None:
        path.write_text(path.read_text().replace("kept", "perhaps"))
    else:
        path.write_text(damage)
    with pytest.raises(Problem, match=r"src\.manifest"):
        rows.read(path)


def test_a_missing_table_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="does not exist"):
        rows.read(tmp_path / "none.csv")
