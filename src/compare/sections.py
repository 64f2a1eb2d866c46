"""What the sections of the page show, as values for its template.

In: a `Comparison` and its clips' views. Out: dictionaries of texts and numbers; only `_json` returns ready markup.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from src.compare import sentences, strips
from src.compare.clipviews import ClipView, Views
from src.compare.comparison import Comparison, Run
from src.compare.listening import Listening
from src.compare.sentences import Sentence
from src.compare.words import interval, number, over, percent, plural
from src.evaluate.measure import Measure
from src.evaluate.schema import ALL, Evaluation


def rows(comparison: Comparison, views: Views) -> list[dict[str, Any]]:
    """A row for each genre of each run, with a clip for each step and, where songs may be heard, a song."""
    table = []
    for genre in comparison.genres:
        for index, run in enumerate(comparison.runs):
            clips = [views.clips[index, step, genre] for step in comparison.steps]
            if index == 0 and genre in views.songs:
                clips.append(views.songs[genre])
            names = {"genre": genre, "run": comparison.name(run), "name": f"{genre}{comparison.suffix(run)}"}
            table.append({"id": clips[0].row, "clips": clips, **names})
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
    content = {"genres": [{"name": genre, "clips": [clip.as_data() for clip in clips]} for genre, clips in genres]}
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
            genres.append({"name": genre, "clips": [_without_looks(clip) for clip in [*clips, *extra]]})
    return _json({"run": comparison.run.name, "genres": genres}) if genres else None


def _without_looks(clip: ClipView) -> dict[str, Any]:
    return {key: value for key, value in clip.as_data().items() if key not in ("outline", "image", "heading", "tone")}


def _json(content: Any) -> Markup:
    """JSON that can stand in a <script> element: no sign in it can end the element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}))


def measured(comparison: Comparison) -> list[dict[str, Any]]:
    """For each run that was measured: its table of bits, its strips, its confusion tables and what they say."""
    return [
        {
            "run": comparison.name(run),
            "bits": _bits(run.evaluation, comparison),
            "said": list(findings(comparison, run)),
            "groups": strips.groups(run.evaluation, comparison.steps, comparison.genres, prefix=f"strip-{index}"),
            "confusions": _confusions(run.evaluation, comparison.steps),
        }
        for index, run in enumerate(comparison.runs)
        if run.evaluation is not None
    ]


def findings(comparison: Comparison, run: Run) -> Iterator[Sentence]:
    """The sentences of the section on prediction."""
    if run.evaluation is not None:
        last = comparison.steps[-1]
        for said in (*sentences.gained_by_genre(run.evaluation, last), *sentences.findings(run.evaluation, last)):
            yield said.of(run.name, "")


def _bits(evaluation: Evaluation, comparison: Comparison) -> list[dict[str, Any]]:
    """A row for each genre and step."""
    first = comparison.steps[0]
    return [
        {"genre": "all songs" if genre == ALL else genre, "step": f"{step:,}", "cells": row, "first": step == first}
        for genre in (*comparison.genres, ALL)
        for step in comparison.steps
        if (row := strips.bits_row(evaluation, step, genre)) is not None
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
            within = ", ".join(filter(None, [interval(percent, accuracy.lo, accuracy.hi), over(accuracy)]))
            caption += f": {percent(accuracy.value)} right ({within}), chance {percent(table.chance)}"
        cells = [
            [{"count": count, "shade": round(10 * count / max(1, sum(row)))} for count in row]
            for row in table.confusion
        ]
        named = [{"genre": genre, "cells": row} for genre, row in zip(table.genres, cells, strict=True)]
        tables.append({"caption": caption, "genres": table.genres, "rows": named})
    return tables


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


class Bar(NamedTuple):
    """A row of a bar chart, lengths in percent."""

    name: str
    text: str
    length: str
    pale: str = "0"
    """A second part behind the first."""


def seconds_bars(comparison: Comparison) -> list[Bar]:
    """What generating a step's clips took."""
    timed = [
        (f"step {step:,}{comparison.suffix(run)}", run.generated[step].seconds or 0.0, run.generated[step].clips)
        for step in comparison.steps
        for run in comparison.runs
        if step in run.generated and run.generated[step].seconds is not None
    ]
    most = max((seconds for _, seconds, _ in timed), default=0.0) or 1.0
    genres = len(comparison.genres)
    return [
        Bar(name, f"{number(seconds)} s for {plural(clips * genres, 'clip')}", f"{70 * seconds / most:.2f}")
        for name, seconds, clips in timed
    ]


def song_bars(comparison: Comparison) -> list[Bar]:
    """Songs of each genre: for training, and held out."""
    counted = [
        (f"{count.genre}{comparison.suffix(run)}", count.training or 0, count.validation or 0)
        if count.training is not None
        else (f"{count.genre}{comparison.suffix(run)}", count.songs or 0, 0)
        for run in comparison.runs
        for count in run.counts
    ]
    most = max((training + held_out for _, training, held_out in counted), default=0) or 1
    return [
        Bar(name, f"{training:,} + {held_out:,}", f"{70 * training / most:.2f}", f"{70 * held_out / most:.2f}")
        for name, training, held_out in counted
    ]


def facts(comparison: Comparison, made: str) -> list[tuple[str, str]]:
    """Names and values at the end of the page. made: when, as ISO 8601."""
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
