"""How much of the way is closed, and what may be called better: known answers, and nothing where nothing changed."""

import math

import numpy as np
import pytest

from src.evaluate import progress
from src.evaluate.intervals import Floats
from src.evaluate.progress import Way
from src.evaluate.references import Values
from src.evaluate.schema import ALL, BITS, Change, Closed

CLIPS = np.array([-0.03, -0.01, 0.0, 0.01, 0.03])


def around(value: float) -> Floats:
    """Five clips about a value."""
    return value + CLIPS


def way(name: str = "spectral_flatness", noise: float = 1.0, real: float = 0.2) -> Way:
    found = progress.way(name, around(real), around(noise), 0.03)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("value", "share", "side"),
    [(1.0, 0.0, "short"), (0.6, 0.5, "short"), (0.2, 1.0, "short"), (0.1, 0.875, "beyond"), (1.1, 0.0, "wrong way")],
)
def test_the_share_of_the_way_from_noise_to_music(value: float, share: float, side: str) -> None:
    found = progress.closed(np.full(5, value), way())
    assert found is not None
    assert found.share.value == pytest.approx(share)
    assert found.share.lo is not None
    assert found.share.hi is not None
    assert 0 <= found.share.lo <= share <= found.share.hi <= 1
    assert found.share.n == 5
    assert found.side == side or value in (0.2, 1.0)


def test_nearer_than_the_songs_themselves_is_all_of_the_way_where_lower_is_better() -> None:
    found = progress.closed(around(1.0), way("frechet_logmel", noise=90.0, real=10.0))
    assert found is not None
    assert (found.share.value, found.side) == (1.0, "beyond")
    far = progress.closed(around(50.0), way("frechet_logmel", noise=90.0, real=10.0))
    assert far is not None
    assert far.share.value == pytest.approx(0.5)


def test_one_clip_has_a_share_and_no_interval() -> None:
    found = progress.closed(np.array([0.6]), way())
    assert found is not None
    assert found.share.value == pytest.approx(0.5)
    assert (found.share.lo, found.share.n) == (None, 1)
    assert progress.closed(np.array([np.nan]), way()) is None


def test_a_measure_by_which_noise_is_like_the_music_is_blind() -> None:
    assert not way().blind
    near = progress.way("tempo_strength", np.array([0.1, 0.2, 0.3]), np.array([0.25]), 0.1)
    assert near is not None
    assert near.blind
    assert progress.way("tempo", np.array([np.nan]), np.array([100.0]), 1.0) is None
    assert progress.way("tempo", np.array([90.0]), np.array([90.0]), 1.0) is None


def changed(before: float, after: float, ways: dict[str, Way] | None, name: str = "spectral_flatness") -> Change:
    rows = progress.changes(
        {"rock": {name: around(before)}}, {"rock": {name: around(after)}}, {"rock": ways or {}}, {}, (20, 300)
    )
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (1.0, 0.5, "better"),
        (0.5, 1.0, "worse"),
        (0.5, 0.5, "unclear"),
        (0.9, -0.1, "better"),  # past the music, and still nearer to it
        (0.3, 0.1, "unclear"),  # as far on the other side
    ],
)
def test_better_is_nearer_to_held_out_music(before: float, after: float, verdict: str) -> None:
    found = changed(before, after, {"spectral_flatness": way()})
    assert found.verdict == verdict
    assert found.change.value == pytest.approx(after - before)
    assert (found.from_step, found.to_step) == (20, 300)


def test_a_distance_that_grows_is_worse() -> None:
    ways = {"frechet_logmel": way("frechet_logmel", noise=5000.0, real=10.0)}
    assert changed(21.0, 91.0, ways, "frechet_logmel").verdict == "worse"
    assert changed(91.0, 21.0, ways, "frechet_logmel").verdict == "better"


def test_without_the_music_there_is_a_change_and_no_verdict() -> None:
    found = changed(1.0, 0.5, None)
    assert found.verdict is None
    assert found.change.value == pytest.approx(-0.5)


