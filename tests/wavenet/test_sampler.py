"""The fast path against the parallel network, and what a clip may depend on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from src.base.errors import Problem
from src.wavenet import mulaw, network, sampler
from src.wavenet.cpu import streams
from src.wavenet.cpu.streams import Group, PackedWeights, Streams
from src.wavenet.gpu.device_streams import DeviceStreams
from src.wavenet.network import WaveNet, WaveNetConfig
from src.wavenet.sampling import Sampling, Start, Weights
from tests.wavenet.examples import random_genres, random_network

Codes = npt.NDArray[np.int64]


def _genres(model: WaveNet, count: int, seed: int) -> Sequence[int | None]:
    return random_genres(model, count, seed) or [None] * count


def _parallel_probabilities(model: WaveNet, past: Codes, codes: Codes, genre: int | None) -> npt.NDArray[np.float64]:
    """Softmax of the parallel network for every one of `codes`, which follow `past`."""
    whole = torch.from_numpy(np.concatenate([past, codes])[None, :-1])
    with torch.no_grad():
        logits = model(whole, None if genre is None else torch.tensor([genre]))[0, -len(codes) :]
    return torch.softmax(logits.double(), -1).numpy()


@pytest.mark.parametrize("seeds", [range(first, first + 25) for first in range(0, 225, 25)], ids=str)
def test_the_fast_path_equals_the_parallel_network(seeds: range) -> None:
    """225 random configurations, 1 to 6 streams, every ring buffer wrapped at least once."""
    for seed in seeds:
        random = np.random.default_rng(seed)
        model = random_network(seed)
        config = model.config
        genres = _genres(model, int(random.integers(1, 7)), seed)
        length = 2 * (config.filter_width - 1) * max(config.dilations) + 5
        codes = random.integers(0, config.quantization_channels, (len(genres), length))
        primers: list[Codes | None] = [
            random.integers(0, config.quantization_channels, int(random.integers(1, 2 * config.receptive_field)))
            if random.random() < 0.5
            else None
            for _ in genres
        ]
        group = Group(PackedWeights(model, "float32"), genres, Sampling())
        group.start(primers)
        seen = np.zeros((length, len(genres), config.quantization_channels), np.float32)
        group.run(codes.copy(), np.zeros(codes.shape), seen=seen)
        quiet = np.full(config.receptive_field, mulaw.silence(config.quantization_channels))
        for row, genre in enumerate(genres):
            primer = primers[row]
            past = np.concatenate([quiet, [quiet[0]] if primer is None else primer])
            expected = _parallel_probabilities(model, past, codes[row], genre)
            np.testing.assert_allclose(seen[:, row], expected, atol=2e-5, err_msg=f"seed {seed}")


@pytest.mark.parametrize("start", ["silence", "zeros"])
@pytest.mark.parametrize("seed", range(6))
def test_priming_at_once_leaves_what_feeding_one_by_one_leaves(seed: int, start: Start) -> None:
    model = random_network(seed)
    config = model.config
    random = np.random.default_rng(seed)
    genres = _genres(model, 1, seed)
    primer = random.integers(0, config.quantization_channels, config.receptive_field + 20)
    weights = PackedWeights(model, "float32")
    at_once, fed = (Group(weights, genres, Sampling(start=start)) for _ in range(2))
    at_once.start([primer])
    fed.start([primer[:1]])
    fed.run(primer[None, 1:].copy(), np.zeros((1, len(primer) - 1)))
    numbers = random.random((1, 50))
    ours, theirs = np.full((1, 50), -1), np.full((1, 50), -1)
    at_once.run(ours, numbers)
    fed.run(theirs, numbers)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(8))
def test_a_clip_is_bit_for_bit_the_same_alone_and_beside_others(seed: int) -> None:
    model = random_network(seed)
    genres = _genres(model, 9, seed)
    primers = [None, np.array([0, 1, 0]), *[None] * 7]

    def numbers(stream: int, start: int, count: int) -> npt.NDArray[np.float64]:
        return sampler.uniforms(5, 20, genres[stream], stream, start, count)

    together = _joined(sampler.generate([model], genres, 70, numbers, primers=primers, chunk_frames=32, threads=2))
    for stream, genre in enumerate(genres):
        own = np.stack([numbers(stream, 0, 70)])
        alone = sampler.generate([model], [genre], 70, own, primers=[primers[stream]], chunk_frames=11)
        np.testing.assert_array_equal(_joined(alone)[0], together[stream])
    assert together.shape == (9, 70)
    assert together.min() >= 0
    assert together.max() < model.config.quantization_channels


def test_all_zero_buffers_and_silence_differ() -> None:
    model = random_network(4)
    numbers = np.full((1, 40), 0.5)
    results = []
    starts: tuple[Start, ...] = ("silence", "zeros")
    for start in starts:
        group = Group(PackedWeights(model, "float32"), _genres(model, 1, 0), Sampling(start=start))
        group.start([None])
        seen = np.zeros((40, 1, model.config.quantization_channels), np.float32)
        group.run(np.full((1, 40), -1), numbers, seen=seen)
        results.append(seen[0])
    assert np.abs(results[0] - results[1]).max() > 1e-4


def test_uniform_numbers_do_not_depend_on_how_they_are_asked_for() -> None:
    whole = sampler.uniforms(2019, 20, 3, 1, 0, 1000)
    parts = [sampler.uniforms(2019, 20, 3, 1, first, 7) for first in range(0, 994, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole[:994])
    assert whole.min() >= 0
    assert whole.max() < 1
    assert abs(whole.mean() - 0.5) < 0.05
    others = [(2020, 20, 3, 1), (2019, 21, 3, 1), (2019, 20, 2, 1), (2019, 20, 3, 2), (2019, 20, None, 1)]
    for other in others:
        assert not np.isin(sampler.uniforms(*other, 0, 1000), whole).any()


def test_codes_follow_the_softmax() -> None:
    """One step, asked for many times: frequencies, temperature, top-k and top-p against the definition."""
    config = WaveNetConfig(
        dilations=[1], residual_channels=4, dilation_channels=4, skip_channels=4, quantization_channels=8
    )
    model = network.initialise(config, 3)
    with torch.no_grad():
        model.get_parameter("postprocess2.bias").copy_(torch.tensor([1.0, 0.0, -1.0, 2.0, 0.5, 0.2, -2.0, 0.1]))
    probabilities = _parallel_probabilities(model, np.full(3, 4), np.array([0]), None)[0]
    grid = (np.arange(4000) + 0.5) / 4000

    def frequencies(**settings: Any) -> npt.NDArray[np.float64]:
        codes = next(sampler.generate([model], [None] * len(grid), 1, grid[:, None], Sampling(**settings)))
        return np.bincount(codes[:, 0], minlength=8) / len(grid)

    np.testing.assert_allclose(frequencies(), probabilities, atol=5e-4)
    cold = probabilities**2 / (probabilities**2).sum()
    np.testing.assert_allclose(frequencies(temperature=0.5), cold, atol=5e-4)
    order = np.argsort(-probabilities)
    for settings, kept in (
        ({"top_k": 3}, 3),
        ({"top_p": 0.6}, int(np.searchsorted(probabilities[order].cumsum(), 0.6) + 1)),
    ):
        cut = np.where(np.isin(np.arange(8), order[:kept]), probabilities, 0)
        np.testing.assert_allclose(frequencies(**settings), cut / cut.sum(), atol=5e-4)


def test_bfloat16_weights_diverge_a_little() -> None:
    model = random_network(7)
    config = model.config
    codes = np.random.default_rng(0).integers(0, config.quantization_channels, (1, 60))
    seen = []
    kinds: tuple[Weights, ...] = ("float32", "bfloat16")
    for kind in kinds:
        group = Group(PackedWeights(model, kind), _genres(model, 1, 0), Sampling(weights=kind))
        group.start([None])
        seen.append(np.zeros((60, 1, config.quantization_channels), np.float32))
        group.run(codes.copy(), np.zeros(codes.shape), seen=seen[-1])
    difference = np.abs(seen[0] - seen[1]).max()
    assert 0 < difference < 0.02


def test_progress_counts_samples_and_chunks_cover_the_length() -> None:
    model = random_network(0)
    counted: list[int] = []
    chunks = list(
        sampler.generate([model], [None, None], 25, np.zeros((2, 25)), chunk_frames=10, on_progress=counted.append)
    )
    assert [chunk.shape for chunk in chunks] == [(2, 10), (2, 10), (2, 5)]
    assert sum(counted) == 50


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frames": 0}, "0 samples"),
        ({"frames": -5}, "-5 samples"),
        ({"genres": []}, "0 clips"),
        ({"genres": [7]}, "Genre ids"),
        ({"genres": [None]}, "needs a genre"),
        ({"genres": [0, None]}, "some have none"),
        ({"sampling": {"temperature": 0.0}}, "temperature"),
        ({"sampling": {"temperature": float("nan")}}, "temperature"),
        ({"sampling": {"temperature": float("inf")}}, "temperature"),
        ({"sampling": {"top_k": 0}}, "top_k"),
        ({"sampling": {"top_k": 10_000}}, "top_k"),
        ({"sampling": {"top_p": 1.5}}, "top_p"),
        ({"sampling": {"start": "noise"}}, "start"),
        ({"sampling": {"weights": "int8"}}, "weights"),
        ({"primers": [np.array([999])]}, "another network"),
    ],
)
def test_bad_requests_are_one_sentence(changed: dict[str, Any], message: str) -> None:
    model = random_network(1)
    request: dict[str, Any] = {"genres": [0], "frames": 5, "uniforms": np.zeros((1, 5))} | changed
    with pytest.raises(Problem, match=message):
        sampling = Sampling(**request.pop("sampling", {}))
        next(sampler.generate([model], sampling=sampling, **request))


@pytest.mark.parametrize("seed", range(12))
def test_the_gpu_s_way_gives_the_same_codes_on_a_cpu(seed: int) -> None:
    model = random_network(seed)
    random = np.random.default_rng(seed)
    genres = _genres(model, 3, seed)
    primers = [None, random.integers(0, model.config.quantization_channels, 30), None]
    for sampling in (Sampling(), Sampling(temperature=0.8, top_k=2, top_p=0.9, start="zeros")):
        ours, theirs = Streams(model, genres, sampling), DeviceStreams([model], genres, sampling)
        numbers = random.random((3, 40))
        results = []
        for group in (ours, theirs):
            group.start(primers)
            results.append(group.sample(numbers))
        np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_the_same_codes_on_a_gpu() -> None:
    model = random_network(4)
    genres = _genres(model, 5, 4)
    numbers = np.random.default_rng(0).random((5, 170))
    there = _joined(sampler.generate([random_network(4).cuda()], genres, 170, numbers))
    here = DeviceStreams([model], genres)
    here.start()
    assert (here.sample(numbers) == there).mean() > 0.99


def test_groups_are_shared_out_evenly() -> None:
    model = random_network(0)
    for count, threads, groups in ((1, 2, 1), (5, 1, 1), (5, 2, 2), (20, 2, 4), (7, 1, 2), (2, 4, 2)):
        shared = streams.Streams(model, [None] * count, threads=threads)
        assert len(shared.groups) == groups
        sizes = [len(group.past.history) for group in shared.groups]
        assert sum(sizes) == count
        assert max(sizes) - min(sizes) <= 1


def _joined(chunks: Any) -> Codes:
    return np.concatenate(list(chunks), 1)
