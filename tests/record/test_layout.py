"""Where the files of a run are."""

from pathlib import Path

import pytest

from src.base.errors import Problem
from src.record import checkpoint, layout
from tests.record.test_checkpoint import RUN, sample


def test_folders_of_an_older_checkout_are_found(tmp_path: Path) -> None:
    saved = tmp_path / "checkpoints" / "step-20"
    checkpoint.save(saved, sample(20))
    saved.rename(tmp_path / "checkpoints" / "step-000020")
    run = layout.current(tmp_path)
    assert checkpoint.load(run.checkpoint(20)).step == 20
    assert run.training == tmp_path / "work" / "train" / RUN
    newest, passed = checkpoint.newest(tmp_path / "checkpoints", at_most=100, fingerprint=RUN)
    assert (newest.step if newest else None, passed) == (20, [])


def test_the_new_name_comes_first(tmp_path: Path) -> None:
    for name in ("step-20", "step-000020"):
        (tmp_path / "generations" / name).mkdir(parents=True)
    assert layout.current(tmp_path).generation(20).name == "step-20"
    assert layout.current(tmp_path).generation(5020).name == "step-5020"


def test_an_unknown_run_names_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "work" / "runs" / "study-2019").mkdir(parents=True)
    with pytest.raises(Problem, match="imported runs: study-2019"):
        layout.imported("other", tmp_path)


@pytest.mark.parametrize("name", ["..", ".", "", "../train", "a/b", "/tmp", "-x", "A"])
def test_a_name_cannot_lead_out_of_the_imported_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / layout.IMPORTED).mkdir(parents=True)
    with pytest.raises(Problem, match="There is no run named"):
        layout.imported(name, tmp_path)