@pytest.mark.parametrize("genres", ["abc", "abcde"])
def test_where_noise_alone_speaks_verdicts_are_few(genres: str) -> None:
    """Generations of two steps of the same kind: a family calls nothing better or worse in 95 studies of 100."""
    names = ("rms", "spectral_flatness", "onset_rate", "tonal_clarity", "code_entropy")
    wrong, studies = {True: 0, False: 0}, 300
    for trial in range(studies):
        rng = np.random.default_rng(trial)

        def drawn(units: int, rng: np.random.Generator = rng) -> dict[str, Values]:
            return {genre: {name: rng.normal(size=units) for name in names} for genre in genres}

        real = drawn(4)
        ways = {
            genre: {name: Way(name, noise=3.0, real=real[genre][name], blind=False) for name in names}
            for genre in genres
        }
        paired = {(BITS, genre): rng.normal(size=4) for genre in genres}
        rows = progress.changes(drawn(8), drawn(8), ways, paired, (20, 300))
        assert len(rows) == 5 * (len(genres) + 1) + len(genres)  # each measure also as the mean over the genres
        for bits in wrong:
            said = [row.verdict for row in rows if (row.measure == BITS) == bits]
            wrong[bits] += bool({"better", "worse"} & {*said})
    assert max(wrong.values()) / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


def test_all_genres_together_are_judged_by_their_ways() -> None:
    before = {genre: {"spectral_flatness": around(1.0)} for genre in "abcd"}
    after = {
        genre: {"spectral_flatness": around(value)} for genre, value in zip("abcd", (0.5, 0.4, 0.6, 0.5), strict=True)
    }
    ways = {genre: {"spectral_flatness": way()} for genre in "abcd"}
    rows = {row.genre: row for row in progress.changes(before, after, ways, {}, (20, 300))}
    assert (rows[ALL].verdict, rows[ALL].favourable, rows[ALL].change.over) == ("better", 4, "genres")
    assert rows[ALL].change.value == pytest.approx(-0.5)


def test_all_genres_together_are_on_the_side_on_which_each_of_them_is() -> None:
    def row(value: float) -> Closed:
        found = progress.closed(around(value), way())
        assert found is not None
        return found

    mixed = progress.closed_overall([row(0.6), row(0.4), row(0.1)])
    assert mixed.share.value == pytest.approx((0.5 + 0.75 + 0.875) / 3)
    assert (mixed.share.over, mixed.side) == ("genres", None)
    assert progress.closed_overall([row(1.1), row(1.2), row(1.3)]).side == "wrong way"
    assert progress.closed_overall([row(0.1), row(0.15)]).side == "beyond"


def judged_over_all(after: dict[str, float], blind: str = "") -> Change:
    """Flatness of each genre from 1.0, which is noise, to this; `blind`: the genre whose noise looks like music."""
    ways = {genre: {"spectral_flatness": Way("spectral_flatness", 1.0, around(0.2), genre == blind)} for genre in after}
    rows = progress.changes(
        {genre: {"spectral_flatness": around(1.0)} for genre in after},
        {genre: {"spectral_flatness": around(value)} for genre, value in after.items()},
        ways,
        {},
        (20, 300),
    )
    return next(row for row in rows if row.genre == ALL)


def test_what_is_clear_in_every_genre_is_clear_over_all_however_few_they_are() -> None:
    unlike = {"a": 0.95, "b": 0.9, "c": 0.2}  # far apart: a t test of three units finds nothing
    assert judged_over_all(unlike).verdict == "better"
    assert judged_over_all({"a": 1.05, "b": 1.1, "c": 1.9}).verdict == "worse"
    assert judged_over_all({"a": 0.95, "b": 0.2}).verdict == "better"
    assert judged_over_all(unlike | {"d": 1.0}, blind="d").verdict == "better"
    assert judged_over_all({"a": 0.9, "b": 0.9}, blind="a").verdict == "too few"


def test_where_genres_differ_few_are_too_few_and_more_are_unclear() -> None:
    assert judged_over_all({"a": 1.0, "b": 0.9, "c": 0.2}).verdict == "too few"
    assert judged_over_all({"a": 1.0, "b": 0.9, "c": 0.2, "d": 1.0, "e": 0.8}).verdict == "unclear"


def test_bits_are_corrected_by_themselves() -> None:
    """One clear change of bits among many sounds that did not change: it must not pay for their number."""
    rng = np.random.default_rng(3)
    sounds = {genre: {"rms": rng.normal(size=5)} for genre in map(str, range(40))}
    ways = {genre: {"rms": Way("rms", 9.0, rng.normal(size=4), False)} for genre in sounds}
    rows = progress.changes(sounds, sounds, ways, {(BITS, "0"): np.array([-1.0, -1.2, -0.8, -1.1])}, (20, 300))
    assert [row.verdict for row in rows if row.measure == BITS] == ["better"]
    assert [row.favourable for row in rows if row.measure == BITS] == [4]
    assert {row.verdict for row in rows if row.measure == "rms"} == {"unclear"}
