"""What the sections of the page show, as values for its template.

In: a `Comparison` and its clips' views. Out: dictionaries of texts and numbers; only `_json` returns ready markup.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from src.compare import strips
from src.compare.clipviews import ClipView, Views
from src.compare.comparison import Comparison, Run
from src.compare.listening import Listening
from src.compare.words import interval, percent, plural
from src.evaluate.schema import Evaluation


def rows(comparison: Comparison, views: Views) -> list[dict[str, Any]]:
    """A row for each genre of each run, with a clip for each step."""
    table = []
    for genre in comparison.genres:
        for index, run in enumerate(comparison.runs):
            clips = [views[index, step, genre] for step in comparison.steps]
            names = {"genre": genre, "run": comparison.name(run), "name": f"{genre}{comparison.suffix(run)}"}
            table.append({"id": clips[0].row, "clips": clips, **names})
    return table


def slider(comparison: Comparison, views: Views) -> dict[str, Any] | None:
    """All steps of the first run that can be heard, by genre; None if there are not two of any genre."""
    genres = []
    for genre in comparison.genres:
        heard = [views[key] for key in sorted(views) if key[0] == 0 and key[2] == genre]
        clips = [view for view in heard if view.source and view.image]
        if len(clips) > 1:
            genres.append((genre, clips))
    if not genres:
        return None
    content = {"genres": [{"name": genre, "clips": [clip.as_data() for clip in clips]} for genre, clips in genres]}
    first = genres[0][1][0]
    return {
        "genres": [genre for genre, _ in genres],
        "positions": len(genres[0][1]),
        "first": replace(first, heading=first.label),
        "data": _json(content),
    }


def blind(comparison: Comparison, views: Views) -> Markup | None:
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
    return Markup(text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}))


def measured(comparison: Comparison) -> list[dict[str, Any]]:
    """For each run that was measured: its strips and confusion tables."""
    return [
        {
            "run": comparison.name(run),
            "groups": strips.groups(run.evaluation, comparison.steps, comparison.genres, prefix=f"strip-{index}"),
            "confusions": _confusions(run.evaluation, comparison.steps),
        }
        for index, run in enumerate(comparison.runs)
        if run.evaluation is not None
    ]


def _confusions(evaluation: Evaluation, steps: Iterable[int]) -> list[dict[str, Any]]:
    tables = []
    for step in steps:
        if step not in evaluation.conditioning:
            continue
        table = evaluation.conditioning[step]
        accuracy = table.accuracy
        caption = f"step {step:,}"
        if accuracy.value is not None:
            within = interval(percent, accuracy.lo, accuracy.hi)
            caption += f": {percent(accuracy.value)} right" + (f" ({within})" if within else "")
            caption += f", chance {percent(table.chance)}"
        cells = [
            [{"count": count, "shade": round(10 * count / max(1, sum(row)))} for count in row]
            for row in table.confusion
        ]
        named = [{"genre": genre, "cells": row} for genre, row in zip(table.genres, cells, strict=True)]
        tables.append({"caption": caption, "genres": table.genres, "rows": named})
    return tables


def heard(listening: Listening | None, steps: Sequence[int]) -> dict[str, Any] | None:
    """Blind listening: how many answers, what they say, and the share of each step as a strip."""
    if listening is None:
        return None
    head = f"{plural(listening.answers, 'answer')} from {plural(listening.sittings, 'sitting')}"
    if listening.undecided:
        head += f", {listening.undecided} undecided (they count half for each side)"
    if listening.set_aside:
        head += f"; {plural(listening.set_aside, 'answer')} about other clips set aside"
    marks = tuple(
        strips.Mark(
            tone=str(steps.index(step)) if step in steps else "noise",
            at=f"{100 * (figure.value or 0):.2f}",
            lo=None if figure.lo is None else f"{100 * figure.lo:.2f}",
            hi=None if figure.hi is None else f"{100 * figure.hi:.2f}",
        )
        for step, figure in listening.by_step.items()
        if step in steps
    )
    return {
        "head": head + ". Intervals take every answer as independent.",
        "sentences": listening.sentences(),
        "lanes": [strips.Lane("all genres", marks)],
    }


def facts(comparison: Comparison, made: str) -> list[tuple[str, str]]:
    """Names and values at the head of the page. made: when, as ISO 8601."""
    named = [
        (f"{comparison.name(run)}: {name}".removeprefix(": "), value)
        for run in comparison.runs
        for name, value in _run_facts(run)
    ]
    return [*named, ("Page made", made[:10])]


def _run_facts(run: Run) -> Iterable[tuple[str, str]]:
    songs = sum(count.songs or 0 for count in run.counts)
    if songs:
        yield "Music", f"{plural(songs, 'song')} in {plural(len(run.counts), 'genre')}"
    if run.digest:
        yield "Digest of the clips", run.digest[:12]
    if run.network:
        layers, field = len(run.network.dilations), run.network.receptive_field
        yield "Network", f"{plural(layers, 'layer')}, receptive field of {plural(field, 'sample')}"
    if run.view.steps:
        attempts = len(run.view.attempts)
        yield "Trained", f"{max(run.view.steps):,} steps in {plural(attempts, 'attempt')}"
    if run.fingerprint:
        yield "Run", run.fingerprint
