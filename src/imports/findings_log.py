"""Findings of a training log but for its losses: lines, time, speed, restarts, what was lost with them.

In: `Analysis`. Out: findings, and the tables behind them.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from src.imports import attempts, study_2019
from src.imports.analysis import Analysis
from src.imports.finding import Finding, finding
from src.imports.training_log import ZONES_H
from src.imports.unlogged import CONVINCING

SHORT_STOP_S = 600.0


def findings(analysis: Analysis, known: bool) -> list[Finding]:
    """Findings of the log's lines and stamps; those that need stamps only where there are any."""
    found = [_lines(analysis), _time(analysis, known), *_speed(analysis, known), _restarts(analysis)]
    return [*found, *_downtime(analysis), *_lost(analysis), *_contradictions(analysis)]


def stamp(time_ms: int, zone: str = "") -> str:
    """A time as the log's own clock showed it, for the zones it names."""
    local = datetime.fromtimestamp(time_ms / 1000, UTC) + timedelta(hours=ZONES_H.get(zone, 0))
    return f"{local:%d %b %Y %H:%M} {zone if zone in ZONES_H else 'UTC'}"


def _lines(analysis: Analysis) -> Finding:
    log = analysis.training.log
    different = len(np.unique(log.steps))
    values, counts = np.unique(log.steps, return_counts=True)
    repeated = values[counts > 1].tolist()
    span = int(values[-1] - values[0] + 1)
    missing = sorted(set(range(int(values[0]), int(values[-1]) + 1)) - set(values.tolist())) if span < 2_000_000 else []
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
        repeated=repeated[:100], missing=missing[:100], first_step=int(values[0]), last_step=int(values[-1]),
    )  # fmt: skip


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


def _restarts(analysis: Analysis) -> Finding:
    training = analysis.training
    groups = attempts.loops(training.log)
    longest = max((len(group) for group in groups), default=0)
    hidden = [life for life in training.attempts if life.inferred and life.count]
    silent = sum(life.count == 0 for life in training.attempts)
    sentence = f"{len(training.log.restarts)} restart lines are {len(groups)} breakdowns"
    sentence += f"; the longest crash loop has {longest} lines" if longest > 1 else ""
    sentence += f". {silent} attempts died before they wrote a single step." if silent else "."
    evidence = "Restart lines without a step between them are one crash loop."
    if hidden:
        names = ", ".join(f"{int(training.log.steps[life.first]):,} ({life.evidence})" for life in hidden)
        sentence += f" {len(hidden)} more starts left no line."
        evidence += f" Starts without a line: at steps {names}; a slow first step is one that builds the graph again."
    return finding(
        "restarts", "Restarts", sentence, evidence, "inferred" if hidden else "read",
        restart_lines=len(training.log.restarts), breakdowns=len(groups), longest_loop=longest, silent_attempts=silent,
        unlogged_starts=[
            {"step": int(training.log.steps[life.first]), "evidence": life.evidence} for life in hidden
        ],
        attempts=len(training.attempts),
    )  # fmt: skip


def _downtime(analysis: Analysis) -> list[Finding]:
    training, hidden = analysis.training, analysis.training.unlogged
    waits = [item for item in hidden.attempts if item.idle_s > SHORT_STOP_S] if hidden else []
    if hidden is None or not waits:
        return []
    worst = max(waits, key=lambda item: item.idle_s)
    life = next(life for life in training.attempts if life.number == worst.attempt)
    zone = training.log.zones[0] if training.log.zones else ""
    text = f"For at least {hidden.idle_s / 3600:.1f} hours nothing was computed; the longest stop lasted "
    text += f"{worst.idle_s / 3600:.1f} hours and ended on {stamp(life.died_ms or 0, zone)}."
    evidence = "Time between two stamps that neither the start, nor the logged steps, nor "
    evidence += f"{hidden.cadence} lost steps can fill. {len(waits)} stops are longer than ten minutes."
    stops = [{"attempt": item.attempt, "hours": item.idle_s / 3600} for item in waits]
    values = {"idle_hours": hidden.idle_s / 3600, "stops": stops, "longest_hours": worst.idle_s / 3600}
    return [finding("downtime", "Standing still", text, evidence, "inferred", **values)]


