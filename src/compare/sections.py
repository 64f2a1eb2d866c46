"""What the sections of the page show, as values for its template.

In: a `Comparison` and its clips' views. Out: dictionaries of texts and numbers; only `_json` returns ready markup.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from src.compare import network, sentences, strips
from src.compare.clipviews import ClipView, Views
from src.compare.comparison import Comparison, Run
from src.compare.listening import Listening
from src.compare.sentences import Sentence
from src.evaluate.measure import Measure
from src.evaluate.schema import ALL, Evaluation

RATED = ("stimulus", "audio", "duration", "rms", "digest")
"""What the page's script knows of a clip that is rated blind: nothing that shows which it is but its name."""
SHOWN = ("label", "heading", "tone", "audio", "image", "outline", "duration", "rms")
"""And of one that is shown."""


def rows(comparison: Comparison, views: Views) -> list[dict[str, Any]]:
    """A row for each genre of each run, with a clip for each step and, where songs may be heard, a song.

    None of a run with which nothing was generated.
    """
    table = []
    for genre in comparison.genres:
        for index, run in enumerate(comparison.runs):
            if not run.clips:
                continue
            clips = [views.clips[index, step, genre] for step in comparison.steps]
            clips += [views.songs[genre]] if index == 0 and genre in views.songs else []
            table.append({"genre": genre, "run": comparison.name(run), "clips": clips})
    return table


def slider(comparison: Comparison, views: Views) -> dict[str, Any] | None:
    """All steps of the first run that can be heard, by genre; None if there are not two of any genre."""
    genres = []
    for genre in comparison.genres:
        heard = [views.clips[key] for key in sorted(views.clips) if key[0] == 0 and key[2] == genre]
        clips = [view for view in [*heard, views.songs.get(genre)] if view is not None and view.audio]
        if len(clips) > 1:
            genres.append((genre, clips))
    if not genres:
        return None
    content = {"genres": [{"name": genre, "clips": [_data(clip, SHOWN) for clip in clips]} for genre, clips in genres]}
    return {
        "genres": [genre for genre, _ in genres],
        "positions": len(genres[0][1]),
        "first": genres[0][1][0],
        "data": _json(content),
    }


def blind(comparison: Comparison, views: Views) -> Markup | None:
    """What blind listening needs; None if no genre has two steps that can be heard."""
    genres = []
    for genre in comparison.genres:
        clips = [view for step in comparison.steps if (view := views.clips[0, step, genre]).audio]
        if len(clips) > 1:
            extra = [view for view in (views.noise, views.songs.get(genre)) if view is not None]
            genres.append({"name": genre, "clips": [_data(clip, RATED) for clip in [*clips, *extra]]})
    return _json({"run": comparison.run.name, "genres": genres}) if genres else None


def _data(clip: ClipView, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(clip, name) for name in names}


def _json(content: Any) -> Markup:
    """JSON that can stand in a <script> element: no sign in it can end the element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}))


def measured(comparison: Comparison) -> list[dict[str, Any]]:
    """For each run that was measured: its table of bits, its strips and what they say."""
    return [
        {
            "run": comparison.name(run),
            "bits": _bits(run.evaluation, comparison),
            "said": list(findings(comparison, run)),
            "groups": strips.groups(run.evaluation, comparison.steps, comparison.genres, prefix=f"strip-{index}"),
        }
        for index, run in enumerate(comparison.runs)
        if run.evaluation is not None
    ]


def findings(comparison: Comparison, run: Run) -> Iterator[Sentence]:
    """The sentences of the section on prediction."""
    if run.evaluation is not None:
        last = comparison.steps[-1]
        for said in (*sentences.gained_by_genre(run.evaluation, last), *network.findings(run.evaluation, last)):
            yield said.of(run.name)


def _bits(evaluation: Evaluation, comparison: Comparison) -> list[dict[str, Any]]:
    """A row for each genre and step."""
    first = comparison.steps[0]
    return [
        {"genre": "all songs" if genre == ALL else genre, "step": f"{step:,}", "cells": row, "first": step == first}
        for genre in (*comparison.genres, ALL)
        for step in comparison.steps
        if (row := strips.bits_row(evaluation, step, genre)) is not None
    ]


def heard(listening: Listening | None, steps: Sequence[int]) -> dict[str, Any] | None:
    """Blind listening: what the ratings say, and the mean score of each sound as a strip."""
    if listening is None:
        return None
    tones = {f"step-{step}": str(tone) for tone, step in enumerate(steps)} | {"noise": "noise", "song": "real"}
    marks = tuple(
        strips.share_mark(Measure(mean / 100, "share", listening.screens, "answers"), tones[stimulus])
        for stimulus, mean in listening.means.items()
        if stimulus in tones
    )
    return {"said": listening.sentences(), "lanes": [strips.Lane("all genres", marks, "")]}
