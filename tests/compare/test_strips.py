"""Measures as strips: every one of a file has its numbers, its place between noise and music, and its direction."""

from pathlib import Path

import pytest

from src.compare import sentences, strips, words
from src.compare.strips import Strip
from src.evaluate import schema
from src.evaluate.measure import Measure
from src.evaluate.schema import ALL, Closed, Evaluation
from tests.compare import evaluations
from tests.evaluate.test_schema import CONTENT, m, written

STEPS = (20, 5020, 15000)


def flat(evaluation: Evaluation, steps: tuple[int, ...], genres: tuple[str, ...]) -> dict[str, Strip]:
    return {strip.label: strip for _, group in strips.groups(evaluation, steps, genres) for strip in group}


def test_a_measure_has_its_numbers_also_one_that_the_catalogue_does_not_know(tmp_path: Path) -> None:
    found = flat(schema.read(written(tmp_path, CONTENT)), (20, 300), ("metal", "rock"))
    assert "something new" in found
    flatness = found["Spectral flatness"]
    assert flatness.columns == ("white noise", "step 20", "step 300", "held-out songs")
    assert [cell.text for cell in flatness.rows["rock"]] == ["1.000", "0.900", "0.100", "0.050"]
    assert flatness.rows["rock"][1].spread == "0.800 to 1.000"
    assert [cell.text for cell in flatness.rows["metal"]] == ["–"] * 4
    assert len({strip.id for strip in found.values()}) == len(found)


def test_lanes_go_from_noise_to_music_and_say_the_direction() -> None:
    evaluation = evaluations.made(1, STEPS)
    strip = flat(evaluation, STEPS, evaluations.GENRES)["Tonal clarity"]
    assert [lane.genre for lane in strip.lanes] == ["all genres", *evaluations.GENRES]
    for lane, genre in zip(strip.lanes, (ALL, *evaluations.GENRES), strict=True):
        for mark in lane.marks:
            share = evaluation.closed[STEPS[int(mark.tone)]][genre]["tonal_clarity"].share.value
            assert share is not None
            assert float(mark.at) == pytest.approx(1.5 + 97 * share, abs=0.01)


@pytest.mark.parametrize(
    ("share", "side", "words"),
    [
        (0.4, "short", "40 %"),
        (0.4, None, "40 %"),
        (0.4, "beyond", "beyond music, 40 %"),
        (0.994, "beyond", "beyond music, 99 %"),
        (0.996, "beyond", "100 %"),
        (0.0, "wrong way", "beyond noise"),
    ],
)
def test_each_side_has_its_words(share: float, side: str | None, words: str) -> None:
    row = Closed.model_validate({"share": Measure(share, "share", 3, "clips"), "side": side})
    assert sentences.side(row) == words


def test_all_genres_are_said_to_be_where_each_of_them_is() -> None:
    evaluation = evaluations.made(2, STEPS, evaluations.GENRES[:3], learned=-1)
    lanes = {strip.label: strip.lanes for strip in flat(evaluation, STEPS, evaluations.GENRES[:3]).values()}
    notes = [{lane.note for lane in each} for each in lanes.values()]
    assert {"beyond noise"} in notes
    assert all(each == {"beyond noise"} for each in notes if "beyond noise" in each)


def test_a_measure_that_cannot_tell_noise_from_music_says_so_and_has_no_verdict() -> None:
    evaluation = evaluations.made(1, STEPS)
    blind = evaluation.model_copy(update={"blind": dict.fromkeys(evaluations.GENRES, ("tonal_clarity",))})
    strip = flat(blind, STEPS, evaluations.GENRES)["Tonal clarity"]
    assert strip.note == "White noise already looks like real music by this measure."
    assert strip.said is None
    some = evaluation.model_copy(update={"blind": {"rock": ("tonal_clarity",)}})
    strip = flat(some, STEPS, evaluations.GENRES)["Tonal clarity"]
    assert strip.note == "White noise already looks like real music by this measure in rock."
    assert strip.said is not None
    assert "rock" not in {claim.genre for claim in strip.said.claims}


@pytest.mark.parametrize("songs", [1, 2, 5])
def test_the_bits_gained_of_few_songs_are_values_of_more_an_interval(songs: int) -> None:
    evaluation = evaluations.made(1, STEPS, songs=songs)
    row = dict(zip(strips.BITS_COLUMNS, strips.bits_row(evaluation, 15000, "rock") or (), strict=True))
    gains = [song.linear - song.network[15000] for song in evaluation.songs["rock"]]
    assert row["songs"].text == str(songs)
    if songs <= 2:
        assert row["gained over linear"] == strips.Cell(" and ".join(words.bits(gain) for gain in gains))
        assert row["verdict"].text == "too few"
    else:
        assert row["gained over linear"].text == words.bits(sum(gains) / songs)
        low, high = row["gained over linear"].spread.split(" to ")
        assert float(low.replace("−", "-")) < sum(gains) / songs < float(high.replace("−", "-"))


def test_steps_without_a_checkpoint_have_no_row(tmp_path: Path) -> None:
    steps = {"20": {"rock": {"silence_share": m(0.0)}}}
    evaluation = schema.read(written(tmp_path, {**CONTENT, "steps": steps, "against": {}}))
    assert strips.bits_row(evaluation, 20, "rock") is None
