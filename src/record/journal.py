"""The journal: every attempt and every step of a run, appended before it counts. MLflow is a view of it.

One JSON object a line in `journal.jsonl` (docs/formats.md). A line counts when its newline is there. The first
line of a step counts; later ones are replays after an interruption and must say the same loss. Each line ends with a
link, a short hash over itself and the link before it: a line that was changed, left out, added or moved is found.
Checkpoints carry a digest over the losses (`tied`), and the journal one over each checkpoint that is kept: each names
the other.
"""

import errno
import hashlib
import json
import math
import os
import re
import statistics
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from src.base import files
from src.base.errors import Problem

NAME = "journal.jsonl"
"""The journal's name in the folder of its run."""

FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "attempt": {"attempt": (int,), "time_ms": (int,), "start_step": (int,), "automatic": (bool,)},
    "step": {"attempt": (int,), "step": (int,), "loss": (float, int), "time_ms": (int,)},
    "validation": {"attempt": (int,), "step": (int,), "bits_per_sample": (dict,)},
    "checkpoint": {"attempt": (int,), "step": (int,), "sha256": (dict,)},
    "mismatch": {"attempt": (int,), "step": (int,)},
    "end": {"attempt": (int,), "time_ms": (int,), "cause": (str,)},
}
"""Kind of a line → what it must hold."""

OPTIONAL: dict[str, tuple[type, ...]] = {
    "seconds": (float, int, type(None)),
    "time_ms": (int,),
    "processes": (int,),
    "detail": (str,),
    "machine": (str,),
    "boot": (str,),
    "processor": (str,),
}
"""What any line may hold and is read from it."""

LARGEST = 2**43
"""No number of ours is larger: as a time in ms it is the year 2248."""

FORMAT = 2
"""Stands in the first line of a journal whose lines are linked; older journals have neither."""

LINK = re.compile(rb', "chain": "([0-9a-f]{16})"}\n\Z')
"""How a linked line ends."""

DIGEST = re.compile(r"[0-9a-f]{64}")

MOST_DETAIL = 120
"""Characters of what a line says of an error."""

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
    """The whole `attempt` line: machine, versions and what else is known."""
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
    checkpoints: dict[int, dict[str, str]] = field(default_factory=dict)
    """Step → file → SHA-256 of the checkpoints that are kept; the first line of each step."""
    mismatches: list[int] = field(default_factory=list)
    """Steps that were done again and gave something else."""

    @property
    def last_step(self) -> int:
        """The last step without a gap before it (0 if none): training may go on from no later than here."""
        last = 0
        while last + 1 in self.steps:
            last += 1
        return last

    @property
    def newest_step(self) -> int:
        """The last step there is (0 if none), whatever is missing before it: an imported log may lack some."""
        return max(self.steps, default=0)

    @property
    def replayed(self) -> int:
        """Lines of steps that were done again after an interruption."""
        return sum(self.replays.values())

    def latest_losses(self, step: int) -> dict[int, float]:
        """Step → loss (nats per sample) of the last `LOSS_WINDOW` steps up to `step`, as far as they are known."""
        near = range(max(1, step - LOSS_WINDOW + 1), step + 1)
        return {number: self.steps[number].loss for number in near if number in self.steps}

    def median_loss(self, step: int) -> float | None:
        """The loss at a step, in nats per sample: a single step's says more of its batch. None if none is known."""
        losses = self.latest_losses(step)
        return statistics.median(losses.values()) if losses else None

    def until(self, step: int) -> "View":
        """The same as if the training had been asked to end at this step: it may have gone farther before."""
        steps = {number: row for number, row in self.steps.items() if number <= step}
        validations = {number: row for number, row in self.validations.items() if number <= step}
        attempts = {number: each for number, each in self.attempts.items() if each.start_step < step}
        replays = {number: count for number, count in self.replays.items() if number in attempts}
        return replace(self, attempts=attempts, steps=steps, validations=validations, replays=replays)


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
            case "checkpoint":
                view.checkpoints.setdefault(int(record["step"]), record["sha256"])
            case "mismatch":
                view.mismatches.append(int(record["step"]))
    return view


def tied(before: str, step: int, loss: float) -> str:
    """The digest over all losses up to a step, as 64 hexadecimal digits; checkpoints carry it.

    before: the digest of the step before, "" before step 1. It depends on steps and losses alone, not on times, so it
    is the same in every journal of a study: SHA-256 over the digest before it (32 bytes), the step (8, little-endian)
    and the loss (as float64, 8).
    """
    return hashlib.sha256(bytes.fromhex(before) + struct.pack("<qd", step, loss)).hexdigest()


def ties(view: View) -> Iterator[tuple[int, str]]:
    """Each step up to the first gap, with the digest over all losses up to it."""
    digest = ""
    for step in range(1, view.last_step + 1):
        digest = tied(digest, step, view.steps[step].loss)
        yield step, digest


def identity(path: Path) -> str | None:
    """Digits that tell this journal from any other, from its first line; None while there is none."""
    for offset, _ in records(path):
        with path.open("rb") as file:
            return hashlib.sha256(file.read(offset)).hexdigest()[:10]
    return None


def link(before: str, content: bytes) -> str:
    """The link of a line: 16 hexadecimal digits over the link before it ("" at the beginning) and its own content.

    content: the line's bytes up to the comma before `"chain"`.
    """
    return hashlib.sha256(before.encode() + content).hexdigest()[:16]


