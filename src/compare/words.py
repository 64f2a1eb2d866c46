"""Numbers and small sentences as a reader wants them."""

import math
from collections.abc import Callable


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


def interval(show: Callable[[float], str], lo: float | None, hi: float | None, between: str = " to ") -> str:
    """A 95 % interval, or nothing. show: prints the bounds and the value alike, so that the value stays inside."""
    return "" if lo is None or hi is None else f"{show(lo)}{between}{show(hi)}"


def percent(share: float) -> str:
    """57%."""
    return f"{share:.0%}"


def thousands(value: float, _place: object = None) -> str:
    """15,000; the second argument is what matplotlib passes to a formatter."""
    return f"{value:,.0f}"


def thousands_short(value: float, _place: object = None) -> str:
    """1, 10, 1k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def plural(count: int, noun: str) -> str:
    """1 song, 2 songs."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
