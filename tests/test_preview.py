"""A comparison of what a training has so far, which leaves the training and everything else as it is."""

import json
import shutil
from pathlib import Path

import pytest

from src import config, preview
from src.base import files
from src.base.errors import Problem
from src.record import checkpoint
from src.train.run import Run
from tests.conftest import StudyFolder


def content(root: Path) -> dict[str, str]:
    """Path → SHA-256 of every file but what a preview writes."""
    mine = ("work/runs/preview/", "reports/")
    names = (str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file())
    return {name: files.sha256_of(root / name) for name in names if not name.startswith(mine)}


@pytest.mark.slow
def test_a_preview_compares_and_touches_nothing(undisturbed: StudyFolder, tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "study")
    shutil.copytree(undisturbed.root, study.root)
    (training,) = (study.root / "work/train").glob("*/checkpoints")
    shutil.rmtree(training / "step-30")  # as in the middle of it
    shutil.rmtree(study.root / "checkpoints")
    before = content(study.root)
    said = study.run("src.preview")
    assert said.returncode == 0, said.stdout
    page = study.root / "reports/compare-preview-2-10-25"
    assert f"The page: {page.relative_to(study.root)}/index.html" in said.stdout
    compared = json.loads((page / "comparison.json").read_text())
    assert compared["steps"] == [2, 10, 25]
    measured = json.loads((study.root / "work/runs/preview/metrics/evaluate.json").read_text())
    assert all(measured["steps"][step]["rock"]["bits_per_sample"]["value"] > 0 for step in ("2", "10", "25"))
    assert measured["references"]["real"], "its own songs are what it is measured against"
    assert content(study.root) == before


def test_without_two_checkpoints_it_says_when_they_come(
    study_with_clips: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study_with_clips.root)
    run = Run.open(config.load())
    with pytest.raises(Problem, match=r"no step has a checkpoint .* One comes every 5 steps of: python -m src.train"):
        preview.copied(run)
    (run.checkpoints / "step-2").mkdir(parents=True)
    with pytest.raises(Problem, match="only step 2 has"):
        preview.copied(run)


def test_a_checkpoint_that_goes_while_it_is_copied_is_passed_over(
    study_with_clips: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study_with_clips.root)
    run = Run.open(config.load())
    for step in (2, 5, 10):
        (run.checkpoints / f"step-{step}").mkdir(parents=True)
    listings = iter([[2, 5, 15], [2, 10]])
    monkeypatch.setattr(checkpoint, "steps", lambda folder: next(listings) if folder == run.checkpoints else [])
    assert preview.copied(run) == [2, 10]
    assert sorted(path.name for path in Path("work/runs/preview/checkpoints").iterdir()) == ["step-10", "step-2"]