def _lost(analysis: Analysis) -> list[Finding]:
    training, hidden = analysis.training, analysis.training.unlogged
    if hidden is None:
        return []
    lost, lost_h = hidden.lost_steps, hidden.lost_steps * hidden.step_s / 3600
    if hidden.rayleigh_p is not None and hidden.rayleigh_p < CONVINCING:
        fit = f"what is left over after {hidden.startup_s:.0f} s of start, the longest that fits, is whole steps "
        fit += f"(Rayleigh test, p < 1e{int(np.ceil(np.log10(hidden.rayleigh_p)))}), between 0 and {hidden.cadence}"
    else:
        fit = f"{hidden.startup_s:.0f} s of it are taken as the start, the least that any attempt left"
    starts = sum(life.began_ms is not None for life in training.attempts)
    start_h = starts * (hidden.startup_s + hidden.first_step_extra_s) / 3600
    text = (
        f"About {lost} computed steps ({lost_h:.1f} hours) died with their processes before they were written, weights "
    )
    text += f"and lines alike; starting again took about {start_h:.1f} hours."
    evidence = (
        f"The time between two stamps is longer than the steps logged in it; {fit}. The program writes its log out "
    )
    evidence += f"with each checkpoint, every {hidden.cadence} steps, so no replayed step shows."
    if hidden.undecided:
        evidence += (
            f" In {hidden.undecided} attempts lost steps cannot be told from standing still and are not counted."
        )
    values = {
        "lost_steps": lost, "lost_hours": lost_h, "start_hours": start_h, "startup_s": hidden.startup_s,
        "step_s": hidden.step_s, "first_step_extra_s": hidden.first_step_extra_s, "overhead_s": hidden.overhead_s,
        "rayleigh_p": hidden.rayleigh_p, "undecided_attempts": hidden.undecided,
    }  # fmt: skip
    return [finding("lost", "Work thrown away", text, evidence, "estimate", **values)]


def _contradictions(analysis: Analysis) -> list[Finding]:
    training, hidden = analysis.training, analysis.training.unlogged
    if hidden is None or not hidden.contradictions:
        return []
    lives = {life.number: life for life in training.attempts}
    first = lives[hidden.contradictions[0]]
    span = next(item for item in hidden.attempts if item.attempt == first.number)
    steps = training.log.steps
    last_step = int(steps[first.first + first.count - 1])
    text = f"Steps {int(steps[first.first]):,} to {last_step:,} took {span.logged_s:.0f} s, but the stamps around them "
    text += f"are {span.span_s:.0f} s apart: a second process was writing into the same log."
    evidence = (
        "A process cannot compute for longer than it lives. In the journal these steps count back from the later stamp."
    )
    values = {"attempts": list(hidden.contradictions), "logged_s": span.logged_s, "span_s": span.span_s}
    return [finding("contradiction", "Two processes at once", text, evidence, "inferred", **values)]


def restarts(analysis: Analysis) -> list[dict[str, Any]]:
    """One row for each breakdown, and for each start without a line."""
    training = analysis.training
    log, hidden = training.log, training.unlogged
    left = {item.attempt: item for item in hidden.attempts} if hidden else {}
    by_place: dict[int, list[attempts.Attempt]] = {}
    for life in training.attempts[1:]:
        by_place.setdefault(life.first, []).append(life)
    rows = []
    for place, lives in sorted(by_place.items()):
        before = next((life for life in reversed(training.attempts) if life.first < place and life.count), None)
        over = [*([before] if before else []), *(life for life in lives if not (life.count and life.first == place))]
        ended = [left[life.number] for life in over if life.number in left]
        rows.append(
            {
                "after_step": int(log.steps[place - 1]),
                "lines": sum(life.evidence == "restart line" for life in lives),
                "first_ms": next((life.began_ms for life in lives if life.began_ms is not None), None),
                "evidence": ", ".join(dict.fromkeys(life.evidence for life in lives)),
                "by_hand": not all(life.automatic for life in lives),
                "lost_steps": sum(item.lost_steps or 0 for item in ended),
                "idle_hours": sum(item.idle_s for item in ended) / 3600,
            }
        )
    return rows


def hours(analysis: Analysis) -> list[dict[str, Any]]:
    """Where the time between the first stamp and the last went."""
    hidden = analysis.training.unlogged
    if hidden is None:
        return []
    padded_s = 0.0
    if analysis.padding and analysis.padding.convincing:
        padded_s = float(np.sum(1 - analysis.padding.ratios)) * hidden.step_s
    logged_s = sum(item.logged_s for item in hidden.attempts)
    starts_s = len(hidden.attempts) * (hidden.startup_s + hidden.first_step_extra_s)
    rows = [
        ("steps on music", logged_s - padded_s),
        ("steps on padding", padded_s),
        ("steps that were lost", hidden.lost_steps * hidden.step_s),
        ("starting again", starts_s),
        ("standing still", hidden.idle_s),
    ]
    return [{"what": what, "hours": max(0.0, seconds) / 3600} for what, seconds in rows]
