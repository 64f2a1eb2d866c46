"""The attempts at a training, as MLflow shows them.

In: what the journal says of them. Out: a nested run for each, marks on the charts of the study's run, and its
description. Everything may be shown again; that changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from src.record import history, journal
from src.record.guarded import Point
from src.record.history import Summary
from src.record.metrics import of_the_run
from src.record.tracking import Store

REMEMBER_EVERY = 20


@dataclass
class AttemptRuns:
    """The nested runs of one study's run, and what they do not show yet."""

    store: Store
    run_id: str
    runs: dict[int, str] = field(default_factory=dict)
    """Attempt number → nested run."""
    touched: set[int] = field(default_factory=set)
    """Attempts of which the journal says something that their nested runs do not show yet."""
    ended: bool = False
    """Whether MLflow has been told how the run's last attempt ended."""

    def show(self, view: journal.View, remember: Callable[[], None]) -> None:
        """Bring nested runs, restart marks and the study run's description up to what the journal says.

        remember: called now and then while hundreds are shown, since what is shown need not be shown again.
        """
        told = history.summaries(view)
        for count, number in enumerate(sorted(self.touched & told.keys()), 1):
            self._show(told[number], view.attempts[number])
            self.store.points(self.run_id, _marks(told[number], first=number == min(told)))
            if number != max(told):  # the newest stands for the description below, too
                self.touched.discard(number)
            if count % REMEMBER_EVERY == 0:
                remember()
        if told:
            last = told[max(told)]
            starters = [one.starter for one in list(told.values())[1:]]
            devices = {str(attempt.details.get("device", "not recorded")) for attempt in view.attempts.values()}
            machines = {attempt.details.get("machine") for attempt in view.attempts.values()}
            self.store.tag(
                self.run_id,
                {
                    "attempts": str(len(told)),
                    "restarts_automatic": str(starters.count("the supervisor")),
                    "restarts_by_hand": str(starters.count("a person")),
                    "replayed_steps": str(view.replayed),
                    "seconds_lost": f"{sum(one.lost_s or 0 for one in told.values()):.1f}",
                    "machines": "not recorded" if None in machines else str(len(machines)),
                    "device": ", ".join(sorted(devices)),
                    "ended": last.ended,
                },
            )
            self.store.describe(self.run_id, story=history.tell(view))
            self.store.status(self.run_id, last.status, last.ended_ms)
            self.ended = bool(last.cause)
        self.touched = set()

    def _show(self, told: Summary, attempt: journal.Attempt) -> None:
        details = {key: str(value) for key, value in attempt.details.items() if key not in ("kind", "time_ms")}
        if told.attempt not in self.runs:
            self.runs[told.attempt] = self.store.attempt(self.run_id, told.attempt, told.began_ms, details)
        run = self.runs[told.attempt]
        name = f"attempt {told.attempt:03d}"
        if not told.cause:
            self.store.tag(run, {"mlflow.runName": f"{name} from step {told.start_step:,}: running"})
            return
        # MLflow's pages show about forty characters of a name.
        name += f" to step {told.last_step:,}" if told.last_step is not None else " without a step"
        self.store.tag(run, {"mlflow.runName": f"{name}: {told.cause}", "cause": told.cause, "detail": told.detail})
        figures = {
            "first_step": told.first_step,
            "last_step": told.last_step,
            "new_steps": told.new_steps,
            "replayed_steps": told.replayed_steps,
            "downtime_seconds": told.downtime_s,
            "seconds_lost": told.lost_s,
        }
        at, step = told.ended_ms or told.began_ms, told.last_step or told.start_step
        self.store.points(
            run, [(of_the_run(key), float(value), at, step) for key, value in figures.items() if value is not None]
        )
        self.store.status(run, told.status, told.ended_ms)


def _marks(told: Summary, *, first: bool) -> list[Point]:
    """An attempt as points on the study run's charts, at the step it went on from."""
    marks: list[Point] = [(of_the_run("attempt"), float(told.attempt), told.began_ms, told.start_step)]
    if first:
        return marks
    marks.append((of_the_run("downtime_seconds"), told.downtime_s, told.began_ms, told.start_step))
    if told.cause or told.lost_s is not None:  # what it did again is known once it does something new, or is over
        marks.append((of_the_run("replayed_steps"), float(told.replayed_steps), told.began_ms, told.start_step))
    if told.lost_s is not None:
        marks.append((of_the_run("seconds_lost"), told.lost_s, told.began_ms, told.start_step))
    return marks
