"""What counts as a name, and that it is found in every spelling; nothing here needs a study."""

import codecs
import html
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from src.bundle import names
from src.bundle.names import Name
from src.bundle.search import CHUNK_BYTES, Search
from src.manifest import rows
from src.manifest.rows import Row
from src.record import journal

ODD = "Quarzel" + "bein"
"""No word of ours: in one piece it would be everyday, because this file has it."""
EVERYDAY = "Step" + " By Step"
"""Not in one piece: this file is published with the program, and somebody may have a song of this name."""
GENRES = ("rock", "metal")


def of(tmp_path: Path, path: str, genre_text: str | None = None) -> list[Name]:
    """The names that a library of one song gives."""
    rows.write(tmp_path / "manifest.csv", [Row(path, "skipped", "no year", genre_text=genre_text)])
    (tmp_path / "clips.csv").write_text(
        "clip,genre,split,frames,peak_dbfs,loudness_lufs,sha256\n"
        f"rock/0123456789abcdef.flac,rock,train,1,-6.00,-18.00,{'0123456789abcdef' * 4}\n"
    )
    return names.of_library(tmp_path / "manifest.csv", tmp_path / "clips.csv", GENRES)


def texts(found: list[Name]) -> set[str]:
    return {name.text for name in found if name.kind != names.HASH}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{ODD}/01 {ODD} Blues.flac", {ODD, f"{ODD} Blues", f"01 {ODD} Blues.flac"}),
        (f"Music/01 - {ODD}.mp3", {ODD, f"01 - {ODD}.mp3"}),
        (f"{ODD} - Early - 03 - Late.mp3", {f"{ODD} - Early - 03 - Late", f"{ODD} - Early - 03 - Late.mp3", ODD}),
        (
            f"{ODD} (Live) [Remastered 2011].mp3",
            {f"{ODD} (Live) [Remastered 2011", ODD, f"{ODD} (Live) [Remastered 2011].mp3"},
        ),
        ("music/rock/01.mp3", set()),
        ("demo/Rock 10.mp3", set()),
        ("Songs/Training.flac", set()),
        ("a/Hit.mp3", set()),
        (f"{EVERYDAY}.mp3", {EVERYDAY, f"{EVERYDAY}.mp3"}),
        (f"{EVERYDAY.lower()}.mp3", {f"{EVERYDAY.lower()}.mp3"}),
        ("犬猫鳥魚.flac", {"犬猫鳥魚", "犬猫鳥魚.flac"}),
        ("犬猫.flac", set()),
    ],
)
def test_what_is_a_name(tmp_path: Path, path: str, expected: set[str]) -> None:
    assert texts(of(tmp_path, path)) == expected


def test_genre_texts_count_where_they_are_unusual(tmp_path: Path) -> None:
    assert texts(of(tmp_path, "a.mp3", f"Rock; {ODD} Revival; Hip-Hop/Rap")) == {f"{ODD} Revival"}


def test_everyday_words_are_a_name_only_as_they_are_written(tmp_path: Path) -> None:
    search = Search(of(tmp_path, f"{EVERYDAY}.mp3"))
    assert not list(search.found(f"it goes {EVERYDAY.lower()}".encode()))
    assert list(search.found(f"the song {EVERYDAY.capitalize()}".encode())) == []
    assert list(search.found(f"the song {EVERYDAY}".replace(" ", "\n ").encode()))
    assert list(search.found(f"the file {EVERYDAY.lower().replace(' ', '_')}.MP3".encode()))


SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda text: text.encode(),
    "capitals": lambda text: text.upper().encode(),
    "underscores": lambda text: text.replace(" ", "_").encode(),
    "an address": lambda text: quote(text).encode(),
    "an address twice": lambda text: quote(quote(text)).encode(),
    "HTML": lambda text: "".join(f"&#{ord(letter)};" for letter in text).encode(),
    "HTML, only what must be": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace"),
    "JSON": lambda text: json.dumps({"of": text}).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"of": text})).encode(),
    "a line in JSON": lambda text: json.dumps(f"of:\n{text}\tand more").encode(),
    "Python": lambda text: repr(text.encode()).encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 in bytes": lambda text: b"\xff\x00\x07" + text.encode("utf-16-be") + b"\x80\x00\x01",
    "UTF-32 in bytes": lambda text: b"\xff\x07" + text.encode("utf-32-le") + b"\x80\x01",
    "UTF-8 in bytes": lambda text: b"\x93\xff\x00" + text.encode() + b"\xfe\xfa",
    "Latin-1": lambda text: b"\x00" + text.encode("latin-1", "replace") + b"\x00",
    "two signs for an accent": lambda text: unicodedata.normalize("NFD", text).encode(),
    "over a seam of pieces": lambda text: b"x " * (CHUNK_BYTES // 2 - 4) + text.encode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("text", [f"{ODD} Blues", f"Čtyři {ODD}y", f"Été & {ODD}", "犬猫鳥魚の夜"])
def test_a_name_is_found_in_every_spelling(tmp_path: Path, text: str, spelling: str) -> None:
    if spelling == "Latin-1" and not text.isascii() and "é" not in text:
        pytest.skip("Latin-1 does not have these letters")
    search = Search(of(tmp_path, f"{text}.mp3"))
    found = {name.text for _, name in search.found(SPELLINGS[spelling](text), "report.bin")}
    assert text in found


def test_beside_other_words_and_in_others_it_is_none(tmp_path: Path) -> None:
    search = Search(of(tmp_path, f"{ODD}.mp3"))
    assert not list(search.found(f"{ODD}ian and un{ODD}".encode(), "notes.txt"))
    assert [place for place, _ in search.found(b"", f"{ODD}.txt")] == [f"{ODD}.txt"]


def test_a_message_does_not_repeat_the_name_of_a_file(tmp_path: Path) -> None:
    search = Search(of(tmp_path, f"{ODD} Blues.mp3"))
    assert search.shown("reports/page.html: a.txt") == "reports/page.html: a.txt"
    assert search.shown(f"reports/{ODD} Blues/a.txt") == "reports/…"
    assert search.shown(f"a.zip: x/{ODD.upper()}_blues.txt") == "a.zip: x/…"
    assert search.shown(f"{ODD}%20Blues.txt") == "…"


def test_hashes_of_a_song_and_of_its_clip(tmp_path: Path) -> None:
    search = Search(of(tmp_path, "a.mp3"))
    found = {name.kind for _, name in search.found(b"made of 0123456789abcdef", "log.txt")}
    assert found == {names.HASH}


def test_machines_people_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: f"{ODD}.example.org")
    monkeypatch.setattr("getpass.getuser", lambda: "eve")
    monkeypatch.setenv("HOME", "/home/eve")
    view = journal.View(attempts={1: journal.Attempt(1, 0, 0, False, {"host": "vm"})})
    search = Search(names.of_machine(tmp_path, Path("/mnt/songs of eve"), view))

    def kinds(text: str) -> set[str]:
        return {name.kind for _, name in search.found(text.encode())}

    assert kinds(f"ran on {ODD}") == {names.HOST}
    assert kinds('{"host": "vm"}') == {names.HOST}
    assert kinds("a vm for eve") == set()
    assert kinds('"user": "eve"') == {names.USER}
    assert kinds(f"{tmp_path}/x") == {names.PATH}
    assert kinds("read /home/eve/notes and /mnt/songs of eve/a") == {names.PATH}
    assert kinds("/home/evelyn") == set()


def test_well_known_names_do_not_hit_the_program_itself() -> None:
    root = Path(names.__file__).parents[2]
    # Not as they are, because this list is published with the program, too.
    library = codecs.decode(
        (Path(__file__).parent / "well_known.rot13").read_text(encoding="utf-8"), "rot13"
    ).splitlines()
    assert len(library) > 60
    found = set()
    for path in library:
        found |= set(names._of_path(path, names.everyday() | set(GENRES), frozenset(GENRES)))
    search = Search(found)
    searched = [path for room in ("src", "docs") for path in (root / room).rglob("*") if path.suffix in (".py", ".md")]
    assert len(searched) > 100
    assert [hit for path in searched for hit in search.found(path.read_bytes(), path.name)] == []
