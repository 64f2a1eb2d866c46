"""The reference's training log. In: a text file of any size, or its rotated parts. Out: `TrainingLog`, 16 bytes a step.

Read as bytes in pieces, so that neither its length, its encoding, its line ends, its colours nor a line without an end
matters:

    step 20 - loss = 4.963, (180.037 sec/step)
    Restarting the service at Sun Dec  1 07:00:17 EST 2019

Every other line is counted and not kept: it may name folders of the machine it was written on.
"""

import codecs
import gzip
import hashlib
import re
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.base.errors import Problem

PIECE_BYTES = 1 << 20
LONGEST_LINE_BYTES = 1 << 16

STEP = re.compile(
    rb"(?<!\w)step (\d{1,9}) - loss = (-?\d{1,40}[.,]\d+|[+-]?nan|[+-]?inf), \((\d{1,6}[.,]\d+) sec/step\)", re.I
)
RESTART = re.compile(rb"Restarting the service at (.{0,80})")
COLOURS = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""ECMA-48 control sequences, with which a terminal's colours are written."""
DATE = re.compile(r"\w{3} +(\w{3}) +(\d{1,2}) +(\d{2}):(\d{2}):(\d{2})(?: ([AP]M))? +([A-Z+\-\d]{1,6}) +(\d{4})")
DATE_DAY_FIRST = re.compile(
    r"\w{3} +(\d{1,2}) +(\w{3}) +(\d{4}) +(\d{2}):(\d{2}):(\d{2})(?: ([AP]M))? +([A-Z+\-\d]{1,6})"
)
FIRST_YEAR, LAST_YEAR = 2016, 2199
"""WaveNet was published in 2016: an earlier date comes from a clock that was not set."""
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ZONES_H = {
    "UTC": 0, "GMT": 0, "Z": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "CET": 1, "CEST": 2, "WET": 0, "WEST": 1, "EET": 2, "EEST": 3, "BST": 1, "JST": 9,
}  # fmt: skip
"""Hours from UTC of the abbreviations `date` prints."""

FEWEST_STEPS_BACK = 20
MOST_STEPS_BACK = 1 / 8
"""Of all lines: in 2019, with its crash loops, the numbers went back once in 15,005 lines without a restart line."""


@dataclass(frozen=True)
class Restart:
    """A restart line: a process had died, and the loop around it said so."""

    steps_before: int
    """Step lines in the log before it."""
    time_ms: int | None
    """Since 1970; None if its date cannot be read or cannot be true."""


@dataclass(frozen=True)
class TrainingLog:
    """What the log says, in its own order."""

    steps: NDArray[np.int32]
    """(n,) step numbers, counted from 0 as the reference does."""
    losses: NDArray[np.float64]
    """(n,) nats per sample as printed; nan and infinite where the log says so."""
    millis: NDArray[np.int32]
    """(n,) milliseconds of each step, as printed."""
    restarts: tuple[Restart, ...]
    other_lines: int
    """Lines of neither kind."""
    cut_line: bool
    """The last line has no end and is of neither kind: the log was cut in the middle of it."""
    unknown_zones: tuple[str, ...]
    """Time zones whose distance from UTC is not known here: their stamps were read as UTC."""
    doubled: int = 0
    """Step lines that stood right behind the same line; each pair is one step."""
    trainings: tuple[int, ...] = ()
    """Step lines of each training that began from step 0 in it; this one is the longest of them."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(n,) seconds of each step."""
        return self.millis / 1000

    @property
    def sha256(self) -> str:
        """Digest of what the lines say: line ends, encoding, colours and doubled lines change nothing."""
        digest = hashlib.sha256()
        for column in (self.steps, self.losses, self.millis):
            digest.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
        digest.update(repr([(restart.steps_before, restart.time_ms) for restart in self.restarts]).encode())
        return digest.hexdigest()

    def holds(self, other: "TrainingLog") -> bool:
        """Whether every step line of another log stands in this one too."""
        return _rows(other) <= _rows(self)


