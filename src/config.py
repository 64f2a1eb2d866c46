"""The study's parameters: params.yaml (what is studied) and params/<profile>.yaml (at which scale).

In: the two YAML files. Out: one frozen, validated `Params`. Every unknown key, wrong type and value out of
range is reported in one error, with its file and place.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from src.base.errors import Problem
from src.wavenet.device import Asked, Kind, choose
from src.wavenet.shape import WaveNetConfig

GENRE_NAME = r"^[\w][\w &+-]{0,63}$"
"""Genres become names of files and folders: letters, digits, `_`, and between them blanks, `&`, `+`, `-`."""

AUDIT_REACH = 200
"""Steps that an audit trains again from a checkpoint, unless it is told another number."""

T = TypeVar("T", bound=BaseModel)


class Section(BaseModel):
    """Base of every section: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class GenreRule(Section):
    """Which words of a genre tag mean this genre (whole words of the case-folded text)."""

    words: tuple[str, ...] = Field(default=(), strict=False)
    """Words that must match whole: `rap` matches "Hip-Hop/Rap", not "Therapy"."""
    prefixes: tuple[str, ...] = Field(default=(), strict=False)
    """Beginnings of words: `metal` matches "Metalcore"."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.words and not self.prefixes:
            raise ValueError("needs at least one of words, prefixes")
        return self


class LibraryParams(Section):
    """The demo library that `src.library` composes when MUSIC_LIBRARY is not set."""

    songs_per_genre: int = Field(ge=2, le=1000)
    duration_s: float = Field(gt=0, le=3600)
    """Length of a song; each one is a little longer than this, by an amount of its own."""


class ManifestParams(Section):
    """Which files of the library are kept."""

    minimum_duration_s: float = Field(gt=0)
    require_year: Literal["demo"] | bool = False
    """Skip files without a year (the 2019 study did). demo: of the composed songs alone, not of your own."""
    unreadable_allowed: int = Field(default=0, ge=0)
    """So many files may stay unread however often it is tried; of more the stage ends with an error."""


class ClipsParams(Section):
    """What is cut from each kept song."""

    duration_s: float = Field(gt=0)
    rate_hz: int = Field(ge=4000, le=192000)
    trim_dbfs: float = Field(le=0)
    """Leading and trailing parts quieter than this are cut before the clip is taken."""
    loudness_lufs: float | None = Field(default=None, le=0)
    """Bring every clip to this loudness; null leaves it as it is."""
    validation_songs: float = Field(gt=0)
    """Songs of each genre that are never trained on: a number (4), or a share of them (0.05); at most half of them."""

    @field_validator("validation_songs")
    @classmethod
    def _number_or_share(cls, value: float) -> float:
        if value >= 1 and not value.is_integer():
            raise ValueError("is a whole number of songs, or a share of them below 1")
        return value


class TrainParams(Section):
    """How the network is trained."""

    steps: int = Field(ge=1)
    """Last step. Raising it later continues the same run."""
    batch_size: int = Field(ge=1)
    sample_size: int = Field(ge=1)
    """Scored samples of each crop; a crop is this plus the receptive field."""
    optimizer: Literal["adam", "sgd", "rmsprop"]
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    """The learning rate rises linearly over these steps."""
    half_life_steps: int | None = Field(default=None, ge=1)
    """The learning rate halves every so many steps (counted from 0, so that `steps` can be extended)."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    epsilon: float = Field(default=1e-4, gt=0)
    l2_regularization: float = Field(default=0.0, ge=0)
    balance: Literal["genre", "song"]
    """Draw genres evenly, or songs evenly (the 2019 study: songs)."""
    checkpoint_every: int = Field(ge=1)
    keep_last: int = Field(ge=1)
    """Checkpoints kept besides the compared ones."""
    keep_for_audit: int = Field(default=0, ge=0)
    """Further checkpoints kept for good, spread over the run, from which `src.audit` can train again."""
    validate_every: int = Field(default=0, ge=0)
    """Score the held-out clips every so many steps; 0: never while training."""
    precision: Literal["float32", "bfloat16"] = "float32"
    recompute_activations: bool = False
    threads: int = Field(ge=1)
    """Threads of one training process. Part of the result: sums are split by it."""


class EvaluateParams(Section):
    """How the checkpoints are measured."""

    seconds_per_clip: float = Field(gt=0)
    """Length scored of each held-out clip."""


