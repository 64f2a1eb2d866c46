"""From the journal to MLflow: in batches, with the journal's time stamps, nothing lost and nothing twice.

What was sent is remembered in `shipped.json` beside the journal, but nothing depends on it: MLflow is asked how far it
is, the first line of each step is always the same point with the same time stamp, and MLflow drops exact repeats. So a
shipment may be cut off anywhere and sent again. Only lines that are safe on the disk are sent: MLflow never knows more
than the journal.
"""

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.base import console, files
from src.base.errors import Problem
from src.record import journal, metrics
from src.record.guarded import Point
from src.record.nested import AttemptRuns
from src.record.tracking import Store

MEMORY = "shipped.json"

NAMES = 2
"""Of the metrics. What was sent under others is sent again under these."""

SHIP_EVERY_S = 10.0
LONGEST_PAUSE_S = 30.0
FINAL_SHIP_S = 60.0
"""How long a finished training waits for MLflow to take the rest."""
HASTY_SHIP_S = 4.0
"""How long one waits that was asked to stop: who asked soon sends SIGKILL."""

MOST_LINES = 5000
"""Lines read into memory at once."""

STEP_METRICS = {metrics.LOSS: "loss", metrics.SECONDS_PER_STEP: "seconds"}
"""Metric of a step → its key in the journal."""


@dataclass
class Shipper:
    """Sends one run's journal to one store, again and again."""

    store: Store
    run_id: str
    training: Path
    offset: int = 0
    """Bytes of the journal that were sent."""
    last_step: int = -1
    """The last step that was read up to there; -1 for none (an imported study has a step 0)."""
    last_validation: int = -1
    """The last validation that was read up to there."""
    _known: dict[str, int] = field(default_factory=dict)
    """Metric → last step that MLflow had when this shipper first had something to send. It may be more than is
    remembered here: a shipment was cut off, the memory was lost, or another machine went on with another copy."""
    _advancing: int | None = None
    """The attempt that did the last new step."""
    _border: str = ""
    """Digest of what stands before `offset`: if that is something else now, the journal was cut and grew again."""

    def __post_init__(self) -> None:
        self._attempts = AttemptRuns(self.store, self.run_id)
        known = _remembered(self.training)
        here = known.get("uri") == self.store.uri and known.get("run_id") == self.run_id
        if here and _digest_before(self.training / journal.NAME, int(known["offset"])) == known["border"]:
            self.offset, self.last_step = int(known["offset"]), int(known["last_step"])
            self.last_validation = int(known["last_validation"])
            self._attempts.runs = {int(number): str(run) for number, run in known["runs"].items()}
            self._attempts.touched, self._attempts.ended = set(known["touched"]), bool(known["ended"])
            self._border = str(known["border"])

    def ship(self) -> int:
        """Send all that is new; returns the number of steps sent. Raises `TrackingError` if MLflow does not take it."""
        sent = 0
        path = self.training / journal.NAME
        safe = 0
        if path.exists():
            safe = path.stat().st_size
            files.fsync(path)  # what the machine could still forget is not sent
        while True:
            points: list[Point] = []
            lines = 0
            reached = self.offset
            before = self.last_step, self.last_validation, self._advancing, set(self._attempts.touched)
            try:
                for behind, record in journal.records(path, self.offset, safe):
                    self._take(record, points)
                    reached = behind
                    lines += 1
                    if lines == MOST_LINES:
                        break
                self.store.points(self.run_id, points)
            except BaseException:  # the next try reads the same lines again
                self.last_step, self.last_validation, self._advancing, self._attempts.touched = before
                raise
            if lines == 0:
                break
            sent += sum(1 for point in points if point[0] == metrics.LOSS)
            self.offset, self._border = reached, _digest_before(path, reached)
            self._remember()
        if self._attempts.touched:
            self._attempts.show(journal.read(path), self._remember)
            self._remember()
        return sent

    def _take(self, record: dict[str, Any], points: list[Point]) -> None:
        """Turn a line into points of the study's run."""
        match record["kind"]:
            case "step":
                step = int(record["step"])
                # Steps rise without a gap but for replays, so a first line is one beyond all before it.
                if step <= self.last_step:
                    return
                self.last_step = step
                if record["attempt"] != self._advancing:
                    self._advancing = int(record["attempt"])
                    self._attempts.touched.add(self._advancing)
                for metric, key in STEP_METRICS.items():
                    if record.get(key) is not None:
                        self._add(points, (metric, float(record[key]), int(record["time_ms"]), step))
            case "validation":
                step = int(record["step"])
                if step <= self.last_validation:
                    return
                self.last_validation = step
                for genre, value in record["bits_per_sample"].items():
                    self._add(points, (metrics.validation_bits(genre), float(value), int(record["time_ms"]), step))
            case "attempt":
                number = int(record["attempt"])
                self._attempts.touched |= {number - 1, number}  # the one before is over, whether it said so or not
            case "end":
                self._attempts.touched.add(int(record["attempt"]))

    def _add(self, points: list[Point], point: Point) -> None:
        """Add a point, unless MLflow has one of this step from a shipment that is not remembered."""
        metric, step = point[0], point[3]
        if metric not in self._known:
            self._known[metric] = self.store.last_step(self.run_id, metric)
        if step > self._known[metric]:
            points.append(point)

    def _remember(self) -> None:
        files.write_json(
            self.training / MEMORY,
            {
                "uri": self.store.uri,
                "run_id": self.run_id,
                "offset": self.offset,
                "border": self._border,
                "last_step": self.last_step,
                "last_validation": self.last_validation,
                "runs": {str(number): run for number, run in self._attempts.runs.items()},
                "touched": sorted(self._attempts.touched),
                "ended": self._attempts.ended,
                "names": NAMES,
            },
        )


