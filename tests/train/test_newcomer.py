"""What is said of a run that begins at step 0 beside others."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from src import config
from src.base.errors import Problem
from src.record import journal, runs
from src.record.journal import Journal
from src.train import newcomer
from src.train.run import Run
from tests.conftest import ROOT, StudyFolder, write_clips


def begun(last_step: int = 0) -> str:
    """What is said of the run that the folder's parameters, clips and code make; then it does so many steps."""
    run = Run.open(config.load())
    said = newcomer.note(run)
    runs.write(run.folder, run.trained)
    book = Journal(run.journal, 1)
    for step in range(1, last_step + 1):
        book.append("step", step=step, loss=1.0, seconds=0.1, time_ms=step)
    book.close()
    return said


@pytest.fixture
def first(study_with_clips: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fingerprint of a run that has done seven steps, in the working folder."""
    monkeypatch.chdir(study_with_clips.root)
    assert begun(last_step=7) == "", "the first run has no other"
    return Run.open(config.load()).fingerprint


def test_a_run_that_goes_on_says_nothing(first: str) -> None:
    assert begun() == ""


def test_each_parameter_that_changed_is_named(first: str, study_with_clips: StudyFolder) -> None:
    study_with_clips.change("params/tiny.yaml", train__learning_rate=0.5, model__dilations=[1, 2])
    assert begun() == (
        "A new run begins at step 0, because model.dilations is 1, 2 and was 1, 2, 4, 8 and train.learning_rate is 0.5 "
        f"and was 0.002. The one before stays as it is in work/train/{first} (step 7), and goes on if that is put back."
    )


def test_songs_more_and_fewer_are_counted_and_not_named(first: str) -> None:
    shutil.rmtree("data/clips")
    write_clips(Path("data/clips"), clips_per_genre=4, duration_s=3.0)
    assert "because the clips changed (songs: classical +1, hardcore +1, hip +1, metal +1, rock +1)." in begun()
    table = Path("data/clips/clips.csv")
    table.write_text("".join(line for line in table.read_text().splitlines(True) if not line.startswith("rock/")))
    said = begun()
    assert "the clips changed (songs: rock -4)" in said
    assert "genres is classical, hardcore, hip, metal and was classical, hardcore, hip, metal, rock" in said
    assert "cardinality" not in said


def test_the_run_most_like_it_is_the_one_before(first: str, study_with_clips: StudyFolder) -> None:
    study_with_clips.change("params.yaml", seed=1)
    study_with_clips.change("params/tiny.yaml", train__learning_rate=0.5)
    begun(last_step=3)
    study_with_clips.change("params.yaml", seed=2019)
    assert "because seed is 2019 and was 1." in begun(), "of two, the one that trained last"
    study_with_clips.change("params/tiny.yaml", train__learning_rate=0.002, train__warmup_steps=0)
    assert "because train.warmup_steps is 0 and was 3." in begun()


def test_a_run_from_before_such_a_file_says_that_something_changed(first: str, study_with_clips: StudyFolder) -> None:
    Path(f"work/train/{first}/{runs.ABOUT}").unlink()
    study_with_clips.change("params.yaml", seed=1)
    assert "because parameters, clips or code are others." in begun()


def test_clips_of_a_genre_that_params_do_not_name_are_refused(first: str, study_with_clips: StudyFolder) -> None:
    study_with_clips.change("params.yaml", genres={"rock": {"words": ["rock"]}})
    with pytest.raises(Problem, match="has songs of classical, hardcore, hip, metal, which `genres`"):
        Run.open(config.load())
    assert journal.read(Path(f"work/train/{first}") / journal.NAME).last_step == 7


def test_the_outlook_counts_songs_time_and_disk(first: str, study_with_clips: StudyFolder) -> None:
    said = newcomer.outlook(Run.open(config.load(device="cpu")))
    assert said.startswith("Training to step 30 on 10 songs (classical, hardcore, hip, metal, rock), 5 more held out.")
    assert "compared" not in said
    study_with_clips.change("params.yaml", steps=[2, 10])
    shorter = newcomer.outlook(Run.open(config.load(device="cpu")))
    assert shorter.endswith("The last step that is compared is 10: train.steps may be as low.")
    study_with_clips.change("params.yaml", steps=[2, 10, 30])
    assert "About 0.2 s on 1 fast cores, twice that on slow ones; 1 MB of checkpoints." in said
    shutil.copy(ROOT / "params/demo.yaml", "params/demo.yaml")
    study_with_clips.change("params/demo.yaml", train__sample_size=2000)
    said = newcomer.outlook(replace(Run.open(config.load(device="cpu")), params=config.load(profile="demo")))
    assert re.search(r"About (5 min 42 s on 2|9 min 39 s on 1) fast cores", said), said
    # 55,752 weights, three times in four bytes: 4 compared ones, 8 for an audit, the 3 last, 3 twice more.
    assert "14 MB of checkpoints" in said
