"""metrics/evaluate.json as the page needs it: for each step and genre a list of measured figures.

In: the file's content (docs/formats.md). Out: `Evaluation`. Measures are read by shape, not by name, so that one that
is added to the file appears on the page without a change here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.base import files

BITS = "bits_per_sample"


@dataclass(frozen=True)
class Figure:
    """A measured value; `lo` and `hi` are its 95 % interval, if its units are enough for one."""

    value: float | None
    lo: float | None = None
    hi: float | None = None
    n: int | None = None
    over: str = ""
    unit: str = ""
    why: str = ""
    """Why there is no value."""

    def as_json(self) -> dict[str, Any]:
        """Only what is known."""
        known = {key: value for key, value in vars(self).items() if value not in (None, "")}
        return {"value": self.value, **known}


Figures = dict[str, Figure]


@dataclass(frozen=True)
class Evaluation:
    """Everything measured about a run."""

    steps: dict[int, dict[str, Figures]] = field(default_factory=dict)
    """Step → genre → measure → figure."""
    references: dict[str, dict[str, Figures]] = field(default_factory=dict)
    """Reference (such as held-out songs, white noise) → genre → measure → figure."""
    markov: dict[str, float] = field(default_factory=dict)
    """Genre → bits per sample of a first-order Markov model of the codes."""
    uniform: float = 8.0
    accuracy: dict[int, Figure] = field(default_factory=dict)
    """Step → share of held-out clips whose genre the network guesses."""
    chance: float | None = None
    confusion: dict[int, tuple[list[str], list[list[int]]]] = field(default_factory=dict)
    """Step → (genres, rows of counts: true genre by guessed genre)."""
    context: dict[int, dict[str, list[tuple[int, int, Figure]]]] = field(default_factory=dict)
    """Step → genre → (from, to, bits): bits per sample by how much real context came before."""
    why: tuple[str, ...] = ()
    """What could not be measured, in words."""
    sentences: tuple[str, ...] = ()
    """What the measures support, in words."""
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def genres(self) -> list[str]:
        """Genres with a figure at any step."""
        return sorted({genre for by_genre in self.steps.values() for genre in by_genre})

    def of(self, step: int, genre: str, name: str) -> Figure | None:
        """A measure, or None if it was not taken."""
        return self.steps.get(step, {}).get(genre, {}).get(name)

    def bits(self, step: int, genre: str) -> float | None:
        """Held-out bits per sample."""
        found = self.of(step, genre, BITS)
        return found.value if found else None

    def names(self) -> list[str]:
        """All measures in the order in which they first appear."""
        return list(
            dict.fromkeys(name for by_genre in self.steps.values() for figures in by_genre.values() for name in figures)
        )


def load(path: Path, made_by: str = "python -m src.evaluate") -> Evaluation:
    """Read metrics/evaluate.json. Raises `Problem` if it is missing or damaged."""
    return parse(files.read_json(path, made_by=made_by))


def parse(content: Any) -> Evaluation:
    """Turn the file's content into figures; what is not understood stays in `raw` only."""
    if not isinstance(content, dict):
        return Evaluation()
    steps = {step: _by_genre(found) for step, found in _by_step(content.get("steps"))}
    conditioning = dict(_by_step(content.get("conditioning")))
    chances = [value for found in conditioning.values() if (value := _value(found.get("chance"))) is not None]
    uniform = _value(content.get("uniform"))
    return Evaluation(
        steps=dict(sorted(steps.items())),
        references={name: _by_genre(found) for name, found in _objects(content.get("references"))},
        markov={genre: value for genre, found in _items(content.get("markov")) if (value := _value(found)) is not None},
        uniform=8.0 if uniform is None else uniform,
        accuracy={step: figure(found["accuracy"]) for step, found in conditioning.items() if "accuracy" in found},
        chance=chances[0] if chances else None,
        confusion={step: table for step, found in conditioning.items() if (table := _confusion(found))},
        context={step: _contexts(found) for step, found in _by_step(content.get("context"))},
        why=tuple(dict.fromkeys(_sentences(content.get("why")))),
        sentences=tuple(_sentences(content.get("sentences"))),
        raw=content,
    )


def figure(item: Any) -> Figure:
    """One measure: a number, or an object with `value` and what else is known of it."""
    if not isinstance(item, dict):
        return Figure(_value(item))
    return Figure(
        value=_value(item),
        lo=_value(item.get("lo")),
        hi=_value(item.get("hi")),
        n=int(item["n"]) if _number(item.get("n")) else None,
        over=str(item.get("over") or ""),
        unit=str(item.get("unit") or ""),
        why=str(item.get("why") or ""),
    )


def figures(found: Any, prefix: str = "") -> Iterator[tuple[str, Figure]]:
    """Every measure in an object, nested names joined with a dot."""
    for name, item in _items(found):
        if _number(item) or (isinstance(item, dict) and "value" in item):
            yield prefix + name, figure(item)
        else:
            yield from figures(item, f"{prefix}{name}.")


def _by_genre(found: Any) -> dict[str, Figures]:
    """Genre → measures: those under `measures`, or the plain numbers beside it where there is no such section."""
    table = {}
    for genre, item in _objects(found):
        measures = dict(figures(item.get("measures") if "measures" in item else item))
        if BITS in item and BITS not in measures:
            measures = {BITS: figure(item[BITS]), **measures}
        table[genre] = measures
    return table


def _by_step(found: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for name, item in _objects(found):
        if name.isdecimal():
            yield int(name), item


def _confusion(found: dict[str, Any]) -> tuple[list[str], list[list[int]]] | None:
    genres, rows = found.get("genres"), found.get("confusion")
    if not isinstance(genres, list) or not isinstance(rows, list) or len(rows) != len(genres):
        return None
    if not all(isinstance(row, list) and len(row) == len(genres) and all(map(_number, row)) for row in rows):
        return None
    return [str(genre) for genre in genres], [[int(count) for count in row] for row in rows]


def _contexts(found: dict[str, Any]) -> dict[str, list[tuple[int, int, Figure]]]:
    return {
        genre: [
            (int(item["from"]), int(item["to"]), figure(item.get("bits")))
            for item in ranges
            if isinstance(item, dict) and _number(item.get("from")) and _number(item.get("to"))
        ]
        for genre, ranges in found.items()
        if isinstance(ranges, list)
    }


def _sentences(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, list):
        for item in found:
            yield from _sentences(item)
    elif isinstance(found, dict):
        for item in found.values():
            yield from _sentences(item)


def _number(item: Any) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool) and math.isfinite(item)


def _value(item: Any) -> float | None:
    if isinstance(item, dict):
        item = item.get("value")
    return float(item) if _number(item) else None


def _items(found: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(found, dict):
        yield from found.items()


def _objects(found: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, item in _items(found):
        if isinstance(item, dict):
            yield name, item
