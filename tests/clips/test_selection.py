"""The split: by the clip's own sound, stable, and never without one side."""

import hashlib

import pytest

from src.clips import selection
from src.clips.clipset import ClipRow


def clip(genre: str, number: int) -> ClipRow:
    digest = hashlib.sha256(f"{genre} {number}".encode()).hexdigest()
    return ClipRow(f"{genre}/{digest[:16]}.flac", genre, "train", 100, -1.0, -20.0, digest)


def test_adding_songs_moves_no_other() -> None:
    few, _ = selection.divide([clip("rock", number) for number in range(100)], 0.2, seed=1)
    many, moved = selection.divide([clip("rock", number) for number in range(400)], 0.2, seed=1)
    assert {item.clip: item.split for item in few}.items() <= {item.clip: item.split for item in many}.items()
    assert moved == {}
    assert 50 < sum(item.split == "validation" for item in many) < 110


def test_the_seed_decides() -> None:
    songs = [clip("rock", number) for number in range(100)]
    assert selection.divide(songs, 0.2, seed=1)[0] != selection.divide(songs, 0.2, seed=2)[0]
    assert selection.divide(songs, 0.2, seed=1) == selection.divide(songs, 0.2, seed=1)


def test_each_genre_has_both() -> None:
    songs = [clip(genre, number) for genre in ("hip", "rock") for number in range(2)]
    divided, moved = selection.divide(songs, 0.001, seed=1)
    assert sorted((item.genre, item.split) for item in divided) == [
        ("hip", "train"),
        ("hip", "validation"),
        ("rock", "train"),
        ("rock", "validation"),
    ]
    assert moved == {"hip": "validation", "rock": "validation"}
    _, moved = selection.divide(songs, 0.999, seed=1)
    assert moved == {"hip": "train", "rock": "train"}


def test_a_position_lies_between_0_and_1_and_follows_from_clip_and_seed() -> None:
    positions = [selection.position_of(f"{number:016x}", seed=3) for number in range(1000)]
    assert all(0 <= position < 1 for position in positions)
    assert 0.4 < sum(positions) / len(positions) < 0.6
    assert selection.position_of("00ff00ff00ff00ff", seed=2019) == 0.04502481427475726


@pytest.mark.parametrize(
    ("positions", "splits", "moved"),
    [
        # The share itself is not below the share.
        ((0.1, 0.25, 0.9), "vtt", None),
        ((0.24999, 0.25001), "vt", None),
        ((0.1, 0.9, 0.2, 0.3), "vtvt", None),
        # None validates: the lowest position has to, wherever it stands.
        ((0.9, 0.25, 0.3), "tvt", "validation"),
        ((0.26, 0.9), "vt", "validation"),
        # More than half would validate: the highest positions train.
        ((0.1, 0.2, 0.0), "ttv", "train"),
        ((0.1, 0.2, 0.0, 0.05), "ttvv", "train"),
        ((0.24, 0.0), "tv", "train"),
    ],
)
def test_the_share_decides_and_no_side_stays_empty(
    monkeypatch: pytest.MonkeyPatch, positions: tuple[float, ...], splits: str, moved: str | None
) -> None:
    songs = [clip("rock", number) for number in range(len(positions))]
    # Another genre, whose clips need no moving, is not moved.
    others = [clip("hip", 0), clip("hip", 1)]
    by_id = {
        song.sha256[:16]: position for song, position in zip([*songs, *others], [*positions, 0.0, 0.9], strict=True)
    }
    monkeypatch.setattr(selection, "position_of", lambda clip_id, seed: by_id[clip_id])
    divided, told = selection.divide([*songs, *others], 0.25, seed=1)
    assert "".join(song.split[0] for song in divided) == f"{splits}vt"
    assert told == ({} if moved is None else {"rock": moved})
    assert [song.clip for song in divided] == [song.clip for song in [*songs, *others]], "the order stays"


def test_equal_positions_are_told_apart_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    songs = [clip("rock", number) for number in range(4)]
    monkeypatch.setattr(selection, "position_of", lambda clip_id, seed: 0.5)
    low, high = min(song.clip for song in songs), max(song.clip for song in songs)
    divided, _ = selection.divide(songs, 0.1, seed=1)
    assert [song.clip for song in divided if song.split == "validation"] == [low]
    divided, _ = selection.divide(songs, 0.6, seed=1)
    assert [song.split for song in divided if song.clip == high] == ["train"]
    assert [song.split for song in divided].count("train") == 2


def test_a_single_clip_of_a_genre_validates() -> None:
    # The command refuses such a genre before it divides (`check`).
    assert selection.divide([clip("rock", 0)], 0.999, seed=1)[0][0].split == "validation"
    assert selection.divide([clip("rock", 0)], 0.001, seed=1)[0][0].split == "validation"


@pytest.mark.parametrize(
    ("songs", "held_out", "moved"),
    [
        (1000, 4, {}),
        (10, 4, {}),
        (8, 4, {}),
        (7, 3, {"rock": "train"}),
        (3, 1, {"rock": "train"}),
        (2, 1, {"rock": "train"}),
    ],
)
def test_a_number_is_held_out_but_no_more_than_half(songs: int, held_out: int, moved: dict[str, str]) -> None:
    divided, told = selection.divide([clip("rock", number) for number in range(songs)], 4, seed=1)
    assert [song.split for song in divided].count("validation") == held_out
    assert told == moved
    chosen = [selection.position_of(song.sha256[:16], 1) for song in divided if song.split == "validation"]
    others = [selection.position_of(song.sha256[:16], 1) for song in divided if song.split == "train"]
    assert max(chosen) < min(others)


def test_genres_that_hold_out_less_than_asked_are_named() -> None:
    songs = [clip(genre, number) for genre, count in (("hip", 5), ("metal", 8), ("rock", 3)) for number in range(count)]
    divided, moved = selection.divide(songs, 4, seed=1)
    assert selection.halved(divided, moved) == "hip 2 of 5, rock 1 of 3"
    divided, moved = selection.divide(songs, 0.001, seed=1)
    assert selection.halved(divided, moved) == "", "one more than asked is no shortage"
