"""Findings of a training log's lines, times and speed. In: `Analysis`. Out: findings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.legacy import study_2019
from src.legacy.analysis import Analysis
from src.legacy.finding import Finding, finding
from src.legacy.training_log import ZONES_H

MOST_COUNTED = 50_000_000
PIECE = 100_000


def findings(analysis: Analysis, known: bool) -> list[Finding]:
    """What the log holds, how long it took, and at what speed."""
    return [_lines(analysis), _time(analysis, known), *_speed(analysis, known)]


def stamp(time_ms: int, zone: str = "") -> str:
    """A time as the log's own clock showed it, for the zones it names."""
    local = datetime.fromtimestamp(time_ms / 1000, UTC) + timedelta(hours=ZONES_H.get(zone, 0))
    return f"{local:%d %b %Y %H:%M} {zone if zone in ZONES_H else 'UTC'}"


def _lines(analysis: Analysis) -> Finding:
    log = analysis.training.log
    different, repeated, missing = census(log.steps)
    sentence = f"The log has {len(log.steps):,} step lines for {different:,} different steps"
    sentence += f" and {len(log.restarts)} restart lines."
    evidence = []
    if repeated:
        evidence.append(f"Logged more than once: {_few(repeated)}.")
    if missing:
        evidence.append(f"Never logged: {_few(missing)}.")
        evidence += _why_missing(analysis, missing[0])
    if log.other_lines:
        evidence.append(f"{log.other_lines:,} lines are of other kinds.")
    return finding(
        "lines", "What the log holds", sentence, " ".join(evidence) or "No step is missing or repeated.", "read",
        step_lines=len(log.steps), different_steps=different, restart_lines=len(log.restarts),
        repeated=repeated[:100], missing=missing[:100],
        first_step=int(log.steps.min()), last_step=int(log.steps.max()),
    )  # fmt: skip


def census(steps: NDArray[np.int32]) -> tuple[int, list[int], list[int]]:
    """Different steps; steps that come more than once; steps that never come between the first and the last.

    Counted piece by piece in one byte a step; numbers too far apart for that are not looked for.
    """
    low, high = int(steps.min()), int(steps.max())
    if high - low > MOST_COUNTED:
        return len(np.unique(steps)), [], []
    seen, again = np.zeros(high - low + 1, bool), np.zeros(high - low + 1, bool)
    for start in range(0, len(steps), PIECE):
        values, counts = np.unique(steps[start : start + PIECE] - low, return_counts=True)
        again[values] |= seen[values] | (counts > 1)
        seen[values] = True
    missing = (np.flatnonzero(~seen) + low).tolist()
    return int(seen.sum()), (np.flatnonzero(again) + low).tolist(), missing


def _why_missing(analysis: Analysis, step: int) -> list[str]:
    """A step nobody logged, followed by a slow first step: the program saved under its number while it failed."""
    log = analysis.training.log
    places = np.flatnonzero(log.steps == step + 1)
    if not len(places) or not any(life.first == places[0] for life in analysis.training.attempts if life.count):
        return []
    return [
        f"Step {step + 1} is a first step after a restart, so there was a checkpoint numbered {step}: "
        "the program saves once more when it fails, before the step has printed its line."
    ]


def _few(numbers: list[int]) -> str:
    shown = ", ".join(f"{number:,}" for number in numbers[:5])
    return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown


def _time(analysis: Analysis, known: bool) -> Finding:
    training, log = analysis.training, analysis.training.log
    total_s = float(log.millis.sum(dtype=np.int64)) / 1000
    zone = log.zones[0] if log.zones else ""
    stamps = [restart for restart in log.restarts if restart.time_ms is not None]
    sentence = f"The logged steps took {total_s / 86400:.2f} days ({total_s / 3600:.1f} hours) of computing."
    evidence = f"The sum of the seconds of {len(log.steps):,} lines."
    values: dict[str, Any] = {"step_seconds": total_s}
    if stamps:
        first, last = stamps[0], stamps[-1]
        begin_ms = training.clock.begin_ms[0]
        values |= {"first_stamp_ms": first.time_ms, "last_stamp_ms": last.time_ms, "latest_begin_ms": begin_ms}
        evidence += (
            f" The first stamp is of {stamp(first.time_ms or 0, zone)}; the steps before it alone take "
            f"{((first.time_ms or 0) - begin_ms) / 3.6e6:.1f} hours, so training began no later than "
            f"{stamp(begin_ms, zone)}. The last stamp is of {stamp(last.time_ms or 0, zone)}."
        )
        if known:
            named = datetime.fromisoformat(study_2019.STARTED_AFTER).replace(tzinfo=UTC)
            early_ms = round(named.timestamp() * 1000) - ZONES_H.get(zone, 0) * 3_600_000
            values["unknown_hours_before"] = (begin_ms - early_ms) / 3.6e6
            evidence += f" The study's log folder is named {named:%d %b %H:%M}: up to "
            evidence += (
                f"{values['unknown_hours_before']:.1f} hours before the first stamp went by without a logged step."
            )
    return finding("time", "Time spent", sentence, evidence, "read", **values)


def _speed(analysis: Analysis, known: bool) -> list[Finding]:
    found = analysis.phases
    if len(found) < 2:
        only = found[0]
        text = f"A step took {only.median_s:.1f} s in the middle, all through."
        return [finding("speed", "Speed", text, f"{only.count:,} steps.", "read", phases=_phases(analysis))]
    parts = [
        f"{phase.median_s:.0f} s a step for steps {analysis.series.steps[phase.first]:,}–"
        f"{analysis.series.steps[phase.first + phase.count - 1]:,}"
        for phase in found
    ]
    slow = sum(phase.count for phase in found if phase.median_s > 2 * found[-1].median_s)
    slow_s = sum(phase.total_s for phase in found if phase.median_s > 2 * found[-1].median_s)
    total_s = sum(phase.total_s for phase in found)
    sentence = f"The speed had {len(found)} phases: {'; '.join(parts)}."
    if slow:
        sentence += f" The first {slow:,} steps cost {100 * slow_s / total_s:.0f} % of the time."
    evidence = "Found by splitting the logged seconds where their medians differ by a tenth or more."
    if known:
        marks = ", ".join(str(step) for step in study_2019.MANUAL_RESTARTS)
        evidence += f" The study names moves to another computer at steps {marks}."
    return [finding("speed", "Speed", sentence, evidence, "inferred", phases=_phases(analysis))]


def _phases(analysis: Analysis) -> list[dict[str, Any]]:
    steps = analysis.series.steps
    return [
        {
            "first_step": int(steps[phase.first]), "last_step": int(steps[phase.first + phase.count - 1]),
            "steps": phase.count, "median_s": phase.median_s, "p10_s": phase.low_s, "p90_s": phase.high_s,
            "hours": phase.total_s / 3600,
        }
        for phase in analysis.phases
    ]  # fmt: skip
