"""Measures as strips: every one of a file is drawn between its extremes, those the catalogue does not know as well."""

from pathlib import Path

from src.compare import strips
from src.evaluate import schema
from tests.evaluate.test_schema import CONTENT, m, written


def test_strips_lie_between_their_extremes_and_name_the_rest(tmp_path: Path) -> None:
    evaluation = schema.read(written(tmp_path, CONTENT))
    found = {strip.label: strip for strip in strips.strips(evaluation, (20, 300), ("metal", "rock"))}
    assert list(found) == ["Held-out bits per sample", "Spectral flatness", "something new"]
    flat = found["Spectral flatness"]
    assert flat.columns == ("white noise", "step 20", "step 300", "held-out songs")
    assert [cell.text for cell in flat.rows[1].cells] == ["1.000", "0.900", "0.100", "0.050"]
    assert flat.rows[1].cells[1].spread == "0.800 to 1.000"
    assert [cell.text for cell in flat.rows[0].cells] == ["–"] * 4
    places = {mark.tone: float(mark.at) for mark in flat.lanes[0].marks}
    assert places["real"] < places["1"] < places["0"] < places["noise"] <= 98.5
    assert len({strip.id for strip in found.values()}) == len(found)


def test_a_measure_that_is_the_same_everywhere_has_no_scale(tmp_path: Path) -> None:
    steps = {"20": {"rock": {"measures": {"silence_share": m(0.0)}}}}
    evaluation = schema.read(written(tmp_path, {**CONTENT, "steps": steps, "references": {}}))
    (strip,) = strips.strips(evaluation, (20,), ("rock",))
    assert (strip.low, strip.high) == ("0.0 % everywhere", "")
    assert strip.lanes[0].marks[0].at == "50.00"
