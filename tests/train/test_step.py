"""What a step trains on, how fast it learns and with which optimizer."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from src import config
from src.base.errors import Problem
from src.clips import clipset
from src.clips.clipset import ClipRow, ClipSet
from src.config import Params, TrainParams
from src.train import step
from src.train.step import Ahead, Feed, first_state, learning_rate
from src.wavenet import batches, mulaw, network, optimizers
from tests.conftest import GENRES, ROOT, StudyFolder

SETTINGS = config.load(ROOT).profile.train


def settings(**changes: object) -> TrainParams:
    return SETTINGS.model_copy(update=changes)


def with_train(params: Params, **changes: object) -> Params:
    train = params.profile.train.model_copy(update=changes)
    return params.model_copy(update={"profile": params.profile.model_copy(update={"train": train})})


def constant_clips(folder: Path) -> dict[int, tuple[str, int]]:
    """Write clips of one value each, negative if they are held out; code of that value → genre and split's sign."""
    rows, meaning = [], {}
    for number, genre in enumerate(GENRES):
        (folder / genre).mkdir(parents=True)
        for clip, sign in enumerate((-1, 1, -1, 1)):  # held-out clips stand before and between the others
            samples = np.full(300 + 100 * clip, sign * (500 + 1500 * number + 700 * (clip // 2)), np.int16)
            digest = clipset.samples_digest(samples)
            name = f"{genre}/{clip}.flac"
            soundfile.write(folder / name, samples, 16_000, subtype="PCM_16")
            rows.append(ClipRow(name, genre, "train" if sign > 0 else "validation", samples.size, -6.0, -18.0, digest))
            code = int(mulaw.encode(samples[:1].astype(np.float32) / 32768, 256)[0])
            assert code not in meaning
            meaning[code] = (genre, sign)
    clipset.write_table(folder / "clips.csv", rows)
    return meaning


@pytest.mark.parametrize("balance", ["genre", "song"])
def test_training_never_draws_a_held_out_clip_and_draws_every_other(
    study: StudyFolder, tmp_path: Path, balance: str
) -> None:
    meaning = constant_clips(tmp_path / "clips")
    params = with_train(config.load(study.root), balance=balance, batch_size=4, sample_size=200)
    feed = Feed(params, ClipSet.open(tmp_path / "clips"), range(4))
    drawn = set()
    for number in range(1, 401):
        codes, genres = feed.batch(number)
        assert codes.shape == (4, params.profile.model.receptive_field + 200)
        assert torch.equal(codes, codes[:, :1].expand_as(codes))  # of one clip each
        for code, genre in zip(codes[:, 0].tolist(), genres.tolist(), strict=True):
            assert meaning[code] == (params.genres[genre], 1)
            drawn.add(code)
    assert drawn == {code for code, (_, sign) in meaning.items() if sign > 0}


def test_a_process_reads_its_own_rows_of_the_same_batch(study: StudyFolder, tmp_path: Path) -> None:
    constant_clips(tmp_path / "clips")
    params = with_train(config.load(study.root), batch_size=4, sample_size=200)
    clips = ClipSet.open(tmp_path / "clips")
    codes, genres = Feed(params, clips, range(4)).batch(9)
    shared, shared_genres = Feed(params, clips, range(2, 4)).batch(9)
    assert torch.equal(codes[2:], shared)
    assert torch.equal(genres[2:], shared_genres)


@pytest.mark.parametrize(
    ("warmup_steps", "half_life_steps", "rates"),
    [
        (4, None, {1: 0.002, 2: 0.004, 3: 0.006, 4: 0.008, 5: 0.008, 100_000: 0.008}),
        (1, None, {1: 0.008, 2: 0.008}),
        (0, None, {1: 0.008, 2: 0.008}),
        (0, 100, {1: 0.008 * 2**-0.01, 50: 0.008 / math.sqrt(2), 99: 0.008 * 2**-0.99, 100: 0.004, 200: 0.002}),
        (0, 1, {1: 0.004, 2: 0.002, 3: 0.001}),
        (4, 8, {1: 0.002 * 2**-0.125, 4: 0.008 / math.sqrt(2), 8: 0.004, 16: 0.002}),
    ],
)
def test_the_rate_rises_over_the_warm_up_and_halves_every_half_life(
    warmup_steps: int, half_life_steps: int | None, rates: dict[int, float]
) -> None:
    schedule = settings(learning_rate=0.008, warmup_steps=warmup_steps, half_life_steps=half_life_steps)
    for number, rate in rates.items():
        assert learning_rate(schedule, number) == pytest.approx(rate, rel=1e-12), number
        assert learning_rate(schedule.model_copy(update={"steps": 10**6}), number) == learning_rate(schedule, number)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adam", optimizers.Adam(epsilon=0.003)),
        ("sgd", optimizers.Momentum(momentum=0.7)),
        ("rmsprop", optimizers.RMSProp(momentum=0.7, epsilon=0.003)),
    ],
)
def test_the_optimizer_has_the_settings_that_are_given(name: str, expected: optimizers.Optimizer) -> None:
    assert step._optimizer(settings(optimizer=name, momentum=0.7, epsilon=0.003)) == expected


def test_the_first_state_is_the_seed_s_network_and_the_optimizer_s_beginning(study: StudyFolder) -> None:
    params = config.load(study.root)
    state = first_state(params)
    wanted = network.initialise(params.profile.model, params.study.seed).state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in state.model.state_dict().items())
    start = optimizers.Adam().start(dict(state.model.named_parameters()))
    assert state.moments.keys() == start.keys()
    assert all(torch.equal(state.moments[name], start[name]) for name in start)


