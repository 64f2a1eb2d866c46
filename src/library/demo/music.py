"""The demo library's music: one line of short notes at a steady tempo, which a small network can learn to play.

In: genre, seed, number of the song, length and sample rate. Out: its samples. Same arguments, same samples.

What makes it learnable, found by trials (docs/demo.md):
- Every note fades by 29 dB until the next one begins. A network that hears an eighth of a second of the past then knows
  from the fading how much of a beat is over.
- A faint hiss lies over everything: a network that has heard only clean music falls apart at its own first mistake.
- All songs of a genre have one tempo, and their keys are neighbours, so that notes of several songs sound together.
"""

import hashlib
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

from src.base.errors import Problem

Samples = NDArray[np.float32]

HISS_LEVEL = 0.018
"""Standard deviation of the hiss, all of it below `HISS_RATE_HZ` / 2."""
HISS_RATE_HZ = 8000
FADING = 0.3
"""The time in which a note falls to 1/e, as a share of its length."""
KEYS = (0, 5, 7)
"""Semitones above the genre's key: neighbours on the circle of fifths."""
PENTATONIC = (0, 3, 5, 7, 10)
MAJOR = (0, 2, 4, 5, 7, 9, 11)

HARMONICS = {
    "harp": (1.0, 0.3, 0.1),
    "stab": (1.0, 0.7),
    "bell": (1.0, 0.4, 0.1),
    "guitar": (1.0, 0.8, 0.6, 0.4, 0.2),
    "strum": (1.0, 0.5, 0.3),
}
"""Pitched instruments: the strength of each harmonic. The highest stays below 4 kHz in every genre."""
DRUMS_HZ = {"kick": (60.0, 200.0), "boom": (50.0, 220.0)}
"""Drums: the pitch they fall to, and the one they fall from."""


class Note(NamedTuple):
    """A note of one step's length."""

    instrument: str
    level: float
    pitch: int = 0
    """MIDI number, 69 is 440 Hz; a drum has its own."""


Step = tuple[Note, ...]
"""What sounds together from one step to the next."""
Random = np.random.Generator


def _classical(random: Random, key: int) -> list[Step]:
    """A harp: the notes of four chords, each broken twice in one order."""
    roots = (0, *random.permutation([3, 4, 5]))
    order = random.permutation([0, 2, 4, 4])
    return [(Note("harp", 0.6, 60 + key + MAJOR[(root + third) % 7]),) for root in roots for third in (*order, *order)]


def _hardcore(random: Random, key: int) -> list[Step]:
    """Drum and stab in turn, as fast as they go."""
    verse: list[Step] = []
    for pitch in _riff(random, 67 + key, 4):
        verse += 4 * [(Note("kick", 0.8),), (Note("stab", 0.7, pitch),)]
    return verse


def _hip(random: Random, key: int) -> list[Step]:
    """A slow, deep drum, and a bell that answers."""
    verse: list[Step] = []
    for pitch in _riff(random, 57 + key, 8):
        verse += [(Note("boom", 0.7),), (Note("bell", 0.6, pitch),)]
    return verse


def _metal(random: Random, key: int) -> list[Step]:
    """Low muted strings on the open note, and fifths that break out of it."""
    riff: list[Step] = [(Note("guitar", 0.35, 45 + key),)] * 8
    for place in random.choice([2, 3, 5, 6, 7], 3, replace=False):
        pitch = 45 + key + random.choice([1, 3, 5, 6])
        riff[place] = (Note("guitar", 0.35, pitch), Note("guitar", 0.25, pitch + 7))
    return 2 * riff


def _rock(random: Random, key: int) -> list[Step]:
    """A drum, and a guitar that strums three times."""
    verse: list[Step] = []
    for pitch in _riff(random, 57 + key, 8):
        verse += [(Note("kick", 0.7),), *3 * [(Note("strum", 0.5, pitch),)]]
    return verse


def _riff(random: Random, lowest: int, length: int) -> list[int]:
    """Pitches of the pentatonic scale from `lowest` to its octave, of which neighbours differ."""
    places = np.cumsum(random.integers(1, 6, length)) % 6
    return [lowest + 12 * (place // 5) + PENTATONIC[place % 5] for place in places]


STYLES: dict[str, tuple[float, Callable[[Random, int], list[Step]]]] = {
    "classical": (0.26, _classical),
    "hardcore": (0.14, _hardcore),
    "hip": (0.30, _hip),
    "metal": (0.18, _metal),
    "rock": (0.22, _rock),
}
"""Genre → seconds of a step, and what writes a verse in a key."""


def check(genres: Sequence[str]) -> None:
    """Raise `Problem` for a genre that cannot be composed."""
    for genre in genres:
        if genre not in STYLES:
            raise Problem(
                f"The demo library has no style for the genre {genre!r} of params.yaml; it can compose "
                f"{', '.join(sorted(STYLES))}. Set MUSIC_LIBRARY to a folder of your own music to study other genres."
            )


def song(genre: str, seed: int, index: int, duration_s: float, rate_hz: int) -> Samples:
    """Song number `index` of a genre, one of `STYLES`: float32 (frames,) within ±1, `duration_s` long.

    The song is a verse, the verse again, another one, and the first, and so on from the beginning.
    """
    # The genre's name, not its place: adding a genre leaves the other genres' songs as they are.
    name = int.from_bytes(hashlib.sha256(genre.encode()).digest()[:8])
    random = np.random.default_rng([seed, name, index])
    step_s, write = STYLES[genre]
    key = int(random.choice(KEYS))
    verse, other = write(random, key), write(random, key)
    music = np.zeros(round(duration_s * rate_hz), np.float32)
    sounds = {step: _play(step, step_s, rate_hz) for step in (*verse, *other)}
    for number, step in zip(range(int(duration_s / step_s)), cycle([*verse, *verse, *other, *verse])):
        first = round(number * step_s * rate_hz)
        music[first : first + len(sounds[step])] = sounds[step]
    hiss = random.normal(0, HISS_LEVEL, round(duration_s * HISS_RATE_HZ) + 1).astype(np.float32)
    music += soxr.resample(hiss, HISS_RATE_HZ, rate_hz)[: len(music)]
    return np.asarray(0.97 * np.tanh(music / 0.97))  # leaves small values as they are and never passes 1


def _play(step: Step, step_s: float, rate_hz: int) -> Samples:
    """The sound of one step, float32 (frames,), silent at both ends."""
    t = np.arange(int(step_s * rate_hz)) / rate_hz
    sound = np.zeros(len(t))
    for note in step:
        if note.instrument in DRUMS_HZ:
            low_hz, high_hz = DRUMS_HZ[note.instrument]
            turns = low_hz * t + (high_hz - low_hz) * 0.03 * (1 - np.exp(-t / 0.03))
            sound += note.level * np.sin(2 * np.pi * turns) * np.exp(-t / (FADING * step_s))
            continue
        hz = 440 * 2 ** ((note.pitch - 69) / 12)
        for number, strength in enumerate(HARMONICS[note.instrument], 1):
            # Higher harmonics fade faster: the colour, too, tells the time.
            fading = np.exp(-t / (FADING * step_s) * number**0.5)
            sound += note.level * strength * np.sin(2 * np.pi * number * hz * t) * fading
    attack, release = np.minimum(t / 0.002, 1), np.minimum((t[-1] - t) / 0.01, 1)
    return np.asarray(sound * attack * release, dtype=np.float32)