def head(path: Path) -> str | None:
    """The link of the last whole line: "" for an empty or missing journal, None for one without links."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        return _link_before(file, path.stat().st_size)


def records(path: Path, offset: int = 0, until: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Whole lines from byte `offset` on, and up to byte `until`, each with the offset behind it.

    Raises `Problem` naming the byte where the journal stops being readable, and the last step before it.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        before = _link_before(file, offset)
        file.seek(offset)
        step = None
        for line in file:
            if until is not None and offset + len(line) > until:
                return
            try:
                if not line.endswith(b"\n"):
                    if before and _follows(line[:-1] + b"\n", before):
                        raise ValueError("its last byte was changed")
                    return
                record = json.loads(line, parse_constant=_refuse)
                _check(record)
                before = _checked_link(line, record, before)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                behind = "" if step is None else f", behind step {step}"
                raise Problem(
                    f"{path} is damaged at byte {offset}{behind} ({_said(error)}). `python -m src.train` sets the "
                    "damaged rest aside and goes on from the last checkpoint before it."
                ) from None
            offset += len(line)
            step = record["step"] if record["kind"] == "step" else step
            yield offset, record


def _link_before(file: BinaryIO, offset: int) -> str | None:
    """The link of the line that ends at byte `offset`, "" at the beginning, None if it has none."""
    size = 4096
    while True:
        file.seek(max(0, offset - size))
        lines = file.read(min(size, offset)).split(b"\n")
        if len(lines) > 2 or size >= offset:  # the last whole line is here with its beginning
            break
        size *= 2
    whole = lines[-2:-1]  # behind the last newline there is nothing, or a torn line
    if not whole:
        return ""
    found = LINK.search(whole[0] + b"\n")
    return found[1].decode() if found else None


def _follows(line: bytes, before: str) -> bool:
    found = LINK.search(line)
    return found is not None and found[1].decode() == link(before, line[: found.start()])


def _checked_link(line: bytes, record: dict[str, Any], before: str | None) -> str | None:
    """The line's link, or None in a journal without links. Raises ValueError if it does not follow from `before`.

    before: the link before the line; "" at the beginning; None in a journal without links.
    """
    if before is None or (before == "" and "chain" not in record and "format" not in record):
        if "chain" in record:
            raise ValueError("a line with a link in a journal without links")
        return None
    if not _follows(line, before):
        raise ValueError("the line is not the one that was written behind the line before it")
    return str(record["chain"])


def _check(record: Any) -> None:
    """Raise ValueError, KeyError or TypeError if a line is not one of ours: a changed byte may well be JSON still."""
    required = FIELDS[record["kind"]]
    for name, types in {**{name: OPTIONAL[name] for name in OPTIONAL if name in record}, **required}.items():
        value = record[name]
        if type(value) not in types:
            raise TypeError(f"{name} is {value!r}")
        if type(value) is int and not 0 <= value <= LARGEST:
            raise ValueError(f"{name} is out of range")
    numbers = [record.get("loss"), record.get("seconds")]
    if record["kind"] == "validation":
        numbers += record["bits_per_sample"].values()
        if not all(type(bits) is float for bits in record["bits_per_sample"].values()):
            raise TypeError("bits_per_sample are not numbers")
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise ValueError("a number is not finite")
    if record["kind"] == "checkpoint" and not all(
        type(digest) is str and DIGEST.fullmatch(digest) for digest in record["sha256"].values()
    ):
        raise ValueError("sha256 has no digests")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _said(error: Exception) -> str:
    """An error in a few words: a damaged line may hold anything, and quoting it must not fill the terminal."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = f"{error.args[0]!r} is not there" if isinstance(error, KeyError) else str(error)
    return text if len(text) <= 120 else f"{text[:120]}…"


class Journal:
    """A journal open for appending. Lines reach the kernel at once, so they survive the death of the process;
    `sync` forces them to the disk, so that they survive the death of the machine. Several threads may append.
    Journals are published: of an error they have what `public` leaves."""

    def __init__(self, path: Path | None, attempt: int) -> None:
        """path: None for a process that trains along but leaves the writing to another one."""
        self._attempt = attempt
        self._descriptor: int | None = None
        self._one_at_a_time = threading.Lock()
        self._head: str | None = ""
        """The link of the last line; "" before there is one, None in a journal without links."""
        if path is not None:
            self._head = head(path)
            with files.disk_full_is_a_problem("the journal"):
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def append(self, kind: str, **values: Any) -> None:
        """Append one line. Raises `Problem` if the disk is full; a part of a line written then does not count."""
        with self._one_at_a_time:
            self._append(kind, values)

    def _append(self, kind: str, values: dict[str, Any]) -> None:
        if self._descriptor is None:
            return
        if "detail" in values:
            values["detail"] = public(str(values["detail"]))
        version = {"format": FORMAT} if self._head == "" else {}
        record = {"kind": kind, "attempt": self._attempt, **version, **values}
        content = json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
        following = self._head
        if following is not None:
            following = link(following, content[:-1])
            content = content[:-1] + f', "chain": "{following}"}}'.encode()
        content += b"\n"
        with files.disk_full_is_a_problem("the journal"):
            written = os.write(self._descriptor, content)
            if written != len(content):
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._head = following

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


def public(text: str) -> str:
    """The detail of an error as others may read it, who must not learn names of files or digests of single clips.

    It ends where a path or a quotation begins: names have blanks in them, so nobody can tell where one is over. One
    line, and no longer than a table bears.
    """
    first = text.partition("\n")[0]
    told = re.split(r"""\S*[/\\]|(?<!\w)["'`]""", first, maxsplit=1)[0]
    told = re.sub(r"\b[0-9a-f]{12,}\b", "…", told if told == text else f"{told}…").replace("|", "¦")
    return told if len(told) <= MOST_DETAIL else f"{told[:MOST_DETAIL].rstrip()}…"


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
