"""The command: every spelling of the steps, what it prints and writes, what it says when something is missing."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner, Result

from src.base import files
from src.base.errors import Problem
from src.compare import __main__ as compare
from src.compare import gathering
from src.evaluate import schema
from src.record import tracking, tracking_database
from src.record.layout import ImportedRun
from tests.compare import tiny_run

STEPS = tiny_run.STEPS
runner = CliRunner()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up project to copy."""
    return tiny_run.make(tmp_path_factory.mktemp("template") / "project", duration_s=0.2)


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up project as the current folder, without MLflow."""
    root = shutil.copytree(template, tmp_path / "project")
    monkeypatch.chdir(root)
    monkeypatch.setattr(compare, "log", lambda *_, **_more: None)
    return root


def call(*words: str) -> Result:
    """Run the command; a `Problem` is in the result's `exception`."""
    return runner.invoke(compare.app, list(words))


def failure(*words: str) -> str:
    """The sentence with which the command refuses."""
    result = call(*words)
    assert isinstance(result.exception, Problem), result.output
    return str(result.exception)


@pytest.mark.parametrize(
    "words",
    [
        "--steps 20 300",
        "--steps 300 20",
        "--steps 20,300",
        "--steps=20,300",
        "--steps 20, 300",
        "--steps 20 --steps 300",
        "20 300",
        "20,300",
        "000020 000300",
        "step-20 step-300",
        "20 --steps 300",
        "--run current --steps 20 300",
        "--steps 20 300 --run current",
        "20 20 300",
    ],
)
def test_every_spelling_of_the_steps_means_the_same(project: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    def gather(_places: object, steps: tuple[int, ...], _genres: object, *, with_songs: object) -> None:
        raise Problem(f"asked for {steps}")

    monkeypatch.setattr(gathering, "gather", gather)
    assert failure(*words.split()) == "asked for (20, 300)"


def test_the_page_lies_where_the_steps_say(project: Path) -> None:
    result = call("--steps", "300", "20")
    assert result.exit_code == 0, result.output
    assert [path.name for path in (project / "reports").iterdir()] == ["compare-20-300"]
    assert (project / "reports" / "compare-20-300" / "index.html").is_file()


def test_the_steps_of_params_are_the_default(project: Path) -> None:
    assert call().exit_code == 0
    assert (project / "reports" / "compare-20-120-220-300" / "index.html").is_file()


def test_the_table_has_what_was_measured(project: Path) -> None:
    output = call("--steps", "20", "300").output
    evaluation = schema.read(project / "metrics" / "evaluate.json")
    for title in ("genre", "step", "songs", "bits", "linear", "Markov", "gained over linear", "verdict"):
        assert title in output
    lines = output.splitlines()
    rock = next(number for number, line in enumerate(lines) if line.startswith("rock"))
    gained = evaluation.against[300]["linear"]["rock"]
    assert gained.difference.value is not None
    for line, step in ((lines[rock], 20), (lines[rock + 1], 300)):
        assert f" {step} " in line
        assert f" {evaluation.bits(step, 'rock'):.2f} " in line
        assert f" {evaluation.markov['rock']:.2f} " in line
    assert f"{-gained.difference.value:.2f} (" in lines[rock + 1]
    assert f") {gained.verdict} " in " ".join(lines[rock + 1].split())
    assert max(map(len, lines)) <= 80
    said = " ".join(output.split())
    assert "What was compared? Steps 20 and 300 of one training" in said
    assert "What changed? There is" in said
    assert "How far is it still from music? On the way from white noise" in said
    assert "The page: reports/compare-20-300/index.html" in said


def test_an_unknown_step_names_those_that_exist(project: Path) -> None:
    text = failure("--steps", "20", "7777")
    assert "no checkpoint of step 7,777" in text
    assert "20, 120, 220 and 300" in text
    assert not (project / "reports").exists()


def test_one_step_alone_is_refused(project: Path) -> None:
    assert "nothing to compare step 20 with" in failure("--steps", "20")


def test_an_unknown_run_names_those_that_exist(project: Path) -> None:
    tiny_run.make_imported(project, "study-2019")
    assert "study-2019" in failure("--run", "other")
    assert "compared already" in failure("--run", "study-2019", "--against", "study-2019")


def test_a_run_name_cannot_leave_its_folder(project: Path) -> None:
    assert "There is no run '../train' here" in failure("--run", "../train")


def test_nothing_trained_says_how_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_run.make(tmp_path / "p", duration_s=0.1))
    for name in ("checkpoints", "generations"):
        (tmp_path / "p" / name).rename(tmp_path / name)
    assert "dvc repro" in failure("--steps", "20", "300")


