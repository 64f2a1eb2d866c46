"""Every run of a machine is found by each of its names, and says what it was trained with."""

import json
from pathlib import Path

import pytest

from src import config
from src.base.errors import Problem
from src.config import Params
from src.record import layout, runs, shipping
from src.record.journal import Journal
from tests.conftest import StudyFolder

ONE, OTHER = "ab77266d0144b0f4", "ab12266d0144b0f4"
RUN_ID = "0f3c9b2a" * 4


@pytest.fixture
def params(study: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The tiny study's parameters; the working folder is the study's, which has two trained runs and an import."""
    monkeypatch.chdir(study.root)
    loaded = config.load()
    for name, experiment in ((ONE, "flory-palp"), (OTHER, None)):
        folder = layout.TRAINING / name
        folder.mkdir(parents=True)
        Journal(folder / "journal.jsonl", 1).append("attempt", time_ms=1, start_step=0, automatic=False, steps=30)
        if experiment:
            monkeypatch.setenv(runs.EXPERIMENT, experiment)
        else:
            monkeypatch.delenv(runs.EXPERIMENT)
        runs.write(folder, runs.Trained(clips="c" * 64, code="d" * 64, params=loaded))
    sent = {"uri": "sqlite:///x", "run_id": RUN_ID, "offset": 0, "border": "", "last_step": 0, "last_validation": -1}
    (layout.TRAINING / ONE / "shipped.json").write_text(
        json.dumps(sent | {"runs": {}, "touched": [], "ended": False, "names": shipping.NAMES})
    )
    (layout.IMPORTED / "study-2019").mkdir(parents=True)
    return loaded


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (None, "current"),
        ("current", "current"),
        ("study-2019", "study-2019"),
        (ONE, ONE),
        (ONE[:8], ONE),
        ("ab12", OTHER),
        (RUN_ID, ONE),
        (RUN_ID[:4], ONE),
        ("flory-palp", ONE),
    ],
)
def test_a_name_means_one_run(params: Params, name: str | None, found: str) -> None:
    run = runs.named(name)
    assert run.name == found
    assert run.own == (found != "study-2019")
    if found in (ONE, OTHER):
        assert (run.training, run.metrics) == (layout.TRAINING / found, layout.TRAINING / found / "metrics")


@pytest.mark.parametrize("name", ["nobody", "", "ab", "..", "../train", "/tmp", "*"])
def test_an_unknown_name_says_which_there_are(params: Params, name: str) -> None:
    if not name:
        assert runs.named(name).name == "current"
        return
    with pytest.raises(Problem, match=f"There are: current, study-2019, {OTHER}, {ONE}"):
        runs.named(name)


def test_a_beginning_of_several_is_refused(params: Params) -> None:
    (layout.TRAINING / f"{ONE[:4]}000000000000").mkdir()
    (layout.TRAINING / f"{ONE[:4]}000000000000" / "journal.jsonl").touch()
    with pytest.raises(Problem, match="may mean several runs"):
        runs.named(ONE[:4])


def test_what_differs_is_said(params: Params) -> None:
    known = runs.about(layout.TRAINING / ONE)
    assert known is not None
    assert known.experiment == "flory-palp"
    assert known.params == params
    assert known.differences(known) == []
    model = params.profile.model.model_copy(update={"dilations": (1, 2)})
    train = params.profile.train.model_copy(update={"learning_rate": 0.5})
    profile = params.profile.model_copy(update={"model": model, "train": train})
    changed = known.model_copy(
        update={"params": params.model_copy(update={"profile": profile}), "clips": "", "code": ""}
    )
    assert changed.differences(known) == [
        "lr 0.5",
        "layers 2",
        "other clips",
        "other code",
    ]


def test_damage_of_run_json_only_loses_what_differs(params: Params) -> None:
    path = layout.TRAINING / ONE / runs.ABOUT
    before = path.stat().st_ino
    runs.write(
        path.parent, runs.Trained(clips="c" * 64, code="d" * 64, params=params)
    )  # not for an experiment this time
    assert path.stat().st_ino == before
    runs.write(path.parent, runs.Trained(clips="c" * 64, code="d" * 64, params=params.with_seed(7)))
    known = runs.about(path.parent)
    assert known is not None
    assert (known.experiment, known.params.study.seed) == ("flory-palp", 7)
    for damage in (b"", b"{}", b"\xff", b'{"format": 2}'):
        path.write_bytes(damage)
        assert runs.about(path.parent) is None
    assert runs.named(ONE).name == ONE
    assert Path(layout.TRAINING / ONE / "journal.jsonl").is_file()
