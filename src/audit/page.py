"""Whether the comparison says what the measures say: it is made again and compared, sentence by sentence.

In: reports/compare-…/ and what it was made from. Out: checks. Where songs can be heard on the page and are not at hand,
what belongs to them is left out and said.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import chdir
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from src.audit.check import Check, decided, unknown
from src.audit.study import Study, read_json
from src.base import console
from src.base.console import few
from src.bundle.layout import MOST_JSON_BYTES
from src.compare import gathering, page, songs
from src.compare.__main__ import command_line

FIGURES, PAGE, SOUNDS = "comparison.json", "the page's sentences and tables", "the page's sounds and pictures"
SHOWN = 160
"""Characters of a sentence that is quoted."""
BEGINNING = 30
"""A sentence that goes on otherwise where songs can be heard begins alike for so many characters."""
WHY_SONGS = (songs.PRIVATE, songs.COMPOSED, songs.UNHEARD, songs.ALLOWED)
"""What the page says of why songs can be heard or not: it hangs on the options and times of files of its maker."""


def checks(study: Study) -> Iterator[Check]:
    """The comparison of the compared steps."""
    folder = study.root / "reports" / "-".join(["compare", *map(str, study.params.compared_steps)])
    if not (folder / "comparison.json").is_file():
        yield unknown(PAGE, f"{folder.relative_to(study.root)} is not here.")
        return
    said = read_json(folder / "comparison.json")
    if said["listening"] is not None:
        yield unknown(PAGE, "it has ratings of listeners, which are not among the study's files.")
        return
    text = _text_of(folder / "index.html")
    with tempfile.TemporaryDirectory(prefix="audit-") as made:
        again = Path(made) / folder.name
        wanted = {"--with-songs": True, "--without-songs": False}
        asked = next((value for word, value in wanted.items() if f"{word} --steps" in text), None)
        heard = any(folder.glob("audio/song-*"))
        at_hand = study.clips_home is not None and study.clips is not None and study.clips.digest == study.clips_digest
        # Where the songs are, `src.compare` asks of the working folder.
        with (
            chdir(study.clips_home or Path.cwd()),
            console.progress("making the page again", 2, "parts") as meter,  # ended before anything is printed
        ):
            compared = gathering.gather(
                [study.run], study.params.compared_steps, study.params.genres, with_songs=heard and at_hand
            )
            meter.advance()
            command = command_line([study.run], study.params.compared_steps, asked)
            page.write(again, compared, made=str(said["made"])[:40], command=command, listening=None)
            meter.advance()
        yield _figures(said, json.loads((again / "comparison.json").read_text(encoding="utf-8")))
        apart = heard and not at_hand
        yield _sentences(text, _text_of(again / "index.html"), apart=apart)
        yield _sounds(folder, again, songs_apart=apart)


def _figures(said: Any, again: Any) -> Check:
    """comparison.json, place by place."""
    wrong = [f"{place} is not what the measures give." for place in _differing(said, again)]
    sentences = len(again["sentences"])
    return decided(
        FIGURES, wrong, f"Its {sentences:,} sentences and every figure follow from the measures and the journal."
    )


def _differing(said: Any, again: Any, place: str = "") -> Iterator[str]:
    if isinstance(said, dict) and isinstance(again, dict):
        for key in sorted(said.keys() | again.keys()):
            yield from _differing(said.get(key), again.get(key), f"{place}.{key}" if place else str(key))
    elif isinstance(said, list) and isinstance(again, list) and len(said) == len(again):
        for index, (one, other) in enumerate(zip(said, again, strict=True)):
            yield from _differing(one, other, f"{place}[{index}]")
    elif said != again:
        yield f"{place} ({_quoted(str(said))})" if isinstance(said, str) else place


def _sentences(text: str, again: str, *, apart: bool) -> Check:
    """index.html, block by block. apart: one of the two has songs that can be heard."""
    blocks, anew = Counter(_blocks(text)), Counter(_blocks(again))
    if text == again:
        return decided(
            PAGE, [], f"Made again, the page is the same to the byte: {sum(blocks.values()):,} blocks of text."
        )
    added, missing = blocks - anew, anew - blocks
    if apart:  # what speaks of songs is there in another form, or not at all
        of_songs = [block for block in added if "song" in block]
        added = Counter(block for block in added if block not in of_songs)
        missing = Counter(
            block for block in missing if not any(other.startswith(block[:BEGINNING]) for other in of_songs)
        )
    wrong = [f"It says {_quoted(block)}, which does not follow." for block in added]
    wrong += [f"It does not say {_quoted(block)}." for block in missing]
    if not wrong and not apart:
        wrong = ["Its text is as it should be, its code is not."]
    rest = " Songs can be heard on it that are not at hand: what it says of those was not compared." if apart else ""
    return decided(
        PAGE, wrong, f"{sum((blocks & anew).values()):,} sentences, cells and labels follow from the measures.{rest}"
    )


def _sounds(folder: Path, again: Path, *, songs_apart: bool) -> Check:
    """Every other file of the page."""
    here, anew = (
        {
            path.relative_to(top).as_posix(): path.read_bytes()
            for path in top.rglob("*")
            if path.is_file() and path.name not in ("index.html", "comparison.json")
        }
        for top in (folder, again)
    )
    names = {name for name in here.keys() | anew.keys() if not (songs_apart and Path(name).stem.startswith("song-"))}
    wrong = sorted(name for name in names if here.get(name) != anew.get(name))
    return decided(
        SOUNDS,
        [f"Not what the generations give: {few(wrong)}."] if wrong else [],
        f"{len(names):,} files were made again from the generations, the same to the byte.",
    )


class _Text(HTMLParser):
    """The visible text of a page, and what its pictures and controls are called, by element."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style")
        known: Mapping[str, str | None] = dict(attrs)
        self.blocks += [value for name in ("aria-label", "alt", "title") if (value := known.get(name))]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent and (text := " ".join(data.split())):
            self.blocks.append(text)


def _blocks(text: str) -> list[str]:
    parser = _Text()
    parser.feed(text)
    return parser.blocks


def _text_of(path: Path) -> str:
    """The page, but for why songs can be heard; empty if it is too large to be one of ours."""
    text = path.read_text(encoding="utf-8") if path.stat().st_size <= MOST_JSON_BYTES else ""
    for why in WHY_SONGS:
        text = text.replace(why, "")
    return text


def _quoted(text: str) -> str:
    return f"“{text[:SHOWN]}{'…' if len(text) > SHOWN else ''}”"
