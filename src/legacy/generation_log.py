"""The study's generation log: one stamp in milliseconds a line. In: the file. Out: the intervals and what they cover.

A generation's stamp may be missing (one line of the 2019 Makefile lacked its `echo`): an interval about twice as long
as the others covers two generations. The total is right whatever is missing in between.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.base.errors import Problem

LARGEST_BYTES = 16 * 2**20
STAMP = re.compile(rb"\d{12,14}")


@dataclass(frozen=True)
class Generation:
    """Clips generated one after the other."""

    stamps_ms: tuple[int, ...]
    """Milliseconds since 1970, ascending."""
    covered: tuple[int, ...]
    """For each interval: how many generations it covers."""
    notes: tuple[str, ...]

    @property
    def seconds(self) -> tuple[float, ...]:
        """Length of each interval."""
        return tuple((b - a) / 1000 for a, b in zip(self.stamps_ms, self.stamps_ms[1:], strict=False))

    @property
    def clips(self) -> int:
        """Generations between the first stamp and the last."""
        return sum(self.covered)

    @property
    def total_s(self) -> float:
        """Time from the first stamp to the last."""
        return (self.stamps_ms[-1] - self.stamps_ms[0]) / 1000

    @property
    def mean_s(self) -> float:
        """Seconds per generation."""
        return self.total_s / self.clips

    def clip_seconds(self) -> list[tuple[float, bool]]:
        """Seconds of each generation in order, and whether they are a share of a longer interval."""
        return [
            (length / count, count > 1)
            for length, count in zip(self.seconds, self.covered, strict=True)
            for _ in range(count)
        ]


def read(path: Path) -> Generation:
    """Read the stamps. Raises `Problem` if there are fewer than three."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Problem(f"{path} is too large to be a list of time stamps; it was not read.")
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from None
    found = [int(line) for line in (line.strip() for line in lines) if STAMP.fullmatch(line)]
    stamps = sorted(set(found))
    if len(stamps) < 3:
        raise Problem(f"{path} holds {len(stamps)} time stamps (13 digits, milliseconds); at least 3 are needed.")
    notes = []
    other = sum(1 for line in lines if line.strip()) - len(found)
    if other:
        notes.append(f"{path.name}: {other} lines are not time stamps and were passed over.")
    if stamps != found:
        notes.append(f"{path.name}: time stamps were out of order or double; they were sorted.")
    lengths = np.diff(stamps)
    typical = float(np.median(lengths))
    covered = tuple(max(1, round(float(length) / typical)) for length in lengths)
    return Generation(tuple(stamps), covered, tuple(notes))


def order_in_makefile(text: str) -> list[tuple[int, int]]:
    """(step, genre id) of each generation, in the order of a Makefile's generate.py lines."""
    return [
        (int(found[2]), int(found[1]))
        for line in text.splitlines()
        if (found := re.search(r"generate\.py.*--gc_id[= ](\d{1,3})\b.*model\.ckpt-(\d{1,9})\b", line))
    ]
