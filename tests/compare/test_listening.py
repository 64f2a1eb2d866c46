"""Ratings of blind listening: what is believed, what counts once, and what is said of them."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from src.base.errors import Problem
from src.compare import listening
from src.compare.listening import Rating, Screen, Sitting

CLIPS = ("c20", "c300")
GOOD = {"noise": 2, "step-20": 5, "step-300": 60, "song": 95}


def sitting(*screens: Mapping[str, int], id: str = "", prefix: str = "c") -> Sitting:
    """One listener's file, a screen for each genre, about clips named after their steps."""
    return Sitting(
        kind="listening",
        format=2,
        id=id or str(uuid.uuid4()),
        run="current",
        began="2026-11-22T10:00:00Z",
        screens=tuple(
            Screen(
                genre=f"genre {number}",
                ratings=tuple(
                    Rating(stimulus=name, clip=clip, score=score, heard_s=1.0)
                    for name, score in screen.items()
                    for clip in [name.replace("step-", prefix) if "step" in name else ""]
                ),
            )
            for number, screen in enumerate(screens)
        ),
    )  # fmt: skip


def varied(shift: int) -> dict[str, int]:
    return {name: score + (shift if name == "step-300" else 0) for name, score in GOOD.items()}


def test_one_listener_is_paired_by_genre() -> None:
    found = listening.tally([sitting(varied(0), varied(4), varied(-4))], CLIPS)
    assert found.pairs["step-20", "step-300"] == (55, 59, 51)
    assert found.means == {"noise": 2, "step-20": 5, "step-300": 60, "song": 95}
    said = [one.text for one in found.sentences()]
    # Student's t over 51, 55, 59: 55 ± 4.303 · 4 / √3.
    assert (
        said[1]
        == "Listeners rated step 300 55 points of 100 higher than step 20 (45 to 65, 3 genres rated by 1 listener)."
    )
    assert said[2].startswith("Listeners rated a held-out song 35 points of 100 higher than step 300")


def test_several_listeners_are_paired_by_listener() -> None:
    found = listening.tally([sitting(varied(shift), varied(shift)) for shift in (-4, 0, 4)], CLIPS)
    assert found.pairs["step-20", "step-300"] == (51, 55, 59)
    assert "(45 to 65, 3 listeners)" in found.sentences()[1].text


def test_few_ratings_support_nothing() -> None:
    (_, later, _) = listening.tally([sitting(GOOD)], CLIPS).sentences()
    assert later.text == (
        "Step 300 was rated 55 points of 100 higher than step 20; 1 genre rated by 1 listener: too few to say more."
    )
    assert later.claims[0].verdict == "too few"


def test_what_listeners_do_not_tell_apart_is_said() -> None:
    screens = [{"step-20": 50, "step-300": 50 + shift} for shift in (-20, 0, 25)]
    (only,) = listening.tally([sitting(*screens)], CLIPS).sentences()
    assert only.text.startswith("Listeners did not clearly tell step 300 from step 20")


def test_a_file_counts_once_however_often_it_is_given() -> None:
    one = sitting(GOOD, GOOD)
    found = listening.tally([one, one.model_copy(), sitting(GOOD)], CLIPS)
    assert (found.sittings, found.screens) == (2, 3)
    assert found.notes == ("1 file of a sitting that was counted already: ignored.",)


def test_two_files_of_one_sitting_that_differ_are_refused() -> None:
    first = sitting(GOOD)
    with pytest.raises(Problem, match=f"Two files of the sitting {first.id} differ"):
        listening.tally([first, sitting(GOOD, GOOD, id=first.id)], CLIPS)


def test_a_listener_who_takes_noise_for_music_is_set_aside() -> None:
    deaf = sitting(*[{**GOOD, "noise": 99}] * 2, *[GOOD] * 4)
    careful = sitting(*[GOOD] * 9, {**GOOD, "noise": 99})
    assert not deaf.attentive
    assert careful.attentive
    found = listening.tally([deaf, careful], CLIPS)
    assert found.sittings == 1
    assert found.notes == ("1 sitting set aside: the hidden song was not rated above the noise.",)
    with pytest.raises(Problem, match="not rated above the noise"):
        listening.tally([deaf], CLIPS)


def test_ratings_of_other_clips_are_set_aside() -> None:
    found = listening.tally([sitting(GOOD), sitting(GOOD, prefix="x")], CLIPS)
    assert (found.sittings, found.screens) == (1, 1)
    assert found.notes == ("1 screen about other clips set aside.",)
    with pytest.raises(Problem, match="about the clips of this run"):
        listening.tally([sitting(GOOD)], ["x"])


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_saved_file_is_read_back(tmp_path: Path) -> None:
    one = sitting(GOOD)
    path = tmp_path / "a.json"
    path.write_text(one.model_dump_json(), encoding="utf-8")
    assert listening.load(path) == one


RATED = {"stimulus": "step-20", "clip": "c20", "score": 5, "heard_s": 1.0}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"kind": "other"}, "kind"),
        ({"format": 1}, "format"),
        ({"id": "../../etc"}, "id"),
        ({"planted": 1}, "planted"),
        ({"screens": []}, "screens"),
        ({"screens": [{"genre": "rock"}]}, "screens.0.ratings"),
        ({"screens": [{"genre": "rock", "ratings": [RATED, RATED]}]}, "rated twice"),
        ({"screens": [{"genre": "rock", "ratings": [RATED, {**RATED, "stimulus": "song", "score": 101}]}]}, "score"),
        ({"screens": [{"genre": "rock", "ratings": [RATED, {**RATED, "stimulus": "<b>"}]}]}, "stimulus"),
        ({"began": "x" * 50}, "began"),
    ],
)
def test_what_is_not_such_a_file_is_refused(tmp_path: Path, change: dict[str, Any], place: str) -> None:
    content = json.loads(sitting(GOOD).model_dump_json())
    path = write(tmp_path / "a.json", {**content, **change})
    with pytest.raises(Problem, match="not a file of listening answers") as caught:
        listening.load(path)
    assert place in str(caught.value)


def test_a_genre_is_rated_once(tmp_path: Path) -> None:
    content = json.loads(sitting(GOOD).model_dump_json())
    content["screens"] *= 2
    with pytest.raises(Problem, match="a genre is rated twice"):
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