def test_a_step_without_audio_is_said_and_the_rest_is_made(project: Path) -> None:
    (project / "generations" / "step-120").rename(project / "aside")
    result = call("--steps", "20", "120", "300")
    assert result.exit_code == 0, result.output
    assert "src.generate --steps 120" in result.output
    page = (project / "reports" / "compare-20-120-300" / "index.html").read_text(encoding="utf-8")
    assert page.count("Step 120 has a checkpoint, but nothing was generated with it.") == len(tiny_run.GENRES)
    assert page.count("data-player") >= 2 * len(tiny_run.GENRES)


def damage_cut(wav: Path) -> None:
    wav.write_bytes(wav.read_bytes()[:1000])


def damage_text(wav: Path) -> None:
    wav.write_text("not sound", encoding="utf-8")


def damage_empty(wav: Path) -> None:
    wav.write_bytes(b"")


def damage_gone(wav: Path) -> None:
    wav.unlink()


@pytest.mark.parametrize(
    ("damage", "with_mp3"),
    [(damage_cut, True), (damage_text, False), (damage_empty, False), (damage_gone, True), (damage_gone, False)],
)
def test_a_damaged_wav_is_said_and_the_rest_is_made(
    project: Path, damage: Callable[[Path], None], with_mp3: bool
) -> None:
    damage(project / "generations" / "step-300" / "rock.wav")
    if not with_mp3:
        (project / "generations" / "step-300" / "rock.mp3").unlink()
    result = call("--steps", "20", "300")
    assert result.exit_code == 0, result.output
    assert "warning: rock at step 300: generations/step-300/rock.wav" in result.output
    page = (project / "reports" / "compare-20-300" / "index.html").read_text(encoding="utf-8")
    assert 'class="trouble"' in page
    assert ('data-label="rock, step 300"' in page) == with_mp3
    assert ("The mp3 is shown instead." in page) == with_mp3


def test_without_evaluation_and_journal_the_page_is_made(project: Path) -> None:
    (project / "metrics" / "evaluate.json").unlink()
    (project / "work").rename(project / "aside")
    result = call("--steps", "20", "300")
    assert result.exit_code == 0, result.output
    assert "Nothing was measured" in result.output
    assert "is not on this machine" in result.output


@pytest.mark.parametrize(
    "name",
    [
        "metrics/evaluate.json",
        "metrics/clips.json",
        f"work/train/{tiny_run.FINGERPRINT}/times/generate-step-20.json",
    ],
)
def test_a_damaged_file_of_figures_is_said(project: Path, name: str) -> None:
    (project / name).write_text("{", encoding="utf-8")
    result = call("--steps", "20", "300")
    assert result.exit_code == 0, result.output
    assert f"{name} is damaged" in result.output.replace("\n", "")


