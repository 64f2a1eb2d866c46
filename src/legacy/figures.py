"""The figures of the forensic page, as SVG that takes its colours and letters from the page's style.

In: `Analysis` and the width of the box, `WIDE` or `NARROW`: a page holds both and its style shows one, so that letters
keep their size on a phone. Out: SVG text with a description for those who do not see it.
"""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.legacy.analysis import Analysis
from src.legacy.generation_log import Generation
from src.legacy.training_log import ZONES_H

WIDE, NARROW = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 42, 12, 14, 34
MOST_DOTS = 1600
MOST_DAYS = 60


class Plot:
    """A box with a linear x axis and a linear or logarithmic y axis."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], width: int, height: int, log: bool = False
    ) -> None:
        self._x, self._log, self.width, self.height = x, log, width, height
        self._y = (np.log(y[0]), np.log(y[1])) if log else y
        self._parts: list[str] = []

    def x(self, value: float) -> float:
        """Where a value lies from left to right."""
        return LEFT + (value - self._x[0]) / (self._x[1] - self._x[0]) * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Where a value lies from top to bottom."""
        value = float(np.log(value)) if self._log else value
        return TOP + (self._y[1] - value) / (self._y[1] - self._y[0]) * (self.height - TOP - BOTTOM)

    def add(self, part: str) -> None:
        """Add SVG text as it is."""
        self._parts.append(part)

    def axes(self, xs: Sequence[float], ys: Sequence[float], x_label: str, y_label: str, form: str = ",.0f") -> None:
        """Grid lines with their values, and what is shown."""
        floor = self.height - BOTTOM
        for value in ys:
            at = self.y(value)
            self.add(f'<path class="grid" d="M{LEFT} {at:.1f}H{self.width - RIGHT}"/>')
            self.add(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:,g}</text>')
        for number, value in enumerate(xs):
            anchor = "end" if number == len(xs) - 1 and self.x(value) > self.width - 60 else "middle"
            shown = format(value, form)
            self.add(f'<text x="{self.x(value):.1f}" y="{floor + 16}" text-anchor="{anchor}">{shown}</text>')
        self.add(f'<path class="axis" d="M{LEFT} {floor}H{self.width - RIGHT}"/>')
        self.add(f'<text class="label" x="{LEFT}" y="{TOP - 3}">{escape(y_label)}</text>')
        self.add(
            f'<text class="label" x="{self.width - RIGHT}" y="{self.height - 4}" text-anchor="end">'
            f"{escape(x_label)}</text>"
        )

    def line(self, xs: NDArray[np.float64], ys: NDArray[np.float64], style: str) -> None:
        """A line through points."""
        points = "L".join(f"{self.x(a):.1f} {self.y(b):.1f}" for a, b in zip(xs, ys, strict=True))
        self.add(f'<path class="{style}" d="M{points}"/>')

    def band(self, xs: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], style: str) -> None:
        """The area between two lines."""
        there = [f"{self.x(a):.1f} {self.y(b):.1f}" for a, b in zip(xs, high, strict=True)]
        back = [f"{self.x(a):.1f} {self.y(b):.1f}" for a, b in zip(xs[::-1], low[::-1], strict=True)]
        self.add(f'<path class="{style}" d="M{"L".join(there + back)}Z"/>')

    def dots(self, xs: NDArray[np.float64], ys: NDArray[np.float64], style: str) -> None:
        """Small dots; of very many every n-th."""
        every = max(1, len(xs) // MOST_DOTS)
        marks = "".join(f"M{self.x(a):.1f} {self.y(b):.1f}h0" for a, b in zip(xs[::every], ys[::every], strict=True))
        self.add(f'<path class="{style}" d="{marks}"/>')

    def svg(self, title: str, description: str) -> str:
        """The whole figure."""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(title)}. {escape(description)}">' + "".join(self._parts) + "</svg>"
        )


