"""MLflow's runs: whose parameters they show."""

from pathlib import Path

import pytest

from src import config
from src.generate import __main__ as generate
from src.record import layout, tracking
from src.record.checkpoint import Checkpoint
from src.record.tracking import Store, TrackingError
from tests.conftest import StudyFolder

IMPORTED = "study-2019-0123456789abcdef"
OWN = "0123456789abcdef"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("root"))


def test_an_imported_run_never_gets_the_study_s_parameters(store: Store, study: StudyFolder) -> None:
    params = config.load(study.root)
    with pytest.raises(TrackingError, match=f"MLflow has no run {IMPORTED}"):
        tracking.study_run(store, IMPORTED, params)
    assert store.find(IMPORTED) is None
    run_id = store.run(IMPORTED, "study-2019", {"genres": "rock"}, {"imported": "true"})
    assert tracking.study_run(store, IMPORTED, params) == run_id
    assert store._client.get_run(run_id).data.params == {"genres": "rock"}


def test_the_study_s_own_run_gets_its_parameters(store: Store, study: StudyFolder) -> None:
    params = config.load(study.root)
    run_id = tracking.study_run(store, OWN, params)
    shown = store._client.get_run(run_id).data
    assert shown.params["train.learning_rate"] == "0.002"
    assert "imported" not in shown.tags
    assert tracking.study_run(store, OWN, params) == run_id


def test_generating_with_an_imported_run_adds_audio_and_no_parameter(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(study.root)
    params = config.load()
    (layout.IMPORTED / "study-2019" / "generations" / "step-7").mkdir(parents=True)
    (layout.IMPORTED / "study-2019" / "generations" / "step-7" / "rock.wav").write_bytes(b"RIFF")
    run = layout.imported("study-2019")
    loaded = Checkpoint(7, IMPORTED, ("rock",), params.profile.model, {}, {})
    generate._log(run, loaded, params, seconds=2.0, times_real_time=1.0)
    assert f"MLflow has no run {IMPORTED}" in " ".join(capsys.readouterr().err.split())
    store = Store(Path())
    run_id = store.run(IMPORTED, "study-2019", {"genres": "rock"}, {"imported": "true"})
    generate._log(run, loaded, params, seconds=2.0, times_real_time=1.0)
    shown = store._client.get_run(run_id).data
    assert shown.params == {"genres": "rock"}
    assert shown.metrics["generation_seconds"] == 2.0
    assert [item.path for item in store._client.list_artifacts(run_id, "generations/step-7")]
