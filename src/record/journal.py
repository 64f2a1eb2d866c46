"""The journal: every attempt and every step of a run, appended before it counts. MLflow is a view of it.

One JSON object a line in `journal.jsonl` (docs/formats.md). A line counts when its newline is there. The first
line of a step counts; later ones are replays after an interruption and must say the same loss.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.base import files
from src.base.errors import Problem

NAME = "journal.jsonl"
"""The journal's name in the folder of its run."""

FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "attempt": {"attempt": (int,), "time_ms": (int,), "start_step": (int,), "automatic": (bool,)},
    "step": {"attempt": (int,), "step": (int,), "loss": (float, int), "time_ms": (int,)},
    "validation": {"attempt": (int,), "step": (int,), "bits_per_sample": (dict,)},
    "mismatch": {"attempt": (int,), "step": (int,)},
    "end": {"attempt": (int,), "cause": (str,)},
}
"""Kind of a line → what it must hold."""

LOSS_WINDOW = 200
"""Steps whose median is called the loss at a step: single steps vary too much."""


@dataclass(frozen=True)
class Step:
    """One training step: `loss` in nats per sample before its update, `seconds` it took, when it ended."""

    step: int
    loss: float
    seconds: float | None
    time_ms: int
    attempt: int


@dataclass(frozen=True)
class Attempt:
    """One life of the training process."""

    attempt: int
    time_ms: int
    start_step: int
    """Step of the checkpoint it went on from; 0 for a fresh start."""
    automatic: bool
    details: dict[str, Any]
    """The whole `attempt` line: host, versions and what else is known."""
    end: dict[str, Any] | None = None
    """The whole `end` line; None while the attempt lives, or if it died and nobody has recorded it yet."""

    @property
    def cause(self) -> str:
        """How it ended (`endings.Cause`); empty if that is not recorded."""
        return str(self.end["cause"]) if self.end else ""

    @property
    def detail(self) -> str:
        """What exactly ended it, such as the signal or the error; empty if that is not recorded."""
        return str(self.end.get("detail", "")) if self.end else ""


