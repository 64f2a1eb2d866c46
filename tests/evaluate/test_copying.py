"""A planted copy must be found, and nothing where nothing was copied."""

import numpy as np
import pytest

from src.evaluate import copying, spectra

RATE_HZ = 16000
RNG = np.random.default_rng(0)


def melody(seed: int, seconds: float) -> spectra.Audio:
    """Notes of random pitch, length and shape: no two seconds are alike."""
    rng = np.random.default_rng(seed)
    out, place = np.zeros(round(seconds * RATE_HZ)), 0
    while place < len(out):
        length = min(int(rng.integers(1600, 6400)), len(out) - place)
        t = np.arange(length) / RATE_HZ
        pitch = 220 * 2 ** (rng.integers(0, 36) / 12)
        tone = sum(np.sin(2 * np.pi * k * pitch * t) / k**1.5 for k in range(1, 6))
        out[place : place + length] = 0.2 * tone * np.exp(-t * rng.uniform(1, 4)) + 0.01 * rng.normal(size=length)
        place += length
    return out


SONG = copying.fingerprint(melody(1, 60), RATE_HZ)
SOURCE = melody(1, 60)


def planted(level: float, shift: int, noise: float) -> spectra.Audio:
    """8 s of noise with 3 s of the song (from 20 s) at 2.5 s, at another level and off the grid of the frames."""
    audio = noise * np.random.default_rng(2).normal(size=8 * RATE_HZ)
    start = round(2.5 * RATE_HZ)
    audio[start : start + 3 * RATE_HZ] += level * SOURCE[20 * RATE_HZ + shift : 23 * RATE_HZ + shift]
    return audio


@pytest.mark.parametrize(("level", "shift", "noise"), [(1.0, 0, 0.01), (0.3, 201, 0.003), (1.0, 137, 0.01)])
def test_a_planted_copy_of_three_seconds_in_noise_is_found(level: float, shift: int, noise: float) -> None:
    match = copying.longest_match(copying.fingerprint(planted(level, shift, noise), RATE_HZ), SONG)
    assert match.duration_s == pytest.approx(3.0, abs=0.6)
    assert match.start_s == pytest.approx(2.5, abs=0.5)
    assert match.song_start_s - match.start_s == pytest.approx(17.5 + shift / RATE_HZ, abs=0.05)


def test_noise_another_song_silence_and_a_tone_match_nothing() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(8 * RATE_HZ) / RATE_HZ)
    for audio in (RNG.normal(size=8 * RATE_HZ) * 0.1, melody(7, 8), np.zeros(8 * RATE_HZ), tone):
        assert copying.longest_match(copying.fingerprint(audio, RATE_HZ), SONG).duration_s == 0


def test_a_song_matches_itself_whole_and_silence_does_not_match_silence() -> None:
    match = copying.longest_match(SONG, SONG)
    assert match.duration_s == pytest.approx(60 - copying.FRAME_S, abs=0.1)
    assert match.start_s == match.song_start_s == 0
    silent = copying.fingerprint(np.zeros(5 * RATE_HZ), RATE_HZ)
    assert copying.longest_match(silent, silent).duration_s == 0


def test_a_clip_shorter_than_a_match_has_none() -> None:
    short = copying.fingerprint(SOURCE[: RATE_HZ // 2], RATE_HZ)
    assert copying.longest_match(short, SONG).duration_s == 0
    assert copying.longest_match(SONG, short).duration_s == 0


def test_the_fingerprint_does_not_depend_on_level() -> None:
    quiet = copying.fingerprint(0.25 * SOURCE, RATE_HZ)
    differing = np.unpackbits((quiet.bits ^ SONG.bits).view(np.uint8)).mean()
    assert differing < 0.001
