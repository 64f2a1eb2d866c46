"""What became of each attempt at a training: the numbers and the words for someone who was not there.

In: a `journal.View`. Out: `Summary` for each attempt, and the run's story as Markdown. Nothing is read or written.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from src.record.journal import View, public

MOST_CHARACTERS = 4_800
"""Of the story: MLflow cuts a description at 5,000, and the newest attempts come last."""


@dataclass(frozen=True)
class Summary:
    """One attempt, as far as its journal tells."""

    attempt: int
    began_ms: int
    ended_ms: int | None
    """When it ended, or was last known to live; None while it lives."""
    automatic: bool
    """Started by a supervisor (True) or by a person (False)."""
    inferred: frozenset[str]
    """Fields of its line that an import concluded rather than read: who started it (automatic), when (time_ms)."""
    moved: bool
    """On another machine than the attempt before."""
    processes: int
    """Training processes that shared the batch."""
    start_step: int
    """Step of the checkpoint it went on from; 0: from the beginning."""
    first_step: int | None
    """The first step it did, perhaps again; None if it did none."""
    last_step: int | None
    replayed_steps: int
    """Steps it did again that were done before."""
    new_steps: int
    cause: str
    """How it ended; empty while it lives."""
    detail: str
    """What exactly ended it, without anything private."""
    downtime_s: float
    """From the end of the attempt before to the beginning of this one."""
    lost_s: float | None
    """From the last new step before it to the beginning of its first new one: downtime, start-up and steps done again.
    None if it has done no new step; the time then counts to the attempt that does the next one."""

    @property
    def starter(self) -> str:
        """Who started it, in words."""
        if "automatic" in self.inferred:
            return "not recorded"
        return "the supervisor" if self.automatic else "a person"

    @property
    def status(self) -> str:
        """MLflow's word for it."""
        if not self.cause:
            return "RUNNING"
        if self.cause in ("finished", "not recorded"):
            return "FINISHED"
        return "FAILED" if self.cause in ("crashed", "out of memory", "gave up") else "KILLED"

    @property
    def ended(self) -> str:
        """How it ended, in a few words."""
        if not self.cause:
            return "still running"
        return f"{self.cause}: {self.detail}" if self.detail else self.cause


def summaries(view: View) -> dict[int, Summary]:
    """Attempt number → what became of it, in order."""
    first_new: dict[int, int] = {}
    new_steps: dict[int, int] = {}
    for step, line in view.steps.items():
        first_new.setdefault(line.attempt, step)
        new_steps[line.attempt] = new_steps.get(line.attempt, 0) + 1
    told: dict[int, Summary] = {}
    order = sorted(view.steps)
    numbers = sorted(view.attempts)
    before_ms: int | None = None
    for index, number in enumerate(numbers):
        attempt = view.attempts[number]
        last_ms = view.last_times.get(number, attempt.time_ms)
        superseded = index + 1 < len(numbers)
        first, last = view.spans.get(number, (None, None))
        ended_ms = int(attempt.end["time_ms"]) if attempt.end else last_ms if superseded else None
        told[number] = Summary(
            attempt=number,
            began_ms=attempt.time_ms,
            ended_ms=ended_ms,
            automatic=attempt.automatic,
            inferred=frozenset(attempt.details.get("inferred_fields", ())),
            moved=bool(attempt.details.get("moved")),
            processes=int(attempt.details.get("processes", 1)),
            start_step=attempt.start_step,
            first_step=first,
            last_step=last,
            replayed_steps=view.replays.get(number, 0),
            new_steps=new_steps.get(number, 0),
            cause=attempt.cause or ("killed" if superseded else ""),
            detail=public(attempt.detail),
            downtime_s=0.0 if before_ms is None else max(0, attempt.time_ms - before_ms) / 1000,
            lost_s=_lost_s(view, order, first_new.get(number)) if index else 0.0,
        )
        before_ms = ended_ms
    return told


def _lost_s(view: View, order: Sequence[int], first_new: int | None) -> float | None:
    """Seconds between the end of the step before `first_new` and its beginning. order: all steps, ascending."""
    if first_new is None:
        return None
    line, place = view.steps[first_new], bisect_left(order, first_new)
    if place == 0:
        earliest = min(attempt.time_ms for attempt in view.attempts.values())
        return max(0.0, (line.time_ms - earliest) / 1000 - (line.seconds or 0.0))
    before = view.steps[order[place - 1]]
    return max(0.0, (line.time_ms - before.time_ms) / 1000 - (line.seconds or 0.0))


