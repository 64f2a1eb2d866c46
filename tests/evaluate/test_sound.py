"""Sound measures against signals whose figures are known, and against the published figures of 2019."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from src.evaluate import catalogue, sound, spectra
from src.wavenet import mulaw

RATE_HZ = 16000
SECONDS = np.arange(8 * RATE_HZ) / RATE_HZ
RNG = np.random.default_rng(0)
NOISE = RNG.uniform(-0.5, 0.5, 8 * RATE_HZ)
SINE = 0.5 * np.sin(2 * np.pi * 440 * SECONDS)
SQUARE = np.where(SECONDS * 100 % 1 < 0.5, 1.0, -1.0)
SILENCE = np.zeros(8 * RATE_HZ)
STUDY = Path(__file__).parents[2].parent / "shared" / "study-2019" / "audiogen"
PRIMER_FRAMES = 5117


def metronome(bpm: float) -> spectra.Audio:
    audio = np.zeros(8 * RATE_HZ)
    click = np.sin(2 * np.pi * 1000 * SECONDS[:400]) * np.exp(-200 * SECONDS[:400])
    for beat in np.arange(0.25, 7.9, 60 / bpm):
        start = round(beat * RATE_HZ)
        audio[start : start + 400] += click
    return audio


def measured(audio: spectra.Audio) -> sound.Values:
    return sound.measure(audio, RATE_HZ, mulaw.encode(audio))


def test_every_measure_has_an_entry_in_the_catalogue() -> None:
    assert measured(NOISE).keys() <= catalogue.BY_NAME.keys()


def test_a_sine() -> None:
    found = measured(SINE)
    assert found["rms"] == pytest.approx(20 * math.log10(0.5) - 3.01, abs=0.01)
    assert found["spectral_flatness"] < 1e-4
    assert found["spectral_centroid"] == pytest.approx(440, abs=1)
    assert found["spectral_rolloff"] == pytest.approx(440, abs=16)
    assert found["zero_crossings"] == pytest.approx(880, abs=1)
    assert found["tonal_clarity"] > 0.99
    assert found["dynamic_range"] < 0.3
    assert found["onset_rate"] == found["tempo_strength"] == found["clipping_share"] == 0
    assert found["drift_level"] == pytest.approx(0, abs=0.01)


def test_white_noise() -> None:
    found = measured(NOISE)
    assert found["rms"] == pytest.approx(10 * math.log10(1 / 12), abs=0.05)
    assert found["spectral_flatness"] > 0.99
    assert found["spectral_centroid"] == pytest.approx(4000, abs=40)
    assert found["spectral_rolloff"] == pytest.approx(6800, abs=60)
    assert found["zero_crossings"] == pytest.approx(8000, rel=0.01)
    assert found["tonal_clarity"] < 0.02
    assert found["onset_rate"] < 0.3
    assert found["tempo_strength"] < 0.25


def test_silence_has_levels_but_no_spectrum() -> None:
    found = measured(SILENCE)
    assert found["rms"] == sound.FLOOR_DBFS
    assert found["silence_share"] == 1
    assert found["longest_constant_run"] == 8.0
    assert found["code_entropy"] == found["conditional_entropy"] == found["zero_crossings"] == 0
    for name in ("spectral_flatness", "spectral_centroid", "spectral_rolloff", "tonal_clarity", "tempo"):
        assert math.isnan(found[name])


def test_a_clipped_square_wave() -> None:
    found = measured(SQUARE)
    assert found["clipping_share"] == 1
    assert found["rms"] == pytest.approx(0, abs=1e-6)
    assert found["longest_constant_run"] == pytest.approx(0.005, abs=1.5 / RATE_HZ)
    assert found["code_entropy"] == pytest.approx(1, abs=1e-3)
    assert measured(0.5 * SQUARE)["clipping_share"] == 0


@pytest.mark.parametrize("bpm", [60, 90, 120, 175])
def test_a_metronome(bpm: int) -> None:
    found = measured(metronome(bpm))
    assert found["onset_rate"] == pytest.approx(bpm / 60, abs=0.13)  # 8 s: one onset is 0.125 a second
    assert found["tempo"] == pytest.approx(bpm, rel=0.02)
    assert found["tempo_strength"] > 0.75


def test_half_silence_and_a_rise() -> None:
    half = np.concatenate([SILENCE[: 4 * RATE_HZ], SINE[: 4 * RATE_HZ]])
    found = measured(half)
    assert found["silence_share"] == pytest.approx(0.5, abs=0.01)
    assert found["dynamic_range"] > 80
    swell = SINE * np.where(SECONDS < 4, 0.1, 1.0)
    assert measured(swell)["drift_level"] == pytest.approx(20, abs=0.01)
    assert measured(np.concatenate([SINE[: 4 * RATE_HZ], NOISE[: 4 * RATE_HZ]]))["drift_spectrum"] > 20
    assert measured(NOISE)["drift_spectrum"] < 1


def test_entropies_of_uniform_codes_are_eight_bits_in_spite_of_the_short_clip() -> None:
    codes = np.random.default_rng(5).integers(0, 256, 8 * RATE_HZ)
    found = sound.code_measures(codes)
    assert found["code_entropy"] == pytest.approx(8, abs=0.005)
    assert found["conditional_entropy"] == pytest.approx(8, abs=0.05)
    pairs = np.bincount(codes[:-1] * 256 + codes[1:], minlength=65536)
    plain = pairs[pairs > 0] / pairs.sum()
    assert -(plain * np.log2(plain)).sum() < 15.7  # what the estimator is there to undo


def test_conditional_entropy_of_a_first_order_source() -> None:
    codes = np.cumsum(np.random.default_rng(6).integers(0, 2, 8 * RATE_HZ)) % 16
    found = sound.code_measures(codes)
    assert found["code_entropy"] == pytest.approx(4, abs=0.01)
    assert found["conditional_entropy"] == pytest.approx(1, abs=0.01)


def test_tonal_clarity_falls_from_a_note_to_a_chord_to_a_cluster() -> None:
    def chord(*semitones: int) -> spectra.Audio:
        return sum((np.sin(2 * np.pi * 220 * 2 ** (s / 12) * SECONDS) for s in semitones), np.zeros(len(SECONDS)))

    clarity = [measured(0.05 * chord(*notes))["tonal_clarity"] for notes in [(0,), (0, 4, 7), tuple(range(12))]]
    assert clarity[0] > clarity[1] > clarity[2]


@pytest.mark.parametrize("frames", [0, 1, 100, 1500])
def test_tiny_clips_have_figures_or_none_but_never_fail(frames: int) -> None:
    found = sound.measure(NOISE[:frames], RATE_HZ, mulaw.encode(NOISE[:frames]))
    assert set(found) == set(measured(NOISE))


def test_the_same_sound_measures_the_same_at_half_the_rate() -> None:
    """Frames are lengths of time. What lies above 4 kHz is gone, so the sound has nothing there."""
    beats = metronome(120) + 0.1 * SINE
    half = soxr.resample(beats, RATE_HZ, RATE_HZ // 2)
    whole, halved = measured(beats), sound.measure(half, RATE_HZ // 2, mulaw.encode(half))
    for name in ("rms", "tempo", "tempo_strength", "tonal_clarity", "onset_rate", "spectral_centroid", "dynamic_range"):
        assert halved[name] == pytest.approx(whole[name], rel=0.1, abs=0.02), name


def test_the_mean_spectrum_is_that_of_welch() -> None:
    from scipy import signal

    _, expected = signal.welch(NOISE.astype(np.float32), RATE_HZ, nperseg=1024, scaling="spectrum")
    assert spectra.mean_spectrum(NOISE, 1024) == pytest.approx(expected, rel=1e-3)


def test_mel_bands_are_none_of_them_empty_and_a_sine_lights_its_own() -> None:
    for length, bands in [(512, 24), (1024, 40), (1024, 32)]:
        assert (spectra.mel_bank(RATE_HZ, length, bands).sum(axis=0) > 0).all()
    bands = spectra.log_mel_db(np.sin(2 * np.pi * 1000 * SECONDS), RATE_HZ, 1024, 160, 40).mean(axis=0)
    peaks = np.argmax(spectra.mel_bank(RATE_HZ, 1024, 40)[64])  # bin 64 is 1000 Hz
    assert abs(int(bands.argmax()) - int(peaks)) <= 1


def test_two_seconds_of_2019_keep_their_flatness() -> None:
    """Two seconds of the 2019 generations of step 20 and 15000 (rock), and the published difference between them."""
    folder = Path(__file__).parents[1] / "data" / "study-2019"
    expected = json.loads((folder / "flatness.json").read_text(encoding="utf-8"))
    for name, value in expected.items():
        audio, rate_hz = soundfile.read(folder / name)
        assert sound.spectrum_measures(audio, rate_hz)["spectral_flatness"] == pytest.approx(value, abs=5e-4)
    assert expected["rock_20.flac"] > 0.98
    assert 0.04 < expected["rock_15000.flac"] < 0.4


@pytest.mark.skipif(not STUDY.is_dir(), reason="the 2019 generations are not beside the checkout (shared/study-2019)")
def test_the_2019_generations_are_white_at_step_20_and_not_at_15000() -> None:
    for genre in ("classical", "hardcore", "hip", "metal", "rock"):
        audio, rate_hz = soundfile.read(STUDY / f"{genre}_20.wav")
        early = sound.spectrum_measures(audio[PRIMER_FRAMES:], rate_hz)["spectral_flatness"]
        assert round(early, 3) == 0.997
        audio, rate_hz = soundfile.read(STUDY / f"{genre}_15000.wav")
        late = sound.spectrum_measures(audio[PRIMER_FRAMES:], rate_hz)["spectral_flatness"]
        assert 0.04 <= round(late, 2) <= 0.32
