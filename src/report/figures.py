"""The figures of the page: those of the 2019 page, and bits per sample by step and genre.

In: a `Comparison`. Out: `Drawing`s; nothing is drawn before `style.save` asks for it. Each function returns None where
there is nothing to draw. Medians with the range of the middle 80 % take the place of 2019's polynomial of degree 50.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, ScalarFormatter

from src.report import curves, sounds, style
from src.report.comparison import Comparison, Run
from src.report.style import ACCENT, BAND, BAND_SECOND, INK, LINE, MUTED, SECOND, Drawing
from src.report.words import number, plural

RUN_COLOURS = ((ACCENT, BAND), (SECOND, BAND_SECOND))


def all_drawings(comparison: Comparison) -> list[Drawing]:
    """Every figure there is something for, in the order of the page."""
    candidates = [
        spectrograms(comparison),
        bits(comparison),
        loss(comparison),
        seconds(comparison),
        generation(comparison),
        genres(comparison),
    ]
    return [drawing for drawing in candidates if drawing is not None]


def spectrograms(comparison: Comparison) -> Drawing | None:
    """Every compared clip's spectrogram: genres downwards, steps to the right."""
    run = comparison.run
    names = [
        genre
        for genre in comparison.genres
        if any(run.clip(step, genre).sound is not None for step in comparison.steps)
    ]
    if not names:
        return None

    def draw(narrow: bool) -> Figure:
        width = style.NARROW_INCHES if narrow else style.WIDE_INCHES
        height = 0.5 if narrow else 0.92
        figure = Figure(figsize=(width, 0.45 + height * len(names)), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)  # type: ignore[union-attr]
        axes = figure.subplots(len(names), len(comparison.steps), squeeze=False)
        for row, genre in enumerate(names):
            for axis, step in zip(axes[row], comparison.steps, strict=True):
                axis.set(xticks=[], yticks=[])
                axis.grid(visible=False)
                for spine in axis.spines.values():
                    spine.set_visible(False)
                sound = run.clip(step, genre).sound
                if sound is None:
                    axis.text(0.5, 0.5, "nothing", ha="center", va="center", color=MUTED, transform=axis.transAxes)
                else:
                    axis.imshow(
                        sound.levels_db,
                        origin="lower",
                        aspect="auto",
                        cmap=sounds.colour_map(),
                        vmin=sounds.FLOOR_DB,
                        vmax=sounds.CEILING_DB,
                        interpolation="antialiased",
                    )
                if step == comparison.steps[0]:
                    axis.set_ylabel(genre, color=INK)
                if row == 0:
                    axis.set_title(f"{'' if narrow else 'step '}{step:,}")
        return figure

    longest = max(
        clip.sound.duration_s for clip in run.clips if clip.sound is not None and clip.step in comparison.steps
    )
    return Drawing(
        "spectrograms",
        "What was generated, by genre and step",
        f"Time runs to the right over {longest:.3g} s, pitch upwards from 50 Hz to half the sampling rate; "
        "lighter is louder. All on one scale.",
        f"Spectrograms of {plural(len(names), 'genre')} at steps {', '.join(f'{s:,}' for s in comparison.steps)}.",
        draw,
    )


def bits(comparison: Comparison) -> Drawing | None:
    """Held-out bits per sample by step, one panel a genre, with Markov and uniform."""
    measured = [(run, run.evaluation) for run in comparison.runs if run.evaluation is not None]
    names = [
        genre
        for genre in comparison.genres
        if any(found.bits(step, genre) is not None for _, found in measured for step in found.steps)
    ]
    if not names:
        return None

    def draw(narrow: bool) -> Figure:
        columns = 2 if narrow else min(len(names), 5)
        rows = math.ceil(len(names) / columns)
        width = style.NARROW_INCHES if narrow else style.WIDE_INCHES
        figure = Figure(figsize=(width, 0.5 + (1.6 if narrow else 2.1) * rows), layout="constrained")
        axes = figure.subplots(rows, columns, sharey=True, sharex=True, squeeze=False).ravel()
        for axis, genre in zip(axes, names, strict=False):
            for (run, found), (colour, _) in zip(measured, RUN_COLOURS, strict=False):
                _bits_panel(axis, run, found, genre, colour)
            axis.set_title(genre)
        for axis in axes[len(names) :]:
            axis.set_axis_off()
        axes[0].set_ylim(bottom=0)
        for axis in axes[: len(names) : columns]:
            axis.set_ylabel("bits per sample")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2 if narrow else 4)
        return figure

    return Drawing(
        "bits",
        "Bits per sample on songs it never heard",
        "Fewer is better. The network should fall below the first-order Markov model, which knows only the sample "
        "before; 8 bits is guessing. Bars are 95 % intervals where there are enough songs for one.",
        "Held-out bits per sample by step for each genre. The table below has the numbers.",
        draw,
    )


