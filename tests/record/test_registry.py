"""Checkpoints in MLflow's registry: files without code, a version for each compared step, aliases to the newest run."""

from pathlib import Path

import pytest

from src.record import journal, metrics, tracking
from src.record.registry import DESCRIPTION, NAME
from src.record.tracking import Store

STEPS = (2, 10)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    for step in STEPS:
        folder = tmp_path / "checkpoints" / f"step-{step}"
        folder.mkdir(parents=True)
        for name in ("weights.safetensors", "checkpoint.json"):
            (folder / name).write_text(f"{name} of step {step}")
    return tmp_path / "checkpoints"


def view() -> journal.View:
    return journal.View(steps={step: journal.Step(step, 5.0 - step / 10, 0.1, 1000 * step, 1) for step in range(1, 11)})


def register(store: Store, checkpoints: Path, fingerprint: str, began_ms: int, *, named: bool = True) -> str:
    run_id = store.run(fingerprint, fingerprint, {}, {}, began_ms)
    store.registry.register(run_id, fingerprint, view(), checkpoints, STEPS, named=named)
    return run_id


def aliased(store: Store) -> dict[str, tuple[str, str]]:
    """Alias → fingerprint and step of the version that it points to."""
    found = {}
    for alias, number in store._client.get_registered_model(NAME).aliases.items():
        tags = store._client.get_model_version(NAME, str(number)).tags
        found[alias] = (tags["fingerprint"], tags["step"])
    return found


def test_each_compared_step_is_a_version_with_its_files_and_metrics(
    fresh: Store, checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = register(fresh, checkpoints, "a" * 16, 1000)
    assert aliased(fresh) == {"step-2": ("a" * 16, "2"), "step-10": ("a" * 16, "10"), "newest": ("a" * 16, "10")}
    assert fresh._client.get_registered_model(NAME).description == DESCRIPTION
    outputs = fresh._client.get_run(run_id).outputs.model_outputs
    models = {model.step: fresh._client.get_logged_model(model.model_id) for model in outputs}
    assert {step: model.name for step, model in models.items()} == {2: "step-2", 10: "step-10"}
    losses = {metric.key: metric.value for metric in models[10].metrics}
    assert losses == {metrics.MEDIAN_LOSS: pytest.approx(4.45)}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.address(tmp_path))
    import mlflow

    folder = Path(mlflow.artifacts.download_artifacts("models:/wavenet@newest", dst_path=str(tmp_path / "fetched")))
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        name: f"{name} of step 10" for name in ("weights.safetensors", "checkpoint.json")
    }


def test_registering_again_changes_nothing(fresh: Store, checkpoints: Path) -> None:
    for _ in range(2):
        register(fresh, checkpoints, "a" * 16, 1000)
    assert len(fresh._client.search_model_versions(f"name = '{NAME}'")) == 2
    assert len(fresh._client.search_logged_models([fresh._experiment])) == 2


def test_a_copy_that_was_cut_off_is_made_again(fresh: Store, checkpoints: Path) -> None:
    register(fresh, checkpoints, "a" * 16, 1000)
    place = Path(fresh._client.get_model_version_by_alias(NAME, "newest").source.removeprefix("file://"))
    (place / "weights.safetensors").unlink()
    register(fresh, checkpoints, "a" * 16, 1000)
    assert (place / "weights.safetensors").read_text() == "weights.safetensors of step 10"


def test_the_aliases_are_of_the_run_that_began_last(fresh: Store, checkpoints: Path) -> None:
    register(fresh, checkpoints, "b" * 16, 2000)
    register(fresh, checkpoints, "a" * 16, 1000)  # an older one, sent late
    assert {fingerprint for fingerprint, _ in aliased(fresh).values()} == {"b" * 16}
    newest = register(fresh, checkpoints, "c" * 16, 3000)
    assert {fingerprint for fingerprint, _ in aliased(fresh).values()} == {"c" * 16}
    fresh._client.delete_run(newest)
    register(fresh, checkpoints, "b" * 16, 2000)
    assert {fingerprint for fingerprint, _ in aliased(fresh).values()} == {"b" * 16}


def test_a_run_beside_the_study_gets_no_alias(fresh: Store, checkpoints: Path) -> None:
    register(fresh, checkpoints, "a" * 16, 1000)
    register(fresh, checkpoints, "b" * 16, 2000, named=False)
    assert {fingerprint for fingerprint, _ in aliased(fresh).values()} == {"a" * 16}
    assert len(fresh._client.search_model_versions(f"name = '{NAME}'")) == 4


def test_versions_are_found_after_the_checkout_moved(fresh: Store, checkpoints: Path, tmp_path: Path) -> None:
    register(fresh, checkpoints, "a" * 16, 1000)
    new = tmp_path / "new"
    new.mkdir()
    (tmp_path / "mlruns").rename(new / "mlruns")
    version = Store(new)._client.get_model_version_by_alias(NAME, "newest")
    assert str(new) in version.source
    assert Path(version.source.removeprefix("file://"), "checkpoint.json").read_text() == "checkpoint.json of step 10"
