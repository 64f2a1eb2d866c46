"""What MLflow's pages show: names that say what differs, descriptions in two parts, a view with columns that exist."""

import base64
import json
import zlib

import pytest
import yaml

from src import config
from src.record import browsing, metrics, runs
from src.record.tracking import Store, shown
from tests.clone import in_clone
from tests.conftest import StudyFolder

FINGERPRINT = "1a2b3c4d5e6f7081"


@pytest.fixture
def committed(study: StudyFolder) -> StudyFolder:
    """A study whose parameters are committed."""
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "the study")):
        in_clone(study.root, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", *command)
    return study


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "tiny · 1a2b3c4d"),
        ({"train__learning_rate": 0.004, "model__dilations": [1, 2, 4, 8, 16]}, "tiny · lr 0.004, layers 5 · 1a2b3c4d"),
        ({"train__steps": 15000, "model__use_biases": False}, "tiny · use biases off, steps 15,000 · 1a2b3c4d"),
        (
            {"train__steps": 40, "train__batch_size": 3, "train__half_life_steps": None, "clips__loudness_lufs": -20.0},
            "tiny · batch size 3, half life steps none, loudness lufs -20 +1 · 1a2b3c4d",
        ),
        (
            {"generate__temperature": 0.5, "evaluate__seconds_per_clip": 2, "train__keep_last": 9},
            "tiny · 1a2b3c4d",
        ),  # not of the training
    ],
)
def test_a_run_s_name_says_what_differs(committed: StudyFolder, changes: dict[str, object], name: str) -> None:
    committed.change("params/tiny.yaml", **changes)
    assert browsing.run_name(config.load(committed.root), FINGERPRINT, committed.root) == name


def test_what_differs_from_params_yaml_is_in_the_name(committed: StudyFolder) -> None:
    params = config.load(committed.root, device="cpu").with_seed(2020)
    assert browsing.run_name(params, FINGERPRINT, committed.root) == "tiny · seed 2020, device cpu · 1a2b3c4d"


def test_of_music_of_one_s_own_the_name_says_how_much_there_is(committed: StudyFolder) -> None:
    params = config.load(committed.root)
    few = params.only(["hip", "metal", "rock"])
    assert browsing.run_name(few, FINGERPRINT, committed.root) == "tiny · 3 genres · 1a2b3c4d"
    other = params.study.genre_rules.copy()
    other["jazz"] = other.pop("rock")
    assert browsing.differences(
        params.model_copy(update={"study": params.study.model_copy(update={"genre_rules": other})}), params
    ) == ["other genres"]
    folder = committed.root / "work" / "train" / FINGERPRINT
    folder.mkdir(parents=True)
    (folder / runs.ABOUT).write_text('{"songs": {"hip": 1, "metal": 3, "rock": 2}}')
    (committed.root / "data").mkdir()
    library = committed.root / "data" / "library.json"
    library.write_text('{"kind": "demo"}')
    assert browsing.run_name(params, FINGERPRINT, committed.root) == "tiny · 1a2b3c4d"
    library.write_text('{"kind": "own", "path": "/music"}')
    assert browsing.run_name(params, FINGERPRINT, committed.root) == "tiny · 6 songs · 1a2b3c4d"
    assert browsing.run_name(few, FINGERPRINT, committed.root) == "tiny · 3 genres, 6 songs · 1a2b3c4d"
    (folder / runs.ABOUT).unlink()
    assert browsing.run_name(few, FINGERPRINT, committed.root) == "tiny · 3 genres · 1a2b3c4d"


def test_without_a_commit_the_name_has_no_differences(study: StudyFolder) -> None:
    study.change("params/tiny.yaml", train__learning_rate=0.004)
    assert browsing.run_name(config.load(study.root), FINGERPRINT, study.root) == "tiny · 1a2b3c4d"


def test_a_description_s_parts_come_in_any_order_and_again() -> None:
    told = browsing.description("", story="One attempt.")
    assert told == "One attempt."
    told = browsing.description(told, results="Better.")
    assert told == "Better.\n\n## The training\n\nOne attempt."
    told = browsing.description(told, story="Two attempts.")
    told = browsing.description(told, results="Much better.")
    assert told == "Much better.\n\n## The training\n\nTwo attempts."
    assert browsing.description("", results="x" * 9000).startswith("x" * browsing.MOST_OF_RESULTS + "\n\n##")


def test_the_view_s_columns_are_what_runs_have(fresh: Store, study: StudyFolder) -> None:
    tags = fresh._client.get_experiment(fresh._experiment).tags
    saved = json.loads(tags[f"mlflow.sharedViewState.{browsing.VIEW}"])
    state = json.loads(zlib.decompress(base64.b64decode(saved["state"].removeprefix("deflate;"))))
    known = {
        f"metrics.`{name}`" for name in (metrics.BITS_GAINED, metrics.WAY_TO_MUSIC, metrics.MEDIAN_LOSS, metrics.LOSS)
    }
    parameters = yaml.safe_load((study.root / "params" / "tiny.yaml").read_text())["train"]
    known |= {f"params.`train.{name}`" for name in parameters} | {
        f"params.`{name}`" for name in shown(config.load(study.root))
    }
    known |= {f"tags.`{name}`" for name in ("device", "attempts", "ended")}  # nested.AttemptRuns
    assert set(state["selectedColumns"]) <= known
    assert fresh.page.endswith(
        f"/#/experiments/{fresh._experiment}/runs?workflowType=machine_learning&viewStateShareKey=results"
    )
    assert fresh.page.partition("#")[2] in tags["mlflow.note.content"]


def test_old_names_are_known_for_every_new_one() -> None:
    for name, older in {
        metrics.LOSS: "loss",
        metrics.SECONDS_PER_STEP: "seconds_per_step",
        metrics.validation_bits("hip"): "validation_bits_per_sample.hip",
        metrics.score("bits_per_sample", "R&B"): "R&B.bits_per_sample",
    }.items():
        assert metrics.older(name) == older


def test_the_loss_s_section_stands_first_and_its_chart_too() -> None:
    """As MLflow sorts them: sections by what stands before the last slash, charts by name."""
    names = [
        *(metrics.LOSS, metrics.SECONDS_PER_STEP, metrics.BITS_GAINED, metrics.MEDIAN_LOSS),
        *(metrics.validation_bits("classical"), metrics.score("bits_per_sample", "classical")),
        *(metrics.of_the_run("attempt"), metrics.GENERATION_SECONDS),
    ]
    sections = sorted({name.rpartition("/")[0] for name in names})
    assert sections == ["learning", "results", "run", "scores/bits_per_sample"]
    assert sorted(names)[0] == metrics.LOSS
