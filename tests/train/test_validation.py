"""Validation while training hears the beginning, the middle and the end of every held-out song."""

import numpy as np
import pytest

from src import config
from src.evaluate import likelihood
from src.evaluate.likelihood import Window
from src.train.run import Run
from src.train.validation import STRETCH_SAMPLES, Validation
from src.wavenet import mulaw
from src.wavenet.network import initialise
from tests.conftest import GENRES, StudyFolder


def test_its_bits_are_those_of_three_stretches_of_each_held_out_song(
    study_with_clips: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study_with_clips.root)
    run = Run.open(config.load())
    model = run.params.profile.model
    network, field = initialise(model, 0), model.receptive_field
    found = Validation(run).bits_per_sample(network, stop=lambda: False)
    assert found is not None
    assert sorted(found) == sorted(GENRES)
    index = next(k for k, clip in enumerate(run.clips.clips) if (clip.genre, clip.split) == ("hip", "validation"))
    frames = run.clips.clips[index].frames
    codes = mulaw.encode(run.clips.read(index, 0, frames), model.quantization_channels)
    room = frames - field - STRETCH_SAMPLES
    windows = [Window(field + room * k // 6, STRETCH_SAMPLES) for k in (1, 3, 5)]
    bits = likelihood.window_bits(network, field, codes, windows, run.params.genres.index("hip"))
    assert found["hip"] == pytest.approx(bits.mean(), abs=1e-4)
    assert len({float(np.round(part.mean(), 4)) for part in np.split(bits, 3)}) == 3  # each stretch counts
    assert Validation(run).bits_per_sample(network, stop=lambda: True) is None