def _bits_panel(axis: Axes, run: Run, found: Any, genre: str, colour: str) -> None:
    steps = [step for step in found.steps if found.bits(step, genre) is not None]
    values = [found.bits(step, genre) for step in steps]
    for step in steps:
        figure = found.of(step, genre, "bits_per_sample")
        if figure.lo is not None and figure.hi is not None:
            axis.plot([step, step], [figure.lo, figure.hi], color=colour, linewidth=3.5, alpha=0.35)
    axis.plot(steps, values, color=colour, marker="o", markersize=4, label=f"network ({run.label})")
    if genre in found.markov:
        axis.axhline(found.markov[genre], color=MUTED, linestyle=(0, (4, 2)), linewidth=1.2, label="Markov")
    axis.axhline(found.uniform, color=MUTED, linestyle=(0, (1, 2)), linewidth=1.2, label="guessing")
    axis.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axis.xaxis.set_major_formatter(FuncFormatter(_thousands))


def loss(comparison: Comparison) -> Drawing | None:
    """Training loss per step with restart marks."""
    found = [(run, curve) for run in comparison.runs if (curve := curves.loss_curve(run.view)) is not None]
    if not found:
        return None

    def draw(narrow: bool) -> Figure:
        figure, axis, rug = _curve_axes(narrow)
        for (run, curve), (colour, band) in zip(found, RUN_COLOURS, strict=False):
            _curve(axis, curve, run.label if len(found) > 1 else "median", colour, band)
        axis.axhline(math.log(256), color=MUTED, linestyle=(0, (1, 2)), linewidth=1.2)
        axis.annotate(
            "guessing, ln 256",
            (1, math.log(256)),
            xycoords=("axes fraction", "data"),
            xytext=(0, -2),
            textcoords="offset points",
            ha="right",
            va="top",
            color=MUTED,
            fontsize=8,
        )
        axis.set_ylabel("loss, nats per sample")
        axis.set_ylim(bottom=0)
        bits_axis = axis.secondary_yaxis("right", functions=(lambda x: x / math.log(2), lambda x: x * math.log(2)))
        bits_axis.set_ylabel("bits")
        bits_axis.spines["right"].set_visible(False)
        _restart_marks(axis, rug, comparison.runs)
        if len(found) > 1:
            axis.legend(loc="upper right", bbox_to_anchor=(1, 0.88))
        return figure

    run, curve = found[0]
    return Drawing(
        "loss",
        "Loss per step",
        f"Line: running median over {curve.window:,} steps; band: the middle 80 % of the steps. {_marks_caption(run)}",
        f"Training loss falls from {curve.median[0]:.2f} to {curve.median[-1]:.2f} nats per sample "
        f"between step {curve.steps[0]:,.0f} and step {curve.steps[-1]:,.0f}."
        if curve.median[-1] < curve.median[0]
        else f"Training loss goes from {curve.median[0]:.2f} to {curve.median[-1]:.2f} nats per sample.",
        draw,
    )


