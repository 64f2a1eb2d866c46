"""The page: one folder with index.html, its pictures, figures and sound, to open from a disk or any static host.

In: a `Comparison`. Out: a folder written whole. Everything in it is relative; its Content-Security-Policy allows the
one script and the one style sheet by their hashes, pictures and sound of the folder, and nothing else.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from src.base import files
from src.compare import answers, charts, clipviews, record, sections, strips
from src.compare.comparison import MADE_WITH, Comparison
from src.compare.listening import Listening
from src.compare.sentences import Sentence

TEMPLATES = Path(__file__).parent / "templates"
STEPS_LIGHT, STEPS_DARK = (0xA7A29A, 0x8D7AA0, 0xA4487A, 0xB4472B), (0x79746C, 0x9A86B4, 0xD0709F, 0xEF8A63)

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#161514"/>'
    '<path d="M5 16h3M10 11v10M14 6v20M18 12v8M22 9v14M26 14v4" stroke="#ef8a63" stroke-width="2.4" '
    'stroke-linecap="round"/></svg>\n'
)


def write(folder: Path, comparison: Comparison, *, made: str, command: str, listening: Listening | None) -> None:
    """Write the page to `folder` (replaced whole).

    made: when, as ISO 8601. command: the command line that made it.
    """
    with files.replacing(folder) as temporary:
        temporary.mkdir(parents=True)
        _write(temporary, comparison, made=made, command=command, listening=listening)


def all_sentences(comparison: Comparison, listening: Listening | None) -> list[Sentence]:
    """Every sentence with a claim that the page shows, in its order."""
    said = [one for answer in answers.answers(comparison) for one in answer.said]
    said += listening.sentences() if listening else []
    for run in comparison.runs:
        said += sections.findings(comparison, run)
        groups = strips.groups(run.evaluation, comparison.steps, comparison.genres) if run.evaluation else []
        said += [strip.said.of(run.name) for _, group in groups for strip in group if strip.said]
    return said


def _write(folder: Path, comparison: Comparison, *, made: str, command: str, listening: Listening | None) -> None:
    (folder / "icon.svg").write_text(ICON, encoding="utf-8")
    said = [one.text for one in all_sentences(comparison, listening)]
    files.write_json(folder / "comparison.json", record.full(comparison, said, made, listening))
    views = clipviews.place_clips(folder, comparison)
    rows = sections.rows(comparison, views)
    css, js = _asset("page.css") + _tones(len(comparison.steps)), _asset("page.js")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("page.html.j2").render(
        policy=policy(css, js),
        css=Markup(css),
        js=Markup(js),
        title=answers.title(comparison),
        eyebrow=answers.eyebrow(comparison),
        answers=answers.answers(comparison),
        made=made[:10],
        runs=comparison.runs,
        made_with=MADE_WITH,
        notes=[*comparison.notes, *views.notes],
        steps=comparison.steps,
        tones=[{"tone": tone, "name": f"{step:,}"} for tone, step in enumerate(comparison.steps)],
        rows=rows,
        columns=max((len(row["clips"]) for row in rows), default=0),
        slider=sections.slider(comparison, views),
        blind=sections.blind(comparison, views),
        songs_note=comparison.songs_note,
        songs=bool(views.songs),
        figures=charts.figures(comparison),
        measured=sections.measured(comparison),
        bits_columns=strips.BITS_COLUMNS,
        listening=sections.heard(listening, comparison.steps),
        command=command,
        listening_command=f"{command} --listening FILE",
    )
    (folder / "index.html").write_text(text, encoding="utf-8")


def policy(css: str, js: str) -> str:
    """The Content-Security-Policy. `file:` beside 'self': a page opened from a disk has no origin that is itself."""
    return (
        f"default-src 'none'; script-src '{_hash(js)}'; style-src '{_hash(css)}'; img-src 'self' file:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _tones(count: int) -> str:
    """Style rules for the colours of the steps, from the grey of noise to the accent, in light and dark."""
    light, dark = (
        "".join(f".tone-{tone}{{color:{_mixed(side, tone / max(1, count - 1))}}}" for tone in range(count))
        for side in (STEPS_LIGHT, STEPS_DARK)
    )
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}\n"


def _mixed(colours: Sequence[int], share: float) -> str:
    """The colour at `share` (0..1) of the way through these colours."""
    place = share * (len(colours) - 1)
    first, second = colours[int(place)], colours[min(int(place) + 1, len(colours) - 1)]
    parts = [(first >> shift & 255) * (1 - place % 1) + (second >> shift & 255) * (place % 1) for shift in (16, 8, 0)]
    return "#" + "".join(f"{round(part):02x}" for part in parts)
