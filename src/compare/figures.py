"""The figures of the page: loss and seconds per step as 2019 drew them, and how long a memory helps.

In: a `Comparison`. Out: `Drawing`s, or None where there is nothing to draw; nothing is drawn before `style.save` asks
for it.
"""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from src.compare import figures_training, style
from src.compare.comparison import Comparison
from src.compare.style import Drawing
from src.compare.words import thousands_short


def all_drawings(comparison: Comparison) -> dict[str, Drawing]:
    """Every figure there is something for, by name, in the order of the page."""
    candidates = [context(comparison), figures_training.loss(comparison), figures_training.seconds(comparison)]
    return {drawing.name: drawing for drawing in candidates if drawing is not None}


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
        for place in range(len(names)):
            if place % columns == 0:
                axes[place].set_ylabel("bits per sample")
            if place >= len(names) - columns:
                axes[place].set_xlabel("samples before")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2 if narrow else 4)
        return figure

    return Drawing(
        "context",
        "Does a longer memory help?",
        "Bits per sample by how many real samples the network heard before. A line that still falls at the right end "
        "says that it uses even the oldest of them.",
        "Bits per sample against the samples of context, for each genre and step.",
        draw,
    )
