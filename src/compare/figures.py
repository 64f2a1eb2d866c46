"""The figures of the page: those of the 2019 page, and what it did not have.

In: a `Comparison`. Out: `Drawing`s, or None where there is nothing to draw; nothing is drawn before `style.save` asks
for it. Here: how they are put together, and what it took (seconds of generation, songs of each genre).
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.compare import figures_sound, figures_training, style
from src.compare.comparison import Clip, Comparison, Counts, Run
from src.compare.style import ACCENT, BAND, INK, Drawing
from src.compare.words import number, plural


def all_drawings(comparison: Comparison) -> dict[str, Drawing]:
    """Every figure there is something for, by name, in the order of the page."""
    candidates = [
        figures_sound.spectrograms(comparison),
        figures_sound.bits(comparison),
        figures_sound.context(comparison),
        figures_training.loss(comparison),
        figures_training.seconds(comparison),
        generation(comparison),
        genres(comparison),
    ]
    return {drawing.name: drawing for drawing in candidates if drawing is not None}


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

    def draw(narrow: bool) -> Figure:
        figure, axis = _rows(names, narrow)
        many = len(comparison.steps)
        for index, (step, (colour, _)) in enumerate(zip(comparison.steps, style.step_colours(many), strict=True)):
            for run, marker in zip(comparison.runs, "os", strict=False):
                points = [
                    (clip.seconds, names.index(clip.genre) + (index - (many - 1) / 2) * 0.16)
                    for other, clip in timed
                    if other is run and clip.step == step
                ]
                if points:
                    label = f"step {step:,}{comparison.suffix(run)}"
                    axis.plot(*zip(*points, strict=True), marker, markersize=6, color=colour, label=label)
        axis.set_xlim(0, max(clip.seconds or 0 for _, clip in timed) * 1.08)
        axis.set_xlabel("seconds for one clip")
        figure.legend(loc="outside lower center", ncols=2 if narrow else 4)
        return figure

    return Drawing(
        "generation",
        "Time of generation",
        "Seconds to generate one clip, by genre and step.",
        "; ".join(
            f"{clip.genre}, step {clip.step:,}{comparison.suffix(run)}: {number(clip.seconds)} s" for run, clip in timed
        ),
        draw,
    )


def _together(comparison: Comparison, timed: Sequence[tuple[Run, Clip]]) -> Drawing:
    """All clips of a step were generated in one go: one bar a step."""
    bars = {
        f"step {clip.step:,}{comparison.suffix(run)}": (run.batch_seconds[clip.step], clip.step)
        for run, clip in sorted(timed, key=lambda item: item[1].step)
    }
    clips = len({(clip.genre, clip.number) for run, clip in timed if run is timed[0][0]})

    def draw(narrow: bool) -> Figure:
        figure, axis = _rows(list(bars), narrow)
        colours = dict(zip(comparison.steps, style.step_colours(len(comparison.steps)), strict=True))
        for row, (seconds, step) in enumerate(bars.values()):
            axis.barh(row, seconds, height=0.5, color=colours[step][0])
            style.note(axis, f"{number(seconds)} s", (seconds, row), (5, 0), va="center")
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
    figure = style.figure(narrow, 1.0 + 0.4 * len(names))
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


def genres(comparison: Comparison) -> Drawing | None:
    """Songs kept of each genre, and how the clips were split."""
    counted = [(run, run.counts) for run in comparison.runs if run.counts]
    if not counted:
        return None

    def draw(narrow: bool) -> Figure:
        figure = style.figure(narrow, 0.6 + sum(0.5 + 0.34 * len(counts) for _, counts in counted))
        axes = figure.subplots(len(counted), 1, squeeze=False).ravel()
        for axis, (run, counts) in zip(axes, counted, strict=True):
            _genre_panel(axis, counts)
            if len(counted) > 1:
                axis.set_title(run.label)
        return figure

    split = any(count.validation for _, counts in counted for count in counts)
    total = sum(count.songs or 0 for _, counts in counted[:1] for count in counts)
    return Drawing(
        "genres",
        "Distribution of genres",
        " ".join(
            [f"{plural(total, 'song')} kept."] * bool(total)
            + ["Pale: clips of the songs held out of training."] * split
        ),
        "; ".join(
            f"{count.genre}: {plural(count.songs or (count.training or 0) + (count.validation or 0), 'song')}"
            for count in counted[0][1]
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
        style.note(axis, f"{a:,} + {b:,}" if split else f"{a:,}", (a + b, row), (5, 0), va="center")
    axis.set_xlim(0, max(1, *(a + b for a, b in zip(first, second, strict=True))) * 1.15)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.set_xlabel("clips for training + held out" if split else "songs")
