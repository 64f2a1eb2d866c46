"""A planted copy must be found, nothing where nothing was copied, and the limits of the search must be said."""

import numpy as np
import pytest

from src.audio import fingerprint
from src.compare import network
from src.evaluate import copying, spectra
from src.evaluate.copying import Match, Planted
from src.wavenet import mulaw

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


SOURCE = melody(1, 60)
SONG = copying.words_of(SOURCE, RATE_HZ)
WORD_S = fingerprint.STRETCHES.hop_s


def planted(level: float, shift: int, noise: float) -> spectra.Audio:
    """8 s of noise with 3 s of the song (from 20 s) at 2.5 s, at another level and off the grid of the frames."""
    audio = noise * np.random.default_rng(2).normal(size=8 * RATE_HZ)
    start = round(2.5 * RATE_HZ)
    audio[start : start + 3 * RATE_HZ] += level * SOURCE[20 * RATE_HZ + shift : 23 * RATE_HZ + shift]
    return audio


@pytest.mark.parametrize(
    ("level", "shift", "noise"), [(1.0, 0, 0.01), (0.3, 201, 0.003), (1.0, 137, 0.01), (0.001, 77, 1e-5)]
)
def test_a_planted_copy_of_three_seconds_in_noise_is_found(level: float, shift: int, noise: float) -> None:
    match = copying.longest_match(copying.words_of(planted(level, shift, noise), RATE_HZ), SONG)
    assert match.duration_s == pytest.approx(3.0, abs=0.6)
    assert match.start_s == pytest.approx(2.5, abs=0.5)
    assert match.song_start_s - match.start_s == pytest.approx(17.5 + shift / RATE_HZ, abs=0.05)


def test_noise_another_song_silence_and_a_tone_match_nothing() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(8 * RATE_HZ) / RATE_HZ)
    for audio in (RNG.normal(size=8 * RATE_HZ) * 0.1, melody(7, 8), np.zeros(8 * RATE_HZ), tone):
        assert copying.longest_match(copying.words_of(audio, RATE_HZ), SONG).duration_s == 0


def test_a_song_matches_itself_whole_and_silence_does_not_match_silence() -> None:
    match = copying.longest_match(SONG, SONG)
    assert match.duration_s == pytest.approx(60 - fingerprint.STRETCHES.frame / fingerprint.STRETCHES.rate_hz, abs=0.1)
    assert match.start_s == match.song_start_s == 0
    silent = copying.words_of(np.zeros(5 * RATE_HZ), RATE_HZ)
    assert not silent.any()
    assert copying.longest_match(silent, silent) == copying.NOTHING


def test_a_clip_shorter_than_a_match_has_none() -> None:
    short = copying.words_of(SOURCE[: RATE_HZ // 2], RATE_HZ)
    assert copying.longest_match(short, SONG).duration_s == 0
    assert copying.longest_match(SONG, short).duration_s == 0


def test_the_fingerprint_does_not_depend_on_level_nor_much_on_the_rate_of_the_file() -> None:
    quiet = copying.words_of(0.01 * SOURCE, RATE_HZ)
    assert fingerprint.error_rate(quiet, SONG, 0)[0] < 0.001
    faster = np.asarray(SOURCE, dtype=np.float64).repeat(2)  # the same sound at 32 kHz
    assert fingerprint.error_rate(copying.words_of(faster, 2 * RATE_HZ), SONG, 0)[0] < 0.1


def test_the_limits_of_the_search_are_those_of_the_planted_copies() -> None:
    copies = [Planted(SOURCE[at * RATE_HZ : (at + 3) * RATE_HZ], at, SONG) for at in (5, 15, 25, 35, 45)]
    found = copying.detection(copies, RATE_HZ, lambda audio: mulaw.decode(mulaw.encode(audio)))
    assert (found.planted, found.duration_s) == (5, 3.0)
    for row in (found.level_db, found.noise_db, found.speed_percent):
        shares = [each.share for each in row]
        assert shares[0] == 1.0
        assert shares[-1] < 0.9  # there is a limit, and the settings reach beyond it
    assert found.lowest_level_db is not None
    assert found.lowest_level_db <= -40
    assert found.lowest_noise_db is not None
    assert found.lowest_noise_db <= 20
    assert found.highest_speed_percent is not None
    assert 1 <= found.highest_speed_percent < 4
    other = [Planted(melody(9, 3), 5.0, SONG)] * 3  # not of this song: nothing may be "found"
    nothing = copying.detection(other, RATE_HZ, lambda audio: audio)
    assert (nothing.lowest_level_db, nothing.lowest_noise_db, nothing.highest_speed_percent) == (None, None, None)
    said = network.detection(found)
    assert "5 stretches of 3 s of training songs" in said
    assert f": it found all of those that were made up to {-found.lowest_level_db:g} dB quieter" in said
    assert f"white noise at least {found.lowest_noise_db:g} dB below them" in said
    assert said.endswith(f"or played up to {found.highest_speed_percent:g} % faster.")
    many = network.detection(found.model_copy(update={"planted": 30}))
    assert f": it found nine of ten or more of those that were made up to {-found.lowest_level_db:g} dB quieter" in many
    none = network.detection(nothing)
    assert ": it found not all of those that were made up to 0 dB quieter, or mixed with" in none
    assert none.endswith("white noise at least 30 dB below them, or played up to 0.5 % faster.")
    some = network.detection(found.model_copy(update={"highest_speed_percent": None}))
    assert some.endswith(", and it found not all of those that were played up to 0.5 % faster.")


def test_a_match_is_held_against_pieces_of_the_same_genre() -> None:
    matches = [(Match(1.2, 0.0, 0.0), "hip"), (Match(2.5, 1.0, 7.0), "rock"), (copying.NOTHING, None)]
    row = copying.longest_copy(matches, [0.0, 1.1, 2.6], songs_searched=6)
    assert (row.longest_s, row.clip, row.start_s, row.song_genre) == (2.5, 2, 1.0, "rock")
    assert (row.held_out_longest_s, row.beyond_held_out) == (2.6, False)
    assert row.held_out_as_long == pytest.approx(1 / 3)
    assert copying.longest_copy(matches, [0.0, 1.1], 6).beyond_held_out is True
    alone = copying.longest_copy(matches, [], 6)
    assert (alone.held_out_as_long, alone.beyond_held_out) == (None, None)
