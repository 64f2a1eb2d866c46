"""What changed between checkpoints, as far as the intervals support it.

In: the measures of each step and genre. Out: changes with verdicts, trends, and sentences computed from them. A
change counts when it survives Holm's correction over everything compared between the same two steps, so that the
chance of a single wrong "fell" or "rose" among them is about 5 %.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from src.base.words import listed
from src.evaluate import catalogue, intervals
from src.evaluate.measure import Measure, Z
from src.evaluate.schema import Change, Verdict

Table = Mapping[int, Mapping[str, Mapping[str, Measure]]]
"""Step → genre → measure name → measure. The genre ALL holds what is not of one genre."""

ALL = "all"
LEVEL = 0.05


def p_value(change: Measure) -> float | None:
    """Two-sided p of no change, read off the 95 % interval as of a normal distribution; None without an interval."""
    if change.value is None or change.lo is None or change.hi is None:
        return None
    half = change.value - change.lo if change.value > 0 else change.hi - change.value
    if half <= 0:
        return 1.0 if change.value == 0 else None
    return float(2 * special.ndtr(-abs(change.value) / half * Z))


def holm(p: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which hypotheses fall at this family-wise level (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    rejected = [False] * len(p)
    for rank, index in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
        if p[index] > level / (len(p) - rank):
            break
        rejected[index] = True
    return rejected


def subtract(before: Measure, after: Measure) -> Measure:
    """The change as a measure; without an interval where either has none."""
    unit = after.unit.replace("dBFS", "dB")
    if before.value is None or after.value is None:
        return Measure(None, unit, 0, after.over, why="One of the two is not known.")
    known = intervals.difference(before, after)
    n = min(before.n, after.n)
    if known is None:
        return Measure(after.value - before.value, unit, n, after.over)
    return Measure(known[0], unit, n, after.over, known[1], known[2])


def changes(
    table: Table,
    from_step: int,
    to_step: int,
    real: Mapping[str, Mapping[str, Measure]],
    paired: Mapping[tuple[str, str], Measure] | None = None,
) -> list[Change]:
    """Every measure that both steps have, with a verdict.

    real: genre → measures of held-out songs. paired: (measure, genre) → a change measured on the same units at both
    steps, which is used instead of the difference of the two intervals.
    """
    before, after = table[from_step], table[to_step]
    compared = []
    for genre in sorted(before.keys() & after.keys()):
        for name in (name for name in catalogue.BY_NAME if name in before[genre] and name in after[genre]):
            change = (paired or {}).get((name, genre)) or subtract(before[genre][name], after[genre][name])
            compared.append((name, genre, change))
    p_values = {index: p for index, (_, _, change) in enumerate(compared) if (p := p_value(change)) is not None}
    significant = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    changed = []
    for index, (name, genre, change) in enumerate(compared):
        verdict: Verdict = "unknown"
        if index in significant:
            verdict = "no evidence" if not significant[index] else "fell" if (change.value or 0) < 0 else "rose"
        goal = real.get(genre, {}).get(name)
        closer = nearer(before[genre][name], after[genre][name], goal) if verdict in ("fell", "rose") else None
        changed.append(
            Change(
                measure=name,
                genre=genre,
                from_step=from_step,
                to_step=to_step,
                change=change,
                verdict=verdict,
                closer_to_real=closer,
            )
        )
    return changed


def nearer(before: Measure, after: Measure, goal: Measure | None) -> bool | None:
    """Whether `after` is nearer to `goal` than `before`, if the intervals decide it.

    After is nearer when the middle of the two lies on before's side of the goal; the middle less the goal has an
    interval of its own, which must not hold 0.
    """
    spreads = [half_width(measure) for measure in (before, after, goal)]
    if goal is None or before.value is None or after.value is None or goal.value is None or None in spreads:
        return None
    first, second, third = (spread or 0.0 for spread in spreads)
    middle = (before.value + after.value) / 2 - goal.value
    if abs(middle) <= math.hypot(first / 2, second / 2, third):
        return None
    return (middle > 0) == (after.value < before.value)


def half_width(measure: Measure | None) -> float | None:
    """Half of the 95 % interval."""
    if measure is None or measure.lo is None or measure.hi is None:
        return None
    return (measure.hi - measure.lo) / 2


def trend(table: Table, genre: str, name: str) -> Measure:
    """Slope over all steps per tenfold of the step, least squares on log10(step), with the measures' own uncertainty.

    The interval says how well the slope is known from these sounds; it does not say that a line fits.
    """
    unit = f"{catalogue.UNITS[name]} per tenfold step".strip().replace("dBFS", "dB")
    known = [(step, m) for step, genres in sorted(table.items()) if (m := genres.get(genre, {}).get(name)) is not None]
    known = [(step, m) for step, m in known if m.value is not None and step > 0]
    if len(known) < 2:
        return Measure(None, unit, len(known), "steps", why="A trend needs two steps.")
    x = np.log10([step for step, _ in known])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    value = float(sum(w * (m.value or 0.0) for w, (_, m) in zip(weights, known, strict=True)))
    spreads = [half_width(m) for _, m in known]
    if any(spread is None for spread in spreads):
        return Measure(value, unit, len(known), "steps")
    half = math.sqrt(sum((w * (spread or 0.0)) ** 2 for w, spread in zip(weights, spreads, strict=True)))
    return Measure(value, unit, len(known), "steps", value - half, value + half)


def sentences(table: Table, first: Sequence[Change], late: Sequence[Change]) -> list[str]:
    """What the changes support, one sentence for each measure, then one for each genre's later steps.

    first: changes from the first to the last step. late: from the second to the last.
    """
    said = []
    for name, entry in catalogue.BY_NAME.items():
        mine = [change for change in first if change.measure == name and change.verdict != "unknown"]
        if mine:
            said.append(_measure_sentence(entry, mine, table))
    for genre in sorted({change.genre for change in late} - {ALL}):
        mine = [change for change in late if change.genre == genre and change.verdict != "unknown"]
        if mine:
            said.append(_late_sentence(genre, mine))
    return said


def _measure_sentence(entry: catalogue.Entry, mine: Sequence[Change], table: Table) -> str:
    start, end = mine[0].from_step, mine[0].to_step
    parts = []
    for verdict in ("fell", "rose"):
        which = [change for change in mine if change.verdict == verdict]
        if which:
            shown = ", ".join(_from_to(entry, change, table) for change in which)
            parts.append(f"{verdict} {_where(len(which), len(mine))}({shown})")
    still = [change.genre for change in mine if change.verdict == "no evidence"]
    if not parts:
        return f"{entry.label}: no change between step {start} and step {end} that its intervals support."
    text = f"{entry.label} {' and '.join(parts)} between step {start} and step {end}"
    if still and still != [ALL]:
        text += f"; no evidence of a change for {listed(still)}"
    if entry.better == "closer to real":
        nearer_now = [change.genre for change in mine if change.closer_to_real is True]
        farther = [change.genre for change in mine if change.closer_to_real is False]
        text += f"; nearer to held-out music for {listed(nearer_now)}" if nearer_now else ""
        text += f"; farther from it for {listed(farther)}" if farther else ""
    return text + "."


def _where(count: int, total: int) -> str:
    return "" if total == 1 else f"in all {total} genres " if count == total else f"in {count} of {total} genres "


def _from_to(entry: catalogue.Entry, change: Change, table: Table) -> str:
    before, after = (table[step][change.genre][change.measure].value for step in (change.from_step, change.to_step))
    label = "" if change.genre == ALL else f"{change.genre} "
    return f"{label}{entry.shown(before).removesuffix(' ' + entry.unit)} to {entry.shown(after)}"


def _late_sentence(genre: str, mine: Sequence[Change]) -> str:
    start, end = mine[0].from_step, mine[0].to_step
    moved = [catalogue.BY_NAME[change.measure].label for change in mine if change.verdict in ("fell", "rose")]
    if not moved:
        return f"By none of {len(mine)} measures is there evidence that {genre} changed after step {start}."
    text = f"After step {start}, {genre} changed by {len(moved)} of {len(mine)} measures until step {end}"
    return f"{text}: {listed(moved)}."
