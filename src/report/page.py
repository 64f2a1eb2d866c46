"""The page: one folder with index.html, its pictures, figures and sound, to open from a disk or any static host.

In: a `Comparison`. Out: a folder written whole. Everything in it is relative; its Content-Security-Policy allows the one
script and the one style sheet by their hashes, pictures and sound of the folder, and nothing else.
"""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from src.report import figures, record, sentences, sounds, strips, style
from src.report.comparison import Clip, Comparison, Run
from src.report.listening import Listening
from src.report.words import number, plural
from src.run import files

TEMPLATES = Path(__file__).parent / "templates"
LARGEST_BYTES = 14_500_000
"""The page stays below this; wav files are left out first, then clips that only the slider needs."""
LOUD_DBFS = -16.0

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#161514"/>'
    '<path d="M5 16h3M10 11v10M14 6v20M18 12v8M22 9v14M26 14v4" stroke="#ef8a63" stroke-width="2.4" '
    'stroke-linecap="round"/></svg>\n'
)


@dataclass(frozen=True)
class Source:
    """An audio file of the page."""

    path: str
    type: str
    name: str


@dataclass(frozen=True)
class ClipView:
    """A clip as the template shows it."""

    step: int
    step_text: str
    genre: str
    label: str
    heading: str
    row: str
    tone: int
    trouble: str
    source: tuple[Source, ...] = ()
    image: str = ""
    outline: str = ""
    duration_s: float = 0.0
    offset_s: float = 0.0
    rms_dbfs: float = 0.0
    bits: str = ""
    seconds: str = ""
    digest: str = ""

    def as_data(self) -> dict[str, Any]:
        """For the page's script."""
        return {
            "label": self.label,
            "step": self.step,
            "step_text": self.step_text,
            "sources": [{"path": source.path, "type": source.type} for source in self.source],
            "image": self.image,
            "outline": self.outline,
            "duration": round(self.duration_s, 4),
            "offset": round(self.offset_s, 4),
            "rms": round(self.rms_dbfs, 2),
            "digest": self.digest,
            "facts": f"{self.bits} bits per sample on held-out songs" if self.bits else "",
        }


def write(folder: Path, comparison: Comparison, *, made: str, command: str, listening: Listening | None) -> list[Path]:
    """Write the page to `folder` (replaced whole). Returns the files a tracking server should keep.

    made: when, as ISO 8601. command: the command line that made it.
    """
    with files.replacing(folder) as temporary:
        temporary.mkdir(parents=True)
        _write(temporary, comparison, made=made, command=command, listening=listening)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write(folder: Path, comparison: Comparison, *, made: str, command: str, listening: Listening | None) -> None:
    drawings = {drawing.name: drawing for drawing in figures.all_drawings(comparison)}
    dark = dict(style.step_colours(len(comparison.steps)))
    for drawing in drawings.values():
        style.save(drawing, folder / "figures", dark)
    (folder / "icon.svg").write_text(ICON, encoding="utf-8")
    summary = sentences.summary(comparison)
    said = list(comparison.run.evaluation.sentences) if comparison.run.evaluation else []
    files.write_json(folder / "comparison.json", record.full(comparison, summary + said, made, listening))
    views, left_out = _place_clips(folder, comparison)
    rows = _rows(comparison, views)
    css, js = _asset("page.css") + _tones(len(comparison.steps)), _asset("page.js")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )

    def figure(name: str) -> Markup:
        return Markup(_figure(environment, folder, drawings[name])) if name in drawings else Markup()  # noqa: S704

    environment.globals["figure"] = figure
    evaluation = comparison.run.evaluation
    slider, blind = _slider(comparison, views), _blind(comparison, views)
    text = environment.get_template("page.html.j2").render(
        policy=policy(css, js),
        css=Markup(css),  # noqa: S704 - our own file
        js=Markup(js),  # noqa: S704 - our own file
        title=sentences.title(comparison),
        summary=summary,
        facts=_facts(comparison, made),
        notes=[*comparison.notes, *left_out],
        steps=comparison.steps,
        tones=[{"tone": tone, "name": f"{step:,}"} for tone, step in enumerate(comparison.steps)],
        rows=rows,
        loud=any(clip.source and clip.rms_dbfs > LOUD_DBFS for row in rows for clip in row["clips"]),
        slider=slider,
        blind=blind,
        figures={name: True for name in drawings} | {name: False for name in _FIGURES if name not in drawings},
        strips=strips.strips(evaluation, comparison.steps, comparison.genres) if evaluation else [],
        sentences=said,
        confusions=_confusions(comparison),
        listening=_listening(listening),
        files=[
            {"path": f"figures/{name}.{kind}", "name": f"{name}.{kind}"} for name in drawings for kind in ("svg", "png")
        ],
        command=command,
        listening_command=f"{command} --listening FILE",
    )
    (folder / "index.html").write_text(text, encoding="utf-8")


