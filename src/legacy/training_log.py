"""The reference's training log. In: a text file of any size. Out: `TrainingLog`, 12 bytes a step.

Read as bytes in pieces, so that neither its length, its encoding, its line ends nor a line without an end matters:

    step 20 - loss = 4.963, (180.037 sec/step)
    Restarting the service at Sun Dec  1 07:00:17 EST 2019

Every other line is counted and not kept: it may name folders of the machine it was written on.
"""

import codecs
import hashlib
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.base.errors import Problem

PIECE_BYTES = 1 << 20
LONGEST_LINE_BYTES = 1 << 16
NOT_FINITE = -(2**31)
"""Stands for a loss that was written as nan or inf."""

STEP = re.compile(rb"step (\d{1,9}) - loss = (-?\d{1,6}\.\d+|-?nan|-?inf), \((\d{1,6}\.\d+) sec/step\)[ \t]*", re.I)
RESTART = re.compile(rb"Restarting the service at (.{0,80})")
DATE = re.compile(r"\w{3} +(\w{3}) +(\d{1,2}) +(\d{2}):(\d{2}):(\d{2})(?: ([AP]M))? +([A-Z+\-\d]{1,6}) +(\d{4})")
DATE_DAY_FIRST = re.compile(
    r"\w{3} +(\d{1,2}) +(\w{3}) +(\d{4}) +(\d{2}):(\d{2}):(\d{2})(?: ([AP]M))? +([A-Z+\-\d]{1,6})"
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ZONES_H = {
    "UTC": 0, "GMT": 0, "Z": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "CET": 1, "CEST": 2, "WET": 0, "WEST": 1, "EET": 2, "EEST": 3, "BST": 1, "JST": 9,
}  # fmt: skip
"""Hours from UTC of the abbreviations `date` prints."""


@dataclass(frozen=True)
class Restart:
    """A restart line: a process had died, and the loop around it said so."""

    line: int
    """Number of the line, from 1."""
    steps_before: int
    """Step lines in the log before it."""
    time_ms: int | None
    """Since 1970; None if its date cannot be read."""


@dataclass(frozen=True)
class TrainingLog:
    """What the log says, in its own order."""

    steps: NDArray[np.int32]
    """(n,) step numbers, counted from 0 as the reference does."""
    loss_milli: NDArray[np.int32]
    """(n,) loss in thousandths of a nat, as printed; `NOT_FINITE` for nan and inf."""
    millis: NDArray[np.int32]
    """(n,) milliseconds of each step, as printed."""
    restarts: tuple[Restart, ...]
    lines: int
    other_lines: int
    """Lines of neither kind."""
    cut_line: bool
    """The last line has no end and is of neither kind: the log was cut in the middle of it."""
    windows_line_ends: bool
    zones: tuple[str, ...]
    """Time zones as written."""
    unknown_zones: tuple[str, ...]
    """Those whose distance from UTC is not known here: their stamps were read as UTC."""
    sha256: str

    @property
    def losses(self) -> NDArray[np.float64]:
        """(n,) nats per sample; nan where not finite."""
        return in_nats(self.loss_milli)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(n,) seconds of each step."""
        return self.millis / 1000


def in_nats(milli: NDArray[np.int32]) -> NDArray[np.float64]:
    """Losses as a log holds them, in nats per sample; nan where not finite."""
    return np.where(milli == NOT_FINITE, np.nan, milli / 1000)


def read(path: Path) -> TrainingLog:
    """Read a training log. Raises `Problem` if it cannot be read or holds no step line."""
    steps, losses, millis = array("i"), array("i"), array("i")
    restarts: list[Restart] = []
    zones: dict[str, bool] = {}
    lines = other = 0
    windows = False
    digest = hashlib.sha256()
    ended, last_known = True, True
    match_step, match_restart = STEP.fullmatch, RESTART.match
    for line in _lines(path, digest):
        lines += 1
        if lines == 1:
            windows = line.endswith(b"\r\n")
        ended = line.endswith(b"\n")
        text = line.rstrip(b"\r\n")
        found = match_step(text)
        if found:
            number, loss, duration = found.groups()
            steps.append(int(number))
            losses.append(_thousandths(loss))
            millis.append(_thousandths(duration))
            last_known = True
            continue
        restart = match_restart(text)
        last_known = restart is not None and (ended or text.rstrip()[-4:].isdigit())
        if restart and last_known:
            time_ms = _time_ms(restart[1].decode("ascii", "replace"), zones)
            restarts.append(Restart(lines, len(steps), time_ms))
        elif text.strip():
            other += 1
    if not steps:
        raise Problem(
            f"{path} holds no line of tensorflow-wavenet's training (`step 20 - loss = 4.963, (180.037 sec/step)`) "
            f"among its {lines} lines. Give the log that train.py printed."
        )
    return TrainingLog(
        steps=np.frombuffer(steps, np.int32),
        loss_milli=np.frombuffer(losses, np.int32),
        millis=np.frombuffer(millis, np.int32),
        restarts=tuple(restarts),
        lines=lines,
        other_lines=other,
        cut_line=not ended and not last_known,
        windows_line_ends=windows,
        zones=tuple(zones),
        unknown_zones=tuple(zone for zone, known in zones.items() if not known),
        sha256=digest.hexdigest(),
    )


def looks_like_one(path: Path) -> bool:
    """Whether a file's beginning has a step line (its first 256 KB are looked at)."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 18)
    except OSError:
        return False
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "replace").encode("ascii", "replace")
    return any(STEP.match(line) for line in head.splitlines())


def _lines(path: Path, digest: "hashlib._Hash") -> Iterator[bytes]:
    """Lines with their ends. A line longer than the longest possible is given in parts, which match nothing."""
    try:
        with path.open("rb") as file:
            head = file.read(2)
            file.seek(0)
            decoder = codecs.getincrementaldecoder("utf-16")("replace") if head in (b"\xff\xfe", b"\xfe\xff") else None
            rest = b""
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
                text = decoder.decode(piece).encode("ascii", "replace") if decoder else piece
                whole = (rest + text).split(b"\n")
                rest = whole.pop()
                for line in whole:
                    yield line + b"\n"
                if len(rest) > LONGEST_LINE_BYTES:
                    yield rest
                    rest = b""
            if rest:
                yield rest
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from None


def _thousandths(text: bytes) -> int:
    whole, point, part = text.partition(b".")
    if not point:
        return NOT_FINITE
    if len(part) == 3 and not text.startswith(b"-"):
        return int(whole + part)
    return round(float(text) * 1000)


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
    if month.lower() not in MONTHS:
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
