"""The two taggers in torch against the published graphs.

tests/data/musicnn/reference.npz holds what the graphs in the wheel (MSD_musicnn/.meta, and `vgg`: MTT_vgg/.meta; run by
TensorFlow) give for random patches with the trained weights, and what librosa 0.11 gives for a note in noise.
"""

from pathlib import Path

import numpy as np
import pytest
import soxr
import torch

from src.base.errors import Problem
from src.evaluate import musicnn

REFERENCE = np.load(Path(__file__).parents[1] / "data" / "musicnn" / "reference.npz")
PATCHES = torch.from_numpy((4 * np.random.default_rng(2019).random((2, 187, 96))).astype(np.float32))
FRAMES, STRIDE = [0, 1, 31, 63, 93, 123, 186], 8


def random_network(seed: int = 0) -> tuple[musicnn.Musicnn, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape) * 0.1 for name, shape in musicnn.variables().items()}
    weights |= {name: np.abs(array) + 0.5 for name, array in weights.items() if name.endswith("variance")}
    return musicnn.Musicnn(weights), weights


def test_it_has_the_published_number_of_parameters() -> None:
    # 792,079 arrays' numbers in the checkpoint that are not the optimizer's.
    assert sum(int(np.prod(shape)) for shape in musicnn.variables().values()) == 792_079


def test_a_missing_or_wrong_array_is_named() -> None:
    _, weights = random_network()
    with pytest.raises(ValueError, match="dense/kernel"):
        musicnn.Musicnn(weights | {"dense/kernel": np.zeros((3, 3))})


def normalise(x: np.ndarray, weights: dict[str, np.ndarray], place: int) -> np.ndarray:
    name = "batch_normalization" + (f"_{place}" if place else "")
    scale = weights[f"{name}/gamma"] / np.sqrt(weights[f"{name}/moving_variance"] + 1e-3)
    found: np.ndarray = (x - weights[f"{name}/moving_mean"]) * scale + weights[f"{name}/beta"]
    return found


def test_the_front_end_pads_as_tensorflow_does() -> None:
    """One frame of a temporal filter (even length, "same") and of a timbral one, written out in plain NumPy."""
    network, weights = random_network()
    patch = np.random.default_rng(1).random((187, 96))
    with torch.inference_mode():
        found = network(torch.from_numpy(patch[None].astype(np.float32)))
    x = normalise(patch, weights, 0)
    for frame in (0, 100, 186):
        past, future = 63, 64  # 128 frames: 63 before, the frame, 64 after
        window = np.zeros((128, 96))
        for k, at in enumerate(range(frame - past, frame + future + 1)):
            if 0 <= at < 187:
                window[k] = x[at]
        response = np.einsum("tb,tc->bc", window, weights["conv2d_2/kernel"][:, 0, 0]) + weights["conv2d_2/bias"]
        expected = normalise(np.maximum(response, 0), weights, 3).max(axis=0)
        assert found.temporal[0, frame, :51].numpy() == pytest.approx(expected, abs=1e-4)
    padded = np.pad(x, ((3, 3), (0, 0)))
    frame = 0
    bands = [
        np.einsum("tb,tbc->c", padded[frame : frame + 7, low : low + 38], weights["conv2d/kernel"][:, :, 0])
        for low in range(96 - 38 + 1)
    ]
    expected = normalise(np.maximum(np.array(bands) + weights["conv2d/bias"], 0), weights, 1).max(axis=0)
    assert found.timbral[0, frame, :204].numpy() == pytest.approx(expected, abs=1e-4)


def test_the_log_mel_input_is_that_of_librosa() -> None:
    seconds = np.arange(48000) / 16000
    noise = 0.05 * np.random.default_rng(7).standard_normal(48000)
    audio = (0.4 * np.sin(2 * np.pi * 440 * seconds) * np.exp(-seconds) + noise).astype(np.float32)
    found = musicnn.log_mel(audio)
    assert len(found) == int(REFERENCE["frames"])
    assert found[[0, 1, 2, 50, 100, 186, 187]] == pytest.approx(REFERENCE["log_mel"], abs=1e-4)


def trained() -> tuple[musicnn.Musicnn, musicnn.Vgg]:
    """The networks with the wheel's weights."""
    try:
        return musicnn.networks()
    except Problem as problem:
        pytest.skip(str(problem))


def test_the_vgg_network_equals_the_published_graph() -> None:
    with torch.inference_mode():
        found = trained()[1].points(PATCHES)
    assert found.numpy() == pytest.approx(REFERENCE["vgg"], abs=1e-4)


def test_songs_at_another_rate_are_resampled_and_mean_nearly_the_same() -> None:
    seconds = np.arange(4 * 16000) / 16000
    audio = (0.3 * np.sin(2 * np.pi * 440 * seconds) * (1 + np.sin(2 * np.pi * 3 * seconds))).astype(np.float32)
    for network in trained():
        at_8_khz, at_16_khz = network.embed(soxr.resample(audio, 16000, 8000), 8000), network.embed(audio, 16000)
        other = network.embed(0.1 * np.random.default_rng(0).normal(size=len(audio)), 16000)
        assert np.linalg.norm(at_8_khz - at_16_khz) < 0.3 * np.linalg.norm(other - at_16_khz)


def test_every_layer_equals_the_published_graph() -> None:
    with torch.inference_mode():
        found = trained()[0](PATCHES)
    for name in ("timbral", "temporal", "cnn1", "cnn2", "cnn3"):
        expected = REFERENCE[name]
        assert getattr(found, name)[:, FRAMES][:, :, ::STRIDE].numpy() == pytest.approx(expected, rel=1e-4, abs=1e-3)
    assert found.penultimate.numpy() == pytest.approx(REFERENCE["penultimate"], abs=1e-4)
    assert found.logits.numpy() == pytest.approx(REFERENCE["logits"], abs=1e-4)


def test_patches_are_three_seconds_and_a_short_clip_has_none() -> None:
    network, _ = random_network()
    audio = np.random.default_rng(2).normal(size=8 * 16000) * 0.1
    assert network.embed(audio, 16000).shape == (3, 200)
    assert network.embed(audio[: 2 * 16000], 16000).shape == (0, 200)
    assert network.embed(audio[:100], 16000).shape == (0, 200)


def test_a_folder_without_weights_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem):
        musicnn.read_folder(tmp_path)
