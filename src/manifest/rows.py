"""The manifest's rows, its file, and the counts of it that may be published.

In and out: data/manifest.csv (docs/formats.md). Names, tags and hashes of single songs stand in no other file. Out as
well: counts by genre, decade and reason, and one digest over the whole set.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from src.base import csv_table

PATH = Path("data/manifest.csv")
MADE_BY = "python -m src.manifest"


@dataclass(frozen=True)
class Row:
    """One file that was seen. `reason` is empty exactly when `status` is `kept`; None is an empty field."""

    path: str
    """Relative to the library; bytes that are not printable UTF-8, and backslashes, as `\\xNN`."""
    status: str
    reason: str
    genre: str | None = None
    genre_text: str | None = None
    """Texts as tagged, joined with "; "."""
    year: int | None = None
    duration_s: float | None = None
    """Decoded length; None if the file was skipped before anything was decoded."""
    format: str | None = None
    rate_hz: int | None = None
    channels: int | None = None
    size_bytes: int | None = None
    file_sha256: str | None = None
    audio_sha256: str | None = None
    """Of the encoded audio without tags and covers: the same for a copy with other tags."""


COLUMNS = tuple(field.name for field in fields(Row))
_INTEGERS = ("year", "rate_hz", "channels", "size_bytes")


def shown(path: bytes) -> str:
    """A path as the manifest writes it: one printable line of UTF-8 that `path_of` turns back into the same bytes."""
    text = path.replace(b"\\", b"\\x5c").decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else "".join(f"\\x{byte:02x}" for byte in letter.encode()) for letter in text
    )


def path_of(text: str) -> Path:
    """The path that `shown` wrote."""
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda escape: bytes([int(escape[1], 16)]), text.encode("utf-8"))
    return Path(os.fsdecode(raw))


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write the manifest atomically, in the order given."""
    csv_table.write(path, COLUMNS, ([_text(getattr(row, name)) for name in COLUMNS] for row in rows))


def _text(value: str | int | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def read(path: Path) -> list[Row]:
    """Read a manifest; a missing or damaged one is a `Problem`."""
    return csv_table.read(path, COLUMNS, _row, made_by=MADE_BY)


def _row(texts: dict[str, str]) -> Row:
    if not texts["path"] or texts["status"] not in ("kept", "skipped"):
        raise ValueError("the path is empty, or the status is neither kept nor skipped")
    values: dict[str, Any] = {name: text or None for name, text in texts.items()}
    values["reason"] = texts["reason"]
    for name in _INTEGERS:
        values[name] = int(texts[name]) if texts[name] else None
    values["duration_s"] = float(texts["duration_s"]) if texts["duration_s"] else None
    return Row(**values)


def counts(listed: Sequence[Row], genres: Sequence[str]) -> dict[str, Any]:
    """The content of metrics/manifest.json."""
    kept = [row for row in listed if row.status == "kept"]
    return {
        "files": len(listed),
        "kept": len(kept),
        "skipped": len(listed) - len(kept),
        "hours_kept": round(sum(row.duration_s or 0 for row in kept) / 3600, 2),
        "genres": {genre: sum(row.genre == genre for row in kept) for genre in genres},
        "decades": _sorted(Counter(decade(row.year) for row in kept)),
        "lengths": lengths(kept),
        "formats": _sorted(Counter(row.format or "unknown" for row in kept)),
        "reasons": _sorted(Counter(row.reason for row in listed if row.status == "skipped")),
        "digest": digest(f"{row.genre} {row.audio_sha256}" for row in kept),
    }


def decade(year: int | None) -> str:
    """1987 → "1980s"."""
    return "unknown" if year is None else f"{year // 10 * 10}s"


def lengths(listed: Iterable[Row]) -> dict[str, int]:
    """Songs by length: under each bound in minutes, in order."""
    minutes = [(row.duration_s or 0) / 60 for row in listed]
    bounds = (0, 2, 3, 4, 5, 7, 10, 20)
    counted = {f"{low} to {high} min": sum(low <= item < high for item in minutes) for low, high in pairwise(bounds)}
    counted[f"{bounds[-1]} min and more"] = sum(item >= bounds[-1] for item in minutes)
    return {name: count for name, count in counted.items() if count}


def digest(lines: Iterable[str]) -> str:
    """One SHA-256 over a set of lines, whatever their order."""
    total = hashlib.sha256()
    for line in sorted(lines):
        total.update(line.encode() + b"\n")
    return total.hexdigest()


def _sorted(counted: Counter[str]) -> dict[str, int]:
    return dict(sorted(counted.items()))
