"""How long MLflow's pages take to open when a team's server is full.

    python -m benchmarks browse [--runs 20] [--steps 15000]

A PostgreSQL and an MLflow server on this machine (one worker, no passwords) get so many runs with every metric that the
harness sends: loss and seconds of each step, validation, and the scores of four compared steps. Then headless Chromium
opens the list of runs, the charts of one run and a comparison of four, in one tab, from a click to the moment in which
the rows or curves stand there. Once before, unmeasured, each page is opened, so that its program is in the browser's
cache. Writes work/bench/browse.json. Needs Debian's postgresql and chromium.
"""

import json
import math
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
import typer
from rich.table import Table

from benchmarks import measure, postgres
from benchmarks.mlflow_server import Server
from benchmarks.postgres import Postgres
from src import config
from src.base import console, files
from src.base.errors import Problem
from src.evaluate import catalogue
from src.record import metrics
from src.record.guarded import Point, now_ms
from src.record.tracking import Store, shown

OPENED_ROUNDS = 7
COMPARED_RUNS = 4
LONGEST_S = 180.0
DRAWN = "() => document.querySelectorAll('.js-plotly-plot path.js-line').length > 0"
"""A curve stands in a chart."""
COMPARED = "() => document.querySelectorAll('.js-plotly-plot .main-svg').length > 0"


@dataclass(frozen=True)
class Opened:
    """Seconds from the click to the sight of a page, once for each time it was opened."""

    page: str
    seconds: list[float]


def browse(
    runs: Annotated[int, typer.Option(min=COMPARED_RUNS, help="Runs on the server.")] = 20,
    steps: Annotated[int, typer.Option(min=500, help="Steps of each.")] = 15_000,
    output: Annotated[Path, typer.Option("--out", help="Where the figures go.")] = Path("work/bench/browse.json"),
) -> None:
    """Fill an MLflow server with PostgreSQL and time its pages in a browser."""
    chromium = shutil.which("chromium")
    if postgres.PROGRAMS is None or chromium is None:
        raise Problem("PostgreSQL or Chromium is not installed: apt-get install postgresql chromium")
    folder = Path(tempfile.mkdtemp(prefix="browse-"))
    with Postgres() as database, Server(folder, database.uri, PGPASSWORD=database.password) as server:
        began = time.monotonic()
        Store(uri=server.uri)  # makes the experiment, whose artifacts are the server's
        os.environ["PGPASSWORD"] = database.password
        store, made = fill(database.uri, runs, steps)
        filled_s = time.monotonic() - began
        pages = time_pages(chromium, server.uri, store.page, made)
    shutil.rmtree(folder)
    found = {
        "runs": runs,
        "steps": steps,
        "filled_seconds": filled_s,
        "machine": measure.machine("cpu"),
        "pages": {one.page: one.seconds for one in pages},
    }
    files.write_json(output, found)
    table = Table("page", "median s", "shortest s", "longest s", title=f"{runs} runs of {steps:,} steps")
    for one in pages:
        figures = statistics.median(one.seconds), min(one.seconds), max(one.seconds)
        table.add_row(one.page, *(f"{value:.2f}" for value in figures))
    console.show(table)
    console.say(f"Written to {output}.")


def fill(uri: str, runs: int, steps: int) -> tuple[Store, list[str]]:
    """Runs with all that the harness sends of a training of the demo, and their ids.

    uri: of the database itself, which takes them faster than a server does.
    """
    store, params = Store(uri=uri), config.load(profile="demo")
    made = []
    for number in range(runs):
        console.say(f"run {number + 1} of {runs}")
        fingerprint, begin_ms = f"{number:016x}", now_ms() - (runs - number) * 600_000
        run_id = store.run(
            fingerprint, f"demo seed {number} · {fingerprint[-8:]}", shown(params.with_seed(number)), {}, begin_ms
        )
        store.points(run_id, points(number, steps, params.genres, begin_ms))
        store.status(run_id, "FINISHED", begin_ms + 500_000)
        made.append(run_id)
    return store, made


def points(seed: int, steps: int, genres: Sequence[str], begin_ms: int) -> list[Point]:
    """What a training sends: a loss and seconds for each step, validation every 500, scores of four steps."""
    noise = np.random.default_rng(seed).standard_normal(steps + 1)
    made: list[Point] = []
    for step in range(1, steps + 1):
        at = begin_ms + 30 * step
        made.append((metrics.LOSS, 3 + 2.5 * math.exp(-step / 800) + 0.1 * float(noise[step]), at, step))
        made.append((metrics.SECONDS_PER_STEP, 0.03 + 0.002 * abs(float(noise[step])), at, step))
        if step % 500 == 0:
            made += [(metrics.validation_bits(genre), 4 + 500 / step, at, step) for genre in genres]
    for step in (20, steps // 3, 2 * steps // 3, steps):
        at = begin_ms + 30 * step
        made += [(name, 1 - 20 / step, at, step) for name in (metrics.BITS_GAINED, metrics.WAY_TO_MUSIC)]
        made += [
            (metrics.score(entry.name, genre), 1 / step, at, step) for entry in catalogue.ENTRIES for genre in genres
        ]
    return made


def time_pages(chromium: str, uri: str, runs_page: str, made: Sequence[str]) -> list[Opened]:
    """Open each page again and again in one tab."""
    from playwright.sync_api import sync_playwright

    compared = quote(json.dumps(list(made[:COMPARED_RUNS])))
    views = {
        "list of runs": (
            runs_page.partition("#")[2],
            f"() => document.querySelectorAll('[role=row] a[href*=\"/runs/\"]').length >= {min(len(made), 10)}",
        ),
        "charts of a run": (f"/experiments/1/runs/{made[0]}/model-metrics", DRAWN),
        f"comparison of {COMPARED_RUNS} runs": (f"/compare-runs?runs={compared}&experiments=%5B%221%22%5D", COMPARED),
    }
    opened = {name: Opened(name, []) for name in views}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab: Any = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        tab.goto(f"{uri}/#{runs_page.partition('#')[2]}")
        for turn in range(OPENED_ROUNDS + 1):
            for name, (place, seen) in views.items():
                began = time.monotonic()
                tab.evaluate("place => { location.hash = place }", place)
                tab.wait_for_function(seen, timeout=LONGEST_S * 1000)
                if turn:
                    opened[name].seconds.append(round(time.monotonic() - began, 3))
                tab.evaluate("location.hash = '/settings'")  # away from it, so that nothing of it stays
                tab.wait_for_function("() => !document.querySelector('.js-plotly-plot, [role=row] a')", timeout=10_000)
        browser.close()
    return list(opened.values())
