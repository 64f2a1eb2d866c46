"""Figures of what it took: seconds of generation by genre and step, songs of each genre.

In: a `Comparison`. Out: `Drawing`s, or None where there is nothing to draw.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.compare import style
from src.compare.comparison import Clip, Comparison, Counts, Run
from src.compare.style import ACCENT, BAND, INK, MUTED, Drawing
from src.compare.words import number, plural


def generation(comparison: Comparison) -> Drawing | None:
    """Seconds of generation: by genre and step, or by step where the genres were generated together."""
    timed = [
        (run, clip)
        for run in comparison.runs
        for clip in run.clips
        if clip.seconds is not None and clip.number == 1 and clip.step in comparison.steps
    ]
    if not timed:
        return None
    if all(run.batch_seconds.get(clip.step) == clip.seconds for run, clip in timed):
        return _together(comparison, timed)
    names = [genre for genre in comparison.genres if any(clip.genre == genre for _, clip in timed)]
    several = len(comparison.runs) > 1

    def draw(narrow: bool) -> Figure:
        figure, axis = _rows(names, narrow)
        many = len(comparison.steps)
        for index, (step, (colour, _)) in enumerate(zip(comparison.steps, style.step_colours(many), strict=True)):
            for place, run in enumerate(comparison.runs):
                points = [
                    (clip.seconds or 0.0, names.index(clip.genre) + (index - (many - 1) / 2) * 0.16)
                    for other, clip in timed
                    if other is run and clip.step == step
                ]
                if points:
                    axis.plot(
                        *zip(*points, strict=True),
                        linestyle="none",
                        marker="os"[place % 2],
                        markersize=6,
                        color=colour,
                        label=f"step {step:,}" + (f", {run.label}" if several else ""),
                    )
        axis.set_xlim(0, max(clip.seconds or 0 for _, clip in timed) * 1.08)
        axis.set_xlabel("seconds for one clip")
        figure.legend(loc="outside lower center", ncols=2 if narrow else 4)
        return figure

    return Drawing(
        "generation",
        "Time of generation",
        "Seconds to generate one clip, by genre and step.",
        "; ".join(
            f"{clip.genre}, step {clip.step:,}{', ' + run.label if several else ''}: {number(clip.seconds)} s"
            for run, clip in timed
        ),
        draw,
    )


def _together(comparison: Comparison, timed: Sequence[tuple[Run, Clip]]) -> Drawing:
    """All clips of a step were generated in one go: one bar a step."""
    several = len(comparison.runs) > 1
    bars = {
        f"step {clip.step:,}" + (f", {run.label}" if several else ""): (run.batch_seconds[clip.step], clip.step)
        for run, clip in sorted(timed, key=lambda item: item[1].step)
    }
    clips = len({(clip.genre, clip.number) for run, clip in timed if run is timed[0][0]})

    def draw(narrow: bool) -> Figure:
        figure, axis = _rows(list(bars), narrow)
        colours = dict(zip(comparison.steps, style.step_colours(len(comparison.steps)), strict=True))
        for row, (seconds, step) in enumerate(bars.values()):
            axis.barh(row, seconds, height=0.5, color=colours[step][0])
            _note(axis, seconds, row, f"{number(seconds)} s")
        axis.set_xlim(0, max(seconds for seconds, _ in bars.values()) * 1.15)
        axis.set_xlabel(f"seconds for {plural(clips, 'clip')} together")
        return figure

    return Drawing(
        "generation",
        "Time of generation",
        f"The {plural(clips, 'clip')} of a step, one for each genre, were generated side by side; "
        "no genre has a time of its own.",
        "; ".join(f"{name}: {number(seconds)} s" for name, (seconds, _) in bars.items()),
        draw,
    )


def _rows(names: list[str], narrow: bool) -> tuple[Figure, Axes]:
    """A panel with a named row for each item."""
    width = style.NARROW_INCHES if narrow else style.WIDE_INCHES
    figure = Figure(figsize=(width, 1.0 + 0.4 * len(names)), layout="constrained")
    axis = figure.subplots()
    _named_rows(axis, names)
    return figure, axis


def _named_rows(axis: Axes, names: Sequence[str]) -> None:
    axis.grid(axis="x")
    axis.grid(visible=False, axis="y")
    axis.set_yticks(range(len(names)), names)
    axis.tick_params(axis="y", labelcolor=INK)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.spines["left"].set_visible(False)


def _note(axis: Axes, x: float, row: int, text: str) -> None:
    """A text behind a bar."""
    axis.annotate(text, (x, row), xytext=(5, 0), textcoords="offset points", va="center", color=MUTED, fontsize=8)


def genres(comparison: Comparison) -> Drawing | None:
    """Songs kept of each genre, and how the clips were split."""
    found = [(run, run.counts) for run in comparison.runs if run.counts]
    if not found:
        return None

    def draw(narrow: bool) -> Figure:
        width = style.NARROW_INCHES if narrow else style.WIDE_INCHES
        height = sum(0.5 + 0.34 * len(counts) for _, counts in found)
        figure = Figure(figsize=(width, 0.6 + height), layout="constrained")
        axes = figure.subplots(len(found), 1, squeeze=False).ravel()
        for axis, (run, counts) in zip(axes, found, strict=True):
            _genre_panel(axis, counts)
            if len(found) > 1:
                axis.set_title(run.label)
        return figure

    split = any(count.validation for _, counts in found for count in counts)
    total = sum(count.songs or 0 for _, counts in found[:1] for count in counts)
    return Drawing(
        "genres",
        "Distribution of genres",
        " ".join(
            [
                *([f"{plural(total, 'song')} kept."] if total else []),
                *(["Pale: clips held out of training, by song."] if split else []),
            ]
        ),
        "; ".join(
            f"{count.genre}: {plural(count.songs or (count.training or 0) + (count.validation or 0), 'song')}"
            for count in found[0][1]
        ),
        draw,
    )


def _genre_panel(axis: Axes, counts: Sequence[Counts]) -> None:
    _named_rows(axis, [count.genre for count in counts])
    split = all(count.training is not None for count in counts)
    first = [(count.training if split else count.songs) or 0 for count in counts]
    second = [(count.validation or 0) if split else 0 for count in counts]
    rows = range(len(counts))
    axis.barh(rows, first, height=0.55, color=ACCENT)
    axis.barh(rows, second, height=0.55, left=first, color=BAND)
    for row, a, b in zip(rows, first, second, strict=True):
        _note(axis, a + b, row, f"{a:,} + {b:,}" if split else f"{a:,}")
    axis.set_xlim(0, max(1, *(a + b for a, b in zip(first, second, strict=True))) * 1.15)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.set_xlabel("clips for training + held out" if split else "songs")