def test_a_training_asks_torch_for_algorithms_that_give_the_same_digits_each_time(
    study: StudyFolder, tmp_path: Path
) -> None:
    constant_clips(tmp_path / "clips")
    params = with_train(config.load(study.root), sample_size=200)
    torch.set_deterministic_debug_mode("default")
    try:
        step.Training(params, ClipSet.open(tmp_path / "clips"), first_state(params))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_deterministic_debug_mode("default")


def test_the_draws_of_a_seed_are_these_on_every_machine() -> None:
    lengths, genres = [1000, 2000, 50, 3000], [0, 1, 1, 1]
    by_genre = batches.draw(2019, 7, 4, 100, lengths, genres, "genre")
    assert by_genre == [(0, 489), (3, 78), (0, 346), (0, 276)]
    by_song = batches.draw(2019, 8, 4, 100, lengths, genres, "song")
    assert by_song == [(0, 286), (1, 787), (0, 144), (0, 610)]


def test_a_clip_of_exactly_one_crop_is_drawn_from_its_beginning() -> None:
    assert batches.draw(2019, 1, 2, 100, [99, 100], [0, 0], "song") == [(1, 0), (1, 0)]
    assert batches.draw(2019, 1, 1, 1, [1], [0], "genre") == [(0, 0)]
    for crop, batch_size in ((0, 1), (1, 0)):
        with pytest.raises(Problem, match="both must be 1 or more"):
            batches.draw(2019, 1, batch_size, crop, [1], [0], "genre")


def test_a_feed_that_reads_ahead_gives_the_same_batches_and_the_same_refusals(
    study: StudyFolder, tmp_path: Path
) -> None:
    constant_clips(tmp_path / "clips")
    params = with_train(config.load(study.root), batch_size=4, sample_size=200)
    feed = Feed(params, ClipSet.open(tmp_path / "clips"), range(4))
    ahead = Ahead(feed, pin=False)
    for number in (1, 2, 3, 7, 8, 2):  # in order, after a leap, and back
        for mine, theirs in zip(ahead.batch(number), feed.batch(number), strict=True):
            assert torch.equal(mine, theirs)
    unread = Ahead(Feed(params, ClipSet.open(tmp_path / "clips"), range(4)), pin=False)
    for file in (tmp_path / "clips").rglob("*.flac"):
        file.unlink()
    with pytest.raises(Problem):
        unread.batch(1)