@dataclass
class View:
    """What a journal says, read at one moment."""

    attempts: dict[int, Attempt] = field(default_factory=dict)
    steps: dict[int, Step] = field(default_factory=dict)
    """First line of each step."""
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Attempt → first and last step it did, replays among them."""
    last_times: dict[int, int] = field(default_factory=dict)
    """Attempt → time of its last line but `end`: until then it lived for certain."""
    replays: dict[int, int] = field(default_factory=dict)
    """Attempt → steps it did again after an interruption."""
    validations: dict[int, dict[str, float]] = field(default_factory=dict)
    """Step → genre → bits per sample on held-out clips; the first line of each step."""

    @property
    def last_step(self) -> int:
        """The last step without a gap before it (0 if none): training may go on from no later than here."""
        last = 0
        while last + 1 in self.steps:
            last += 1
        return last

    @property
    def replayed(self) -> int:
        """Lines of steps that were done again after an interruption."""
        return sum(self.replays.values())

    def latest_losses(self, step: int) -> dict[int, float]:
        """Step → loss (nats per sample) of the last `LOSS_WINDOW` steps up to `step`, as far as they are known."""
        near = range(max(1, step - LOSS_WINDOW + 1), step + 1)
        return {number: self.steps[number].loss for number in near if number in self.steps}


def read(path: Path) -> View:
    """Read a journal; one that does not exist reads as empty.

    A last line without its newline does not count. Raises `Problem` on a line that is not one of ours.
    """
    view = View()
    for _, record in records(path):
        if record["kind"] != "end" and "time_ms" in record:
            view.last_times[int(record["attempt"])] = int(record["time_ms"])
        match record["kind"]:
            case "attempt":
                number = int(record["attempt"])
                view.attempts[number] = Attempt(
                    number,
                    int(record["time_ms"]),
                    int(record["start_step"]),
                    bool(record["automatic"]),
                    record,
                )
            case "step":
                line = Step(
                    int(record["step"]),
                    float(record["loss"]),
                    None if record.get("seconds") is None else float(record["seconds"]),
                    int(record["time_ms"]),
                    int(record["attempt"]),
                )
                first, _ = view.spans.get(line.attempt, (line.step, 0))
                view.spans[line.attempt] = (first, line.step)
                if line.step in view.steps:
                    view.replays[line.attempt] = view.replays.get(line.attempt, 0) + 1
                else:
                    view.steps[line.step] = line
            case "end":
                number = int(record["attempt"])
                if number in view.attempts:
                    begun = view.attempts[number]
                    view.attempts[number] = Attempt(
                        number, begun.time_ms, begun.start_step, begun.automatic, begun.details, record
                    )
            case "validation":
                view.validations.setdefault(int(record["step"]), record["bits_per_sample"])
    return view


def identity(path: Path) -> str | None:
    """Digits that tell this journal from any other, from its first line; None while there is none."""
    for offset, _ in records(path):
        with path.open("rb") as file:
            return hashlib.sha256(file.read(offset)).hexdigest()[:10]
    return None


def records(path: Path, offset: int = 0, until: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Whole lines from byte `offset` on, and up to byte `until`, each with the offset behind it.

    Raises `Problem` naming the byte where the journal stops being readable.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n") or (until is not None and offset + len(line) > until):
                return
            try:
                record = json.loads(line)
                _check(record)
            except (ValueError, KeyError, TypeError) as error:
                raise Problem(
                    f"{path} is damaged at byte {offset} ({error}). `python -m src.train` sets the damaged rest aside "
                    "and goes on from the last checkpoint before it."
                ) from None
            offset += len(line)
            yield offset, record


def _check(record: Any) -> None:
    """Raise ValueError, KeyError or TypeError if a line is not one of ours: a changed byte may well be JSON still."""
    for name, types in FIELDS[record["kind"]].items():
        if type(record[name]) not in types:
            raise TypeError(f"{name} is {record[name]!r}")
    seconds = record.get("seconds")
    if seconds is not None and type(seconds) not in (float, int):
        raise TypeError(f"seconds is {seconds!r}")
    if record["kind"] == "validation" and not all(type(bits) is float for bits in record["bits_per_sample"].values()):
        raise TypeError("bits_per_sample are not numbers")


class Journal:
    """A journal open for appending. Lines reach the kernel at once, so they survive the death of the process;
    `sync` forces them to the disk, so that they survive the death of the machine."""

    def __init__(self, path: Path | None, attempt: int) -> None:
        """path: None for a process that trains along but leaves the writing to another one."""
        self._attempt = attempt
        self._descriptor: int | None = None
        if path is not None:
            with files.disk_full_is_a_problem("the journal"):
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def append(self, kind: str, **values: Any) -> None:
        """Append one line. Raises `Problem` if the disk is full; a part of a line written then does not count."""
        line = json.dumps({"kind": kind, "attempt": self._attempt, **values}, ensure_ascii=False, allow_nan=False)
        content = line.encode() + b"\n"
        if self._descriptor is None:
            return
        with files.disk_full_is_a_problem("the journal"):
            written = os.write(self._descriptor, content)
            if written != len(content):
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self) -> None:
        """Force everything appended to the disk."""
        if self._descriptor is not None:
            with files.disk_full_is_a_problem("the journal"):
                os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync and close."""
        if self._descriptor is not None:
            self.sync()
            os.close(self._descriptor)


def repair(path: Path) -> str | None:
    """Make a journal fit for appending: cut what follows the last whole, readable line.

    What is cut is kept beside it as `journal.jsonl.damaged-<n>`, unless it is only a torn last line. Returns a
    sentence saying what was done, or None.
    """
    if not path.exists():
        return None
    good = last = 0
    sentence = None
    try:
        for offset, record in records(path):
            if record["kind"] == "step":
                if record["step"] > last + 1:  # no training leaves one out: this line or one before it was changed
                    raise Problem(f"{path} is damaged at byte {good}: step {record['step']} follows step {last}.")
                last = max(last, record["step"])
            good = offset
    except Problem:
        taken = [other.name.rpartition("-")[2] for other in path.parent.glob(f"{path.name}.damaged-*")]
        number = max((int(text) for text in taken if text.isdigit()), default=0) + 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
        with files.replacing(aside) as temporary, path.open("rb") as file:
            file.seek(good)
            temporary.write_bytes(file.read())
        sentence = f"The journal was damaged after byte {good}; the damaged rest was set aside as {aside.name}."
    if path.stat().st_size > good:
        os.truncate(path, good)
        files.fsync(path)
    return sentence
