"""Blind listening: the ratings that the page lets a listener save, read back as one more measure.

In: JSON files saved by the page's blind mode. Out: how much more like music a step was rated than another one, paired
by listener and genre. Command: python -m src.compare --listening FILE

As in MUSHRA (ITU-R BS.1534-3), a screen holds every step of a genre, a noise and, where songs may be heard, a hidden
song, in random order, each rated from 0 to 100. A file comes from outside, so all of it is checked before any counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from src.base.console import plural
from src.base.errors import Problem
from src.compare.sentences import Claim, Sentence
from src.compare.words import capital, signless_zero, spread
from src.evaluate.schema import ALL, Difference

LARGEST_BYTES = 5_000_000
SONG, NOISE = "song", "noise"
FAILED_SHARE = 0.15
"""A sitting is set aside if the hidden song was not rated above the noise in more than this share of its screens
(the share of BS.1534-3's post-screening)."""


class Rating(BaseModel):
    """One sound of a screen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    stimulus: str = Field(pattern=r"^(step-[0-9]{1,9}|song|noise)$")
    clip: str = Field(max_length=64)
    """Digest of the generated clip; empty for a song or a noise."""
    score: int = Field(ge=0, le=100)
    heard_s: float = Field(ge=0, allow_inf_nan=False)


class Screen(BaseModel):
    """The ratings of one genre."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    genre: str = Field(max_length=200)
    ratings: tuple[Rating, ...] = Field(min_length=2, max_length=100, strict=False)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({rating.stimulus for rating in self.ratings}) < len(self.ratings):
            raise ValueError("a sound is rated twice")
        if all(rating.stimulus in (SONG, NOISE) for rating in self.ratings):
            raise ValueError("no step is rated")
        return self

    def scores(self) -> dict[str, int]:
        """Stimulus → score."""
        return {rating.stimulus: rating.score for rating in self.ratings}


class Sitting(BaseModel):
    """One listener's ratings: one file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["listening"]
    format: Literal[2]
    id: str = Field(pattern=r"^[0-9a-f-]{36}$")
    """Drawn at random when the sitting began: no file counts twice."""
    run: str = Field(max_length=200)
    began: str = Field(max_length=40)
    screens: tuple[Screen, ...] = Field(min_length=1, max_length=1_000, strict=False)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({screen.genre for screen in self.screens}) < len(self.screens):
            raise ValueError("a genre is rated twice")
        return self

    @property
    def attentive(self) -> bool:
        """Whether the hidden song was rated above the noise often enough; True where there was no song."""
        both = [scores for screen in self.screens if {SONG, NOISE} <= (scores := screen.scores()).keys()]
        return sum(scores[SONG] <= scores[NOISE] for scores in both) <= FAILED_SHARE * len(both)


@dataclass(frozen=True)
class Listening:
    """What the ratings say."""

    sittings: int
    screens: int
    means: Mapping[str, float]
    """Stimulus → mean score."""
    pairs: Mapping[tuple[str, str], tuple[float, ...]]
    """(earlier, later) → score of the later less that of the earlier, one value a listener (or, of a single listener,
    one a genre)."""
    notes: tuple[str, ...] = ()
    """What was not counted, in sentences."""

    @property
    def over(self) -> str:
        """What the differences are paired over."""
        if self.sittings == 1:
            return f"{plural(self.screens, 'genre')} rated by 1 listener"
        return plural(self.sittings, "listener")

    def sentences(self) -> list[Sentence]:
        """The last step beside a noise, the first and second step, and the hidden song; `src.evaluate` judges them."""
        from src.evaluate import intervals  # scipy, which --help need not wait for

        *before, last = [stimulus for stimulus in self.means if stimulus not in (SONG, NOISE)]
        pairs = [(NOISE, last), *((step, last) for step in before[:2]), (last, SONG)]
        known = {pair: self.pairs[pair] for pair in pairs if pair in self.pairs}
        judged = intervals.differences(known, 1, "points")
        return [*(self._sentence(*pair, judged[pair]) for pair in known), *map(Sentence, self.notes)]

    def _sentence(self, first: str, second: str, found: Difference) -> Sentence:
        value, one, other = found.difference.value or 0.0, _name(second), _name(first)
        turned = spread(found.difference, points, -1 if value < 0 else 1).rpartition(", ")[0]
        within = f"{turned}, {self.over}".removeprefix(", ")
        apart = f"{points(abs(value))} points of 100 {'higher' if value > 0 else 'lower'}"
        text = {
            "unclear": f"Listeners did not clearly tell {one} from {other}: rated {apart} ({within}).",
            "too few": f"{capital(one)} was rated {apart} than {other}; {self.over}: too few to say more.",
        }.get(found.verdict, f"Listeners rated {one} {apart} than {other} ({within}).")
        return Sentence(text, (Claim("listening", ALL, other, one, found.verdict),))

    def as_json(self) -> dict[str, Any]:
        """For comparison.json."""
        return {
            "sittings": self.sittings,
            "screens": self.screens,
            "mean_scores": {stimulus: round(mean, 2) for stimulus, mean in self.means.items()},
            "differences": {f"{first} to {second}": list(values) for (first, second), values in self.pairs.items()},
        }


def load(path: Path) -> Sitting:
    """Read one file of ratings. Raises `Problem` if it is missing or not such a file."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Problem(f"{path} is too large to be a file of listening answers.")
        return Sitting.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Save it from the page's blind listening first.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Problem(
            f"{path} is not a file of listening answers: {where}: {first['msg']}. "
            "Save one from the page's blind listening."
        ) from None
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from None


