"""Scoring in windows must equal one long forward pass, and a network that knows genre must be caught at it."""

import numpy as np
import pytest
import torch

from src.evaluate import conditioning, heldout, likelihood, scoring
from src.evaluate.heldout import Song
from src.evaluate.likelihood import Window
from src.wavenet.network import WaveNetConfig, initialise

CONFIG = WaveNetConfig(
    dilations=(1, 2, 4),
    residual_channels=4,
    dilation_channels=4,
    skip_channels=8,
    global_condition_channels=2,
    global_condition_cardinality=2,
)
FIELD = CONFIG.receptive_field
GENRES = ("calm", "loud")


def codes(length: int = 4000, seed: int = 0) -> likelihood.Codes:
    return np.random.default_rng(seed).integers(0, 256, length)


def test_bits_in_pieces_equal_one_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    network, clip = initialise(CONFIG, 0), codes()
    with torch.inference_mode():
        logits = network(torch.from_numpy(clip[None, :-1]), torch.tensor([1]))
        whole = likelihood.target_bits(logits, torch.from_numpy(clip[None, FIELD:]))[0].numpy()
    windows = [Window(FIELD, 700), Window(1500, 333), Window(3000, 1000)]
    monkeypatch.setattr(scoring, "CHUNK_SAMPLES", 100)
    done: list[int] = []
    bits = scoring.window_bits(network, FIELD, clip.astype(np.uint8), windows, [0, 1], done.append)
    assert bits.shape == (2, 3)
    for window, found in zip(windows, bits[1], strict=True):
        assert found == pytest.approx(whole[window.start - FIELD :][: window.length].mean(), abs=1e-5)
    assert not np.allclose(bits[0], bits[1])
    assert sum(done) == 2 * sum(window.length for window in windows)


def test_bits_by_context_are_those_after_silence() -> None:
    network, clip = initialise(CONFIG, 0), codes()
    found = scoring.context_bits(network, FIELD, clip, [0, 50, 99], 0, silence=128)
    assert found.shape == (3, len(likelihood.position_edges(FIELD)))
    start, context = 50, 3
    history = np.concatenate([np.full(FIELD - context, 128), clip[start : start + context]])
    with torch.inference_mode():
        logits = network(torch.from_numpy(history[None]), torch.tensor([0]))
    two = np.concatenate([np.full(FIELD - 2, 128), clip[start : start + 2]])
    with torch.inference_mode():
        before = network(torch.from_numpy(two[None]), torch.tensor([0]))
    expected = [
        float(likelihood.target_bits(before, torch.tensor([[clip[start + 2]]]))),
        float(likelihood.target_bits(logits, torch.tensor([[clip[start + 3]]]))),
    ]
    assert found[1, 1] == pytest.approx(np.mean(expected), abs=1e-5)  # the range of 2 and 3 samples


def song(genre: str, seed: int) -> Song:
    clip = codes(seed=seed)
    return Song(genre, clip, tuple(likelihood.spread_windows(len(clip), FIELD, 1000, 250)))


def knowing(step: float) -> scoring.Network:
    """A network that makes even codes likelier for genre 0 and odd ones for genre 1."""

    def forward(batch: torch.Tensor, genre: torch.Tensor) -> torch.Tensor:
        even = (torch.arange(256) % 2 == 0).float()
        rows = torch.where(genre[:, None] == 0, even, 1 - even) * step
        return rows[:, None].expand(-1, batch.shape[1] - FIELD + 1, -1)

    return forward


def test_a_network_that_knows_genre_is_right_and_one_that_ignores_it_is_undecided() -> None:
    songs = [
        Song("calm", codes(seed=1) // 2 * 2, song("calm", 1).windows),
        Song("loud", codes(seed=2) // 2 * 2 + 1, song("loud", 2).windows),
    ]
    truth = [0, 1]
    right = conditioning.summarise(truth, heldout.score(knowing(3.0), FIELD, songs, GENRES).genres, GENRES)
    assert right.confusion == ((1, 0), (0, 1))
    assert right.accuracy.value == 1.0
    assert right.accuracy.lo == pytest.approx(0.3424, abs=1e-3)  # two songs prove little
    assert right.accuracy_windows.value == 1.0
    blind = conditioning.summarise(truth, heldout.score(knowing(0.0), FIELD, songs, GENRES).genres, GENRES)
    assert blind.undecided == 2
    assert blind.accuracy.value == 0.0
    assert blind.confusion == ((0, 0), (0, 0))
    assert blind.chance == 0.5


def test_uniform_networks_cost_eight_bits_in_every_section() -> None:
    songs = [song("calm", 1), song("calm", 2), song("loud", 3)]
    seen: list[int] = []
    scores = heldout.score(knowing(0.0), FIELD, songs, GENRES, done=seen.append)
    assert sum(seen) == heldout.predictions(songs, len(GENRES))
    bits = heldout.by_genre(scores.own, songs)
    assert bits["calm"].value == pytest.approx(8.0)
    assert (bits["calm"].over, bits["calm"].n) == ("songs", 2)
    assert (bits["loud"].over, bits["loud"].n) == ("windows", 4)
    context = heldout.context_rows(scores, songs, FIELD)
    assert [row.bits.to_json()["value"] for row in context["calm"]] == [8.0] * len(context["calm"])
    assert heldout.bits_change(scores, scores, songs)["calm"].value == 0.0
    assert heldout.scored(songs, "calm") == {"clips": 2, "samples": 2000}


def test_baselines_are_scored_on_the_windows_alone() -> None:
    constant = np.full(4000, 7)
    clip = constant.copy()
    clip[:FIELD] = 200  # before the first window: must not count
    one = Song("calm", clip, (Window(FIELD + 1, 500), Window(3000, 500)))
    counts = {"calm": likelihood.count_pairs(constant), "loud": likelihood.count_pairs(codes())}
    found = heldout.score_baselines(counts, [one])
    assert set(found) == {"calm"}
    assert found["calm"]["markov_genre"].value == pytest.approx(0.0, abs=0.01)
    assert found["calm"]["unigram"].value == pytest.approx(0.0, abs=0.01)
    pooled = found["calm"]["markov_pooled"].value
    assert pooled is not None
    assert 0.0 < pooled < 0.1


def test_a_tie_between_genres_is_no_guess() -> None:
    tie = np.array([[2.0], [2.0], [3.0]])
    assert conditioning.guesses([tie, tie[::-1].copy(), np.array([[2.0], [1.0], [3.0]])]) == [-1, -1, 1]


def test_the_number_of_workers_changes_no_digit() -> None:
    network, songs = initialise(CONFIG, 0), [song("calm", 1), song("loud", 2), song("calm", 3)]
    one, two = (heldout.score(network, FIELD, songs, GENRES, workers=workers) for workers in (1, 2))
    for name in ("own", "genres", "context"):
        for a, b in zip(getattr(one, name), getattr(two, name), strict=True):
            assert np.array_equal(a, b)
    assert one.own[1][heldout.conditioning_windows(songs[1])] == pytest.approx(one.genres[1][1])
