"""The manifest's rows and its file.

In and out: data/manifest.csv (docs/formats.md). It is the one place where names, tags and hashes of single songs stand.
"""

import csv
import io
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from src.base import files
from src.base.errors import Problem

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
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode("utf-8"))
    return Path(os.fsdecode(raw))


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write the manifest atomically, in the order given."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(["" if (value := getattr(row, name)) is None else _text(value) for name in COLUMNS])
    files.write_text(path, text.getvalue())


def _text(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def read(path: Path) -> list[Row]:
    """Read a manifest; a missing or damaged one is a `Problem`."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = list(csv.reader(file))
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Make it with: {MADE_BY}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"{path} is damaged ({error}). Make it again with: {MADE_BY}") from None
    if not table or tuple(table[0]) != COLUMNS:
        raise Problem(f"{path} does not have the columns of a manifest. Make it again with: {MADE_BY}")
    return [_row(path, number, values) for number, values in enumerate(table[1:], start=2)]


def _row(path: Path, number: int, values: list[str]) -> Row:
    try:
        named: dict[str, Any] = {name: value or None for name, value in zip(COLUMNS, values, strict=True)}
        for name in _INTEGERS:
            named[name] = int(named[name]) if named[name] else None
        named["duration_s"] = float(named["duration_s"]) if named["duration_s"] else None
    except ValueError as error:
        raise Problem(f"{path}, line {number}: {error}. Make it again with: {MADE_BY}") from None
    named["reason"] = named["reason"] or ""
    if named["path"] is None or named["status"] not in ("kept", "skipped"):
        raise Problem(f"{path}, line {number}: the status is neither kept nor skipped. Make it again with: {MADE_BY}")
    return Row(**named)