def tell(view: View) -> str:
    """The run's attempts as Markdown: what someone who was not there wants to know first."""
    attempts = list(summaries(view).values())
    if not attempts:
        return "Nothing has begun yet."
    headline = _headline(view, attempts)
    room = MOST_CHARACTERS - len(headline) - 300  # for the table's head and the sentence before it
    rows: list[str] = []
    for summary in reversed(attempts):
        row = _row(summary, first=summary is attempts[0])
        room -= len(row) + 1
        if room < 0:
            break
        rows.insert(0, row)
    before = [f"The last {len(rows)} of {len(attempts)} attempts:", ""] if len(rows) < len(attempts) else []
    head = [
        "| attempt | began (UTC) | started by | went on from | steps | repeated | how it ended | time lost before it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([headline, "", *before, *head, *rows])


def _row(summary: Summary, *, first: bool) -> str:
    """An attempt as a row of the story's table. first: no time was lost before it."""
    began = datetime.fromtimestamp(summary.began_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    by = summary.starter
    by += ", on another machine" if summary.moved else ""
    by += f", {summary.processes} processes" if summary.processes > 1 else ""
    start = f"step {summary.start_step:,}" if summary.start_step else "the beginning"
    steps = "none"
    if summary.first_step is not None:
        steps = f"{summary.first_step:,} to {summary.last_step:,}" if summary.cause else f"{summary.first_step:,} to …"
    least = "at least " if "time_ms" in summary.inferred else ""
    lost = "no new step" if summary.lost_s is None else f"{least}{summary.lost_s:,.1f} s"
    return (
        f"| {summary.attempt} | {began} | {by} | {start} | {steps} | {summary.replayed_steps or ''} "
        f"| {summary.ended} | {'' if first else lost} |"
    )


def _headline(view: View, attempts: list[Summary]) -> str:
    """The whole story in a few sentences."""
    last = attempts[-1]
    states = {"finished": "Finished at", "not recorded": "Recorded up to"}
    state = states.get(last.cause, f"Stopped ({last.ended}) at")
    detail = f" ({last.detail})" if last.cause == "not recorded" and last.detail else ""
    # While it runs this is written once an attempt: a step would be an old one soon.
    at = f"{state} step {view.newest_step:,}{detail}" if last.cause else "Running (the charts say at which step)"
    steps = f"{at}, {_completeness(view)}."
    if len(attempts) == 1:
        return f"{steps} Nothing interrupted it." if last.cause in ("", "finished") else steps
    restarts = len(attempts) - 1
    starters = [summary.starter for summary in attempts[1:]]
    by = f"{starters.count('the supervisor')} by the supervisor, {starters.count('a person')} by a person"
    unknown = starters.count("not recorded")
    by += f", {unknown} by whom is not recorded" if unknown else ""
    least = "at least " if any("time_ms" in summary.inferred for summary in attempts[1:]) else ""
    lost_s = sum(summary.lost_s or 0 for summary in attempts)
    whole = f" of {(last.ended_ms - attempts[0].began_ms) / 1000:,.1f} s" if last.ended_ms is not None else ""
    again = f"{view.replayed:,} step{'s' if view.replayed != 1 else ''} done again"
    return (
        f"{steps} {restarts} restart{'s' if restarts > 1 else ''} ({by}): {again}, {least}{lost_s:,.1f} s lost{whole}."
    )


def _completeness(view: View) -> str:
    """Whether every step is there. One of ours is whole; an imported log may begin late and lack some."""
    order = sorted(view.steps)
    if not order:
        return "no step recorded"
    gaps = [(before + 1, after - 1) for before, after in pairwise(order) if after > before + 1]
    begin = f" from {order[0]:,} on" if order[0] > 1 else ""
    if not gaps:
        return f"each step{begin} recorded once"
    missing = sum(last - first + 1 for first, last in gaps)
    named = ", ".join(f"{first:,}" if first == last else f"{first:,} to {last:,}" for first, last in gaps[:3])
    more = ", …" if len(gaps) > 3 else ""
    return f"{missing:,} step{'s' if missing > 1 else ''}{begin} not recorded ({named}{more}), every other one once"