_FIGURES = ("spectrograms", "bits", "loss", "seconds", "generation", "genres")


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
    """Style rules for the colours of the steps."""
    colours = style.step_colours(count)
    light = "".join(f".tone-{place}{{color:{colour}}}" for place, (colour, _) in enumerate(colours))
    dark = "".join(f".tone-{place}{{color:{colour}}}" for place, (_, colour) in enumerate(colours))
    shades = "".join(
        f".shade-{shade}{{background:color-mix(in srgb,var(--accent) {shade * 10}%,var(--soft));"
        f"color:{'var(--on-accent)' if shade > 6 else 'inherit'}}}"
        for shade in range(11)
    )
    return f"{light}{shades}@media (prefers-color-scheme:dark){{{dark}}}\n"


def _figure(environment: Environment, folder: Path, drawing: style.Drawing) -> str:
    with Image.open(folder / "figures" / f"{drawing.name}.png") as picture:
        width, height = picture.size
    return environment.get_template("figure.html.j2").render(
        title=drawing.title,
        caption=drawing.caption,
        alt=drawing.alt,
        wide=f"figures/{drawing.name}.svg",
        narrow=f"figures/{drawing.name}-narrow.svg",
        width=width // 2,
        height=height // 2,
    )


Views = dict[tuple[int, int, str], ClipView]
"""(run's place, step, genre) → the first clip there."""


def _place_clips(folder: Path, comparison: Comparison) -> tuple[Views, list[str]]:
    """Copy the audio, write the spectrograms; the views of all clips, and sentences on what had no room."""
    (folder / "audio").mkdir()
    (folder / "pictures").mkdir()
    places = [
        (place, step, genre)
        for place, run in enumerate(comparison.runs)
        for step in sorted({*comparison.steps, *run.generated}, key=lambda step: step not in comparison.steps)
        for genre in comparison.genres
    ]
    room = LARGEST_BYTES - sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    views: Views = {}
    copied: dict[tuple[int, int, str], list[Source]] = {}
    omitted: set[int] = set()
    for key in places:
        place, step, genre = key
        run = comparison.runs[place]
        clip = run.clip(step, genre)
        name = f"{place}-{step:06d}-{comparison.genres.index(genre)}-{_slug(genre)}"
        image = sounds.image(clip.sound.levels_db) if clip.sound else b""
        listen = clip.mp3 or clip.wav
        size = len(image) + (listen.stat().st_size if listen else 0)
        if step not in comparison.steps and (listen is None or size > room):
            omitted |= {step} if listen else set()
            continue
        room -= size
        if image:
            (folder / "pictures" / f"{name}.png").write_bytes(image)
        copied[key] = [_copy(listen, folder, name)] if listen else []
        views[key] = _view(comparison, key, clip, f"pictures/{name}.png" if image else "")
    wavs = {
        key: wav
        for key, view in views.items()
        if view.step in comparison.steps
        and (wav := comparison.runs[key[0]].clip(*key[1:]).wav) is not None
        and copied[key]
        and copied[key][0].name != "wav"
    }
    left_out = []
    if sum(wav.stat().st_size for wav in wavs.values()) <= room:
        for key, wav in wavs.items():
            name = Path(copied[key][0].path).stem
            copied[key].append(_copy(wav, folder, name))
    elif wavs:
        left_out.append("The wav files were left out to keep the page small; the mp3 files are here.")
    if omitted:
        left_out.append(
            f"{plural(len(omitted), 'further step')} with audio had no room on the page and can be compared by naming them."
        )
    return {key: _with_sources(view, copied[key]) for key, view in views.items()}, left_out


def _copy(path: Path, folder: Path, name: str) -> Source:
    kind = path.suffix.lstrip(".")
    shutil.copyfile(path, folder / "audio" / f"{name}.{kind}")
    return Source(f"audio/{name}.{kind}", "audio/mpeg" if kind == "mp3" else "audio/wav", kind)


def _with_sources(view: ClipView, sources: list[Source]) -> ClipView:
    return ClipView(**{**vars(view), "source": tuple(sources)})


def _view(comparison: Comparison, key: tuple[int, int, str], clip: Clip, image: str) -> ClipView:
    place, step, genre = key
    run = comparison.runs[place]
    bits = run.evaluation.bits(step, genre) if run.evaluation else None
    whose = f", {run.label}" if len(comparison.runs) > 1 else ""
    trouble = clip.trouble
    if clip.sound is None and not clip.wav and step not in run.generated:
        kept = "has a checkpoint, but nothing was generated with it" if step in run.checkpoints else "is not in this run"
        trouble = f"Step {step:,} {kept}."
    return ClipView(
        step=step,
        step_text=f"{step:,}",
        genre=genre,
        label=f"{genre}, step {step:,}{whose}",
        heading=f"step {step:,}",
        row=f"row-{place}-{comparison.genres.index(genre)}",
        tone=comparison.steps.index(step) if step in comparison.steps else 0,
        trouble=trouble,
        image=image,
        outline=sounds.outline(clip.sound) if clip.sound else "",
        duration_s=clip.sound.duration_s if clip.sound else 0.0,
        offset_s=clip.primer_s,
        rms_dbfs=clip.sound.rms_dbfs if clip.sound else 0.0,
        bits=number(bits) if bits is not None else "",
        seconds=number(clip.seconds) if clip.seconds is not None else "",
        digest=clip.digest,
    )


