"""Numbers and small sentences as a reader wants them: one way of writing each."""

import math
from collections.abc import Callable
from functools import partial

from src.base.console import plural
from src.evaluate import catalogue
from src.evaluate.measure import Measure


def number(value: float | None, digits: int = 3) -> str:
    """A number with `digits` significant digits, never in exponents where that can be helped: 0.042, 3.14, 15,000."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size >= 6 or size < -5:
        return f"{value:.{digits - 1}e}"
    text = f"{value:,.{max(0, digits - 1 - size)}f}"
    return text.replace("-", "−")


def bits(value: float) -> str:
    """3.14: bits per sample, wherever they stand."""
    return signless_zero(f"{value:.2f}")


def shown(name: str, value: float | None) -> str:
    """A value as the catalogue prints its measure."""
    entry = catalogue.BY_NAME.get(name)
    return signless_zero(entry.shown(value)) if entry else number(value)


def signless_zero(text: str) -> str:
    """The printed number with a minus sign that is one, and none before a zero."""
    head, _, tail = text.partition(" ")
    if head.startswith("-"):
        head = "−" + head[1:] if head.strip("-0.,") else head[1:]
    return f"{head} {tail}".rstrip()


def interval(show: Callable[[float], str], lo: float | None, hi: float | None, between: str = " to ") -> str:
    """A 95 % interval, or nothing. show: prints the bounds and the value alike, so that the value stays inside."""
    return "" if lo is None or hi is None else f"{show(lo)}{between}{show(hi)}"


def over(measure: Measure) -> str:
    """What a figure is over: 20 songs, 1 song."""
    return plural(measure.n, measure.over.removesuffix("s"))


def spread(measure: Measure, show: Callable[[float], str], sign: int = 1) -> str:
    """What stands in brackets behind a figure: its interval if it has one, and what it is over. sign: -1 turns it."""
    lo, hi = (measure.lo, measure.hi) if sign > 0 else (_negative(measure.hi), _negative(measure.lo))
    return ", ".join(filter(None, [interval(show, lo, hi), over(measure)]))


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def of_measure(name: str) -> Callable[[float], str]:
    """`shown` for one measure."""
    return partial(shown, name)


def percent(share: float) -> str:
    """57 %."""
    return f"{100 * share:.0f} %"


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]
