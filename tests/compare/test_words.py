"""Numbers as a reader sees them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.compare import words
from src.compare.words import interval, number, percent
from src.evaluate import catalogue

SHOWN = [number, percent, *(words.of_measure(name) for name in (*catalogue.BY_NAME, "an_unknown_measure"))]
"""Every way in which a value with an interval is printed."""
VALUES = st.floats(-1e9, 1e9) | st.floats(-20, 20)


def numbers(text: str) -> list[float]:
    """The numbers in a text."""
    plain = text.replace("−", "-").replace(",", "")
    return [float(part.split()[0].rstrip("%")) for part in plain.split(" to ")]


@pytest.mark.parametrize("show", SHOWN)
@given(st.tuples(VALUES, VALUES, VALUES))
def test_a_value_lies_in_its_interval_as_printed_too(show: Callable[[float], str], values: tuple[float, ...]) -> None:
    lo, value, hi = sorted(values)
    (printed,) = numbers(show(value))
    printed_lo, printed_hi = numbers(interval(show, lo, hi))
    assert printed_lo <= printed <= printed_hi


def test_bounds_are_as_exact_as_their_value() -> None:
    assert f"{number(8.01)} ({interval(number, 7.98, 8.04, '–')})" == "8.01 (7.98–8.04)"


def test_a_value_without_an_interval_stands_alone() -> None:
    assert interval(number, None, 1.0) == interval(number, 1.0, None) == ""
