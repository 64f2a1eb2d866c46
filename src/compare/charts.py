"""The charts of the page: loss per step, as 2019 drew it, and how long a memory helps.

In: a `Comparison`. Out: paths and ticks as positions in percent; the page's template draws them and its style sheet
colours them, so that they follow its width, its font and the dark. Medians with the range of the middle 80 % take the
place of 2019's polynomial of degree 50.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.base.console import duration, listed, plural
from src.compare import curves
from src.compare.comparison import Comparison, Run
from src.compare.words import capital, number
from src.evaluate.schema import ContextRange
from src.record.journal import LOSS_WINDOW

Scale = Callable[[ArrayLike], NDArray[np.float64]]
"""Values → positions in percent."""


class Tick(NamedTuple):
    """A label of an axis."""

    at: str
    text: str


class Line(NamedTuple):
    """A curve, in a box of 100 × 100."""

    tone: str
    label: str
    path: str
    band: str = ""


class Chart(NamedTuple):
    """What the template draws."""

    name: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    x_label: str
    y_label: str
    alt: str
    """What it shows, in words, for who cannot see it."""
    guess: str = ""
    """Height of the line of blind guessing."""
    by_hand: tuple[Tick, ...] = ()
    """Restarts by a person, with their step."""
    automatic: tuple[str, ...] = ()


class Figure(NamedTuple):
    """One chart, or one for each genre, with title and caption."""

    title: str
    caption: str
    charts: tuple[Chart, ...]


def figures(comparison: Comparison) -> dict[str, Figure]:
    """Every figure there is something for."""
    made = {"context": context(comparison), "loss": loss(comparison)}
    return {name: figure for name, figure in made.items() if figure is not None}


def loss(comparison: Comparison) -> Figure | None:
    """Training loss per step with the marks of restarts."""
    bands = [(run, band) for run in comparison.runs if (band := curves.loss_curve(run.view)) is not None]
    if not bands:
        return None
    run, first = bands[0]
    guess = math.log(256)
    total_s = sum(step.seconds or 0 for step in run.view.steps.values())
    known = [f"{number(value)} up to step {step:,}" for step in comparison.steps if (value := run.median_loss(step))]
    caption = (
        f"Nats per sample (1 nat is 1.44 bits). Line: running median over {first.window:,} steps; band: the middle "
        f"80 % of the steps; dots: guessing. "
        + (f"Median of the last {LOSS_WINDOW} steps: {listed(known)}. " if known else "")
        + (f"The steps took {duration(total_s)} together, without pauses and steps done again. " if total_s else "")
        + _restarts(run)
    )
    alt = f"The loss goes from {first.median[0]:.2f} to {first.median[-1]:.2f} nats per sample."
    highest = max(guess, *(float(band.high.max()) for _, band in bands))
    return Figure("Loss per step", caption, (_by_step(bands, comparison, 1.05 * highest, alt, guess),))


def context(comparison: Comparison) -> Figure | None:
    """Bits per sample by how much real music came before: a chart a genre and a line a step."""
    evaluation = comparison.run.evaluation
    steps = [step for step in comparison.steps if evaluation and evaluation.context.get(step)]
    if evaluation is None or not steps:
        return None
    rows = evaluation.context
    made = [_by_context(genre, {step: rows[step].get(genre, ()) for step in steps}) for genre in comparison.genres]
    charts = tuple(chart for chart in made if chart is not None)
    caption = (
        "Bits per sample by how many real samples the network heard before, on a logarithmic scale. A line that still "
        "falls at the right end says that it uses even the oldest of them."
    )
    return Figure("Does a longer memory help?", caption, charts) if charts else None


def _by_context(genre: str, rows: Mapping[int, Sequence[ContextRange]]) -> Chart | None:
    """A genre's chart; rows: step → bits by range of context."""
    lines = {
        step: [(math.sqrt(row.first * row.last), row.bits.value) for row in ranges if row.bits.value is not None]
        for step, ranges in rows.items()
    }
    lengths = [length for line in lines.values() for length, _ in line]
    if not lengths:
        return None
    most = max(8.0, *(bits for line in lines.values() for _, bits in line))
    across, up = _scale(min(lengths), max(lengths), log=True), _scale(0, 1.05 * most, turned=True)
    drawn = [
        Line(f"tone-{tone}", f"step {step:,}", _path(across([x for x, _ in line]), up([y for _, y in line])))
        for tone, (step, line) in enumerate(lines.items())
        if line
    ]
    return Chart(
        genre,
        tuple(drawn),
        _ticks([10.0**power for power in range(7) if min(lengths) <= 10**power <= max(lengths)], across),
        _ticks([0, 2, 4, 6, 8], up),
        "samples before",
        "bits",
        f"Bits per sample against the samples of context, for {genre}.",
    )


