"""Figures of what was made and how well it is predicted: spectrograms, bits per sample by step and by context.

In: a `Comparison`. Out: `Drawing`s, or None where there is nothing to draw.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from src.compare import sounds, style
from src.compare.comparison import Comparison, Run
from src.compare.style import INK, MUTED, RUN_COLOURS, Drawing
from src.compare.words import number, plural, thousands, thousands_short
from src.evaluate.schema import BITS, Evaluation


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

    ceiling = sounds.brightest(clip.sound for run in comparison.runs for clip in run.clips if clip.sound)

    def draw(narrow: bool) -> Figure:
        height = 0.5 if narrow else 0.92
        layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        figure = style.figure(narrow, 0.45 + height * len(names), layout)
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
                        cmap=ListedColormap(sounds.colours() / 255),
                        vmin=ceiling - sounds.RANGE_DB,
                        vmax=ceiling,
                        interpolation="nearest",
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
        has_narrow=False,
    )


def bits(comparison: Comparison) -> Drawing | None:
    """Held-out bits per sample by step, one panel a genre, with Markov and uniform."""
    measured = [
        (run, run.evaluation, colours)
        for run, colours in zip(comparison.runs, RUN_COLOURS, strict=False)
        if run.evaluation is not None
    ]
    names = [
        genre
        for genre in comparison.genres
        if any(evaluation.bits(step, genre) is not None for _, evaluation, _ in measured for step in evaluation.steps)
    ]
    if not names:
        return None

    def panel(axis: Axes, genre: str) -> None:
        for run, evaluation, (colour, _) in measured:
            _bits_panel(axis, run, evaluation, genre, colour)

    def draw(narrow: bool) -> Figure:
        return _panels(names, narrow, panel)[0]

    return Drawing(
        "bits",
        "Bits per sample on held-out songs",
        "Fewer is better. The network should fall below the first-order Markov model, which knows only the sample "
        "before; 8 bits is guessing. Bars are 95 % intervals where there are enough songs for one.",
        "; ".join(
            f"{genre}{comparison.suffix(run)}: "
            + ", ".join(f"{number(evaluation.bits(step, genre))} bits at step {step:,}" for step in evaluation.steps)
            + (f", Markov {number(evaluation.markov[genre])}" if genre in evaluation.markov else "")
            for genre in names
            for run, evaluation, _ in measured
        ),
        draw,
    )


def _bits_panel(axis: Axes, run: Run, evaluation: Evaluation, genre: str, colour: str) -> None:
    values = {step: bits for step in evaluation.steps if (bits := evaluation.bits(step, genre)) is not None}
    for step in values:
        figure = evaluation.of(step, genre, BITS)
        if figure and figure.lo is not None and figure.hi is not None:
            axis.plot([step, step], [figure.lo, figure.hi], color=colour, linewidth=3.5, alpha=0.35)
    label = f"network ({run.label})"
    axis.plot(list(values), list(values.values()), color=colour, marker="o", markersize=4, label=label)
    if genre in evaluation.markov:
        axis.axhline(evaluation.markov[genre], color=MUTED, linestyle=(0, (4, 2)), linewidth=1.2, label="Markov")
    axis.axhline(evaluation.uniform, color=MUTED, linestyle=(0, (1, 2)), linewidth=1.2, label="guessing")
    axis.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axis.xaxis.set_major_formatter(FuncFormatter(thousands))


def context(comparison: Comparison) -> Drawing | None:
    """Bits per sample by how much real music came before, one panel a genre and one line a step."""
    evaluation = comparison.run.evaluation
    steps = [step for step in comparison.steps if evaluation is not None and evaluation.context.get(step)]
    if evaluation is None or not steps:
        return None
    names = [genre for genre in comparison.genres if any(evaluation.context[step].get(genre) for step in steps)]
    colours = dict(zip(comparison.steps, style.step_colours(len(comparison.steps)), strict=True))

    def panel(axis: Axes, genre: str) -> None:
        for step in steps:
            ranges = [row for row in evaluation.context[step].get(genre, ()) if row.bits.value is not None]
            axis.plot(
                [math.sqrt(row.first * row.last) for row in ranges],
                [float(row.bits.value or 0) for row in ranges],
                color=colours[step][0],
                label=f"step {step:,}",
            )
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(numticks=4))
        axis.xaxis.set_major_formatter(FuncFormatter(thousands_short))
        axis.minorticks_off()

    def draw(narrow: bool) -> Figure:
        figure, axes = _panels(names, narrow, panel)
        for axis in axes[-(2 if narrow else 5) :]:
            axis.set_xlabel("samples before")
        return figure

    return Drawing(
        "context",
        "Does a longer memory help?",
        "Bits per sample by how many real samples the network heard before. A line that still falls at the right end "
        "says that it uses even the oldest of them.",
        "Bits per sample against the samples of context, for each genre and step.",
        draw,
    )


def _panels(names: Sequence[str], narrow: bool, panel: Callable[[Axes, str], None]) -> tuple[Figure, Any]:
    """One panel of bits per sample a genre, all on one scale. panel: draws a genre's."""
    columns = 2 if narrow else min(len(names), 5)
    rows = math.ceil(len(names) / columns)
    figure = style.figure(narrow, 0.5 + (1.6 if narrow else 2.1) * rows)
    axes = figure.subplots(rows, columns, sharey=True, sharex=True, squeeze=False).ravel()
    for axis, genre in zip(axes, names, strict=False):
        panel(axis, genre)
        axis.set_title(genre)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    axes[0].set_ylim(bottom=0)
    for axis in axes[: len(names) : 2 if narrow else 5]:
        axis.set_ylabel("bits per sample")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2 if narrow else 4)
    return figure, axes[: len(names)]
