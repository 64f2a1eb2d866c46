"""The fingerprint: what must make a new run does, what must not does not."""

import re

import pytest

from src import config
from src.config import Params
from src.record import tracking
from src.train import run
from tests.conftest import ROOT

PARAMS = config.load(ROOT)


def changed(**train: object) -> Params:
    settings = PARAMS.profile.train.model_copy(update=train)
    return PARAMS.model_copy(update={"profile": PARAMS.profile.model_copy(update={"train": settings})})


@pytest.mark.parametrize("change", [{"learning_rate": 1e-3}, {"batch_size": 3}, {"threads": 1}])
def test_what_decides_the_numbers_makes_a_new_run(change: dict[str, object]) -> None:
    assert run.fingerprint(changed(**change), "clips") != run.fingerprint(PARAMS, "clips")


@pytest.mark.parametrize(
    "change", [{"steps": 20_000}, {"keep_last": 9}, {"checkpoint_every": 7}, {"keep_for_audit": 3}]
)
def test_going_on_longer_or_keeping_more_does_not(change: dict[str, object]) -> None:
    assert run.fingerprint(changed(**change), "clips") == run.fingerprint(PARAMS, "clips")


def test_other_clips_make_a_new_run() -> None:
    assert run.fingerprint(PARAMS, "clips") != run.fingerprint(PARAMS, "others")


def test_a_fingerprint_is_known_for_one_of_ours() -> None:
    assert re.fullmatch(tracking.OWN_FINGERPRINT, run.fingerprint(PARAMS, "clips"))