def loss(analysis: Analysis, width: int = WIDE) -> str:
    """Loss per step: median and middle 80 % of unpadded steps, the padded ones as dots, restarts below."""
    series = analysis.series
    steps, losses = series.steps.astype(float), series.losses
    clean = np.ones(len(losses), bool)
    clean[series.padded] = False
    low_y, high_y = float(np.floor(losses.min())), float(np.ceil(losses.max()))
    plot = Plot((float(steps.min()), float(steps.max())), (low_y, max(high_y, low_y + 1)), width, 300)
    plot.axes(_ticks(plot, steps), np.arange(low_y, high_y + 0.1).tolist(), "step", "loss, nats per sample")
    order = np.argsort(steps[clean], kind="stable")
    x, y = steps[clean][order], losses[clean][order]
    edges = np.linspace(0, len(x), min(181, max(2, len(x) // 20 + 1))).astype(int)
    parts = [slice(a, b) for a, b in itertools.pairwise(edges) if b > a]
    middle = np.array([np.median(x[part]) for part in parts])
    low, half, high = (np.array([np.percentile(y[part], share) for part in parts]) for share in (10, 50, 90))
    plot.dots(steps[series.padded], losses[series.padded], "dots")
    plot.band(middle, low, high, "band")
    plot.line(middle, half, "curve")
    floor = plot.height - BOTTOM
    marks = "".join(f"M{plot.x(steps[place]):.1f} {floor}v-9" for place in series.restarts)
    plot.add(f'<path class="marks" d="{marks or "M0 0"}"/>')
    return plot.svg("Loss per step", "Median of the steps without padding with the middle 80 %, padded steps as dots.")


def distances(analysis: Analysis, width: int = WIDE) -> str:
    """How many steps lie between neighbouring padded ones, beside what chance would give."""
    found = analysis.padding
    if found is None:
        return ""
    most = 30
    counts, chance = found.distances[: most + 1], found.by_chance[: most + 1]
    plot = Plot((0.3, most + 0.7), (0, float(max(counts.max(), chance.max())) * 1.08), width, 230)
    top = float(counts.max())
    step = 10 ** np.floor(np.log10(max(top, 1)))
    plot.axes(
        [1, 5, 10, 15, 20, 25, 30], np.arange(0, top + 1, step).tolist(), "steps from one drop to the next", "pairs"
    )
    for gap in range(1, most + 1):
        height, thick = plot.y(0) - plot.y(float(counts[gap])), width / 46
        style = "bar strong" if gap == found.period else "bar"
        plot.add(
            f'<rect class="{style}" x="{plot.x(gap) - thick / 2:.1f}" width="{thick:.1f}" '
            f'y="{plot.y(float(counts[gap])):.1f}" '
            f'height="{height:.1f}"/>'
        )
    gaps = np.arange(3, most + 1, dtype=float)
    plot.line(gaps, chance[3:], "curve thin")
    return plot.svg(
        "Distance between lowered losses", f"A peak at {found.period} steps; by chance it would fall smoothly."
    )


def speed(analysis: Analysis, width: int = WIDE) -> str:
    """Seconds per step on a logarithmic axis, with its phases."""
    series = analysis.series
    steps, seconds = series.steps.astype(float), series.seconds.clip(0.1)
    low, high = float(np.percentile(seconds, 0.2)) * 0.8, float(seconds.max()) * 1.15
    plot = Plot((float(steps.min()), float(steps.max())), (low, high), width, 240, log=True)
    ticks = [value for value in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if low < value < high]
    plot.axes(_ticks(plot, steps), ticks, "step", "seconds per step")
    inside = np.flatnonzero(seconds > low)
    every = max(1, len(inside) // 2500)
    slow = np.flatnonzero(seconds > 1.25 * np.median(seconds))
    shown = np.unique(np.concatenate([inside[::every], slow]))
    marks = "".join(f"M{plot.x(steps[k]):.1f} {plot.y(seconds[k]):.1f}h0" for k in shown)
    plot.add(f'<path class="dots faint" d="{marks}"/>')
    for phase in analysis.phases:
        a, b = steps[phase.first], steps[phase.first + phase.count - 1]
        plot.add(f'<path class="curve" d="M{plot.x(a):.1f} {plot.y(phase.median_s):.1f}H{plot.x(b):.1f}"/>')
    return plot.svg("Seconds per step", f"{len(analysis.phases)} phases of different speed.")


def calendar(analysis: Analysis, width: int = WIDE) -> str:
    """One line a day: when steps were computed, and where processes died. Days are of the log's own clock."""
    training = analysis.training
    zone_ms = _zone_ms(training.log.zones)
    stamps = [restart.time_ms + zone_ms for restart in training.log.restarts if restart.time_ms is not None]
    day = 86_400_000
    if not 0 < len(stamps) <= MOST_DOTS or max(stamps) - min(stamps) > MOST_DAYS * day:
        return ""
    spans = []
    for life in training.attempts:
        if life.count:
            total = int(training.log.millis[life.first : life.first + life.count].sum(dtype=np.int64))
            total += round(life.count * training.clock.overhead_s * 1000)
            begin = training.clock.first_step_ms[life.number - 1] + zone_ms
            spans.append((begin, begin + total, life.began_ms is None))
    first, last = min(span[0] for span in spans) // day, max(max(stamps), max(span[1] for span in spans)) // day
    if last - first > MOST_DAYS:
        return ""
    row, left = 24, 74
    height = int((last - first + 1) * row + 40)

    def x(part: float) -> float:
        return left + part * (width - left - RIGHT)

    out = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="Calendar: when steps were computed, day by day">'
    ]
    for number in range(int(last - first + 1)):
        top = 10 + number * row
        date = datetime.fromtimestamp((first + number) * 86_400, UTC)
        out.append(f'<text x="{left - 8}" y="{top + 13}" text-anchor="end">{date:%a} {date.day} {date:%b}</text>')
        out.append(f'<rect class="idle" x="{left}" y="{top}" width="{width - left - RIGHT}" height="{row - 6}"/>')
        start = (first + number) * day
        for a, b, guessed in spans:
            low, high = max(a, start), min(b, start + day)
            if high > low:
                length = max(x((high - start) / day) - x((low - start) / day), 0.4)
                style = "busy guessed" if guessed else "busy"
                out.append(
                    f'<rect class="{style}" x="{x((low - start) / day):.1f}" y="{top}" width="{length:.1f}" '
                    f'height="{row - 6}"/>'
                )
        ticks = [stamp for stamp in stamps if start <= stamp < start + day]
        marks = "".join(f"M{x((stamp - start) / day):.1f} {top - 2}v{row - 2}" for stamp in ticks)
        out.append(f'<path class="deaths" d="{marks or "M0 0"}"/>')
    for hour in (0, 6, 12, 18, 24):
        anchor = "end" if hour == 24 else "middle"
        out.append(f'<text x="{x(hour / 24):.1f}" y="{height - 12}" text-anchor="{anchor}">{hour}:00</text>')
    return "".join(out) + "</svg>"


def hours(rows: Sequence[dict[str, Any]], width: int = WIDE) -> str:
    """Where the time went, as one bar."""
    total = sum(row["hours"] for row in rows)
    if total <= 0:
        return ""
    out = [f'<svg viewBox="0 0 {width} 46" role="img" aria-label="Where the time went">']
    at = 0.0
    for number, row in enumerate(rows):
        length = row["hours"] / total * width
        out.append(f'<rect class="part part-{number}" x="{at:.1f}" y="4" width="{max(length, 0.5):.1f}" height="38"/>')
        at += length
    return "".join(out) + "</svg>"


def generation(times: Generation, width: int = WIDE) -> str:
    """The intervals between the stamps, as bars; one that covers two clips stands out."""
    seconds = times.seconds
    plot = Plot((0.3, len(seconds) + 0.7), (0, max(seconds) * 1.08), width, 200)
    ticks = [value for value in (0, 1000, 2000, 3000, 4000) if value < max(seconds) * 1.08]
    plot.axes([1, 5, 10, 15, len(seconds)] if len(seconds) > 16 else [1, len(seconds)], ticks, "interval", "seconds")
    thick = (width - LEFT - RIGHT) / len(seconds) * 0.7
    for place, (length, count) in enumerate(zip(seconds, times.covered, strict=True), 1):
        style = "bar strong" if count > 1 else "bar"
        plot.add(
            f'<rect class="{style}" x="{plot.x(place) - thick / 2:.1f}" y="{plot.y(length):.1f}" width="{thick:.1f}" '
            f'height="{plot.y(0) - plot.y(length):.1f}"/>'
        )
    return plot.svg("Seconds between stamps", "The first interval is twice as long as the others.")


def _ticks(plot: Plot, steps: NDArray[np.float64]) -> list[float]:
    low, high = float(steps.min()), float(steps.max())
    size = 10 ** np.floor(np.log10(max(high - low, 1)))
    size = size / 2 if (high - low) / size < 3 else size
    size = size * 5 if (high - low) / size > plot.width / 60 else size
    first = np.ceil(low / size) * size
    return [float(value) for value in np.arange(first, high + 1, size)]


def _zone_ms(zones: Sequence[str]) -> int:
    return ZONES_H.get(zones[0], 0) * 3_600_000 if zones else 0
