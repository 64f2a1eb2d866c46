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
ALL = "all"
"""Stands in place of a genre: all genres together."""
LARGEST_BYTES = 200_000_000

Number = Annotated[float, PlainSerializer(rounded)]
Sentence = Annotated[str, Field(max_length=100_000)]
Step = Annotated[int, Field(ge=0, strict=False)]
"""In the file a text, because JSON's keys are."""
Baseline = Literal["linear", "markov", "uniform"]
"""`linear`: the adaptive linear predictor. `markov`: the stronger first-order Markov model. `uniform`: guessing."""
Verdict = Literal["better", "worse", "unclear", "too few"]
"""What a difference says after Holm's correction (`intervals.verdicts` decides it and nothing else does).

`unclear`: chance alone gives such a difference too easily. `too few`: one or two units have no interval, and of four
genres or fewer the mean may not tell. What is clear in every genre is clear over all (`intervals.over_all`)."""
Measures = dict[Text, Measure]
"""Name → measure."""

T = TypeVar("T")
ByStep = Annotated[dict[Step, T], AfterValidator(lambda rows: dict(sorted(rows.items())))]
ByGenre = dict[Text, T]


class SongBits(BaseModel):
    """Bits per sample of one held-out song, all on the same samples. Songs stand in no order that could name them."""

    model_config = STRICT

    samples: Count
    unigram: Number | None
    markov: Number | None
    """None where the genre has no training song."""
    linear: Number
    network: ByStep[Number] = {}


class Difference(BaseModel):
    """A difference measured unit by unit (song by song, genre by genre), or between two groups of clips."""

    model_config = STRICT

    difference: Measure
    """Its mean; `n` units of the kind `over`, and an interval from three units on."""
    verdict: Verdict
    favourable: Count | None = None
    """In how many of the `n` units it is for the better; None where the groups are not paired."""


class Closed(BaseModel):
    """How much of the way from white noise to held-out music a measure has gone."""

    model_config = STRICT

    share: Measure
    """0: no nearer to held-out music than white noise is. 1: there. Never outside."""
    side: Literal["short", "beyond", "wrong way"] | None
    """`short`: between the two. `beyond`: past held-out music. `wrong way`: past white noise. Of genre `all`:
    where every genre is, else None."""


class Conditioning(BaseModel):
    """Which genre a checkpoint finds likeliest for each held-out song, and what knowing the genre is worth."""

    model_config = STRICT

    genres: tuple[Text, ...]
    confusion: tuple[tuple[Count, ...], ...]
    """Counts of songs: a row for each true genre, a column for each guessed one."""
    undecided: Count
    accuracy: Measure
    chance: Number
    gain: ByGenre[Difference]
    """Bits per sample under the song's own genre less the mean under the others, song by song; `all`: all songs."""

    @model_validator(mode="after")
    def _square(self) -> Self:
        if {len(self.confusion), *map(len, self.confusion)} - {len(self.genres)}:
            raise ValueError(f"confusion must have {len(self.genres)} rows and columns, one for each genre")
        return self


class Generalisation(BaseModel):
    """Bits per sample less the linear predictor's, so that songs that are hard in themselves do not count."""

    model_config = STRICT

    training: Measure
    held_out: Measure
    gap: Difference
    """Held-out less training: above 0 the network knows its training songs better than others."""


class CalibrationBin(BaseModel):
    """Predictions of similar entropy."""

    model_config = STRICT

    entropy: Number
    """Bits per sample that the network expects to pay, on average over the bin."""
    cost: Number
    """Bits per sample that it pays."""
    samples: Count


class Calibration(BaseModel):
    """Whether the network's own uncertainty is right: the entropy of its predictions against their cost."""

    model_config = STRICT

    entropy: Measure
    cost: Measure
    excess: Measure
    """Cost less entropy, song by song."""
    says: Literal["overconfident", "underconfident", "unclear", "too few"]
    curve: tuple[CalibrationBin, ...]


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
    songs_searched: Count
    held_out_pieces: Count
    """Pieces of this genre's held-out songs, which cannot be copies, searched in the same way."""
    held_out_longest_s: Number | None
    held_out_as_long: Number | None
    """Share of them with a match as long."""
    beyond_held_out: bool | None
    """Whether the match is longer than every one of theirs, which alone would hint at copying."""


class Found(BaseModel):
    """Share of planted copies that the search finds at one setting."""

    model_config = STRICT

    at: Number
    share: Number


