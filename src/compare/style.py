"""How figures look and how they are saved: one drawing, readable on light and dark pages, wide and narrow.

In: matplotlib figures drawn in the light colours below. Out: SVG files that carry their own dark colours: a style sheet
inside recolours them where the reader prefers a dark page. Other programs show the light one.
"""

import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from src.base import files

PAPER = "#fcfbf8"
INK = "#23211e"
MUTED = "#6f6a62"
LINE = "#e3dfd7"
ACCENT = "#b4472b"
SECOND = "#2f6f8f"
BAND = "#efcfc3"
BAND_SECOND = "#c9dde6"

RUN_COLOURS = ((ACCENT, BAND), (SECOND, BAND_SECOND))
"""(line, band) of the first and the second run."""

DARK = {
    PAPER: "#161514",
    INK: "#eae6df",
    MUTED: "#a29c92",
    LINE: "#33302c",
    ACCENT: "#ef8a63",
    SECOND: "#78b6d4",
    BAND: "#4f2c22",
    BAND_SECOND: "#223a47",
}
"""Light colour → dark colour."""

_STEPS_LIGHT = LinearSegmentedColormap.from_list("steps", ["#a7a29a", "#8d7aa0", "#a4487a", "#b4472b"])
_STEPS_DARK = LinearSegmentedColormap.from_list("steps-dark", ["#79746c", "#9a86b4", "#d0709f", "#ef8a63"])

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

WIDE_INCHES, NARROW_INCHES = 8.2, 3.7
"""At 96 dots an inch: 787 and 355 pixels, the widths of the text on a desk and on a phone."""


@dataclass(frozen=True)
class Drawing:
    """One figure of the page."""

    name: str
    """Name of its files."""
    title: str
    caption: str
    alt: str
    """What it shows, in words, for who cannot see it."""
    draw: Callable[[bool], Figure]
    """Draws it; the argument says whether the narrow form is wanted."""


def figure(narrow: bool, height_inches: float, layout: Any = "constrained") -> Figure:
    """An empty figure as wide as the page's text, on a phone if `narrow`."""
    return Figure(figsize=(NARROW_INCHES if narrow else WIDE_INCHES, height_inches), layout=layout)


def note(axis: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], **options: Any) -> None:
    """A small text at a point of the data, moved by `offset` (points of 1/72 inch)."""
    axis.annotate(text, at, xytext=offset, textcoords="offset points", **{"fontsize": 8, "color": MUTED, **options})


def step_colours(count: int) -> list[tuple[str, str]]:
    """(light, dark) colour of each compared step, from the grey of noise to the accent."""
    shares = [index / max(1, count - 1) for index in range(count)]
    return [(to_hex(_STEPS_LIGHT(share)), to_hex(_STEPS_DARK(share))) for share in shares]


def drawing_style() -> AbstractContextManager[None]:
    """matplotlib's settings for the length of a block."""
    return matplotlib.rc_context(_SETTINGS)


_SETTINGS: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelsize": 8.5,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "figure.facecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "figures",
}


def save(drawing: Drawing, folder: Path, dark: dict[str, str] | None = None) -> tuple[int, int]:
    """Write <name>.svg and <name>-narrow.svg; returns width and height of the first in pixels.

    dark: light colour → dark colour of what is drawn in other colours than the ones above.
    """
    with drawing_style():
        drawn = {suffix: drawing.draw(suffix == "-narrow") for suffix in ("", "-narrow")}
        for suffix, figure in drawn.items():
            text = svg(figure, drawing.title, {**DARK, **(dark or {})})
            files.write_text(folder / f"{drawing.name}{suffix}.svg", text)
    width, height = drawn[""].get_size_inches()
    return round(96 * width), round(96 * height)


def svg(figure: Figure, title: str, dark: dict[str, str]) -> str:
    """A figure as SVG text with the dark colours inside."""
    buffer = io.BytesIO()
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    text = buffer.getvalue().decode()
    # Text keeps the reader's own font; DejaVu Sans, which it was measured with, is wider than those.
    text = re.sub(r"(font: [^;\"']*?)'DejaVu Sans'[^;\"]*", lambda match: match[1] + "FONT", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: FONT", text)
    text = text.replace("FONT", FONT)
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{shade}!important}}'
        for light, shade in dark.items()
        for kind in ("fill", "stroke", "stop-color")
    )
    # Text without a colour of its own is black.
    rules += f"text:not([style*='fill']){{fill:{dark[INK]}}}"
    return text.replace("<defs>", f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>\n <defs>", 1)
