"""metrics/evaluate.json is read as docs/formats.md has it, and nothing in it can stop the page."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from src.compare import evaluation, strips

CONTENT: dict[str, Any] = {
    "format": 1,
    "genres": ["metal", "rock"],
    "uniform": 8.0,
    "markov": {"rock": 3.9},
    "steps": {
        "20": {
            "rock": {
                "bits_per_sample": 7.9,
                "clips": 1,
                "below_markov": False,
                "measures": {
                    "spectral_flatness": {"value": 0.9, "lo": 0.8, "hi": 1.0, "n": 9, "over": "windows", "unit": ""},
                    "tempo": {"value": None, "lo": None, "hi": None, "n": 0, "unit": "bpm", "why": "It is noise."},
                    "something_new": {"value": 3, "lo": None, "hi": None, "n": 1, "unit": ""},
                },
            }
        },
        "300": {"rock": {"bits_per_sample": 2.5, "measures": {"spectral_flatness": {"value": 0.1}}}},
    },
    "references": {
        "white_noise": {"rock": {"measures": {"spectral_flatness": {"value": 1.0}}}},
        "real": {"rock": {"measures": {"spectral_flatness": {"value": 0.05, "lo": 0.0, "hi": 0.1, "n": 4}}}},
    },
    "conditioning": {
        "20": {
            "genres": ["metal", "rock"],
            "confusion": [[1, 2], [0, 3]],
            "accuracy": {"value": 0.67},
            "chance": 0.5,
        }
    },
    "context": {"20": {"rock": [{"from": 1, "to": 1, "bits": {"value": 7.0}}]}},
    "sentences": ["Bits fell."],
    "why": {"sound": "There is no generation of step 5020."},
}


def test_every_section_is_found() -> None:
    found = evaluation.parse(CONTENT)
    assert list(found.steps) == [20, 300]
    assert found.bits(20, "rock") == 7.9
    assert found.of(20, "rock", "spectral_flatness") == evaluation.Figure(0.9, 0.8, 1.0, 9, "windows")
    tempo = found.of(20, "rock", "tempo")
    assert tempo is not None
    assert (tempo.value, tempo.why) == (None, "It is noise.")
    assert found.bits(20, "metal") is None
    assert found.markov == {"rock": 3.9}
    assert found.confusion == {20: (["metal", "rock"], [[1, 2], [0, 3]])}
    assert found.accuracy[20].value == 0.67
    assert found.chance == 0.5
    assert found.context[20]["rock"][0][:2] == (1, 1)
    assert found.sentences == ("Bits fell.",)
    assert found.why == ("There is no generation of step 5020.",)


def test_strips_lie_between_their_extremes_and_name_the_rest() -> None:
    found = {strip.label: strip for strip in strips.strips(evaluation.parse(CONTENT), (20, 300), ("metal", "rock"))}
    assert list(found) == ["Held-out bits per sample", "Spectral flatness", "something new"]
    flat = found["Spectral flatness"]
    assert flat.columns == ("white noise", "step 20", "step 300", "held-out songs")
    assert [cell.text for cell in flat.rows[1].cells] == ["1.000", "0.900", "0.100", "0.050"]
    assert flat.rows[1].cells[1].spread == "0.800 to 1.000"
    assert [cell.text for cell in flat.rows[0].cells] == ["–"] * 4
    places = {mark.tone: float(mark.at) for mark in flat.lanes[0].marks}
    assert places["real"] < places["1"] < places["0"] < places["noise"] <= 98.5
    assert len({strip.id for strip in found.values()}) == len(found)


def test_a_measure_that_is_the_same_everywhere_has_no_scale() -> None:
    measures = {"silence_share": {"value": 0.0}}
    found = evaluation.parse({"steps": {"20": {"rock": {"measures": measures}}}})
    (strip,) = strips.strips(found, (20,), ("rock",))
    assert (strip.low, strip.high) == ("0.0 % everywhere", "")
    assert strip.lanes[0].marks[0].at == "50.00"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text('a<"0', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab0", max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*CONTENT]), JSON))
def test_any_content_is_read_without_an_error(change: dict[str, Any]) -> None:
    content = json.loads(json.dumps({**CONTENT, **change}))
    found = evaluation.parse(content)
    strips.groups(found, (20, 300), ("rock",))


def test_a_file_of_something_else_is_an_empty_evaluation() -> None:
    assert evaluation.parse([1]) == evaluation.Evaluation()


@given(JSON)
def test_any_genre_section_is_read_without_an_error(section: Any) -> None:
    found = evaluation.parse({"steps": {"20": {"rock": section}}, "conditioning": {"20": section}})
    assert set(found.steps) <= {20}