def _by_step(
    bands: Sequence[tuple[Run, curves.Band]], comparison: Comparison, high: float, alt: str, guess: float
) -> Chart:
    """The loss over the steps: a line and a band for each run, and the first run's restarts."""
    last = max(float(band.steps[-1]) for _, band in bands)
    across, up = _scale(0, last), _scale(0, high, turned=True)
    marks = curves.restarts(bands[0][0].view)
    return Chart(
        comparison.name(bands[0][0]),
        tuple(
            Line(
                f"run-{index}",
                run.label,
                _path(x := across(band.steps), up(band.median)),
                f"{_path(x, up(band.high))}L{_path(x[::-1], up(band.low)[::-1])[1:]}Z",
            )
            for index, (run, band) in enumerate(bands)
        ),
        _ticks(_round_values(0, last, 6), across),
        _ticks(_round_values(0, high, 5), up),
        "step",
        "loss, nats",
        alt,
        guess=f"{up([guess])[0]:.2f}",
        by_hand=_ticks(sorted({mark.step for mark in marks if not mark.automatic}), across),
        automatic=tuple(tick.at for tick in _ticks(sorted({mark.step for mark in marks if mark.automatic}), across)),
    )


def _scale(low: float, high: float, *, log: bool = False, turned: bool = False) -> Scale:
    """From low (0 %) to high (100 %); turned: the other way, because pictures count from the top."""
    bend = np.log if log else np.asarray

    def position(values: ArrayLike) -> NDArray[np.float64]:
        share = (bend(np.asarray(values, np.float64)) - bend(low)) / (bend(high) - bend(low) or 1.0)
        return np.asarray(100 * (1 - share if turned else share))

    return position


def _path(x: ArrayLike, y: ArrayLike) -> str:
    return "M" + "L".join(f"{a:.2f} {b:.2f}" for a, b in zip(np.asarray(x), np.asarray(y), strict=True))


def _ticks(values: Sequence[float], scale: Scale) -> tuple[Tick, ...]:
    return tuple(
        Tick(f"{at:.2f}", f"{value:,.0f}" if value == round(value) else f"{value:g}")
        for at, value in zip(scale(values), values, strict=True)
    )


def _round_values(low: float, high: float, most: int) -> list[float]:
    """At most `most` values 1, 2 or 5 times a power of ten apart, from low to high."""
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)
    return [float(f"{k * step:.10g}") for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _restarts(run: Run) -> str:
    marks = curves.restarts(run.view)
    manual, automatic = (sum(mark.automatic is by for mark in marks) for by in (False, True))
    parts = [f"dashed: {plural(manual, 'restart')} by hand"] if manual else []
    parts += [f"ticks below: {plural(automatic, 'automatic restart')}"] if automatic else []
    if inferred := sum(mark.inferred for mark in marks):
        parts.append(f"{inferred} of these were inferred, because no log names them")
    return f"{capital('; '.join(parts))}." if parts else "Training was never restarted."
