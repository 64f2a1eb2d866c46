"""Decoding, trimming, mixing and levels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.audio import decode, loudness
from src.audio.downmix import Downmix
from src.audio.sound import Samples, Sound, Undecodable
from src.clips import cut
from src.config import ClipsParams
from tests import sounds

RATE_HZ = 16_000
PINNED = [78, 2969, 3445, 4446, 4363, 4356]
PARAMS = ClipsParams(duration_s=2.0, rate_hz=RATE_HZ, trim_dbfs=-60, loudness_lufs=None, validation_songs=1)


def sound(samples: Samples, rate_hz: int = RATE_HZ, block: int = 1000) -> Sound:
    two = samples if samples.ndim == 2 else samples[:, None]
    return Sound(rate_hz, two.shape[1], iter([two[at : at + block] for at in range(0, len(two), block)]))


def tone(duration_s: float, amplitude: float = 0.5, rate_hz: int = RATE_HZ, pitch_hz: float = 997.0) -> Samples:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.float32)


def test_a_clip_is_the_first_seconds() -> None:
    song = tone(5)
    assert np.array_equal(cut.cut(sound(song), PARAMS, Downmix()).samples, cut.quantise(song[: 2 * RATE_HZ]))


def test_silence_at_both_ends_is_left_out() -> None:
    song = np.concatenate([np.zeros(7 * 320), tone(1.0), np.zeros(RATE_HZ)]).astype(np.float32)
    clip = cut.cut(sound(song), PARAMS, Downmix()).samples
    assert np.array_equal(clip, cut.quantise(tone(1.0)))


def test_a_pause_inside_stays() -> None:
    song = np.concatenate([tone(0.5), np.zeros(RATE_HZ // 2), tone(0.5)]).astype(np.float32)
    assert len(cut.cut(sound(song), PARAMS, Downmix()).samples) == len(song)


def test_quiet_music_is_kept_and_quieter_noise_is_not() -> None:
    quiet = tone(1.0, amplitude=10 ** (-55 / 20))  # RMS of -58 dBFS: a pianissimo
    assert len(cut.cut(sound(quiet), PARAMS, Downmix()).samples) == RATE_HZ
    hiss = tone(1.0, amplitude=10 ** (-65 / 20))
    with pytest.raises(Undecodable, match="silent"):
        cut.cut(sound(hiss), PARAMS, Downmix())


@pytest.mark.parametrize("block", [1, 319, 320, 321, 65536])
def test_blocks_do_not_change_the_clip(block: int) -> None:
    song = np.concatenate([np.zeros(1000), tone(0.3), np.zeros(500)]).astype(np.float32)
    expected = cut.cut(sound(song, block=4000), PARAMS, Downmix()).samples
    assert np.array_equal(cut.cut(sound(song, block=block), PARAMS, Downmix()).samples, expected)


def test_only_what_is_needed_is_decoded() -> None:
    taken = 0

    def blocks() -> Iterator[Samples]:
        nonlocal taken
        while True:
            taken += 1
            yield tone(1.0)[:, None]

    cut.cut(Sound(RATE_HZ, 1, blocks()), PARAMS, Downmix())
    assert taken == 3


def test_resampling_has_a_filter() -> None:
    high = tone(3, rate_hz=44_100, pitch_hz=12_000)  # beyond what 16 kHz can hold: must vanish, not fold to 4 kHz
    low = tone(3, rate_hz=44_100, pitch_hz=440)
    both = cut.cut(sound(high + low, 44_100), PARAMS, Downmix()).samples.astype(np.float64) / 32768
    spectrum = np.abs(np.fft.rfft(both * np.hanning(len(both))))
    pitch = np.fft.rfftfreq(len(both), 1 / RATE_HZ)
    assert abs(pitch[spectrum.argmax()] - 440) < 1
    assert spectrum[(pitch > 3900) & (pitch < 4100)].max() < 1e-3 * spectrum.max()
    assert len(both) == 2 * RATE_HZ


def test_loud_samples_are_clipped_not_wrapped() -> None:
    assert cut.quantise(np.array([2.0, -2.0, 1.0, -1.0, 0.0], dtype=np.float32)).tolist() == [
        32767,
        -32768,
        32767,
        -32768,
        0,
    ]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_loudness_of_the_standard_tone(rate_hz: int) -> None:
    # ITU-R BS.1770: a full-scale 997 Hz sine in one channel is -3.01 LKFS.
    assert loudness.integrated_lufs(tone(5, 1.0, rate_hz), rate_hz) == pytest.approx(-3.01, abs=0.1)
    assert loudness.integrated_lufs(tone(5, 0.1, rate_hz), rate_hz) == pytest.approx(-23.01, abs=0.1)


def test_loudness_gates_silence() -> None:
    half = np.concatenate([tone(5), np.zeros(5 * RATE_HZ)]).astype(np.float32)
    assert loudness.integrated_lufs(half, RATE_HZ) == pytest.approx(loudness.integrated_lufs(tone(5), RATE_HZ), abs=0.2)
    assert loudness.integrated_lufs(np.zeros(RATE_HZ, dtype=np.float32), RATE_HZ) == loudness.FLOOR_DB
    assert loudness.peak_dbfs(np.zeros(0, dtype=np.float32)) == loudness.FLOOR_DB


def test_loudness_can_be_brought_to_a_level_without_clipping() -> None:
    wanted = PARAMS.model_copy(update={"loudness_lufs": -23.0})
    assert cut.cut(sound(tone(3, 0.02)), wanted, Downmix()).loudness_lufs == pytest.approx(-23.0, abs=0.1)
    spiky = tone(3, 0.01)
    spiky[5000] = 0.9
    assert cut.cut(sound(spiky), wanted, Downmix()).peak_dbfs == pytest.approx(-1.0, abs=0.05)


def test_a_clip_from_each_format_sounds_the_same(tmp_path: Path) -> None:
    song = sounds.notes(3, 3.0, 44_100, 2)
    soundfile.write(tmp_path / "a.wav", song, 44_100, subtype="FLOAT")
    clips = {}
    for name, form in (("a.flac", "flac"), ("a.mp3", "mp3"), ("a.ogg", "vorbis"), ("a.m4a", "m4a"), ("a.opus", "opus")):
        if name != "a.wav":
            sounds.run_ffmpeg(
                b"",
                "-i",
                str(tmp_path / "a.wav"),
                *(["-c:a", "libvorbis"] if form == "vorbis" else []),
                str(tmp_path / name),
            )
        with decode.open_sound(tmp_path / name, form) as opened:
            clips[form] = cut.cut(opened, PARAMS, Downmix()).samples.astype(np.float64)
    with decode.open_sound(tmp_path / "a.wav", "wav") as opened:
        expected = cut.cut(opened, PARAMS, Downmix()).samples.astype(np.float64)
    for form, clip in clips.items():
        assert np.corrcoef(clip[:30_000], expected[:30_000])[0, 1] > 0.98, form


def test_the_samples_of_a_clip_are_pinned() -> None:
    # Other values mean that clips change: raise cut.VERSION, so that cached ones are cut anew.
    song = (np.arange(3 * 48_000) * 7919 % 65_536 / 65_536 - 0.5).astype(np.float32)
    samples = cut.cut(sound(song, 48_000), PARAMS, Downmix()).samples
    assert len(samples) == 2 * RATE_HZ
    assert samples[1000:31001:6000].tolist() == pytest.approx(PINNED, abs=1)
