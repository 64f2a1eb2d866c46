"""Charts: drawn for what is there, where the numbers say, and said in words."""

import itertools
import math

import pytest

from src.compare import charts, comparison, gathering
from src.compare.comparison import Comparison
from src.evaluate.measure import Measure
from src.evaluate.schema import ContextRange
from src.record import journal, layout
from tests.compare import tiny_run


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A made-up run beside an imported one."""
    root = tiny_run.make(tmp_path_factory.mktemp("charts") / "project", duration_s=0.2)
    tiny_run.make_imported(root, "study-2019", duration_s=0.2)
    return gathering.gather([layout.current(root), layout.imported("study-2019", root)], (20, 300))


def alone(compared: Comparison) -> Comparison:
    return Comparison(compared.steps, compared.genres, compared.runs[:1])


def points(path: str) -> list[tuple[float, float]]:
    """The points of a path."""
    pairs = path.removeprefix("M").removesuffix("Z").split("L")
    return [(float(x), float(y)) for x, y in (pair.split() for pair in pairs)]


def test_every_figure_has_its_charts(compared: Comparison) -> None:
    figures = charts.figures(compared)
    assert list(figures) == ["context", "loss"]
    assert [chart.name for chart in figures["context"].charts] == list(tiny_run.GENRES)
    assert [line.label for line in figures["loss"].charts[0].lines] == ["this study", "study-2019"]


def test_no_line_leaves_its_chart(compared: Comparison) -> None:
    rows = tuple(ContextRange(first=2**k, last=2**k, bits=Measure(9.7 - k, "bits", 4, "songs")) for k in range(3))
    chart = charts._by_context("rock", {20: rows})
    assert chart is not None
    every = [chart, *(chart for figure in charts.figures(compared).values() for chart in figure.charts)]
    for line in (line for chart in every for line in chart.lines):
        assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in points(line.path) + points(line.band or line.path))


def test_the_loss_is_where_its_numbers_are(compared: Comparison) -> None:
    (chart,) = charts.figures(alone(compared))["loss"].charts
    line = points(chart.lines[0].path)
    assert line[-1][0] == pytest.approx(100)
    top, bottom = chart.up[-1], chart.up[0]
    assert (bottom.text, float(bottom.at)) == ("0", 100)
    # The heights of guessing, of the top tick and of the curve's end have one scale.
    per_nat = (100 - float(top.at)) / float(top.text)
    assert (100 - float(chart.guess)) / per_nat == pytest.approx(math.log(256), abs=0.01)
    last = compared.run.median_loss(300)
    assert last is not None
    assert (100 - line[-1][1]) / per_nat == pytest.approx(last, abs=0.3)
    assert len(points(chart.lines[0].band)) == 2 * len(line)


def test_restarts_by_hand_are_named_and_automatic_ones_are_ticks(compared: Comparison) -> None:
    figure = charts.figures(alone(compared))["loss"]
    assert [(mark.text, float(mark.at)) for mark in figure.charts[0].by_hand] == [("60", 20.0)]
    assert [float(at) for at in figure.charts[0].automatic] == pytest.approx([50, 66.67])
    assert "Dashed: 1 restart by hand; ticks below: 4 automatic restarts." in figure.caption


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 15_000), (0.02, 0.031), (0, 7e-4), (3, 1e6)])
def test_ticks_are_round_and_few(low: float, high: float) -> None:
    values = charts._round_values(low, high, 5)
    assert 2 <= len(values) <= 6
    assert all(low <= value <= high for value in values)
    (step,) = {float(f"{after - before:.6g}") for before, after in itertools.pairwise(values)}
    assert f"{step:e}"[0] in "125"


def test_a_run_of_which_nothing_is_known_has_no_figures() -> None:
    empty = comparison.Run("empty", "", (), {}, journal.View(), None, (), (), "", None)
    assert charts.figures(Comparison((20, 300), ("rock",), (empty,))) == {}
