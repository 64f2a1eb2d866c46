"""Fingerprints and duplicates: copies are found, other songs are not taken for copies."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.audio import fingerprint
from src.audio.fingerprint import Words
from src.manifest import duplicates
from tests import sounds

LENGTH_S = 40.0


def words_of(path: Path) -> Words:
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return fingerprint.fingerprint(samples.mean(axis=1), rate_hz, fingerprint.SONGS)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("songs")
    paths = []
    for seed in range(5):
        path = folder / f"{seed}.wav"
        soundfile.write(path, sounds.notes(seed, LENGTH_S, 22_050), 22_050)
        paths.append(path)
    return paths


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("64k.mp3", ["-b:a", "64k"]),
        ("other-rate.ogg", ["-c:a", "libvorbis", "-q:a", "1", "-ar", "32000"]),
        ("quiet.flac", ["-af", "volume=-12dB"]),
        ("late.wav", ["-af", "adelay=730"]),
        ("cut.mp3", ["-ss", "1.234"]),
    ],
)
def test_a_copy_is_found(songs: list[Path], tmp_path: Path, name: str, options: list[str]) -> None:
    # Through 16-bit WAV again, because soundfile reads it whatever the codec.
    sounds.run_ffmpeg(b"", "-i", str(songs[1]), *options, str(tmp_path / name))
    prints = [*(words_of(path) for path in songs), words_of(tmp_path / name)]
    assert duplicates.groups(prints) == [[1, 5]]


def test_different_songs_are_not_copies(songs: list[Path]) -> None:
    prints = [words_of(path) for path in songs]
    assert duplicates.groups(prints) == []
    lowest = min(
        fingerprint.error_rate(prints[one], prints[two], lag)[0]
        for one in range(len(prints))
        for two in range(one)
        for lag in range(-20, 21)
    )
    assert lowest > 0.4


def test_three_copies_are_one_group() -> None:
    random = np.random.default_rng(0)
    song = random.integers(1, 2**32, 1000, dtype=np.uint32)
    other = random.integers(1, 2**32, 1000, dtype=np.uint32)
    assert duplicates.groups([song, other, song[5:], song[:900]]) == [[0, 2, 3]]


def test_silence_is_no_likeness() -> None:
    quiet = np.zeros(1000, dtype=np.uint32)
    assert duplicates.groups([quiet, quiet, quiet]) == []
    assert duplicates.groups([]) == []
    assert duplicates.groups([np.zeros(0, dtype=np.uint32)] * 2) == []


def test_a_shared_beginning_is_not_enough() -> None:
    random = np.random.default_rng(1)
    one, two = (random.integers(1, 2**32, 1000, dtype=np.uint32) for _ in range(2))
    two[:300] = one[:300]
    assert duplicates.groups([one, two]) == []


def test_a_large_library_is_indexed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "INDEX_WORDS", 30_000)
    random = np.random.default_rng(2)
    prints = list(random.integers(1, 2**32, (300, 1000), dtype=np.uint32))
    copy = prints[7].copy()
    copy ^= (random.random((1000, 32)) < 0.08) @ (np.uint32(1) << np.arange(32, dtype=np.uint32))
    assert duplicates.groups([*prints, copy]) == [[7, 300]]


def test_a_short_song_has_no_words() -> None:
    assert len(fingerprint.fingerprint(np.zeros(100, dtype=np.float32), 16_000, fingerprint.SONGS)) == 0
