"""Generation times and the reference's WAVs."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from src.base.errors import Problem
from src.legacy import audio, generation_log
from src.wavenet import mulaw

DATA = Path(__file__).parents[1] / "data" / "legacy"
FIELD = 32


def test_the_2019_times() -> None:
    found = generation_log.read(DATA / "generation.txt")
    assert found.clips == 20
    assert found.covered[0] == 2
    assert found.total_s == pytest.approx(36_275.488)
    assert found.mean_s == pytest.approx(1_813.8, abs=0.05)
    shares = found.clip_seconds()
    assert [shared for _, shared in shares] == [True, True] + [False] * 18
    assert sum(seconds for seconds, _ in shares) == pytest.approx(found.total_s)


def test_bad_stamps_get_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "generation.txt"
    path.write_text("hello\n1575410687045\n")
    with pytest.raises(Problem, match="holds 1 time stamps"):
        generation_log.read(path)
    path.write_text("1575410687045\n" * 5)
    with pytest.raises(Problem, match="holds 1 time stamps"):
        generation_log.read(path)
    path.write_text("1575410689045\n1575410687045\nnoise\n1575410688045\n")
    found = generation_log.read(path)
    assert found.stamps_ms == (1575410687045, 1575410688045, 1575410689045)
    assert len(found.notes) == 2


def test_the_order_of_a_makefile() -> None:
    text = "\tpython3 generate.py --gc_id=3 --wav_out_path x.wav ckpt/model.ckpt-20 >> log\n\techo $$(date)\n"
    assert generation_log.order_in_makefile(text * 2) == [(20, 3), (20, 3)]


def _wav(path: Path, codes: NDArray[np.int64], nudge: float = 0.0) -> Path:
    soundfile.write(path, mulaw.decode(codes) + np.float32(nudge), 16000, subtype="FLOAT")
    return path


def test_the_primer_comes_off_and_the_codes_stay(tmp_path: Path) -> None:
    codes = np.random.default_rng(1).integers(0, 256, 500)
    whole = np.concatenate([np.full(FIELD - 1, 128), [7], codes])
    found = audio.read(_wav(tmp_path / "rock_20.wav", whole), FIELD)
    assert (found.primer_frames, found.on_grid) == (FIELD, True)
    np.testing.assert_array_equal(found.codes, codes)


def test_a_wav_without_a_primer_or_off_the_grid_says_so(tmp_path: Path) -> None:
    codes = np.random.default_rng(1).integers(0, 256, 500)
    found = audio.read(_wav(tmp_path / "a_1.wav", codes, 1e-4), FIELD)
    assert (found.primer_frames, found.on_grid, len(found.codes)) == (0, False, 500)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 100])
def test_a_damaged_wav_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rock_20.wav"
    path.write_bytes(content)
    with pytest.raises(Problem, match=r"rock_20\.wav"):
        audio.read(path, FIELD)
    with pytest.raises(Problem, match="nothing but its primer"):
        audio.read(_wav(path, np.full(FIELD, 128)), FIELD)


def test_names_of_clips() -> None:
    genres = ("classical", "hardcore")
    assert audio.named(Path("rock_15000.wav"), genres) == ("rock", 15000)
    assert audio.named(Path("gen_genre-1_num-20.wav"), genres) == ("hardcore", 20)
    assert audio.named(Path("gen_genre-7_num-20.wav"), genres) == ("genre-7", 20)
    assert audio.named(Path("../x_20.wav"), genres) == ("x", 20)
    assert audio.named(Path("holiday.wav"), genres) is None