class Detection(BaseModel):
    """What the search for copies can find: stretches of training songs, planted, changed and searched."""

    model_config = STRICT

    duration_s: Number
    planted: Count
    """Copies planted at each setting."""
    level_db: tuple[Found, ...]
    """Made quieter by so much, in silence."""
    noise_db: tuple[Found, ...]
    """Level of the copy above white noise under it."""
    speed_percent: tuple[Found, ...]
    """Played faster by so much."""
    lowest_level_db: Number | None
    lowest_noise_db: Number | None
    highest_speed_percent: Number | None
    """The three limits: the last setting up to which nine copies of ten are found; None: not even the first."""


class Agreement(BaseModel):
    """How far two embeddings agree about the same sounds."""

    model_config = STRICT

    measure: Literal["frechet", "kernel"]
    embeddings: tuple[Text, Text]
    rank_correlation: Number | None
    """Spearman's, over every genre's generations and references. 1: the same order."""
    n: Count


class Change(BaseModel):
    """A measure at two steps: the later less the earlier."""

    model_config = STRICT

    measure: Text
    genre: Text
    """`all`: mean over the genres (of bits: over all songs)."""
    from_step: Count
    to_step: Count
    change: Measure
    verdict: Verdict | None
    """`better` is lower, higher or nearer to held-out music, as the catalogue has it of the measure. None: there is no
    held-out music to be nearer to. Bits per sample are corrected by themselves, all other measures together."""
    favourable: Count | None = None
    """As in a difference."""


class Evaluation(BaseModel):
    """Everything measured about a run."""

    model_config = STRICT

    format: Literal[2]
    run: Text | None
    """An imported run's name; None for the study's own."""
    genres: tuple[Text, ...]
    uniform: float
    """Bits per sample of guessing blindly."""
    markov: ByGenre[Number] = {}
    """Bits per sample of the stronger Markov model."""
    baselines: ByGenre[Measures] = {}
    """Bits per sample of `unigram`, `markov_genre`, `markov_pooled` and `linear`, on the network's samples."""
    songs: ByGenre[tuple[SongBits, ...]] = {}
    """Each held-out song."""
    against: ByStep[dict[Baseline, ByGenre[Difference]]] = {}
    """Network less baseline, song by song; genre `all`: all songs. `linear` is the primary one."""
    steps: ByStep[ByGenre[Measures]]
    """What a genre's generations and a step's checkpoint measure."""
    references: dict[Text, ByGenre[Measures]] = {}
    """The same of `real` (held-out songs), `training`, `other_genres` and `white_noise`."""
    closed: ByStep[ByGenre[dict[Text, Closed]]] = {}
    """Measure → how much of the way from white noise to held-out music; genre `all`: mean over genres."""
    blind: ByGenre[tuple[Text, ...]] = {}
    """Measures by which white noise already looks like the genre's music; `closed` leaves them out."""
    conditioning: ByStep[Conditioning] = {}
    generalisation: ByStep[ByGenre[Generalisation]] = {}
    """Training songs against held-out ones."""
    calibration: ByStep[ByGenre[Calibration]] = {}
    """Genre `all`: all songs."""
    context: ByStep[ByGenre[tuple[ContextRange, ...]]] = {}
    copying: ByStep[ByGenre[Copying]] = {}
    detection: Detection | None = None
    agreement: tuple[Agreement, ...] = ()
    checkpoints: ByStep[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = {}
    """`about_sha256` of the checkpoints that were scored."""
    progress: tuple[Change, ...] = ()
    """Between neighbouring steps, from the first to the last, and from the second to the last."""
    why: dict[Text, Sentence] = {}
    """Section → why it, or a part of it, could not be measured."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file; what was never set is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def of(self, step: int, genre: str, name: str) -> Measure | None:
        """A measure, or None if it was not taken."""
        return self.steps.get(step, {}).get(genre, {}).get(name)

    def reference(self, reference: str, genre: str, name: str) -> Measure | None:
        """A measure of a reference (such as `white_noise`), or None if it was not taken."""
        return self.references.get(reference, {}).get(genre, {}).get(name)

    def bits(self, step: int, genre: str) -> float | None:
        """Held-out bits per sample."""
        measure = self.of(step, genre, BITS)
        return measure.value if measure else None

    def change(self, from_step: int, to_step: int, genre: str, name: str) -> Change | None:
        """A measure's change between two steps, or None if it was not compared."""
        wanted = (from_step, to_step, genre, name)
        rows = (row for row in self.progress if (row.from_step, row.to_step, row.genre, row.measure) == wanted)
        return next(rows, None)

    def names(self) -> list[str]:
        """All measures in the order in which they first appear."""
        rows = [row for by_genre in self.steps.values() for row in by_genre.values()]
        return list(dict.fromkeys(name for row in rows for name in row))


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
