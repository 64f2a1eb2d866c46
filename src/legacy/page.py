"""The forensic report as one HTML page that needs nothing else. In: `Report`. Out: the page's text.

No script, no request, no font from elsewhere: the Content-Security-Policy allows this page's own style alone.
"""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jinja2
from markupsafe import Markup

from src.legacy import figures
from src.legacy.forensics import Report
from src.legacy.training_log import ZONES_H

TEMPLATES = Path(__file__).with_name("templates")
LISTED_RESTARTS = 500


def render(report: Report) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    style = (TEMPLATES / "forensics.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    zones = report.analysis.training.log.zones if report.analysis else ()
    zone = zones[0] if zones and zones[0] in ZONES_H else "UTC"

    def when(time_ms: int | None) -> str:
        if time_ms is None:
            return ""
        local = datetime.fromtimestamp(time_ms / 1000, UTC) + timedelta(hours=ZONES_H[zone])
        return f"{local:%a} {local.day} {local:%b %H:%M:%S}"

    drawn: dict[str, list[str]] = {}
    for width in (figures.WIDE, figures.NARROW):
        for key, svg in _drawn(report, width).items():
            drawn.setdefault(key, []).append(svg)
    return environment.get_template("forensics.html.j2").render(
        report=report,
        by_key={item.key: item for item in report.findings},
        figures={key: [Markup(svg) for svg in pair] for key, pair in drawn.items()},
        style=Markup(style),
        csp=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        when=when,
        zone=zone,
        restarts=report.tables.get("restarts", [])[:LISTED_RESTARTS],
    )


def _drawn(report: Report, width: int) -> dict[str, str]:
    """The figures that there is something to draw for."""
    drawn = {}
    analysis, generation = report.analysis, report.found.generation
    if analysis:
        drawn = {
            "loss": figures.loss(analysis, width),
            "distances": figures.distances(analysis, width) if report.finding("padding") else "",
            "speed": figures.speed(analysis, width),
            "calendar": figures.calendar(analysis, width),
            "hours": figures.hours(report.tables["hours"], width),
        }
    if generation is not None:
        drawn["generation"] = figures.generation(generation, width)
    return {key: svg for key, svg in drawn.items() if svg}