def test_metrics_are_written_for_the_study_and_left_alone_otherwise(project: Path) -> None:
    compared = project / "metrics" / "compare.json"
    assert call("--steps", "20", "300").exit_code == 0
    assert not compared.exists()
    assert call("--run", "current", "--no-metrics").exit_code == 0
    assert not compared.exists()
    assert call().exit_code == 0
    first = compared.read_bytes()
    found = json.loads(first)
    evaluation = schema.read(project / "metrics" / "evaluate.json")
    assert list(found) == [str(step) for step in STEPS]
    assert found["300"]["bits_per_sample"]["rock"] == pytest.approx(evaluation.bits(300, "rock"))
    assert found["20"]["median_loss_nats"] > found["300"]["median_loss_nats"]
    rows = (project / "metrics" / "plots" / "bits.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "step,genre,bits_per_sample"
    assert len(rows) == 1 + 2 * len(STEPS) * len(tiny_run.GENRES)
    losses = (project / "metrics" / "plots" / "loss.csv").read_text(encoding="utf-8").splitlines()
    assert losses[0] == "step,loss"
    assert 20 < len(losses) <= 400
    assert call("--metrics").exit_code == 0
    assert compared.read_bytes() == first


def test_every_plot_of_the_pipeline_has_its_columns(project: Path) -> None:
    pipeline = yaml.safe_load((tiny_run.ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    plots = {path: axes for plot in pipeline["stages"]["compare"]["plots"] for path, axes in plot.items()}
    assert call("--metrics").exit_code == 0
    assert {*plots} == {f"metrics/plots/{path.name}" for path in (project / "metrics" / "plots").iterdir()}
    for path, axes in plots.items():
        with (project / path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert all(float(row[axes[axis]]) >= 0 for row in rows for axis in "xy")


def test_two_runs_stand_side_by_side(project: Path) -> None:
    tiny_run.make_imported(project, "study-2019", duration_s=0.2)
    result = call("--against", "study-2019", "--steps", "20", "300")
    assert result.exit_code == 0, result.output
    assert "study-2019" in result.output
    folder = project / "reports" / "compare-current-against-study-2019-20-300"
    record = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in record["runs"]] == ["current", "study-2019"]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count('<section class="genre"') == 2 * len(tiny_run.GENRES)
    assert not (project / "metrics" / "compare.json").exists()


def test_an_imported_run_without_audio_and_checkpoint_is_one_sentence(project: Path) -> None:
    folder = tiny_run.make_imported(project, "empty")
    for name in ("generations", "checkpoints"):
        files.remove(folder / name)
    for steps in ((), ("--steps", "20", "300")):
        result = call("--run", "empty", *steps)
        assert result.exit_code == 1
        assert "no checkpoint and no audio" in str(result.exception)


def test_remarks_of_an_import_with_its_file_names_stay_off_the_page(project: Path) -> None:
    folder = tiny_run.make_imported(project, "theirs")
    about = ImportedRun(
        run="theirs", fingerprint="theirs-0", known_study=False, steps="numbers", inferred_fields={}, network=None,
        genres=tiny_run.GENRES, notes=("PlantedName.wav: it was not imported.",),
    )  # fmt: skip
    files.remove(folder / "checkpoints")
    files.write_json(folder / "about.json", about.model_dump(mode="json"))
    assert call("--run", "theirs").exit_code == 0
    (page,) = (project / "reports").glob("*theirs*/index.html")
    assert "PlantedName" not in page.read_text(encoding="utf-8")
    assert "What the import remarked stands in" in page.read_text(encoding="utf-8")


def test_an_imported_run_alone(project: Path) -> None:
    tiny_run.make_imported(project, "study-2019", duration_s=0.2)
    assert call("--run", "study-2019", "--steps", "20", "300").exit_code == 0
    assert (project / "reports" / "compare-study-2019-20-300" / "index.html").is_file()


def test_comparison_json_has_everything_but_what_is_private(project: Path) -> None:
    assert call("--steps", "20", "300").exit_code == 0
    text = (project / "reports" / "compare-20-300" / "comparison.json").read_text(encoding="utf-8")
    record = json.loads(text)
    run = record["runs"][0]
    assert record["steps"] == [20, 300]
    assert run["evaluation"] == json.loads((project / "metrics" / "evaluate.json").read_text(encoding="utf-8"))
    assert [(mark["step"], mark["automatic"]) for mark in run["restarts"]] == [
        (60, False),
        *[(150, True)] * 3,
        (200, True),
    ]
    assert run["trained_with"] == {"device": ["cpu"], "git_commit": ["0123456789abcdef" * 2]}
    assert len(run["clips"]) == len(STEPS) * len(tiny_run.GENRES)
    assert "planted-host" not in text
    assert str(project) not in text
    assert str(project) not in (project / "reports" / "compare-20-300" / "index.html").read_text(encoding="utf-8")


def test_ratings_of_blind_listening_count_once(project: Path) -> None:
    clips = {}
    for step in (20, 300):
        content = json.loads((project / "generations" / f"step-{step}" / "generation.json").read_text(encoding="utf-8"))
        clips[step] = {clip["genre"]: clip["sha256"] for clip in content["clips"]}
    rated = {"clip": "", "heard_s": 1.0}
    screens = [
        {
            "genre": genre,
            "ratings": [
                {**rated, "stimulus": "noise", "score": 0},
                {**rated, "stimulus": "step-20", "clip": clips[20][genre], "score": 10},
                {**rated, "stimulus": "step-300", "clip": clips[300][genre], "score": 60 + number},
            ],
        }
        for number, genre in enumerate(tiny_run.GENRES)
    ]
    sitting = {"kind": "listening", "format": 2, "id": "0" * 36, "run": "current", "began": "now", "screens": screens}
    for name in ("answers.json", "copy.json"):
        (project / name).write_text(json.dumps(sitting), encoding="utf-8")
    given = [f"--listening={project / name}" for name in ("answers.json", "copy.json")]
    result = call("--steps", "20", "300", *given)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    # 50, 51 … 54: 52 ± 2.776 · 1.58 / √5.
    higher = "Listeners rated step 300 52 points of 100 higher than step 20"
    assert f"{higher} (50 to 54, 5 genres rated by 1 listener)." in said
    assert "1 file of a sitting that was counted already: ignored." in said
    page = (project / "reports" / "compare-20-300" / "index.html").read_text(encoding="utf-8")
    assert higher in page
    assert "python -m src.compare --steps 20 300" in page
    assert str(project) not in page
    record = json.loads((project / "reports" / "compare-20-300" / "comparison.json").read_text(encoding="utf-8"))
    assert record["listening"]["mean_scores"]["step-300"] == 62
    assert "does not exist" in failure("--steps", "20", "300", "--listening", "other.json")


def test_a_listening_test_for_webmushra_is_written(project: Path) -> None:
    result = call("--steps", "20", "300", "--webmushra")
    assert result.exit_code == 0, result.output
    folder = project / "reports" / "webmushra-compare-20-300"
    test = yaml.safe_load((folder / "configs" / "study.yaml").read_text(encoding="utf-8"))
    shuffled = test["pages"][1]
    assert shuffled[0] == "random"
    assert len(shuffled) == 1 + len(tiny_run.GENRES)
    for screen in shuffled[1:]:
        # Private music: no reference, so webMUSHRA's screen without one.
        assert screen["type"] == "likert_multi_stimulus"
        assert set(screen["stimuli"]) == {"step 20", "step 300", "noise"}
        sounds = [soundfile.SoundFile(folder / path) for path in screen["stimuli"].values()]
        assert len({(sound.frames, sound.samplerate, sound.channels) for sound in sounds}) == 1
        levels = [10 * np.log10(np.mean(sound.read() ** 2)) for sound in sounds]
        assert max(levels) - min(levels) < 0.5


def test_mlflow_being_down_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tiny_run.make(tmp_path / "project", duration_s=0.1))

    def down(*_: object) -> None:
        raise tracking.TrackingError("MLflow could not be used (connecting): refused")

    monkeypatch.setattr(tracking, "Store", down)
    result = call("--steps", "20", "300")
    assert result.exit_code == 0, result.output
    assert "warning: MLflow could not be used" in result.output
    assert (tmp_path / "project" / "reports" / "compare-20-300" / "index.html").is_file()


def test_the_page_is_an_artifact_of_the_run_it_is_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_run.make(tmp_path / "project", duration_s=0.1))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = call("--steps", "20", "300")
    assert result.exit_code == 0, result.output
    assert "warning: MLflow" not in result.output
    client = MlflowClient(tracking_uri=f"sqlite:///{(tracking.DATABASE).resolve()}")
    experiment = client.get_experiment_by_name(tracking_database.EXPERIMENT)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["fingerprint"] == tiny_run.FINGERPRINT
    folder = "reports/compare-20-300"
    logged = Path(client.download_artifacts(run.info.run_id, folder, str(tmp_path)))
    for path in Path(folder).rglob("*"):
        assert path.is_dir() or (logged / path.relative_to(folder)).read_bytes() == path.read_bytes()
    record = json.loads((logged / "comparison.json").read_text(encoding="utf-8"))
    evaluated = json.loads(Path("metrics/evaluate.json").read_text(encoding="utf-8"))
    assert record["runs"][0]["evaluation"] == evaluated
    assert tracking.NOTE not in run.data.tags, "a side comparison is not the study's result"

    def description(*words: str) -> str:
        assert call(*words).exit_code == 0
        return str(client.get_run(run.info.run_id).data.tags.get(tracking.NOTE, ""))

    study = description()
    assert study.startswith("**What was compared?** Steps 20, 120, 220 and 300 of one training")
    tiny_run.make_imported(Path(), "study-2019")
    for words in ("--steps 20 300", "--against study-2019"):
        assert description(*words.split()) == study, words
    assert description("--steps", "300", "20", "220", "120") == study, "in whatever order"


@pytest.mark.parametrize(
    ("module", "slow"),
    [
        ("src.compare.gathering", {"torch", "scipy", "mlflow", "matplotlib"}),
        ("src.compare.__main__", {"torch", "scipy", "mlflow", "matplotlib"}),
        ("src.compare.page", {"torch", "scipy", "mlflow"}),
    ],
)
def test_slow_libraries_are_not_loaded_before_they_are_needed(module: str, slow: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tiny_run.ROOT)
    assert not slow & set(loaded.stdout.split())


def test_a_failed_page_leaves_the_old_one(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("--steps", "20", "300").exit_code == 0
    before = (project / "reports" / "compare-20-300" / "index.html").read_bytes()

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("src.compare.record.full", broken)
    assert "disk is full" in failure("--steps", "20", "300")
    assert (project / "reports" / "compare-20-300" / "index.html").read_bytes() == before
    assert [path.name for path in (project / "reports").iterdir()] == ["compare-20-300"]