class BackgroundShipping(threading.Thread):
    """Ships beside the training, every few seconds until `finish`; nothing waits for it.

    What MLflow does not take is tried again with growing pauses and said once, at the end, with the command that sends
    the rest.
    """

    def __init__(self, connect: Callable[[], Shipper], at_the_end: Callable[[Shipper], None]) -> None:
        """connect: opens MLflow; may raise `TrackingError`, again and again. at_the_end: sends what is not of the
        journal, when all of that is sent."""
        super().__init__(name="shipping", daemon=True)
        self._connect, self._at_the_end = connect, at_the_end
        self._shipper: Shipper | None = None
        self._over = threading.Event()
        self._failure = "nothing was sent."

    def run(self) -> None:
        """The thread's work."""
        pause_s = SHIP_EVERY_S
        while True:
            last = self._over.wait(pause_s)
            self._failure = "sending was cut off."
            try:
                self._shipper = self._shipper or self._connect()
                self._shipper.ship()
                if last:
                    self._at_the_end(self._shipper)
                self._failure, pause_s = "", SHIP_EVERY_S
            except Problem as failure:
                self._failure, pause_s = str(failure), min(2 * pause_s, LONGEST_PAUSE_S)
            except Exception as failure:  # noqa: BLE001 - whatever MLflow breaks with, the next shipment tries again
                self._failure = f"{type(failure).__name__}: {failure}."
                self._shipper, pause_s = None, min(2 * pause_s, LONGEST_PAUSE_S)
            if last:
                return

    def finish(self, patience_s: float) -> None:
        """Send the rest, within so many seconds."""
        self._over.set()
        with console.if_slow("Sending the rest to MLflow ..."):
            self.join(patience_s)
        if self.is_alive():
            self._failure = f"it has not answered for {patience_s:.0f} s."
        if self._failure:
            console.warn(
                f"not everything is in MLflow yet: {self._failure} "
                "The journal has them all; `python -m src.train` sends the rest."
            )


def shipped_step(training: Path) -> int:
    """The last step of a run that MLflow is known to have."""
    return max(0, int(_remembered(training).get("last_step", 0)))


def run_id_of(training: Path, uri: str | None = None) -> str | None:
    """The run that stands for a journal in the store of this address (None: any); None if nothing was sent there."""
    known = _remembered(training)
    return str(known["run_id"]) if known and uri in (None, known["uri"]) else None


def is_complete(training: Path, uri: str) -> bool:
    """Whether the store of this address is known to have all that the journal says, the end of the run included."""
    known = _remembered(training)
    path = training / journal.NAME
    size = path.stat().st_size if path.exists() else 0
    return known.get("uri") == uri and known["offset"] == size and not known["touched"] and known["ended"]


def _remembered(training: Path) -> dict[str, Any]:
    """What was sent; nothing if the memory is missing or damaged, which only means that MLflow is asked again."""
    try:
        value = json.loads((training / MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    keys = {"uri", "run_id", "offset", "border", "last_step", "last_validation", "runs", "touched", "ended"}
    return value if isinstance(value, dict) and keys <= value.keys() and value.get("names") == NAMES else {}


def _digest_before(path: Path, offset: int) -> str:
    """Digest of the lines just before a byte of the journal; empty at its beginning or where it is shorter."""
    if offset == 0 or not path.exists() or path.stat().st_size < offset:
        return ""
    with path.open("rb") as file:
        file.seek(max(0, offset - 4096))
        lines = file.read(min(offset, 4096))
    return hashlib.sha256(lines).hexdigest()[:16]
