"""Does a generation contain a stretch of a training song, and what would the search not find?

In: fingerprints of sounds (`src/audio/fingerprint.py`). Out: the longest stretch in which two of them nearly agree, the
longest match of a genre's generations beside those of held-out pieces, and the limits of the search, measured with
copies that are planted for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numba
import numpy as np
import soxr

import src.wavenet.cpu  # noqa: F401 - it says where numba keeps what it compiled
from src.audio import fingerprint
from src.audio.fingerprint import STRETCHES, Words
from src.evaluate.schema import Copying, Detection, Found
from src.evaluate.spectra import Audio

RUN_WORDS = 32
"""About 1 s: the bits of so many words are compared together; nothing shorter counts as a match."""
ERROR_SHARE = 0.30
"""Share of differing bits below which they nearly agree; unrelated audio has 0.5, give or take 0.04."""
EDGE_WORDS, EDGE_ERROR_SHARE = 8, 0.35
"""The ends of a match are cut until so many words there differ in no more than this share of their bits."""

PLANTED_S, AROUND_S = 3.0, 2.5
"""Length of a planted copy, and of what stands before and behind it."""
LEVELS_DB = (0.0, -10.0, -20.0, -30.0, -40.0, -50.0, -60.0, -70.0)
NOISE_DB = (30.0, 25.0, 20.0, 15.0, 10.0, 5.0, 0.0)
SPEEDS_PERCENT = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
ENOUGH = 0.9
"""Share of the planted copies that must be found up to the limit."""


@dataclass(frozen=True)
class Match:
    """The longest near-match: its length and where it begins in both, in seconds; 0 s if there is none of 1 s."""

    duration_s: float
    start_s: float
    song_start_s: float


NOTHING = Match(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Planted:
    """A stretch of a training song to plant, and the whole song's fingerprint."""

    audio: Audio
    start_s: float
    song: Words


def words_of(audio: Audio, rate_hz: int) -> Words:
    """The fingerprint that copies are searched with."""
    return fingerprint.fingerprint(audio, rate_hz, STRETCHES)


def longest_match(heard: Words, song: Words) -> Match:
    """The longest stretch of `heard` that nearly agrees with a stretch of `song` of the same speed."""
    most = int(32 * RUN_WORDS * ERROR_SHARE)
    run, start, other = _search(heard, song, RUN_WORDS, most)
    if not run:
        return NOTHING
    # Windows of a second that nearly agree reach up to half a second past the copy: cut the ends that do not agree.
    share = np.bitwise_count(heard[start : start + run] ^ song[other : other + run]) / 32
    near = np.flatnonzero(np.convolve(share, np.full(EDGE_WORDS, 1 / EDGE_WORDS), mode="valid") <= EDGE_ERROR_SHARE)
    if len(near) == 0:
        return NOTHING
    first, last, hop_s = int(near[0]), int(near[-1]) + EDGE_WORDS, STRETCHES.hop_s
    return Match((last - first) * hop_s, (start + first) * hop_s, (other + first) * hop_s)


def closest(heard: Words, songs: Sequence[tuple[str, Words]]) -> tuple[Match, str | None]:
    """The longest match with any of the songs (genre, fingerprint), and that song's genre."""
    best, genre = NOTHING, None
    for whose, song in songs:
        match = longest_match(heard, song)
        if match.duration_s > best.duration_s:
            best, genre = match, whose
    return best, genre


def longest_copy(
    matches: Sequence[tuple[Match, str | None]], held_out_s: Sequence[float], songs_searched: int
) -> Copying:
    """The longest match of a genre's clips, beside those of pieces of the genre's held-out songs."""
    number = max(range(len(matches)), key=lambda index: matches[index][0].duration_s)
    best, genre = matches[number]
    longer = sum(duration_s >= best.duration_s for duration_s in held_out_s)
    return Copying(
        longest_s=best.duration_s,
        clip=number + 1,
        start_s=best.start_s,
        song_genre=genre,
        songs_searched=songs_searched,
        held_out_pieces=len(held_out_s),
        held_out_longest_s=max(held_out_s) if held_out_s else None,
        held_out_as_long=longer / len(held_out_s) if held_out_s else None,
        beyond_held_out=longer == 0 if held_out_s else None,
    )


