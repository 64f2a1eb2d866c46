"""Findings of a training log's interruptions: restarts, stops, what was lost with them. In: `Analysis`. Out: findings.

The tables behind them are here as well; those that need stamps are empty where there are none.
"""

from typing import Any

import numpy as np

from src.legacy import attempts
from src.legacy.analysis import Analysis
from src.legacy.finding import Finding, finding
from src.legacy.findings_log import stamp
from src.legacy.unlogged import CONVINCING

SHORT_STOP_S = 600.0
MOST_LISTED = 5000


def findings(analysis: Analysis) -> list[Finding]:
    """All findings of the interruptions."""
    found = [_restarts(analysis), *_downtime(analysis), *_lost(analysis)]
    return [*found, *_contradictions(analysis)]


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
        fit += f"(Rayleigh test, p < 1e{int(np.ceil(np.log10(max(hidden.rayleigh_p, 1e-300))))}), 0 to {hidden.cadence}"
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
    """One row for each breakdown, and for each start without a line; the first 5,000 of them."""
    training = analysis.training
    log, hidden = training.log, training.unlogged
    left = {item.attempt: item for item in hidden.attempts} if hidden else {}
    by_place: dict[int, list[attempts.Attempt]] = {}
    for life in training.attempts[1:]:
        by_place.setdefault(life.first, []).append(life)
    rows: list[dict[str, Any]] = []
    before = training.attempts[0] if training.attempts[0].count else None
    for place, lives in sorted(by_place.items())[:MOST_LISTED]:
        over = [*([before] if before else []), *(life for life in lives if not (life.count and life.first == place))]
        ended = [left[life.number] for life in over if life.number in left]
        rows.append(
            {
                "after_step": int(log.steps[place - 1]) if place else 0,
                "lines": sum(life.evidence == "restart line" for life in lives),
                "first_ms": next((life.began_ms for life in lives if life.began_ms is not None), None),
                "evidence": ", ".join(dict.fromkeys(life.evidence for life in lives)),
                "by_hand": not all(life.automatic for life in lives),
                "lost_steps": sum(item.lost_steps or 0 for item in ended),
                "idle_hours": sum(item.idle_s for item in ended) / 3600,
            }
        )
        before = next((life for life in lives if life.count), before)
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