def _rows(comparison: Comparison, views: Views) -> list[dict[str, Any]]:
    found = []
    for genre in comparison.genres:
        for place, run in enumerate(comparison.runs):
            clips = [views[place, step, genre] for step in comparison.steps]
            label = run.label if len(comparison.runs) > 1 else ""
            found.append(
                {
                    "id": clips[0].row,
                    "genre": genre,
                    "run": label,
                    "name": f"{genre}, {label}" if label else genre,
                    "clips": clips,
                }
            )
    return found


def _slider(comparison: Comparison, views: Views) -> dict[str, Any] | None:
    """All steps of the first run that can be heard, by genre; None if there are not two of any genre."""
    genres = []
    for genre in comparison.genres:
        clips = [
            view for (place, _, other), view in sorted(views.items()) if place == 0 and other == genre and view.source
        ]
        if len(clips) > 1:
            genres.append({"name": genre, "clips": [clip for clip in clips if clip.image]})
    genres = [genre for genre in genres if len(genre["clips"]) > 1]
    if not genres:
        return None
    content = {
        "genres": [{"name": genre["name"], "clips": [clip.as_data() for clip in genre["clips"]]} for genre in genres]
    }
    first = ClipView(**{**vars(genres[0]["clips"][0]), "heading": genres[0]["clips"][0].label})
    return {"genres": genres, "first": first, "data": _json(content)}


def _blind(comparison: Comparison, views: Views) -> Markup | None:
    """What blind listening needs; None if no genre has two steps that can be heard."""
    genres = []
    for genre in comparison.genres:
        clips = [views[0, step, genre] for step in comparison.steps]
        heard = [clip for clip in clips if clip.source and clip.duration_s > 0]
        if len(heard) > 1:
            genres.append({"name": genre, "clips": [_without_looks(clip) for clip in heard]})
    return _json({"run": comparison.run.name, "genres": genres}) if genres else None


def _without_looks(clip: ClipView) -> dict[str, Any]:
    return {key: value for key, value in clip.as_data().items() if key not in ("outline", "image", "facts")}


def _json(content: Any) -> Markup:
    """JSON that can stand in a <script> element: no sign in it can end the element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(sign, code)
    return Markup(text)  # noqa: S704 - escaped above


def _confusions(comparison: Comparison) -> list[dict[str, Any]]:
    evaluation = comparison.run.evaluation
    if evaluation is None:
        return []
    found = []
    for step in comparison.steps:
        if step not in evaluation.confusion:
            continue
        genres, rows = evaluation.confusion[step]
        accuracy = evaluation.accuracy.get(step)
        caption = f"step {step:,}"
        if accuracy and accuracy.value is not None:
            caption += f": {accuracy.value:.0%} right"
            if accuracy.lo is not None and accuracy.hi is not None:
                caption += f" ({accuracy.lo:.0%} to {accuracy.hi:.0%})"
            if evaluation.chance is not None:
                caption += f", chance {evaluation.chance:.0%}"
        found.append(
            {
                "caption": caption,
                "genres": genres,
                "rows": [
                    {
                        "genre": genre,
                        "cells": [{"count": count, "shade": round(10 * count / max(1, sum(row)))} for count in row],
                    }
                    for genre, row in zip(genres, rows, strict=True)
                ],
            }
        )
    return found


def _listening(listening: Listening | None) -> dict[str, Any] | None:
    if listening is None:
        return None
    head = f"{plural(listening.answers, 'answer')} from {plural(listening.sittings, 'sitting')}"
    if listening.undecided:
        head += f", {listening.undecided} undecided (they count half for each side)"
    if listening.set_aside:
        head += f"; {plural(listening.set_aside, 'answer')} about other clips set aside"
    return {"head": head + ". Intervals take every answer as independent.", "sentences": listening.sentences()}


def _facts(comparison: Comparison, made: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for run in comparison.runs:
        before = f"{run.label}: " if len(comparison.runs) > 1 else ""
        found += [(before + name, value) for name, value in _run_facts(run)]
    return [*found, ("Page made", made[:10])]


def _run_facts(run: Run) -> Iterable[tuple[str, str]]:
    songs = sum(count.songs or 0 for count in run.counts)
    if songs:
        yield "Music", f"{plural(songs, 'song')} in {plural(len(run.counts), 'genre')}"
    if run.digest:
        yield "Its digest", run.digest[:12]
    if run.layers and run.receptive_field:
        yield "Network", f"{run.layers} layers, sees {run.receptive_field:,} samples"
    if run.view.steps:
        attempts = len(run.view.attempts)
        yield "Trained", f"{max(run.view.steps):,} steps in {plural(attempts, 'attempt')}"
    if run.fingerprint:
        yield "Run", run.fingerprint


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "genre"