def tally(sittings: Sequence[Sitting], clips: Iterable[str]) -> Listening:
    """Count each sitting once, and of it the screens about these clips (their digests).

    Raises `Problem` if none is, or if two files of one sitting differ.
    """
    known, notes = {*clips, ""}, []
    counted: dict[str, Sitting] = {}
    for sitting in sittings:
        if sitting != counted.setdefault(sitting.id, sitting):
            raise Problem(f"Two files of the sitting {sitting.id} differ. Give only the last one that was saved.")
    if repeated := len(sittings) - len(counted):
        notes.append(f"{plural(repeated, 'file')} of a sitting that was counted already: ignored.")
    attentive = [sitting for sitting in counted.values() if sitting.attentive]
    if inattentive := len(counted) - len(attentive):
        notes.append(f"{plural(inattentive, 'sitting')} set aside: the hidden song was not rated above the noise.")
    kept = [
        screens
        for sitting in attentive
        if (screens := [screen for screen in sitting.screens if {r.clip for r in screen.ratings} <= known])
    ]
    if not kept:
        reason = "another run's page, or the clips were generated again since"
        none = f"None of the other ratings is about the clips of this run: they were heard on {reason}."
        raise Problem(" ".join([*notes, none]))
    if others := sum(len(sitting.screens) for sitting in attentive) - sum(map(len, kept)):
        notes.append(f"{plural(others, 'screen')} about other clips set aside.")
    every = [screen.scores() for screens in kept for screen in screens]
    stimuli = sorted({stimulus for scores in every for stimulus in scores}, key=_order)
    pairs = {pair: tuple(_differences(kept, *pair)) for pair in combinations(stimuli, 2)}
    return Listening(
        sittings=len(kept),
        screens=len(every),
        means={name: float(np.mean([scores[name] for scores in every if name in scores])) for name in stimuli},
        pairs={pair: values for pair, values in pairs.items() if values},
        notes=tuple(notes),
    )


def _differences(kept: Sequence[Sequence[Screen]], first: str, second: str) -> list[float]:
    """Score of the second less that of the first: by listener, or by genre where one listener is all there is."""
    by_listener = [
        [scores[second] - scores[first] for screen in screens if {first, second} <= (scores := screen.scores()).keys()]
        for screens in kept
    ]
    if len(kept) == 1:
        return [float(value) for value in by_listener[0]]
    return [float(np.mean(values)) for values in by_listener if values]


def points(score: float) -> str:
    """A score, or a difference of scores."""
    return signless_zero(f"{score:.0f}")


def _name(stimulus: str) -> str:
    return {NOISE: "a noise", SONG: "a held-out song"}.get(stimulus) or f"step {int(stimulus.removeprefix('step-')):,}"


def _order(stimulus: str) -> tuple[int, int]:
    """Noise, the steps in their order, the song."""
    place = {NOISE: 0, SONG: 2}.get(stimulus, 1)
    return place, 0 if place != 1 else int(stimulus.removeprefix("step-"))
