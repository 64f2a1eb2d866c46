"""Blind listening: the answers that the page lets a listener save, read back as one more measure.

In: JSON files saved by the page's blind mode. Out: for each step, and each pair of steps, how often it was called more
like music, with a 95 % interval. Command: python -m src.compare --listening FILE

A file comes from outside, so all of it is checked before any of it counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from src.base.errors import Problem
from src.compare.words import interval, percent
from src.evaluate.measure import Measure, wilson

LARGEST_BYTES = 5_000_000


class Answer(BaseModel):
    """One question: two clips of a genre, and which of them is more like music."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    genre: str = Field(max_length=200)
    steps: tuple[int, int] = Field(strict=False)
    """Steps of clip A and clip B."""
    clips: tuple[str, str] = Field(strict=False)
    """Digests of clip A and clip B."""
    chosen: int | None
    """Step of the clip chosen; None for "cannot tell"."""
    heard_s: tuple[float, float] = Field(strict=False)
    """Seconds that each of the two was heard."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.steps[0] == self.steps[1]:
            raise ValueError("the two clips must be of different steps")
        if self.chosen is not None and self.chosen not in self.steps:
            raise ValueError("chosen must be one of the two steps")
        return self


class Sitting(BaseModel):
    """One listener's answers: one file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["listening"]
    format: Literal[1]
    run: str = Field(max_length=200)
    began: str = Field(max_length=40)
    answers: tuple[Answer, ...] = Field(min_length=1, max_length=10_000, strict=False)


@dataclass(frozen=True)
class Listening:
    """What the answers say. A "cannot tell" counts half for each of the two."""

    sittings: int
    answers: int
    undecided: int
    by_step: dict[int, Measure]
    """Step → share of its comparisons in which it was called more like music."""
    by_pair: dict[tuple[int, int], Measure]
    """(earlier, later) → share in which the later one was."""
    set_aside: int = 0
    """Answers about clips that are not these."""

    def sentences(self) -> list[str]:
        """What can be said about each pair: only what its interval supports."""
        return [_sentence(pair, figure) for pair, figure in self.by_pair.items()]

    def as_json(self) -> dict[str, Any]:
        """For comparison.json."""
        return {
            "sittings": self.sittings,
            "answers": self.answers,
            "undecided": self.undecided,
            "set_aside": self.set_aside,
            "preferred_share": {str(step): figure.to_json() for step, figure in self.by_step.items()},
            "later_preferred_share": {
                f"{first}-{second}": figure.to_json() for (first, second), figure in self.by_pair.items()
            },
            "sentences": self.sentences(),
        }


def load(path: Path) -> Sitting:
    """Read one file of answers. Raises `Problem` if it is missing or not such a file."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Problem(f"{path} is too large to be a file of listening answers.")
        return Sitting.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Save it from the page's blind listening first.") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Problem(
            f"{path} is not a file of listening answers: {field}: {first['msg']}. "
            "Save one from the page's blind listening."
        ) from None
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.") from None


def tally(sittings: Sequence[Sitting], clips: Iterable[str]) -> Listening:
    """Count the answers that are about these clips (their digests), each sitting's answer to a question once.

    Raises `Problem` if none is.
    """
    known = set(clips)
    answers = [answer for sitting in dict.fromkeys(sittings) for answer in sitting.answers]
    counted = [answer for answer in answers if set(answer.clips) <= known]
    if not counted:
        raise Problem(
            "None of the listening answers is about the clips of this run: they were heard on another run's page, "
            "or the clips were generated again since."
        )
    steps = sorted({step for answer in counted for step in answer.steps})
    by_pair = {
        (first, second): _share(counted, second, {first, second})
        for first, second in combinations(steps, 2)
        if any(set(answer.steps) == {first, second} for answer in counted)
    }
    return Listening(
        sittings=len(set(sittings)),
        answers=len(counted),
        undecided=sum(answer.chosen is None for answer in counted),
        by_step={step: _share(counted, step) for step in steps},
        by_pair=by_pair,
        set_aside=len(answers) - len(counted),
    )


def _share(answers: Sequence[Answer], step: int, pair: set[int] | None = None) -> Measure:
    """Share of the answers about `step` (and this pair) that chose it, with Wilson's interval."""
    about = [answer for answer in answers if step in answer.steps and (pair is None or set(answer.steps) == pair)]
    hits = sum(1.0 if answer.chosen == step else 0.5 * (answer.chosen is None) for answer in about)
    return wilson(hits, len(about), "answers")


def _sentence(pair: tuple[int, int], figure: Measure) -> str:
    first, second = pair
    assert figure.lo is not None
    assert figure.hi is not None
    share = f"{figure.value:.0%} of {figure.n} answers ({interval(percent, figure.lo, figure.hi)})"
    if figure.lo > 0.5:
        return f"Step {second:,} was called more like music than step {first:,} in {share}."
    if figure.hi < 0.5:
        return f"Step {second:,} was called less like music than step {first:,}: preferred in {share}."
    return f"Between steps {first:,} and {second:,} listeners did not decide: the later was preferred in {share}."
