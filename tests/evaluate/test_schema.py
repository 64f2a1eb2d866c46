"""metrics/evaluate.json is read as docs/formats.md has it, and whatever else is in the file is one sentence."""

import json
import math
import subprocess
import sys
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.base.errors import Problem
from src.evaluate import schema
from src.evaluate.measure import Measure


def m(value: float | None, lo: float | None = None, hi: float | None = None, **more: Any) -> dict[str, Any]:
    return {"value": value, "lo": lo, "hi": hi, "n": 9, "over": "windows", "unit": "", **more}


CONTENT: dict[str, Any] = {
    "format": 1,
    "run": None,
    "genres": ["metal", "rock"],
    "uniform": 8.0,
    "markov": {"rock": 3.9},
    "baselines": {"rock": {"unigram": m(6.0), "markov_genre": m(3.9), "markov_pooled": m(4.0)}},
    "steps": {
        "20": {
            "rock": {
                "bits_per_sample": 7.9,
                "clips": 1,
                "samples": 320000,
                "below_markov": False,
                "measures": {
                    "bits_per_sample": m(7.9),
                    "spectral_flatness": m(0.9, 0.8, 1.0),
                    "tempo": m(None, n=0, unit="bpm", why="It is noise."),
                    "something_new": m(3),
                },
            }
        },
        "300": {"rock": {"measures": {"bits_per_sample": m(2.5), "spectral_flatness": m(0.1)}}},
    },
    "references": {
        "white_noise": {"rock": {"measures": {"spectral_flatness": m(1.0)}}},
        "real": {"rock": {"measures": {"spectral_flatness": m(0.05, 0.0, 0.1)}}},
    },
    "conditioning": {
        "20": {
            "genres": ["metal", "rock"],
            "confusion": [[1, 2], [0, 3]],
            "undecided": 0,
            "accuracy": m(0.67),
            "accuracy_windows": m(0.6),
            "chance": 0.5,
        }
    },
    "context": {"20": {"rock": [{"from": 1, "to": 1, "bits": m(7.0)}]}},
    "copying": {
        "20": {
            "rock": {
                "longest_s": 1.4,
                "clip": 1,
                "start_s": 2.0,
                "song_genre": None,
                "songs_searched": 24,
                "held_out_pieces": 0,
                "held_out_longest_s": None,
                "held_out_as_long": None,
            }
        }
    },
    "progress": [
        {
            "measure": "bits_per_sample",
            "genre": "rock",
            "from_step": 20,
            "to_step": 300,
            "change": m(-5.4),
            "verdict": "fell",
            "closer_to_real": None,
        }
    ],
    "sentences": ["Bits fell."],
    "why": {"sound": "There is no generation of step 5020."},
}


def written(folder: Path, content: Any) -> Path:
    path = folder / "evaluate.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def changed(keys: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    content: Any = deepcopy(CONTENT)
    part = content
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    return dict(content)


def test_every_section_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    evaluation = schema.read(written(tmp_path, CONTENT))
    assert evaluation.to_json() == CONTENT
    assert list(evaluation.steps) == [20, 300]
    assert evaluation.bits(20, "rock") == 7.9
    assert evaluation.of(20, "rock", "spectral_flatness") == Measure(0.9, "", 9, "windows", 0.8, 1.0)
    tempo = evaluation.of(20, "rock", "tempo")
    assert tempo is not None
    assert (tempo.value, tempo.why) == (None, "It is noise.")
    assert evaluation.bits(20, "metal") is None
    assert evaluation.names() == ["bits_per_sample", "spectral_flatness", "tempo", "something_new"]
    assert evaluation.markov == {"rock": 3.9}
    assert evaluation.conditioning[20].confusion == ((1, 2), (0, 3))
    assert evaluation.conditioning[20].accuracy.value == 0.67
    assert evaluation.context[20]["rock"][0].first == 1
    assert evaluation.why == {"sound": "There is no generation of step 5020."}


def test_six_digit_steps_of_an_older_checkout_are_the_same_steps(tmp_path: Path) -> None:
    older = deepcopy(CONTENT)
    for section in ("steps", "conditioning", "context", "copying"):
        older[section] = {f"{int(step):06d}": rows for step, rows in older[section].items()}
    assert list(older["steps"]) == ["000020", "000300"]
    assert schema.read(written(tmp_path, older)) == schema.read(written(tmp_path, CONTENT))


def test_steps_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    rows = CONTENT["steps"]["20"]
    content = changed(("steps",), {"15000": rows, "20": rows, "5020": rows})
    assert list(schema.read(written(tmp_path, content)).steps) == [20, 5020, 15000]


@pytest.mark.parametrize(
    ("keys", "value", "field"),
    [
        (("format",), 2, "format"),
        (("uniform",), math.nan, "uniform"),
        (("markov", "rock"), math.inf, "markov.rock"),
        (("markov", "rock"), "3.9", "markov.rock"),
        (("notes",), "", "notes"),
        (("steps", "last"), {}, "steps.last"),
        (("steps", "-20"), {}, "steps.-20"),
        (("steps", "20", "rock", "measures", "rms"), m(math.nan), "steps.20.rock.measures.rms.value"),
        (("steps", "20", "rock", "measures", "rms"), m(1.0, n=-1), "steps.20.rock.measures.rms.n"),
        (("steps", "20", "rock", "measures", "rms"), m(1.0, unit="dB" * 1000), "steps.20.rock.measures.rms.unit"),
        (("steps", "20", "rock", "measures", "rms"), m(1.0, more=1), "steps.20.rock.measures.rms.more"),
        (("steps", "20", "rock", "measures", "rms"), 1.0, "steps.20.rock.measures.rms"),
        (("conditioning", "20", "confusion"), [[1, 2]], "conditioning.20"),
        (("context", "20", "rock", 0, "bits"), None, "context.20.rock.0.bits"),
        (("sentences",), ["a" * 200_000], "sentences.0"),
        (("why",), ["There is no sound."], "why"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_file_field_and_command(
    tmp_path: Path, keys: tuple[str | int, ...], value: Any, field: str
) -> None:
    path = written(tmp_path, changed(keys, value))
    with pytest.raises(Problem) as raised:
        schema.read(path, made_by="python -m src.evaluate --run old")
    text = str(raised.value)
    assert text.startswith(f"{path} is damaged: {field}")
    assert text.endswith("Make it again with: python -m src.evaluate --run old")
    assert "\n" not in text


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"RIFF"])
def test_a_file_of_something_else_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evaluate.json"
    with pytest.raises(Problem, match=r"does not exist\. Make it with: python -m src\.evaluate$"):
        schema.read(path)
    path.write_bytes(content)
    with pytest.raises(Problem, match=r"is damaged: .*Make it again with: python -m src\.evaluate$"):
        schema.read(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text('a<"0', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab0", max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*CONTENT]), JSON), JSON)
def test_any_content_is_read_or_is_a_problem(
    tmp_path_factory: pytest.TempPathFactory, change: dict[str, Any], section: Any
) -> None:
    for content in ({**CONTENT, **change}, changed(("steps", "20", "rock"), section)):
        path = written(tmp_path_factory.getbasetemp(), content)
        with suppress(Problem):
            evaluation = schema.read(path)
            assert schema.read(written(path.parent, evaluation.to_json())) == evaluation


def test_reading_loads_neither_torch_nor_scipy() -> None:
    code = "import sys, src.evaluate.schema; sys.exit(bool({'torch', 'scipy', 'numpy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
