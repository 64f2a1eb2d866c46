"""The split: by the clip's own sound, stable, and never without one side."""

import hashlib

from src.clips import split
from src.clips.clipset import ClipRow


def clip(genre: str, number: int) -> ClipRow:
    digest = hashlib.sha256(f"{genre} {number}".encode()).hexdigest()
    return ClipRow(f"{genre}/{digest[:16]}.flac", genre, "train", 100, -1.0, -20.0, digest)


def test_adding_songs_moves_no_other() -> None:
    few, _ = split.divide([clip("rock", number) for number in range(100)], 0.2, seed=1)
    many, moved = split.divide([clip("rock", number) for number in range(400)], 0.2, seed=1)
    assert {item.clip: item.split for item in few}.items() <= {item.clip: item.split for item in many}.items()
    assert moved == {}
    assert 50 < sum(item.split == "validation" for item in many) < 110


def test_the_seed_decides() -> None:
    songs = [clip("rock", number) for number in range(100)]
    assert split.divide(songs, 0.2, seed=1)[0] != split.divide(songs, 0.2, seed=2)[0]
    assert split.divide(songs, 0.2, seed=1) == split.divide(songs, 0.2, seed=1)


def test_each_genre_has_both() -> None:
    songs = [clip(genre, number) for genre in ("hip", "rock") for number in range(2)]
    divided, moved = split.divide(songs, 0.001, seed=1)
    assert sorted((item.genre, item.split) for item in divided) == [
        ("hip", "train"),
        ("hip", "validation"),
        ("rock", "train"),
        ("rock", "validation"),
    ]
    assert moved == {"hip": "validation", "rock": "validation"}
    _, moved = split.divide(songs, 0.999, seed=1)
    assert moved == {"hip": "train", "rock": "train"}
