"""Answers of blind listening: what is believed, and what is said of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from src.base.errors import Problem
from src.compare import listening
from src.compare.listening import Answer, Sitting


def answer(first: int, second: int, chosen: int | None, genre: str = "rock") -> Answer:
    """An answer about the clips named after their steps."""
    return Answer(
        genre=genre, steps=(first, second), clips=(f"c{first}", f"c{second}"), chosen=chosen, heard_s=(1.0, 2.0)
    )


def sitting(*answers: Answer, began: str = "2026-11-22T10:00:00Z") -> Sitting:
    """One listener's file."""
    return Sitting(kind="listening", format=1, run="current", began=began, answers=answers)


CLIPS = ("c20", "c300", "c900")


def test_shares_and_intervals() -> None:
    found = listening.tally([sitting(*[answer(20, 300, 300)] * 9, answer(300, 20, 20))], CLIPS)
    later = found.by_pair[20, 300]
    assert later.value == pytest.approx(0.9)
    # Wilson's interval for 9 of 10.
    assert later.lo == pytest.approx(0.5958, abs=1e-3)
    assert later.hi == pytest.approx(0.9821, abs=1e-3)
    assert found.by_step[20].value == pytest.approx(0.1)
    assert found.sentences() == ["Step 300 was called more like music than step 20 in 90% of 10 answers (60% to 98%)."]


def test_few_answers_support_nothing() -> None:
    found = listening.tally([sitting(answer(20, 300, 300), answer(20, 300, 300))], CLIPS)
    assert "did not decide" in found.sentences()[0]


def test_what_listeners_dislike_is_said_too() -> None:
    found = listening.tally([sitting(*[answer(20, 300, 20)] * 20)], CLIPS)
    assert "less like music" in found.sentences()[0]


def test_cannot_tell_counts_half_for_each() -> None:
    found = listening.tally([sitting(answer(20, 300, None), answer(20, 300, 300))], CLIPS)
    assert found.by_pair[20, 300].value == 0.75
    assert found.by_step[20].value == 0.25
    assert found.undecided == 1


def test_pairs_are_kept_apart() -> None:
    found = listening.tally([sitting(answer(20, 300, 300), answer(900, 300, 300))], CLIPS)
    assert found.by_pair[20, 300].value == 1
    assert found.by_pair[300, 900].value == 0
    assert (20, 900) not in found.by_pair
    assert found.by_step[300].n == 2


def test_the_same_file_twice_counts_once_and_others_are_added() -> None:
    one = sitting(answer(20, 300, 300))
    assert listening.tally([one, one], CLIPS).answers == 1
    other = sitting(answer(20, 300, 300), began="2026-11-23T10:00:00Z")
    assert listening.tally([one, other], CLIPS).answers == 2


def test_answers_about_other_clips_are_set_aside() -> None:
    found = listening.tally([sitting(answer(20, 300, 300), answer(20, 555, 20))], CLIPS)
    assert (found.answers, found.set_aside) == (1, 1)
    with pytest.raises(Problem, match="None of the listening answers"):
        listening.tally([sitting(answer(20, 300, 300))], ["x"])


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_saved_file_is_read_back(tmp_path: Path) -> None:
    one = sitting(answer(20, 300, None))
    path = tmp_path / "a.json"
    path.write_text(one.model_dump_json(), encoding="utf-8")
    assert listening.load(path) == one


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"kind": "other"}, "kind"),
        ({"format": 2}, "format"),
        ({"planted": 1}, "planted"),
        ({"answers": []}, "answers"),
        ({"answers": [{"genre": "rock"}]}, "answers.0.steps"),
        ({"began": "x" * 50}, "began"),
    ],
)
def test_what_is_not_such_a_file_is_refused(tmp_path: Path, change: dict[str, Any], place: str) -> None:
    content = json.loads(sitting(answer(20, 300, 300)).model_dump_json())
    path = write(tmp_path / "a.json", {**content, **change})
    with pytest.raises(Problem, match="not a file of listening answers") as caught:
        listening.load(path)
    assert place in str(caught.value)


@pytest.mark.parametrize(("steps", "chosen"), [((20, 20), 20), ((20, 300), 5)])
def test_answers_that_cannot_be_are_refused(tmp_path: Path, steps: tuple[int, int], chosen: int) -> None:
    content = json.loads(sitting(answer(20, 300, 300)).model_dump_json())
    content["answers"][0] |= {"steps": steps, "chosen": chosen}
    with pytest.raises(Problem, match="not a file of listening answers"):
        listening.load(write(tmp_path / "a.json", content))


def test_huge_missing_and_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(Problem, match="does not exist"):
        listening.load(path)
    path.write_bytes(b"{")
    with pytest.raises(Problem, match="not a file of listening answers"):
        listening.load(path)
    path.write_bytes(b" " * (listening.LARGEST_BYTES + 1))
    with pytest.raises(Problem, match="too large"):
        listening.load(path)
    with pytest.raises(Problem, match="cannot be read"):
        listening.load(tmp_path)
