"""Figures of the training: loss and seconds per step, with the marks of restarts.

In: a `Comparison`. Out: `Drawing`s, or None where there is nothing to draw. Medians with the range of the middle 80 %
take the place of 2019's polynomial of degree 50.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from src.base.console import duration
from src.compare import curves, style
from src.compare.comparison import Comparison, Run
from src.compare.style import INK, LINE, MUTED, RUN_COLOURS, Drawing
from src.compare.words import number, plural, thousands
from src.record.journal import View


def loss(comparison: Comparison) -> Drawing | None:
    """Training loss per step with restart marks."""
    found = _found(comparison, curves.loss_curve)
    if not found:
        return None

    def draw(narrow: bool) -> Figure:
        figure, axis, rug = _curve_axes(narrow)
        for run, curve, (colour, band) in found:
            _curve(axis, curve, run.label, colour, band)
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
        bits_axis = axis.secondary_yaxis("right", functions=(_bits, _nats))
        bits_axis.set_ylabel("bits")
        bits_axis.spines["right"].set_visible(False)
        _restart_marks(axis, rug, comparison.runs)
        if len(found) > 1:
            figure.legend(loc="outside lower center", ncols=2)
        return figure

    run, curve, _ = found[0]
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


def _found(
    comparison: Comparison, curve_of: Callable[[View], curves.Band | None]
) -> list[tuple[Run, curves.Band, tuple[str, str]]]:
    """The runs that have such a curve, with their colours."""
    return [
        (run, curve, colours)
        for run, colours in zip(comparison.runs, RUN_COLOURS, strict=False)
        if (curve := curve_of(run.view)) is not None
    ]


def _bits(nats: Any) -> Any:
    return nats / math.log(2)


def _nats(bits: Any) -> Any:
    return bits * math.log(2)


def seconds(comparison: Comparison) -> Drawing | None:
    """Seconds per training step with restart marks."""
    found = _found(comparison, curves.seconds_curve)
    if not found:
        return None

    def draw(narrow: bool) -> Figure:
        figure, axis, rug = _curve_axes(narrow)
        for run, curve, (colour, band) in found:
            _curve(axis, curve, run.label, colour, band)
        low = min(float(curve.low.min()) for _, curve, _ in found)
        high = max(float(curve.high.max()) for _, curve, _ in found)
        if low > 0 and high / low > 4:
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.minorticks_off()
            axis.set_ylabel("seconds per step (logarithmic)")
        else:
            axis.set_ylim(0, high * 1.15)
            axis.set_ylabel("seconds per step")
        _restart_marks(axis, rug, comparison.runs)
        if len(found) > 1:
            figure.legend(loc="outside lower center", ncols=2)
        return figure

    run, curve, _ = found[0]
    total = sum(step.seconds or 0 for step in run.view.steps.values())
    return Drawing(
        "seconds",
        "Seconds per step",
        f"Line: running median over {curve.window:,} steps; band: the middle 80 %. "
        f"The steps took {duration(total)} together, without pauses and replayed steps. "
        f"{_marks_caption(run)}",
        f"Seconds per training step: median {number(float(np.median(curve.median)))} s.",
        draw,
    )


def _curve_axes(narrow: bool) -> tuple[Figure, Axes, Axes]:
    """A panel for the curve and a low strip under it for the restart marks."""
    width = style.NARROW_INCHES if narrow else style.WIDE_INCHES
    figure = Figure(figsize=(width, 2.9 if narrow else 3.7), layout="constrained")
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
    marked: set[str] = set()
    for run, (colour, _) in zip(runs, RUN_COLOURS, strict=False):
        marks = curves.restarts(run.view)
        automatic = [mark for mark in marks if mark.automatic]
        manual = [mark for mark in marks if not mark.automatic]
        if automatic:
            rug.vlines([mark.step for mark in automatic], 0, 1, color=colour, linewidth=0.8, label="automatic restart")
            marked.add("automatic")
        for mark in manual:
            axis.axvline(mark.step, color=INK if len(runs) == 1 else colour, linewidth=0.9, linestyle=(0, (3, 2)))
        for together in _clusters([mark.step for mark in manual], 0.08 * axis.get_xlim()[1]):
            # Labels of lines that stand close share one place, or they would cover each other.
            text = ", ".join(f"{step:,}" for step in together[:4]) + (" …" if len(together) > 4 else "")
            axis.annotate(
                text,
                (together[0], 1),
                xycoords=("data", "axes fraction"),
                xytext=(-3, 2),
                textcoords="offset points",
                ha="left",
                va="bottom",
                fontsize=7.5,
                color=INK,
            )
        if manual:
            marked.add("manual")
    if marked:
        rug.set_ylabel("restarts", rotation=0, ha="right", va="center", fontsize=7.5)


def _clusters(places: Sequence[int], reach: float) -> list[list[int]]:
    """Places in ascending order, those within `reach` of the one before together."""
    found: list[list[int]] = []
    for place in sorted(set(places)):
        if found and place - found[-1][-1] <= reach:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def _marks_caption(run: Run) -> str:
    marks = curves.restarts(run.view)
    if not marks:
        return "Training was never restarted."
    manual = [mark for mark in marks if not mark.automatic]
    automatic = sum(mark.count for mark in marks if mark.automatic)
    parts = []
    if manual:
        parts.append(
            f"dashed {'line' if len(manual) == 1 else 'lines'}: "
            f"{plural(sum(mark.count for mark in manual), 'restart')} by hand"
        )
    if automatic:
        places = sum(mark.automatic for mark in marks)
        places_text = f" at {plural(places, 'place')}" if places != automatic else ""
        parts.append(
            f"{'tick' if automatic == 1 else 'ticks'} below: {plural(automatic, 'automatic restart')}{places_text}"
        )
    inferred = sum(mark.count for mark in marks if mark.inferred)
    if inferred:
        parts.append(f"{inferred} of these were inferred, no log names them")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."