class GenerateParams(Section):
    """What is generated from each compared checkpoint."""

    duration_s: float = Field(gt=0, allow_inf_nan=False)
    clips_per_genre: int = Field(ge=1)
    start: Literal["silence", "zeros"]
    """State before the first sample: a receptive field of silence, or the reference's all-zero queues."""
    primer_s: float = Field(default=0, ge=0, le=3600)
    """Seconds of a held-out song of the genre, chosen by the seed, that stand before each clip and that it goes on."""
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    top_k: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0, le=1)
    weights: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: nearly half the time for a large network, at a small loss of accuracy (docs/wavenet.md)."""


class Profile(Section):
    """One scale of the study: params/<profile>.yaml."""

    library: LibraryParams
    manifest: ManifestParams
    clips: ClipsParams
    model: WaveNetConfig
    train: TrainParams
    evaluate: EvaluateParams
    generate: GenerateParams


class Study(Section):
    """What is studied, whatever the scale: params.yaml."""

    profile: str
    seed: int = Field(ge=0, lt=2**63)
    genre_rules: dict[Annotated[str, Field(pattern=GENRE_NAME)], GenreRule] = Field(min_length=1, alias="genres")
    """Genre → rule, in order of precedence: the first genre whose rule matches a tag has the song.

    A genre without songs is left out of the study (`Params.only`)."""
    steps: tuple[Annotated[int, Field(ge=1)], ...] = Field(strict=False)
    """Compared checkpoints."""
    device: Asked = "auto"
    """What trains, generates and scores: auto takes a GPU where torch finds one."""

    @model_validator(mode="after")
    def _some_steps(self) -> Self:
        if not self.steps:
            raise ValueError("steps: name at least one checkpoint to compare")
        return self


class Params(BaseModel):
    """All parameters of a run."""

    model_config = ConfigDict(frozen=True)

    study: Study
    profile: Profile

    @property
    def genres(self) -> tuple[str, ...]:
        """Genre names; a genre's id is its place here (alphabetical, as in 2019)."""
        return tuple(sorted(self.study.genre_rules))

    @property
    def compared_steps(self) -> tuple[int, ...]:
        """Steps whose checkpoints are kept, heard and compared."""
        return tuple(sorted(set(self.study.steps)))

    def only(self, genres: Collection[str]) -> Self:
        """The same with those of its genres alone that are named: the ones with songs are what is studied."""
        rules = {genre: rule for genre, rule in self.study.genre_rules.items() if genre in genres}
        model = self.profile.model
        if model.global_condition_cardinality is not None:
            model = model.model_copy(update={"global_condition_cardinality": len(rules)})
        study = self.study.model_copy(update={"genre_rules": rules})
        return self.model_copy(update={"study": study, "profile": self.profile.model_copy(update={"model": model})})

    def with_seed(self, seed: int) -> Self:
        """The same with another seed."""
        return self.model_copy(update={"study": self.study.model_copy(update={"seed": seed})})

    @property
    def device(self) -> Kind:
        """The kind of device that is used here. Raises `Problem` if the one asked for is not there."""
        return choose(self.study.device)

    @property
    def kept_steps(self) -> set[int]:
        """Steps whose checkpoints are never deleted: the compared ones and the last."""
        return {*self.compared_steps, self.profile.train.steps}

    @property
    def audit_steps(self) -> set[int]:
        """Further steps whose checkpoints are not deleted: evenly spread, the last of them shortly before the end.

        From there the last checkpoint can be reached again, which no later loss would give away.
        """
        steps, rungs = self.profile.train.steps, self.profile.train.keep_for_audit
        return {steps * rung // rungs - min(AUDIT_REACH, steps // (2 * rungs)) for rung in range(1, rungs + 1)} - {0}


def step_name(step: int) -> str:
    """The folder of a step in checkpoints/ and generations/: step-20."""
    return f"step-{step}"


def step_folder(parent: Path, step: int) -> Path:
    """A step's folder in checkpoints/ or generations/; the six digits of an older checkout are found as well."""
    folder, older = parent / step_name(step), parent / f"step-{step:06d}"
    return older if older.is_dir() and not folder.exists() else folder


def load(root: Path = Path(), profile: str | None = None, device: str | None = None) -> Params:
    """Read and validate the parameters.

    root: folder that holds params.yaml and params/. profile, device: override those of params.yaml.
    Raises `Problem` listing everything that is wrong in both files.
    """
    problems: list[str] = []
    study_path = root / "params.yaml"
    content = _read(study_path)
    if device is not None and isinstance(content, dict):
        content["device"] = device
    study = _validated(Study, content, study_path, problems)
    name = profile or (content.get("profile") if isinstance(content, dict) else None)
    scale: Profile | None = None
    if isinstance(name, str):
        scale_path = root / "params" / f"{name}.yaml"
        if scale_path.is_file() and "/" not in name:
            scale = _validated(Profile, _counted(_read(scale_path), content), scale_path, problems)
        else:
            known = ", ".join(sorted(path.stem for path in (root / "params").glob("*.yaml"))) or "none"
            problems.append(f"profile: there is no {scale_path}; profiles here: {known}")
    if study and scale:
        problems += _conflicts(study, scale, scale_path)
    if problems or study is None or scale is None:
        raise Problem("The parameters are not usable:\n" + "\n".join(f"  - {line}" for line in problems))
    return Params(study=study.model_copy(update={"profile": name}), profile=scale)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Run from the project's root, where params.yaml is.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Problem(f"{path} is not YAML: {error}") from None


def _counted(scale: Any, study: Any) -> Any:
    """The profile's content with what follows from the study's: how many genres the network tells apart."""
    model = scale.get("model") if isinstance(scale, dict) else None
    genres = study.get("genres") if isinstance(study, dict) else None
    if not isinstance(model, dict) or model.get("global_condition_channels") is None or not isinstance(genres, dict):
        return scale
    return scale | {"model": {"global_condition_cardinality": len(genres)} | model}


def _validated(kind: type[T], value: Any, path: Path, problems: list[str]) -> T | None:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"]) or "the file"
            shown = "" if item["type"] in ("missing", "model_type") else f" (it is {item['input']!r})"
            if place.startswith("genres.") and place.endswith(".[key]"):
                problems.append(
                    f"{path}: {place.removesuffix('.[key]')}: a genre's name becomes names of files: letters, digits, "
                    f"_, and between them blanks, &, + and -{shown}"
                )
            elif item["type"] == "extra_forbidden":
                known = ", ".join(_fields(kind, item["loc"][:-1]))
                problems.append(f"{path}: {place}: unknown key; known here: {known}")
            else:
                problems.append(f"{path}: {place}: {item['msg'].removeprefix('Value error, ')}{shown}")
        return None


def _fields(kind: Any, place: tuple[int | str, ...]) -> list[str]:
    for part in place:
        field = getattr(kind, "model_fields", {}).get(part)
        kind = field.annotation if field is not None else kind
    return sorted(field.alias or name for name, field in getattr(kind, "model_fields", {}).items())


def _conflicts(study: Study, scale: Profile, path: Path) -> list[str]:
    found = []
    last = max(study.steps)
    if last > scale.train.steps:
        found.append(
            f"params.yaml: steps: {last} is beyond the last trained step; train.steps in {path} is {scale.train.steps}"
        )
    crop = scale.train.sample_size + scale.model.receptive_field
    if crop > scale.clips.duration_s * scale.clips.rate_hz:
        found.append(
            f"{path}: train.sample_size plus the receptive field is {crop} samples, more than a clip of "
            f"{scale.clips.duration_s:g} s has; lower train.sample_size"
        )
    cardinality = scale.model.global_condition_cardinality
    if cardinality is not None and cardinality != len(study.genre_rules):
        found.append(
            f"{path}: model.global_condition_cardinality is {cardinality}; "
            f"params.yaml has {len(study.genre_rules)} genres"
        )
    if scale.clips.duration_s > scale.manifest.minimum_duration_s:
        found.append(
            f"{path}: clips.duration_s is longer than manifest.minimum_duration_s: some songs could not fill a clip"
        )
    clip = f"{scale.clips.duration_s:g} s of a clip (clips.duration_s)"
    if scale.generate.duration_s > scale.clips.duration_s:
        found.append(f"{path}: generate.duration_s is longer than the {clip}: it could be compared with no song")
    if scale.generate.primer_s > scale.clips.duration_s:
        found.append(f"{path}: generate.primer_s is longer than the {clip}")
    return found
