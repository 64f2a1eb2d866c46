"""What `make repro` says at its end."""

import copy
from typing import Any

from src.reproduced import verdict

ORDER = ["clips", "train"]
LOCK: dict[str, Any] = {
    "clips": {"deps": [{"path": "src/clips", "md5": "1"}], "outs": [{"path": "data/clips", "md5": "2"}]},
    "train": {
        "deps": [{"path": "data/clips", "md5": "2"}, {"path": "src/train", "md5": "3"}],
        "params": {"params/demo.yaml": {"train": {"steps": 15000}}},
        "outs": [{"path": "checkpoints", "md5": "4"}, {"path": "metrics/train.json", "md5": "5"}],
    },
}
FIGURES = {
    "made_on": {"processor": "Xeon", "torch": "2.13.0+cpu"},
    "figures": {"steps": {"20": {"bits_less_linear": 2.75, "rock": {"tempo_strength": 0.5}}}},
}
SUMMARY = {"steps": {"20": {"bits_less_linear": 2.751, "rock": {"tempo_strength": 0.45}}}}


def said(here: dict[str, Any], machine: dict[str, str] | None = None, summary: dict[str, Any] | None = None) -> str:
    return " ".join(verdict(LOCK, here, ORDER, FIGURES, summary, machine or FIGURES["made_on"]))  # type: ignore[arg-type]


def changed(**values: str) -> dict[str, Any]:
    """The lock with other MD5: path → value."""
    here = copy.deepcopy(LOCK)
    for stage in here.values():
        for item in (*stage["deps"], *stage["outs"]):
            item["md5"] = values.get(item["path"].replace("/", "_"), item["md5"])
    return here


def test_the_same_bytes() -> None:
    assert said(LOCK) == "Reproduced: all 3 outputs are bit for bit the published ones (dvc.lock of the last commit)."
    assert said(changed(src_train="y")).endswith("To put it back: git checkout dvc.lock")


def test_other_bytes_of_the_same_code_are_put_down_to_the_machine_and_measured() -> None:
    text = said(changed(checkpoints="x"), {"processor": "EPYC", "torch": "2.13.0+cpu"}, SUMMARY)
    assert "2 of 3 outputs are bit for bit the published ones; from the stage train on they differ." in text
    assert "processor EPYC (published: Xeon)." in text
    assert "torch" not in text
    assert "those in bits are at most 0.001 from the published ones, the others at most 10% (" in text
    assert "another processor of the same name, perhaps" in said(changed(checkpoints="x"))


def test_other_code_parameters_or_music_make_another_study() -> None:
    assert "others of these: src/train. So this is another study" in said(changed(checkpoints="x", src_train="y"))
    other = changed(data_clips="x", checkpoints="y")
    assert "from the stage clips on they differ. Code, parameters and inputs are the same." in said(other)
    other["train"]["params"]["params/demo.yaml"]["train"]["steps"] = 20
    other["clips"] = LOCK["clips"]
    assert "others of these: params/demo.yaml.train.steps. So" in said(other)


def test_own_music_is_compared_with_nothing() -> None:
    stage = {"outs": [{"path": "data/library.json", "md5": "1"}]}
    before, order = {"library": stage} | LOCK, ["library", *ORDER]
    here = copy.deepcopy(before) | {"library": {"outs": [{"path": "data/library.json", "md5": "9"}]}}
    here["train"]["outs"][0]["md5"] = "x"
    for published, own, expected in (
        (before, True, "This study is of your own music"),
        (here, True, "Reproduced: all 4 outputs"),
        (before, False, "from the stage library on they differ"),
    ):
        text = " ".join(verdict(published, here, order, FIGURES, SUMMARY, FIGURES["made_on"], own=own))  # type: ignore[arg-type]
        assert text.startswith(expected) or f"published ones; {expected}" in text
        assert ("published ones" in text) != text.startswith("This study")
