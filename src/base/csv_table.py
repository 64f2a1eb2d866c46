"""CSV files with known columns, read whole or not at all.

In and out: UTF-8 with a header line, lines that end with a line feed, and one value of the caller's type a row.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from src.base import files
from src.base.errors import Problem

T = TypeVar("T")


def write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table atomically, in the order given."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    files.write_text(path, text.getvalue())


def read(path: Path, columns: Sequence[str], parse: Callable[[dict[str, str]], T], *, made_by: str) -> list[T]:
    """Every row as `parse` makes it from column → text.

    Raises `Problem` if the table is missing, has other columns, or has a row for which `parse` raises ValueError.
    made_by: the command that writes the table, for the message.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = list(csv.reader(file, strict=True))
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Make it with: {made_by}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"{path} is damaged ({error}). Make it again with: {made_by}") from None
    if not table or table[0] != list(columns):
        raise Problem(f"{path} does not have the columns {', '.join(columns)}. Make it again with: {made_by}")
    rows = []
    for number, values in enumerate(table[1:], start=2):
        try:
            rows.append(parse(dict(zip(columns, values, strict=True))))
        except ValueError as error:
            raise Problem(f"{path}, line {number}: {error}. Make it again with: {made_by}") from None
    return rows
