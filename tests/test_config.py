"""Parameters: every problem at once, each with its file and place."""

import shutil
from pathlib import Path

import pytest

from src import config
from src.base.errors import Problem
from tests.conftest import change_yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "params", tmp_path / "params")
    return tmp_path


@pytest.mark.parametrize("profile", ["demo", "study"])
def test_the_shipped_parameters_are_valid(profile: str) -> None:
    params = config.load(ROOT, profile)
    assert params.genres == ("classical", "hardcore", "hip", "metal", "rock")
    assert params.compared_steps == (20, 5020, 10020, 15000)


def test_study_is_the_2019_configuration() -> None:
    model = config.load(ROOT, "study").profile.model
    assert model.receptive_field == 5117
    assert (len(model.dilations), model.residual_channels, model.skip_channels) == (50, 32, 512)


def test_all_problems_are_reported_at_once(folder: Path) -> None:
    change_yaml(folder / "params.yaml", seed=-1, colour="red", steps=["20"])
    changes = {"train__batch_size": 0, "train__optimizer": "adamw", "model__skips": 3, "clips__validation_songs": 1.5}
    change_yaml(folder / "params/demo.yaml", **changes)
    with pytest.raises(Problem) as caught:
        config.load(folder)
    text = str(caught.value)
    for words in (
        "seed",
        "colour: unknown key; known here: device, genres, profile, seed, steps",
        "steps.0: Input should be a valid integer",
        "train.batch_size",
        "train.optimizer",
        "model.skips: unknown key",
        "clips.validation_songs: is a whole number of songs, or a share of them below 1 (it is 1.5)",
    ):
        assert words in text
    assert text.count("\n  - ") == 7


def test_an_unknown_profile_names_those_that_exist(folder: Path) -> None:
    with pytest.raises(Problem, match="profiles here: demo, study"):
        config.load(folder, "huge")


def test_parameters_that_do_not_fit_together(folder: Path) -> None:
    change_yaml(folder / "params.yaml", steps=[99999])
    change_yaml(folder / "params/demo.yaml", train__sample_size=3_000_000, model__global_condition_cardinality=4)
    change_yaml(folder / "params/demo.yaml", generate__duration_s=500, generate__primer_s=501)
    with pytest.raises(Problem) as caught:
        config.load(folder)
    text = str(caught.value)
    assert "generate.duration_s is longer than the 120 s of a clip" in text
    assert "generate.primer_s is longer than the 120 s of a clip" in text
    assert "99999 is beyond the last trained step" in text
    assert "lower train.sample_size" in text
    assert "global_condition_cardinality is 4; params.yaml has 5 genres" in text


def test_outside_the_root_it_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="Run from the project's root"):
        config.load(tmp_path)


def test_parameters_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.load(ROOT).profile.train.steps = 3  # type: ignore[misc]