def seconds(comparison: Comparison) -> Drawing | None:
    """Seconds per training step with restart marks."""
    found = [(run, curve) for run in comparison.runs if (curve := curves.seconds_curve(run.view)) is not None]
    if not found:
        return None

    def draw(narrow: bool) -> Figure:
        figure, axis, rug = _curve_axes(narrow)
        for (run, curve), (colour, band) in zip(found, RUN_COLOURS, strict=False):
            _curve(axis, curve, run.label if len(found) > 1 else "median", colour, band)
        low = min(float(curve.low.min()) for _, curve in found)
        high = max(float(curve.high.max()) for _, curve in found)
        if low > 0 and high / low > 4:
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(ScalarFormatter())
            axis.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
            axis.set_ylabel("seconds per step (logarithmic)")
        else:
            axis.set_ylim(0, high * 1.15)
            axis.set_ylabel("seconds per step")
        _restart_marks(axis, rug, comparison.runs)
        if len(found) > 1:
            axis.legend(loc="upper right")
        return figure

    run, curve = found[0]
    total = sum(step.seconds or 0 for step in run.view.steps.values())
    return Drawing(
        "seconds",
        "Seconds per step",
        f"Line: running median over {curve.window:,} steps; band: the middle 80 %. "
        f"The steps took {number(total / 3600, 3)} hours together, without pauses and replayed steps. {_marks_caption(run)}",
        f"Seconds per training step: median {number(float(np.median(curve.median)))} s.",
        draw,
    )


def generation(comparison: Comparison) -> Drawing | None:
    """Seconds of generation by genre and step."""
    timed = [
        (run, clip)
        for run in comparison.runs
        for clip in run.clips
        if clip.seconds is not None and clip.number == 1 and clip.step in comparison.steps
    ]
    if not timed:
        return None
    names = [genre for genre in comparison.genres if any(clip.genre == genre for _, clip in timed)]
    colours = style.step_colours(len(comparison.steps))

    def draw(narrow: bool) -> Figure:
        width = style.NARROW_INCHES if narrow else style.WIDE_INCHES
        figure = Figure(figsize=(width, 1.1 + 0.42 * len(names)), layout="constrained")
        axis = figure.subplots()
        axis.grid(axis="x")
        axis.grid(visible=False, axis="y")
        many = len(comparison.steps)
        for index, (step, (colour, _)) in enumerate(zip(comparison.steps, colours, strict=True)):
            for place, run in enumerate(comparison.runs):
                points = [
                    (clip.seconds, names.index(clip.genre) + (index - (many - 1) / 2) * 0.16)
                    for other, clip in timed
                    if other is run and clip.step == step
                ]
                if points:
                    axis.plot(
                        [x for x, _ in points],
                        [y for _, y in points],
                        linestyle="none",
                        marker="os"[place % 2],
                        markersize=6,
                        color=colour,
                        label=f"step {step:,}" + (f", {run.label}" if len(comparison.runs) > 1 else ""),
                    )
        axis.set_yticks(range(len(names)), names)
        axis.tick_params(axis="y", labelcolor=INK)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlim(0, max(clip.seconds or 0 for _, clip in timed) * 1.08)
        axis.set_xlabel("seconds for one clip")
        axis.spines["left"].set_visible(False)
        figure.legend(loc="outside lower center", ncols=2 if narrow else 4)
        return figure

    together = {run.label for run, clip in timed if run.batch_seconds.get(clip.step) == clip.seconds}
    note = " The clips of a step were generated together, so each took as long as all of them." if together else ""
    return Drawing(
        "generation",
        "Time of generation",
        f"Seconds to generate one clip, by genre and step.{note}",
        "Seconds of generation for each genre and step. The table below has the numbers.",
        draw,
    )


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

    total = sum(count.songs or 0 for _, counts in found[:1] for count in counts)
    return Drawing(
        "genres",
        "Distribution of genres",
        f"{plural(total, 'song')} kept. Pale: clips held out of training, by song."
        if total
        else "Clips of each genre. Pale: held out of training, by song.",
        "; ".join(
            f"{count.genre}: {plural(count.songs or (count.training or 0) + (count.validation or 0), 'song')}"
            for count in found[0][1]
        ),
        draw,
    )


