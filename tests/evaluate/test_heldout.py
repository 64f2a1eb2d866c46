"""Scoring in windows must equal one long forward pass; what follows from the scores has known answers."""

import numpy as np
import pytest
import torch

from src.evaluate import heldout, likelihood, songwise
from src.evaluate.heldout import Scores, Song
from src.evaluate.likelihood import Floats, Window
from src.evaluate.schema import ALL
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
        entropy = torch.special.entr(logits[0].softmax(dim=1)).sum(dim=1).numpy() / np.log(2)
    windows = [Window(FIELD, 700), Window(1500, 333), Window(3000, 1000)]
    places = np.concatenate([np.arange(w.start, w.start + w.length) for w in windows]) - FIELD
    monkeypatch.setattr(likelihood, "CHUNK_SAMPLES", 100)
    done: list[int] = []
    bits = likelihood.window_bits(network, FIELD, clip.astype(np.uint8), windows, 1, done.append)
    assert bits == pytest.approx(whole[places], abs=1e-4)
    assert sum(done) == sum(window.length for window in windows)
    costs, entropies = likelihood.window_entropies(network, FIELD, clip, windows, 1)
    assert costs == pytest.approx(bits, abs=1e-6)
    assert entropies == pytest.approx(entropy[places], abs=1e-4)
    assert not np.allclose(bits, likelihood.window_bits(network, FIELD, clip, windows, 0))


def test_bits_by_context_are_those_after_silence() -> None:
    network, clip = initialise(CONFIG, 0), codes()
    found = likelihood.context_bits(network, FIELD, clip, [0, 50, 99], 0, silence=128)
    assert found.shape == (3, len(likelihood.position_edges(FIELD)))
    start, expected = 50, []
    for context in (2, 3):
        history = np.concatenate([np.full(FIELD - context, 128), clip[start : start + context]])
        with torch.inference_mode():
            logits = network(torch.from_numpy(history[None]), torch.tensor([0]))
        expected.append(float(likelihood.target_bits(logits, torch.tensor([[clip[start + context]]]))))
    assert found[1, 1] == pytest.approx(np.mean(expected), abs=1e-5)  # the range of 2 and 3 samples


def song(genre: str, seed: int) -> Song:
    clip = codes(seed=seed)
    return Song(genre, clip, tuple(likelihood.spread_windows(len(clip), FIELD, 1000, 250)))


def knowing(step: float) -> likelihood.Network:
    """A network that makes even codes likelier for genre 0 and odd ones for genre 1."""

    def forward(batch: torch.Tensor, genre: torch.Tensor) -> torch.Tensor:
        even = (torch.arange(256) % 2 == 0).float()
        rows = torch.where(genre[:, None] == 0, even, 1 - even) * step
        return rows[:, None].expand(-1, batch.shape[1] - FIELD + 1, -1)

    return forward


def test_the_faster_way_to_the_sums_gives_the_same_scores() -> None:
    network = initialise(CONFIG, 0)
    songs = [song("calm", 1), song("loud", 2)]
    plain = heldout.score(network, FIELD, songs, GENRES, training=songs[:1])
    fused = heldout.score(
        network, FIELD, songs, GENRES, training=songs[:1], workers=2, total_bits=heldout.fused_bits(network)
    )
    for name in ("own", "training", "genres"):
        assert getattr(fused, name) == pytest.approx(getattr(plain, name), rel=1e-6)
        assert len(set(getattr(fused, name).ravel())) > 1 or name == "training"
    assert np.array_equal(fused.calibration, plain.calibration)


