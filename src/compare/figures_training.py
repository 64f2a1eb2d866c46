"""Figures of the training: loss and seconds per step, with the marks of restarts.

In: a `Comparison`. Out: `Drawing`s, or None where there is nothing to draw. Medians with the range of the middle 80 %
take the place of 2019's polynomial of degree 50.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from src.base.console import duration
from src.base.words import listed
from src.compare import curves, style
from src.compare.comparison import Comparison, Run
from src.compare.style import INK, LINE, MUTED, RUN_COLOURS, Drawing
from src.compare.words import number, plural, thousands
from src.record.journal import LOSS_WINDOW, View

Line = tuple[Run, curves.Band, tuple[str, str]]
"""A run, its curve, its colours (line, band)."""


def loss(comparison: Comparison) -> Drawing | None:
    """Training loss per step with restart marks."""
    lines = _lines(comparison, curves.loss_curve)
    if not lines:
        return None

    def scale(axis: Axes) -> None:
        guessing = math.log(256)
        axis.axhline(guessing, color=MUTED, linestyle=(0, (1, 2)), linewidth=1.2)
        style.note(
            axis, "guessing, ln 256", (1, guessing), (0, -2), xycoords=("axes fraction", "data"), ha="right", va="top"
        )
        axis.set_ylabel("loss, nats per sample")
        axis.set_ylim(bottom=0)
        bits_axis = axis.secondary_yaxis("right", functions=(_bits, _nats))
        bits_axis.set_ylabel("bits")
        bits_axis.spines["right"].set_visible(False)

    run, curve, _ = lines[0]
    return Drawing(
        "loss",
        "Loss per step",
        f"Line: running median over {curve.window:,} steps; band: the middle 80 % of the steps. "
        f"{_medians(run, comparison.steps)}{_marks_caption(run)}",
        f"Training loss falls from {curve.median[0]:.2f} to {curve.median[-1]:.2f} nats per sample "
        f"between step {curve.steps[0]:,.0f} and step {curve.steps[-1]:,.0f}."
        if curve.median[-1] < curve.median[0]
        else f"Training loss goes from {curve.median[0]:.2f} to {curve.median[-1]:.2f} nats per sample.",
        partial(_draw, comparison, lines, scale),
    )


def seconds(comparison: Comparison) -> Drawing | None:
    """Seconds per training step with restart marks."""
    lines = _lines(comparison, curves.seconds_curve)
    if not lines:
        return None
    low = min(float(curve.low.min()) for _, curve, _ in lines)
    high = max(float(curve.high.max()) for _, curve, _ in lines)

    def scale(axis: Axes) -> None:
        if low > 0 and high / low > 4:
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.minorticks_off()
            axis.set_ylabel("seconds per step (logarithmic)")
        else:
            axis.set_ylim(0, high * 1.15)
            axis.set_ylabel("seconds per step")

    run, curve, _ = lines[0]
    total = sum(step.seconds or 0 for step in run.view.steps.values())
    return Drawing(
        "seconds",
        "Seconds per step",
        f"Line: running median over {curve.window:,} steps; band: the middle 80 %. "
        f"The steps took {duration(total)} together, without pauses and replayed steps. "
        f"{_marks_caption(run)}",
        f"Seconds per training step: median {number(float(np.median(curve.median)))} s.",
        partial(_draw, comparison, lines, scale),
    )


def _lines(comparison: Comparison, curve_of: Callable[[View], curves.Band | None]) -> list[Line]:
    """The runs that have such a curve, with their colours."""
    return [
        (run, curve, colours)
        for run, colours in zip(comparison.runs, RUN_COLOURS, strict=False)
        if (curve := curve_of(run.view)) is not None
    ]


def _draw(comparison: Comparison, lines: Sequence[Line], scale: Callable[[Axes], None], narrow: bool) -> Figure:
    """The curves, with the marks of the restarts in and below the panel. scale: sets up the vertical axis."""
    figure, axis, rug = _curve_axes(narrow)
    for run, curve, (colour, band) in lines:
        _curve(axis, curve, run.label, colour, band)
    scale(axis)
    _restart_marks(axis, rug, comparison.runs)
    if len(lines) > 1:
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _bits(nats: Any) -> Any:
    return nats / math.log(2)


def _nats(bits: Any) -> Any:
    return bits * math.log(2)


def _curve_axes(narrow: bool) -> tuple[Figure, Axes, Axes]:
    """A panel for the curve and a low strip under it for the restart marks."""
    figure = style.figure(narrow, 2.9 if narrow else 3.7)
    axis, rug = figure.subplots(2, 1, sharex=True, height_ratios=[12, 1])
    rug.grid(visible=False)
    rug.set(yticks=[], ylim=(0, 1), xlabel="step")
    rug.spines["left"].set_visible(False)
    rug.xaxis.set_major_formatter(FuncFormatter(thousands))
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
    marked = False
    for run, (colour, _) in zip(runs, RUN_COLOURS, strict=False):
        marks = curves.restarts(run.view)
        marked = marked or bool(marks)
        automatic = [mark.step for mark in marks if mark.automatic]
        manual = [mark.step for mark in marks if not mark.automatic]
        if automatic:
            rug.vlines(automatic, 0, 1, color=colour, linewidth=0.8, label="automatic restart")
        for step in manual:
            axis.axvline(step, color=INK if len(runs) == 1 else colour, linewidth=0.9, linestyle=(0, (3, 2)))
        for together in _clusters(manual, 0.08 * axis.get_xlim()[1]):
            # Lines that stand close share one label, or their labels would cover each other.
            text = ", ".join(f"{step:,}" for step in together[:4]) + (" …" if len(together) > 4 else "")
            at, coordinates = (together[0], 1), ("data", "axes fraction")
            style.note(axis, text, at, (-3, 2), xycoords=coordinates, ha="left", va="bottom", fontsize=7.5, color=INK)
    if marked:
        rug.set_ylabel("restarts", rotation=0, ha="right", va="center", fontsize=7.5)


def _clusters(steps: Sequence[int], reach: float) -> list[list[int]]:
    """Steps in ascending order, those within `reach` of the one before together."""
    clusters: list[list[int]] = []
    for step in sorted(set(steps)):
        if clusters and step - clusters[-1][-1] <= reach:
            clusters[-1].append(step)
        else:
            clusters.append([step])
    return clusters


def _medians(run: Run, steps: Sequence[int]) -> str:
    """The losses at the compared steps, as figures: what a loss of training steps is worth the measures say."""
    known = [f"{number(loss)} up to step {step:,}" for step in steps if (loss := run.median_loss(step)) is not None]
    return f"Median of the last {LOSS_WINDOW} steps: {listed(known)}. " if known else ""


def _marks_caption(run: Run) -> str:
    marks = curves.restarts(run.view)
    if not marks:
        return "Training was never restarted."
    manual = [mark.count for mark in marks if not mark.automatic]
    automatic = [mark.count for mark in marks if mark.automatic]
    inferred = sum(mark.count for mark in marks if mark.inferred)
    parts = []
    if manual:
        parts.append(f"dashed {'line' if len(manual) == 1 else 'lines'}: {plural(sum(manual), 'restart')} by hand")
    if automatic:
        total = sum(automatic)
        where = f" at {plural(len(automatic), 'place')}" if len(automatic) != total else ""
        parts.append(f"{'tick' if total == 1 else 'ticks'} below: {plural(total, 'automatic restart')}{where}")
    if inferred:
        parts.append(f"{inferred} of these were inferred, because no log names them")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."