def _genre_panel(axis: Axes, counts: Sequence[Any]) -> None:
    axis.grid(axis="x")
    axis.grid(visible=False, axis="y")
    rows = range(len(counts))
    split = all(count.training is not None for count in counts)
    first = [count.training if split else count.songs or 0 for count in counts]
    second = [(count.validation or 0) if split else 0 for count in counts]
    axis.barh(rows, first, height=0.55, color=ACCENT)
    axis.barh(rows, second, height=0.55, left=first, color=BAND)
    for row, a, b in zip(rows, first, second, strict=True):
        axis.annotate(
            f"{a:,} + {b:,}" if split else f"{a:,}",
            (a + b, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=MUTED,
            fontsize=8,
        )
    axis.set_yticks(rows, [count.genre for count in counts])
    axis.tick_params(axis="y", labelcolor=INK)
    axis.set_ylim(len(counts) - 0.5, -0.5)
    axis.set_xlim(0, max(1, *(a + b for a, b in zip(first, second, strict=True))) * 1.15)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.set_xlabel("clips for training + held out" if split else "songs")
    axis.spines["left"].set_visible(False)


def _curve_axes(narrow: bool) -> tuple[Figure, Axes, Axes]:
    """A panel for the curve and a low strip under it for the restart marks."""
    width = style.NARROW_INCHES if narrow else style.WIDE_INCHES
    figure = Figure(figsize=(width, 2.9 if narrow else 3.7), layout="constrained")
    axis, rug = figure.subplots(2, 1, sharex=True, height_ratios=[12, 1])
    rug.grid(visible=False)
    rug.set(yticks=[], ylim=(0, 1), xlabel="step")
    rug.spines["left"].set_visible(False)
    rug.xaxis.set_major_formatter(FuncFormatter(_thousands))
    rug.xaxis.set_major_locator(MaxNLocator(4 if narrow else 8, integer=True))
    axis.tick_params(axis="x", bottom=False, labelbottom=False)
    axis.spines["bottom"].set_color(LINE)
    return figure, axis, rug


def _curve(axis: Axes, curve: curves.Band, label: str, colour: str, band: str) -> None:
    axis.fill_between(curve.steps, curve.low, curve.high, color=band, linewidth=0)
    axis.plot(curve.steps, curve.median, color=colour, label=label)
    axis.set_xlim(0, max(float(curve.steps[-1]), axis.get_xlim()[1] if axis.lines[1:] else 0.0))


def _restart_marks(axis: Axes, rug: Axes, runs: Sequence[Run]) -> None:
    """Manual restarts: a line through the panel with its step. Automatic ones: a tick in the strip below."""
    marked: set[str] = set()
    for run, (colour, _) in zip(runs, RUN_COLOURS, strict=False):
        marks = curves.restarts(run.view)
        automatic = [mark for mark in marks if mark.automatic]
        manual = [mark for mark in marks if not mark.automatic]
        if automatic:
            rug.vlines([mark.step for mark in automatic], 0, 1, color=colour, linewidth=0.8, label="automatic restart")
            marked.add("automatic")
        last = -math.inf
        for mark in manual:
            axis.axvline(mark.step, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
            far = mark.step - last > 0.06 * axis.get_xlim()[1]
            if len(manual) <= 8 and far:
                axis.annotate(
                    f"{mark.step:,}",
                    (mark.step, 1),
                    xycoords=("data", "axes fraction"),
                    xytext=(0, 2),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    fontsize=7.5,
                    color=INK,
                )
                last = mark.step
        if manual:
            marked.add("manual")
    if marked:
        rug.set_ylabel("restarts", rotation=0, ha="right", va="center", fontsize=7.5)


def _marks_caption(run: Run) -> str:
    marks = curves.restarts(run.view)
    if not marks:
        return "Training was never restarted."
    manual = [mark for mark in marks if not mark.automatic]
    automatic = sum(mark.count for mark in marks if mark.automatic)
    parts = []
    if manual:
        parts.append(f"dashed lines: {plural(sum(mark.count for mark in manual), 'restart')} by hand")
    if automatic:
        places = sum(mark.automatic for mark in marks)
        places_text = f" at {plural(places, 'place')}" if places != automatic else ""
        parts.append(f"ticks below: {plural(automatic, 'automatic restart')}{places_text}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def _thousands(value: float, _place: object = None) -> str:
    return f"{value:,.0f}"
