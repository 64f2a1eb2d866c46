"""Counts that may be published: by genre, decade and reason, and one digest over the whole set.

In: the manifest's rows. Out: a JSON value without any name, tag text or hash of a single song.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from src.manifest.rows import Row


def counts(rows: Sequence[Row], genres: Sequence[str]) -> dict[str, Any]:
    """The content of metrics/manifest.json."""
    kept = [row for row in rows if row.status == "kept"]
    return {
        "files": len(rows),
        "kept": len(kept),
        "skipped": len(rows) - len(kept),
        "hours_kept": round(sum(row.duration_s or 0 for row in kept) / 3600, 2),
        "genres": {genre: sum(row.genre == genre for row in kept) for genre in genres},
        "decades": _sorted(Counter(decade(row.year) for row in kept)),
        "lengths": lengths(kept),
        "formats": _sorted(Counter(row.format or "unknown" for row in kept)),
        "reasons": _sorted(Counter(row.reason for row in rows if row.status == "skipped")),
        "digest": digest(f"{row.genre} {row.audio_sha256}" for row in kept),
    }


def decade(year: int | None) -> str:
    """1987 → "1980s"."""
    return "unknown" if year is None else f"{year // 10 * 10}s"


def lengths(rows: Iterable[Row]) -> dict[str, int]:
    """Songs by length: under each bound in minutes, in order."""
    minutes = [(row.duration_s or 0) / 60 for row in rows]
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