def detection(planted: Sequence[Planted], rate_hz: int, coded: Callable[[Audio], Audio]) -> Detection:
    """How quiet, how noisy and how fast a copy may be and still be found.

    coded: takes a sound through the codes that generations are made of.
    """

    def found(change: Callable[[Audio], Audio], noise_db: float | None = None) -> float:
        hits = 0
        for number, copy in enumerate(planted):
            part = change(copy.audio)
            sound = np.pad(part.astype(np.float64), round(AROUND_S * rate_hz))
            if noise_db is not None:
                level = float(np.sqrt(np.mean(part**2))) * 10 ** (-noise_db / 20)
                sound = sound + level * np.random.default_rng(number).standard_normal(len(sound))
            match = longest_match(words_of(coded(np.clip(sound, -1, 1)), rate_hz), copy.song)
            lag_s = match.song_start_s - match.start_s - (copy.start_s - AROUND_S)
            hits += match.duration_s >= PLANTED_S / 2 and abs(lag_s) < 0.25
        return hits / len(planted)

    def row(settings: Sequence[float], measure: Callable[[float], float]) -> tuple[Found, ...]:
        return tuple(Found(at=setting, share=measure(setting)) for setting in settings)

    levels = row(LEVELS_DB, lambda level_db: found(lambda audio: audio * 10 ** (level_db / 20)))
    noises = row(NOISE_DB, lambda noise_db: found(lambda audio: audio, noise_db))
    speeds = row(SPEEDS_PERCENT, lambda percent: found(lambda audio: faster(audio, percent)))
    return Detection(
        duration_s=PLANTED_S,
        planted=len(planted),
        level_db=levels,
        noise_db=noises,
        speed_percent=speeds,
        lowest_level_db=_limit(levels),
        lowest_noise_db=_limit(noises),
        highest_speed_percent=_limit(speeds),
    )


def faster(audio: Audio, percent: float) -> Audio:
    """The sound played so much faster, and higher."""
    changed: Audio = soxr.resample(audio, 1 + percent / 100, 1.0)
    return changed


def _limit(row: Sequence[Found]) -> float | None:
    """The last setting up to which enough copies are found."""
    limit = None
    for each in row:
        if each.share < ENOUGH:
            break
        limit = each.at
    return limit


@numba.njit(nogil=True, cache=True)
def _differing(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    """How many of 32 bits are set."""
    x = x - ((x >> np.uint32(1)) & np.uint32(0x55555555))
    x = (x & np.uint32(0x33333333)) + ((x >> np.uint32(2)) & np.uint32(0x33333333))
    x = (x + (x >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return np.int32(np.uint32(x * np.uint32(0x01010101)) >> np.uint32(24))


@numba.njit(nogil=True, cache=True)
def _search(a, b, length, most):  # type: ignore[no-untyped-def]  # pragma: no cover
    """(frames, start in a, start in b) of the longest run of windows with at most `most` differing bits."""
    best, best_a, best_b = 0, 0, 0
    differ = np.zeros(len(a) + 1, np.int32)
    for shift in range(-(len(b) - length), len(a) - length + 1):
        # On this diagonal a[i] stands beside b[i - shift].
        first = max(0, shift)
        count = min(len(a), len(b) + shift) - first
        for k in range(count):
            i = first + k
            differ[k] = _differing(a[i] ^ b[i - shift]) if a[i] and b[i - shift] else 16
        total = np.int32(0)
        for k in range(length - 1):
            total += differ[k]
        run = 0
        for k in range(length - 1, count):
            total += differ[k]
            run = run + 1 if total <= most else 0
            if run and run + length - 1 > best:
                best = run + length - 1
                best_a = first + k - best + 1
                best_b = best_a - shift
            total -= differ[k - length + 1]
    return best, best_a, best_b
