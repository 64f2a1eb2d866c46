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
from tests.conftest import ROOT


def m(value: float | None, lo: float | None = None, hi: float | None = None, **more: Any) -> dict[str, Any]:
    return {"value": value, "lo": lo, "hi": hi, "n": 9, "over": "songs", "unit": "", **more}


def d(value: float, verdict: str = "better") -> dict[str, Any]:
    return {"difference": m(value, -9.0, 0.0), "verdict": verdict, "favourable": 9}


CONTENT: dict[str, Any] = {
    "format": 2,
    "run": None,
    "genres": ["metal", "rock"],
    "uniform": 8.0,
    "markov": {"rock": 3.9},
    "baselines": {"rock": {"unigram": m(6.0), "markov_genre": m(3.9), "markov_pooled": m(4.0), "linear": m(3.0)}},
    "songs": {
        "rock": [{"samples": 320000, "unigram": 6.0, "markov": 3.9, "linear": 3.0, "network": {"20": 7.9, "300": 2.5}}]
    },
    "against": {"300": {"linear": {"rock": d(-0.5), "all": d(-0.4)}, "uniform": {"rock": d(-5.5)}}},
    "steps": {
        "20": {
            "rock": {
                "bits_per_sample": m(7.9),
                "spectral_flatness": m(0.9, 0.8, 1.0),
                "tempo": m(None, n=0, unit="bpm", why="It is noise."),
                "something_new": m(3),
            },
        },
        "300": {"rock": {"bits_per_sample": m(2.5), "spectral_flatness": m(0.1)}},
    },
    "references": {
        "white_noise": {"rock": {"spectral_flatness": m(1.0)}},
        "real": {"rock": {"spectral_flatness": m(0.05, 0.0, 0.1)}},
    },
    "closed": {"300": {"rock": {"spectral_flatness": {"share": m(0.95, 0.9, 1.0), "side": "short"}}}},
    "blind": {"rock": ["tempo_strength"]},
    "conditioning": {
        "20": {
            "genres": ["metal", "rock"],
            "confusion": [[1, 2], [0, 3]],
            "undecided": 0,
            "accuracy": m(0.67),
            "chance": 0.5,
            "gain": {"rock": d(-0.1), "all": d(-0.1)},
        }
    },
    "generalisation": {"20": {"rock": {"training": m(-0.6), "held_out": m(-0.5), "gap": d(0.1, "unclear")}}},
    "calibration": {
        "20": {
            "rock": {
                "entropy": m(3.0),
                "cost": m(3.2),
                "excess": m(0.2),
                "says": "overconfident",
                "curve": [{"entropy": 1.0, "cost": 1.3, "samples": 4000}],
            }
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
                "beyond_held_out": None,
            }
        }
    },
    "detection": {
        "duration_s": 3.0,
        "planted": 10,
        "level_db": [{"at": -20.0, "share": 1.0}],
        "noise_db": [{"at": 10.0, "share": 0.9}],
        "speed_percent": [{"at": 1.0, "share": 0.5}],
        "lowest_level_db": -20.0,
        "lowest_noise_db": 10.0,
        "highest_speed_percent": None,
    },
    "agreement": [{"measure": "kernel", "embeddings": ["musicnn", "vgg"], "rank_correlation": 0.9, "n": 40}],
    "progress": [
        {
            "measure": "bits_per_sample",
            "genre": "rock",
            "from_step": 20,
            "to_step": 300,
            "change": m(-5.4),
            "verdict": "better",
            "favourable": 9,
        }
    ],
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
    assert evaluation.of(20, "rock", "spectral_flatness") == Measure(0.9, "", 9, "songs", 0.8, 1.0)
    tempo = evaluation.of(20, "rock", "tempo")
    assert tempo is not None
    assert (tempo.value, tempo.why) == (None, "It is noise.")
    assert evaluation.bits(20, "metal") is None
    assert evaluation.names() == ["bits_per_sample", "spectral_flatness", "tempo", "something_new"]
    assert evaluation.markov == {"rock": 3.9}
    assert evaluation.conditioning[20].confusion == ((1, 2), (0, 3))
    assert evaluation.conditioning[20].accuracy.value == 0.67
    assert evaluation.context[20]["rock"][0].first == 1
    assert evaluation.songs["rock"][0].network == {20: 7.9, 300: 2.5}
    assert evaluation.against[300]["linear"]["all"].verdict == "better"
    change = evaluation.change(20, 300, "rock", "bits_per_sample")
    assert change is not None
    assert change.verdict == "better"
    assert evaluation.change(20, 300, "rock", "rms") is None
    assert evaluation.why == {"sound": "There is no generation of step 5020."}


def test_steps_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    rows = CONTENT["steps"]["20"]
    content = changed(("steps",), {"15000": rows, "20": rows, "5020": rows})
    assert list(schema.read(written(tmp_path, content)).steps) == [20, 5020, 15000]


@pytest.mark.parametrize(
    ("keys", "value", "field"),
    [
        (("format",), 1, "format"),
        (("uniform",), math.nan, "uniform"),
        (("markov", "rock"), math.inf, "markov.rock"),
        (("markov", "rock"), "3.9", "markov.rock"),
        (("notes",), "", "notes"),
        (("steps", "last"), {}, "steps.last"),
        (("steps", "-20"), {}, "steps.-20"),
        (("steps", "20", "rock", "rms"), m(math.nan), "steps.20.rock.rms.value"),
        (("steps", "20", "rock", "rms"), m(1.0, n=-1), "steps.20.rock.rms.n"),
        (("steps", "20", "rock", "rms"), m(1.0, unit="dB" * 1000), "steps.20.rock.rms.unit"),
        (("steps", "20", "rock", "rms"), m(1.0, more=1), "steps.20.rock.rms.more"),
        (("steps", "20", "rock", "rms"), 1.0, "steps.20.rock.rms"),
        (("conditioning", "20", "confusion"), [[1, 2]], "conditioning.20"),
        (("context", "20", "rock", 0, "bits"), None, "context.20.rock.0.bits"),
        (("songs", "rock", 0, "linear"), None, "songs.rock.0.linear"),
        (("against", "300", "luck"), {}, "against.300.luck"),
        (("progress", 0, "verdict"), "fell", "progress.0.verdict"),
        (("why", "sound"), "a" * 200_000, "why.sound"),
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
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
