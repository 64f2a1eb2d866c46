"""From the journal to MLflow: in batches, with the journal's time stamps, nothing lost and nothing twice.

What was sent is remembered in `shipped.json` beside the journal, but nothing depends on it: the first line of each
step is always the same point with the same time stamp, and MLflow drops exact repeats. So a shipment may be cut off
anywhere and sent again. Only lines that are safe on the disk are sent: MLflow never knows more than the journal.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src.run import files, journal
from src.run.tracking import Point, Store

MEMORY = "shipped.json"

MOST_LINES = 5000
"""Lines read into memory at once."""


@dataclass
class Shipper:
    """Sends one run's journal to one store, again and again."""

    store: Store
    run_id: str
    training: Path
    offset: int = 0
    last_step: int = 0
    attempts: dict[int, str] = field(default_factory=dict)
    """Attempt number → nested run."""
    open_attempt: tuple[int, int] | None = None
    """The attempt without an end so far, and the time of its last line."""

    last_time_ms: int = 0
    """Time of the last line sent: what follows it is downtime, if an attempt begins."""
    _attempts_changed: bool = False

    def __post_init__(self) -> None:
        known = _remembered(self.training)
        if known.get("uri") == self.store.uri and known.get("run_id") == self.run_id:
            self.offset, self.last_step = int(known["offset"]), int(known["last_step"])
            self.attempts = {int(number): str(run) for number, run in known["attempts"].items()}
            self.open_attempt = tuple(known["open_attempt"]) if known["open_attempt"] else None
            self.last_time_ms = int(known["last_time_ms"])
        else:
            # What the journal's memory lost, MLflow still knows: steps it has are not sent a second time.
            self.last_step = self.store.last_step(self.run_id, "loss")
        path = self.training / "journal.jsonl"
        self.offset = min(self.offset, path.stat().st_size if path.exists() else 0)

    def ship(self) -> int:
        """Send all that is new; returns the number of steps sent. Raises `TrackingError` if MLflow does not take it."""
        sent = 0
        path = self.training / "journal.jsonl"
        if path.exists():
            files.fsync(path)  # what the machine could still forget is not sent
        while True:
            points: list[Point] = []
            lines = 0
            reached = self.offset
            for behind, record in journal.records(path, self.offset):
                self._take(record, points)
                reached = behind
                lines += 1
                if lines == MOST_LINES:
                    break
            if lines == 0:
                return sent
            self.store.points(self.run_id, points)
            sent += sum(1 for point in points if point[0] == "loss")
            if self._attempts_changed:
                story = tell(journal.read(path))
                self.store.tag(self.run_id, {"mlflow.note.content": story})
                self._attempts_changed = False
            self.offset = reached
            self._remember()

    def _take(self, record: dict[str, Any], points: list[Point]) -> None:
        at = int(record.get("time_ms", 0))
        self._match(record, points, at)
        self.last_time_ms = at or self.last_time_ms

    def _match(self, record: dict[str, Any], points: list[Point], at: int) -> None:
        self._attempts_changed |= record["kind"] in ("attempt", "end")
        match record["kind"]:
            case "step":
                step = int(record["step"])
                # Steps rise without a gap but for replays, so a first line is one beyond all before it.
                if step > self.last_step:
                    self.last_step = step
                    points.append(("loss", float(record["loss"]), at, step))
                    if record.get("seconds") is not None:
                        points.append(("seconds_per_step", float(record["seconds"]), at, step))
                if self.open_attempt is not None:
                    self.open_attempt = (self.open_attempt[0], at)
            case "validation":
                for key, value in record["bits_per_sample"].items():
                    points.append((f"validation_bits_per_sample.{key}", float(value), at, int(record["step"])))
            case "attempt":
                if self.open_attempt is not None:
                    number, seen = self.open_attempt
                    self.store.status(self.attempts[number], "KILLED", seen)
                number = int(record["attempt"])
                tags = {key: str(value) for key, value in record.items() if key not in ("kind", "attempt", "time_ms")}
                self.attempts[number] = self.store.attempt(self.run_id, number, at, tags)
                self.open_attempt = (number, at)
                start = int(record["start_step"])
                points.append(("attempt", float(number), at, start))
                if self.last_time_ms:
                    points.append(("replayed_steps", float(record.get("replays", 0)), at, start))
                    points.append(("downtime_seconds", max(0, at - self.last_time_ms) / 1000, at, start))
                self.store.status(self.run_id, "RUNNING")
            case "end":
                number = int(record["attempt"])
                cause = str(record["cause"])
                if number in self.attempts:
                    self.store.tag(self.attempts[number], {"cause": cause})
                    ended = "FINISHED" if cause == "finished" else "KILLED" if cause == "interrupted" else "FAILED"
                    self.store.status(self.attempts[number], ended, at)
                    self.store.status(self.run_id, ended, at)
                if self.open_attempt is not None and self.open_attempt[0] == number:
                    self.open_attempt = None

    def _remember(self) -> None:
        files.write_json(
            self.training / MEMORY,
            {
                "uri": self.store.uri,
                "run_id": self.run_id,
                "offset": self.offset,
                "last_step": self.last_step,
                "last_time_ms": self.last_time_ms,
                "attempts": {str(number): run for number, run in self.attempts.items()},
                "open_attempt": list(self.open_attempt) if self.open_attempt else None,
            },
        )


def tell(view: journal.View) -> str:
    """The run's attempts as a Markdown table: what someone who was not there wants to know first."""
    lines = [
        f"{len(view.attempts)} attempts, {view.replayed} steps done twice after interruptions.",
        "",
        "| attempt | began (UTC) | started by | went on from | steps done | how it ended | then nothing for |",
        "|---|---|---|---|---|---|---|",
    ]
    numbers = sorted(view.attempts)
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        attempt = view.attempts[number]
        began = datetime.fromtimestamp(attempt.time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        span = view.spans.get(number)
        steps = f"{span[0]} to {span[1]}" if span else "none"
        ended = str(attempt.end["cause"]) if attempt.end else "still running" if following is None else "killed"
        by = "the supervisor" if attempt.automatic else "a person"
        moved = ", on another machine" if attempt.details.get("moved") else ""
        pause = ""
        if following is not None:
            stopped_ms = attempt.end["time_ms"] if attempt.end else view.last_times.get(number, attempt.time_ms)
            pause = f"{max(0, view.attempts[following].time_ms - stopped_ms) / 1000:.0f} s"
        start = f"step {attempt.start_step}" if attempt.start_step else "the beginning"
        lines.append(f"| {number} | {began} | {by}{moved} | {start} | {steps} | {ended} | {pause} |")
    return "\n".join(lines)


def shipped_step(training: Path) -> int:
    """The last step of a run that MLflow is known to have."""
    return int(_remembered(training).get("last_step", 0))


def _remembered(training: Path) -> dict[str, Any]:
    """What was sent; nothing if the memory is missing or damaged, which only means that MLflow is asked again."""
    try:
        value = json.loads((training / MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
