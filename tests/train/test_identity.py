"""The fingerprint: what must make a new run does, what must not does not."""

import pytest

from src import config
from src.config import Params
from src.train import identity
from tests.conftest import ROOT

PARAMS = config.load(ROOT)


def changed(**train: object) -> Params:
    settings = PARAMS.profile.train.model_copy(update=train)
    return PARAMS.model_copy(update={"profile": PARAMS.profile.model_copy(update={"train": settings})})


@pytest.mark.parametrize("change", [{"learning_rate": 1e-3}, {"batch_size": 3}, {"threads": 1}])
def test_what_decides_the_numbers_makes_a_new_run(change: dict[str, object]) -> None:
    assert identity.fingerprint(changed(**change), "clips") != identity.fingerprint(PARAMS, "clips")


@pytest.mark.parametrize("change", [{"steps": 20_000}, {"keep_last": 9}, {"checkpoint_every": 7}])
def test_going_on_longer_or_keeping_more_does_not(change: dict[str, object]) -> None:
    assert identity.fingerprint(changed(**change), "clips") == identity.fingerprint(PARAMS, "clips")


def test_other_clips_make_a_new_run() -> None:
    assert identity.fingerprint(PARAMS, "clips") != identity.fingerprint(PARAMS, "others")
