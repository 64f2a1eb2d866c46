"""metrics/evaluate.json (docs/formats.md): the one description of it, for its writer and for all readers.

In: the file, or what was measured. Out: `Evaluation`. Measures are kept by name, so one that is not in the catalogue is
read like the others. It loads neither torch nor scipy, because the comparison imports it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from src.base.errors import Problem
from src.evaluate.measure import STRICT, Count, Measure, Text, rounded

BITS = "bits_per_sample"
LARGEST_BYTES = 200_000_000

Number = Annotated[float, PlainSerializer(rounded)]
Sentence = Annotated[str, Field(max_length=100_000)]
Step = Annotated[int, Field(ge=0, strict=False)]
"""In the file a text, because JSON's keys are: "20", and "000020" in the files of an older checkout."""
Verdict = Literal["fell", "rose", "no evidence", "unknown"]
Measures = dict[Text, Measure]
"""Name → measure."""

T = TypeVar("T")
ByStep = Annotated[dict[Step, T], AfterValidator(lambda rows: dict(sorted(rows.items())))]
ByGenre = dict[Text, T]


class Reference(BaseModel):
    """What a genre's songs, or the noise beside it, measure."""

    model_config = STRICT

    measures: Measures


class StepRow(BaseModel):
    """What a genre's generations and a step's checkpoint measure."""

    model_config = STRICT

    measures: Measures
    bits_per_sample: Number | None = None
    """Of held-out songs. This and what follows is absent where no checkpoint was scored."""
    clips: Count | None = None
    samples: Count | None = None
    below_markov: bool | None = None


class Conditioning(BaseModel):
    """Which genre a checkpoint finds likeliest for each held-out song."""

    model_config = STRICT

    genres: tuple[Text, ...]
    confusion: tuple[tuple[Count, ...], ...]
    """Counts of songs: a row for each true genre, a column for each guessed one."""
    undecided: Count
    accuracy: Measure
    accuracy_windows: Measure
    chance: Number

    @model_validator(mode="after")
    def _square(self) -> Self:
        if {len(self.confusion), *map(len, self.confusion)} - {len(self.genres)}:
            raise ValueError(f"confusion must have {len(self.genres)} rows and columns, one for each genre")
        return self


class ContextRange(BaseModel):
    """Bits per sample of the predictions that see `first` to `last` samples of real context."""

    model_config = ConfigDict(**STRICT, populate_by_name=True)

    first: Count = Field(alias="from")
    last: Count = Field(alias="to")
    bits: Measure


class Copying(BaseModel):
    """The longest match of a genre's generations with a training song, beside those of held-out pieces as long."""

    model_config = STRICT

    longest_s: Number
    clip: Count
    start_s: Number
    song_genre: Text | None
    held_out_as_long: Number | None
    """Share of the held-out pieces with a match as long."""
    held_out_pieces: Count
    held_out_longest_s: Number | None
    songs_searched: Count


class Change(BaseModel):
    """A measure of a genre at two steps."""

    model_config = STRICT

    measure: Text
    genre: Text
    from_step: Count
    to_step: Count
    change: Measure
    """After minus before."""
    verdict: Verdict
    closer_to_real: bool | None
    """Whether it came nearer to held-out music; None where the intervals leave that open."""
    trend: Measure | None = None
    """Only of the change from the first step to the last."""


class Evaluation(BaseModel):
    """Everything measured about a run."""

    model_config = STRICT

    format: Literal[1]
    run: Text | None
    """An imported run's name; None for the study's own."""
    genres: tuple[Text, ...]
    uniform: float
    """Bits per sample of guessing blindly."""
    markov: ByGenre[Number] = {}
    """Bits per sample of the stronger Markov model."""
    baselines: ByGenre[Measures] = {}
    steps: ByStep[ByGenre[StepRow]]
    references: dict[Text, ByGenre[Reference]] = {}
    conditioning: ByStep[Conditioning] = {}
    context: ByStep[ByGenre[tuple[ContextRange, ...]]] = {}
    copying: ByStep[ByGenre[Copying]] = {}
    progress: tuple[Change, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    """What the measures support, in words."""
    why: dict[Text, Sentence] = {}
    """Section → why it, or a part of it, could not be measured."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file; what was never set is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def of(self, step: int, genre: str, name: str) -> Measure | None:
        """A measure, or None if it was not taken."""
        row = self.steps.get(step, {}).get(genre)
        return row.measures.get(name) if row else None

    def reference(self, reference: str, genre: str, name: str) -> Measure | None:
        """A measure of a reference (such as `white_noise`), or None if it was not taken."""
        row = self.references.get(reference, {}).get(genre)
        return row.measures.get(name) if row else None

    def bits(self, step: int, genre: str) -> float | None:
        """Held-out bits per sample."""
        measure = self.of(step, genre, BITS)
        return measure.value if measure else None

    def names(self) -> list[str]:
        """All measures in the order in which they first appear."""
        rows = [row for by_genre in self.steps.values() for row in by_genre.values()]
        return list(dict.fromkeys(name for row in rows for name in row.measures))


def read(path: Path, made_by: str = "python -m src.evaluate") -> Evaluation:
    """Read metrics/evaluate.json. Raises `Problem` if it is missing, damaged or something else."""
    again = f"Make it again with: {made_by}"
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Problem(f"{path} is too large to be a file of measures. {again}")
        return Evaluation.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Make it with: {made_by}") from None
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror}). {again}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:200] or "the file"
        reason = first["msg"].removeprefix("Value error, ")
        raise Problem(f"{path} is damaged: {field}: {reason}. {again}") from None
