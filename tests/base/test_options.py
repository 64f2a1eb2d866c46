"""Steps on a command line: with thousands separators or without, separated by blanks or commas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.base import options
from src.base.errors import Problem


@given(st.lists(st.integers(0, 999_999), min_size=1, max_size=6), st.sampled_from([" ", ",", ", "]))
def test_steps_are_read_whatever_stands_between_them(steps: list[int], between: str) -> None:
    assert options.parse_steps([between.join(map(str, steps))], steps) == tuple(sorted(set(steps)))


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        ("20 15,000", (20, 15000)),
        ("20, 15,000", (20, 15000)),
        ("20,15000", (20, 15000)),
        ("20 5,020 10,020 15,000", (20, 5020, 10020, 15000)),
        ("1,234,567 20", (20, 1234567)),
        ("20,300", (20, 300)),
        ("20,400", (20400,)),
    ],
)
def test_a_comma_groups_thousands_unless_both_sides_are_steps(words: str, steps: tuple[int, ...]) -> None:
    assert options.parse_steps(words.split(" "), (20, 300, 5020, 10020, 15000)) == steps


@pytest.mark.parametrize(
    "word", ["twenty", "-20", "2.5e3", "20k", "vs", "and", "20..300", "15_000", "step", "../20", "1e3", "٣"]
)
def test_what_is_not_a_step_is_named(word: str) -> None:
    with pytest.raises(Problem, match="is not a step"):
        options.parse_steps(["20", word])
