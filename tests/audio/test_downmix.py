"""Mono that loses nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from src.audio.decode import open_sound
from src.audio.downmix import Downmix, mixed, without_loss
from src.audio.sound import Samples, Undecodable
from src.clips import cut
from src.config import ClipsParams
from src.manifest import facts
from tests.sounds import RATE_HZ, notes, tag

PARAMS = ClipsParams(duration_s=3.0, rate_hz=RATE_HZ, trim_dbfs=-60, loudness_lufs=None, validation_songs=0.2)


def test_weights() -> None:
    block = np.array([[1.0, 0.5]], dtype=np.float32)
    assert mixed(block) == pytest.approx(0.75)
    surround = np.zeros((1, 6), dtype=np.float32)
    surround[0, 3] = 1  # the LFE channel
    assert mixed(surround) == 0
    assert mixed(np.ones((1, 6), dtype=np.float32)) == pytest.approx(1)
    assert mixed(np.ones((1, 8), dtype=np.float32)) == pytest.approx(1)
    centre = np.zeros((1, 6), dtype=np.float32)
    centre[0, 2] = 1
    left = np.zeros((1, 6), dtype=np.float32)
    left[0, 0] = 1
    # In mono the centre counts twice 0.707, for it stands in both sides.
    assert mixed(centre) == pytest.approx(2**0.5 * mixed(left))


def song(seed: int) -> Samples:
    return notes(seed, 3.0)[:, 0]


def channels(*parts: Samples | float) -> Samples:
    """(frames, channels) of songs and constants."""
    columns = [np.full(3 * RATE_HZ, part, np.float32) if isinstance(part, float | int) else part for part in parts]
    return np.stack(columns, axis=1).astype(np.float32)


def clip_of(path: Path) -> NDArray[np.float64]:
    """The clip of a file, as src.clips cuts it."""

    def attempt(mix: Downmix) -> cut.Cut:
        with open_sound(path, "wav") as sound:
            return cut.cut(sound, PARAMS, mix)

    return without_loss(attempt).samples.astype(np.float64)


CANCELLING = {
    "inverted": lambda: channels(song(1), -song(1)),
    "nearly inverted": lambda: channels(song(1), -0.999 * song(1)),
    "inverted, with a little of each side": lambda: channels(song(1) + 0.1 * song(2), -song(1) + 0.1 * song(3)),
    "only in the LFE channel": lambda: channels(0.0, 0.0, 0.0, song(1), 0.0, 0.0),
    "in the LFE channel, and noise of a bit": lambda: channels(2e-5, -2e-5, 2e-5, song(1), 2e-5, 2e-5),
    "four channels, two inverted": lambda: channels(song(1), -song(1), song(1), -song(1)),
    "one of 32 channels": lambda: channels(*[0.0] * 30, song(1), 0.0),
}


@pytest.mark.parametrize("kind", CANCELLING)
def test_what_would_cancel_is_taken_from_the_loudest_channel(tmp_path: Path, kind: str) -> None:
    samples = CANCELLING[kind]()
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    loudest = samples[:, np.square(samples).sum(axis=0).argmax()]
    assert np.array_equal(clip_of(path), cut.quantise(loudest))
    heard = facts.read_sound(tag(path), "wav")
    assert heard.reason == ""
    assert heard.words.any()  # copies of it are found too


PLAIN: dict[str, Callable[[], Samples]] = {
    "mono": lambda: channels(song(1)),
    "the same on both sides": lambda: channels(song(1), song(1)),
    "two songs": lambda: channels(song(1), song(2)),
    "left only": lambda: channels(song(1), 0.0),
    "wide": lambda: channels(song(1) + song(2), song(1) - 0.9 * song(2)),
    "silence on both sides": lambda: channels(song(1) * 1e-3, song(1) * 1e-3),
    "5.1 with sound in a surround channel alone": lambda: channels(0.0, 0.0, 0.0, 0.0, song(1), 0.0),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_what_does_not_cancel_is_averaged(tmp_path: Path, kind: str) -> None:
    samples = PLAIN[kind]()
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    mono = mixed(samples) if samples.shape[1] == 6 else samples.mean(axis=1)
    if kind == "silence on both sides":
        with pytest.raises(Undecodable, match="silent"):
            clip_of(path)
    else:
        assert np.array_equal(clip_of(path), cut.quantise(mono.astype(np.float32)))