def read(paths: Sequence[Path]) -> TrainingLog:
    """Read a training log. paths: its parts, the oldest first.

    Raises `Problem` if it cannot be read, holds no step line, or was written by several processes at once.
    """
    steps, losses, millis = array("i"), array("d"), array("i")
    restarts: list[Restart] = []
    zones: dict[str, bool] = {}
    lines = other = 0
    ended, last_known = True, True
    for line in (line for path in paths for line in _lines(path)):
        lines += 1
        ended = line.endswith(b"\n")
        text = COLOURS.sub(b"", line).rstrip()
        found = STEP.search(text)
        if found:
            number, loss, duration = found.groups()
            steps.append(int(number))
            losses.append(float(loss.replace(b",", b".")))
            millis.append(round(float(duration.replace(b",", b".")) * 1000))
            last_known = True
            continue
        restart = RESTART.search(text)
        last_known = restart is not None and (ended or text[-4:].isdigit())
        if restart and last_known:
            restarts.append(Restart(len(steps), _time_ms(restart[1].decode("ascii", "replace"), zones)))
        elif text:
            other += 1
    if not steps:
        raise Problem(
            f"{paths[-1]} holds no line of tensorflow-wavenet's training (`step 20 - loss = 4.963, (180.037 "
            f"sec/step)`) among its {lines} lines. Give the log that train.py printed."
        )
    log = TrainingLog(
        steps=np.frombuffer(steps, np.int32),
        losses=np.frombuffer(losses, np.float64),
        millis=np.frombuffer(millis, np.int32),
        restarts=tuple(restarts),
        other_lines=other,
        cut_line=not ended and not last_known,
        unknown_zones=tuple(zone for zone, known in zones.items() if not known),
    )
    log = _longest_training(_each_line_once(log))
    lined = [restart.steps_before for restart in log.restarts]
    back = len(np.setdiff1d(steps_back(log.steps), lined))
    if back > max(FEWEST_STEPS_BACK, MOST_STEPS_BACK * len(log.steps)):
        raise Problem(
            f"{paths[-1]}: its step numbers go back {back:,} times in {len(log.steps):,} lines, so several processes "
            "wrote into it at once, and nothing tells their lines apart. It was not read."
        )
    return log


def looks_like_one(path: Path, most_bytes: int = PIECE_BYTES) -> bool:
    """Whether a file's beginning has a step line. Raises `Problem` if it cannot be read."""
    return any(STEP.search(COLOURS.sub(b"", line)) for line in _lines(path, most_bytes))


def steps_back(steps: NDArray[np.int32]) -> NDArray[np.int64]:
    """Places whose step does not lie behind the one before. A gap forward is lines that were lost."""
    return np.flatnonzero(np.diff(steps) <= 0) + 1


def _each_line_once(log: TrainingLog) -> TrainingLog:
    """Without step lines that say to the last digit what the line before says: no step takes the same time twice.

    Restart lines with the same stamp go as well if every step line was double; else two may have been within a second.
    """
    lined = {restart.steps_before for restart in log.restarts}
    same = np.ones(max(len(log.steps) - 1, 0), np.bool_)
    for column in (log.steps, log.losses, log.millis):
        same &= (column[1:] == column[:-1]) | (np.isnan(column[1:]) & np.isnan(column[:-1]))
    double = np.array([place for place in np.flatnonzero(same) + 1 if place not in lined], np.int64)
    if not len(double):
        return log
    kept = np.setdiff1d(np.arange(len(log.steps)), double)
    moved = (
        replace(restart, steps_before=int(np.searchsorted(kept, restart.steps_before))) for restart in log.restarts
    )
    restarts = tuple(dict.fromkeys(moved)) if 2 * len(double) >= len(log.steps) - 1 else tuple(moved)
    return replace(
        log,
        steps=log.steps[kept],
        losses=log.losses[kept],
        millis=log.millis[kept],
        restarts=restarts,
        doubled=len(double),
    )