def test_a_network_that_knows_genre_is_right_and_gains_and_one_that_ignores_it_is_undecided() -> None:
    songs = [Song("calm", codes(seed=k) // 2 * 2, song("calm", k).windows) for k in (1, 2, 3)]
    songs += [Song("loud", codes(seed=k) // 2 * 2 + 1, song("loud", k).windows) for k in (4, 5, 6)]
    right = songwise.conditioning(heldout.score(knowing(3.0), FIELD, songs, GENRES), songs, GENRES)
    assert right.confusion == ((3, 0), (0, 3))
    assert right.accuracy.value == 1.0
    # Under the wrong genre a code has exp(-3) of its share: 3 / ln 2 bits more.
    assert right.gain[ALL].difference.value == pytest.approx(-3 / np.log(2), abs=1e-5)
    assert {row.verdict for row in right.gain.values()} == {"better"}
    assert right.gain["calm"].favourable == 3
    blind = songwise.conditioning(heldout.score(knowing(0.0), FIELD, songs, GENRES), songs, GENRES)
    assert (blind.undecided, blind.accuracy.value, blind.confusion) == (6, 0.0, ((0, 0), (0, 0)))
    assert blind.gain[ALL].difference.value == pytest.approx(0.0)
    assert {row.verdict for row in blind.gain.values()} == {"unclear"}


def test_uniform_networks_cost_eight_bits_everywhere_and_know_it() -> None:
    songs, training = [song("calm", 1), song("calm", 2), song("loud", 3)], [song("calm", 4)]
    seen: list[int] = []
    scores = heldout.score(knowing(0.0), FIELD, songs, GENRES, training=training, done=seen.append)
    assert sum(seen) == heldout.predictions(songs, training, len(GENRES))
    bits = songwise.bits(scores.own, songs)
    assert bits["calm"].value == pytest.approx(8.0)
    assert (bits["calm"].over, bits["calm"].n, bits["calm"].lo) == ("songs", 2, None)
    assert scores.training.tolist() == [pytest.approx(8.0)]
    context = songwise.context_rows(scores, songs, FIELD)
    assert [row.bits.to_json()["value"] for row in context["calm"]] == [8.0] * len(context["calm"])
    knows = songwise.calibration(scores, songs)
    assert knows["calm"].entropy.value == pytest.approx(8.0, abs=1e-5)
    assert (knows["calm"].says, knows[ALL].says) == ("too few", "unclear")
    assert [row.samples for row in knows["loud"].curve] == [750]


def scored(own: list[float], training: list[float], entropy: float = 0.0) -> Scores:
    """Scores of so many songs; of each 100 predictions that cost what the song costs and had this much less entropy."""
    rows = np.zeros((len(own), heldout.BINS, 3))
    rows[:, 3] = [[100 * (bits - entropy), 100 * bits, 100] for bits in own]
    return Scores(np.array(own), np.array(training), np.zeros((len(own), 2)), rows, ())


def test_a_network_that_is_too_sure_is_told() -> None:
    songs = [song("calm", 1)] * 4
    rows = songwise.calibration(scored([3.0, 3.1, 3.2, 3.3], [], entropy=0.5), songs)
    assert rows[ALL].says == "overconfident"
    assert rows[ALL].excess.value == pytest.approx(0.5)
    assert rows[ALL].curve[0].cost == pytest.approx(3.15)
    assert rows[ALL].curve[0].samples == 400
    assert songwise.calibration(scored([3.0, 3.1, 3.2, 3.3], [], entropy=-0.5), songs)[ALL].says == "underconfident"


def test_the_gap_to_training_songs_does_not_count_songs_that_are_hard_in_themselves() -> None:
    songs, linear_held_out = [song("calm", 1)] * 4, np.array([5.0, 6.0, 7.0, 8.0])
    training, linear_training = [song("calm", 2)] * 4, np.array([2.0, 3.0, 4.0, 5.0])
    alike = scored((linear_held_out - 1.0).tolist(), (linear_training - 1.0).tolist())
    row = songwise.generalisation(alike, songs, training, linear_held_out, linear_training)["calm"]
    assert (row.training.value, row.held_out.value) == (-1.0, -1.0)
    assert (row.gap.difference.value, row.gap.verdict) == (0.0, "unclear")
    by_heart = scored((linear_held_out - [1.0, 1.1, 0.9, 1.0]).tolist(), (linear_training - [3, 3.1, 2.9, 3]).tolist())
    row = songwise.generalisation(by_heart, songs, training, linear_held_out, linear_training)["calm"]
    assert row.gap.difference.value == pytest.approx(2.0)
    assert row.gap.verdict == "worse"


def test_networks_and_baselines_are_compared_song_by_song() -> None:
    songs = [song("calm", 1)] * 4 + [song("loud", 2)]
    costs = np.array([2.0, 4.0, 6.0, 8.0, 5.0])
    own = costs - [0.2, 0.21, 0.19, 0.2, 0.1]
    baselines: dict[str, Floats] = {
        "linear": costs,
        "markov_genre": costs - 0.2,
        "markov_pooled": costs + 1,
        "unigram": costs + 2,
    }
    found = songwise.against(scored(own.tolist(), []), songs, baselines, 8.0)
    assert found["linear"]["calm"].verdict == "better"  # the songs' own differences are 6 bits
    assert (found["linear"]["calm"].favourable, found["linear"]["calm"].difference.n) == (4, 4)
    assert found["linear"]["loud"].verdict == "too few"
    assert found["linear"][ALL].difference.n == 5
    assert found["markov"]["calm"].verdict == "unclear"  # the stronger of the two
    rows = songwise.song_rows(songs, baselines, {20: scored(own.tolist(), [])})
    assert rows["calm"][1].model_dump() == {
        "samples": 1000,
        "unigram": 6.0,
        "markov": pytest.approx(3.8),
        "linear": 4.0,
        "network": {20: pytest.approx(3.79)},
    }


def test_baselines_are_scored_on_the_windows_alone() -> None:
    constant = np.full(4000, 7)
    clip = constant.copy()
    clip[:FIELD] = 200  # before the first window: must not count
    one, stranger = Song("calm", clip, (Window(FIELD + 1, 500), Window(3000, 500))), song("jazz", 1)
    counts = {"calm": likelihood.count_pairs(constant), "loud": likelihood.count_pairs(codes())}
    found = heldout.score_baselines(counts, [one, stranger], FIELD)
    assert found["markov_genre"][0] == pytest.approx(0.0, abs=0.01)
    assert found["unigram"][0] == pytest.approx(0.0, abs=0.01)
    assert 0.0 < found["markov_pooled"][0] < 0.1
    assert found["linear"][0] < 1.0
    assert np.isnan(found["markov_genre"][1])  # no training song of its genre
    assert heldout.stronger_markov(found, [one, stranger])[1] == found["markov_pooled"][1]


def test_a_tie_between_genres_is_no_guess() -> None:
    assert songwise.guesses(np.array([[2.0, 2.0, 3.0], [3.0, 2.0, 2.0], [2.0, 1.0, 3.0]])).tolist() == [-1, -1, 1]


def test_the_number_of_workers_changes_no_digit() -> None:
    network, songs = initialise(CONFIG, 0), [song("calm", 1), song("loud", 2), song("calm", 3)]
    one, two = (heldout.score(network, FIELD, songs, GENRES, training=songs[:2], workers=w) for w in (1, 2))
    for name in ("own", "training", "genres", "calibration", "context"):
        assert np.array_equal(np.array(getattr(one, name)), np.array(getattr(two, name)))
    assert one.own[:2] == pytest.approx(one.training)