def _longest_training(log: TrainingLog) -> TrainingLog:
    """The longest part of a log that begins from step 0 (1 in some copies of the program); the last of equal ones."""
    lowest = log.steps.min()
    begins = [0, *(int(place) for place in steps_back(log.steps) if log.steps[place] == lowest <= 1)]
    if len(begins) == 1:
        return log
    lengths = np.diff([*begins, len(log.steps)])
    chosen = int(np.flatnonzero(lengths == lengths.max())[-1])
    first, count = begins[chosen], int(lengths[chosen])
    part = slice(first, first + count)
    # A restart line at its beginning ended the training before; one at its end ended this one, the next began anew.
    inside = [restart for restart in log.restarts if (first or -1) < restart.steps_before <= first + count]
    at_end = [restart for restart in inside if restart.steps_before == first + count]
    if first + count < len(log.steps):
        inside = inside[: len(inside) - max(len(at_end) - 1, 0)]
    return replace(
        log,
        steps=log.steps[part],
        losses=log.losses[part],
        millis=log.millis[part],
        restarts=tuple(replace(restart, steps_before=restart.steps_before - first) for restart in inside),
        trainings=tuple(lengths.tolist()),
    )


def _rows(log: TrainingLog) -> set[tuple[int, float, int]]:
    losses = np.nan_to_num(log.losses, nan=-1.0)
    return set(zip(log.steps.tolist(), losses.tolist(), log.millis.tolist(), strict=True))


def _lines(path: Path, most_bytes: int | None = None) -> Iterator[bytes]:
    """Lines with their ends, unpacked, whatever ends them. One longer than any of ours is given in parts."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            decoder, rest, seen = None, b"", 0
            while (most_bytes is None or seen < most_bytes) and (piece := file.read(PIECE_BYTES)):
                if not seen and piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    decoder = codecs.getincrementaldecoder("utf-16")("replace")
                seen += len(piece)
                text = decoder.decode(piece).encode("ascii", "replace") if decoder else piece
                # A program that redraws its line ends it with a carriage return.
                whole = (rest + text).replace(b"\r", b"\n").split(b"\n")
                rest = whole.pop()
                for line in whole:
                    yield line + b"\n"
                if len(rest) > LONGEST_LINE_BYTES:
                    yield rest
                    rest = b""
            if rest:
                yield rest
    except (OSError, EOFError, zlib.error) as error:
        says = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise Problem(f"{path} cannot be read: {says}.") from None


def _time_ms(text: str, zones: dict[str, bool]) -> int | None:
    """The time that `date` printed, in the two forms it has for English; notes the zone and whether it is known."""
    found = DATE.search(text)
    if found:
        month, day, hour, minute, second, half, zone, year = found.groups()
    else:
        found = DATE_DAY_FIRST.search(text)
        if not found:
            return None
        day, month, year, hour, minute, second, half, zone = found.groups()
    if month.lower() not in MONTHS or not FIRST_YEAR <= int(year) <= LAST_YEAR:
        return None
    hours = int(hour) % 12 + (12 if half == "PM" else 0) if half else int(hour)
    offset = _offset(zone)
    zones[zone] = offset is not None
    try:
        local = datetime(
            int(year), MONTHS.index(month.lower()) + 1, int(day), hours, int(minute), int(second), tzinfo=UTC
        )
    except ValueError:
        return None
    return round((local - (offset or timedelta())).timestamp() * 1000)


def _offset(zone: str) -> timedelta | None:
    if zone in ZONES_H:
        return timedelta(hours=ZONES_H[zone])
    if re.fullmatch(r"[+-]\d{2}(\d{2})?", zone):
        minutes = int(zone[1:3]) * 60 + int(zone[3:5] or 0)
        return timedelta(minutes=-minutes if zone[0] == "-" else minutes)
    return None
