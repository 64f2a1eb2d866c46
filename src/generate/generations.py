"""What a generation says of itself (generation.json), and its clips as measures take them, without the primer.

In: generations/step-20/, which `src.generate` or an import wrote. Out: a `Generation`, the clips as float32, and a
sentence for each clip that cannot be used. torch is not loaded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import soundfile
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from src.base import files
from src.base.errors import Problem

NAME = "generation.json"
MADE_BY = "python -m src.generate"

MOST_FRAMES = 2**28
"""Of one clip: 4.6 hours at 16 kHz."""


def _plain_name(name: str) -> str:
    if name.startswith(".") or any(char in "/\\" or not char.isprintable() for char in name):
        raise ValueError(f"it names a file outside its folder, or a hidden one: {name!r}")
    return name


FileName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_plain_name)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Source(_Model):
    """Where the clip of an import came from."""

    file: FileName
    sha256: Digest
    primer_frames_removed: int = Field(ge=0)
    on_mu_law_grid: bool
    """Whether every sample is a mu-law value."""


class GeneratedClip(_Model):
    """One clip of a generation."""

    file: FileName
    """The WAV file; the MP3 beside it has the same stem."""
    genre: str = Field(min_length=1, max_length=200)
    clip: int = Field(ge=1)
    """Its number within the genre."""
    frames: int = Field(ge=1, le=MOST_FRAMES)
    """Samples of the file, the primer included."""
    primer_frames: int = Field(ge=0)
    """Samples at the beginning that were not generated and belong to no measure."""
    sha256: Digest
    """Of the WAV file."""
    source: Source | None = None


class Generation(_Model):
    """The content of generation.json."""

    step: int = Field(ge=0)
    fingerprint: str | None = Field(default=None, max_length=64)
    """Of the run; None for an import."""
    rate_hz: int = Field(ge=1, le=1_000_000)
    start: Literal["silence", "zeros"]
    temperature: float = Field(gt=0)
    top_k: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0, le=1)
    weights: Literal["float32", "bfloat16"] = "float32"
    seed: int | None = Field(default=None, ge=0)
    checkpoint_sha256: Digest | None = None
    """`about_sha256` of the checkpoint it was made from."""
    inferred_fields: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=64, strict=False)
    """What an import concluded rather than read."""
    imported: bool = False
    clips: tuple[GeneratedClip, ...] = Field(max_length=100_000, strict=False)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({clip.file for clip in self.clips}) < len(self.clips):
            raise ValueError("clips: two of them have the same file")
        if len({(clip.genre, clip.clip) for clip in self.clips}) < len(self.clips):
            raise ValueError("clips: two of them have the same genre and number")
        return self


@dataclass(frozen=True)
class Generated:
    """The sound of one generated clip."""

    genre: str
    clip: int
    """Its number within the genre, from 1."""
    rate_hz: int
    audio: NDArray[np.float32]
    """(frames,) in [-1, 1], the primer cut off."""


def write(folder: Path, generation: Generation) -> None:
    """Write generation.json: the fields that were given, and no others."""
    files.write_json(folder / NAME, generation.model_dump(mode="json", exclude_unset=True))


def load(folder: Path) -> Generation:
    """Read generation.json. Raises `Problem`, naming file, field and command, if it is missing or damaged."""
    path, made_by = folder / NAME, _command(folder)
    content = files.read_json(path, made_by=made_by)
    try:
        return Generation.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        reason = first["msg"].removeprefix("Value error, ")
        raise Problem(f"{path} is damaged ({field}: {reason}). Make it again with: {made_by}") from None


def read(folder: Path) -> tuple[list[Generated], list[str]]:
    """All usable clips of a step, by genre and number, and why others are not usable.

    Raises `Problem` if generation.json is missing or damaged.
    """
    generation = load(folder)
    usable, unusable = [], []
    for clip in sorted(generation.clips, key=lambda clip: (clip.genre, clip.clip)):
        try:
            usable.append(_read(folder, clip, generation.rate_hz))
        except Problem as problem:
            unusable.append(str(problem))
    return usable, unusable


def _read(folder: Path, clip: GeneratedClip, rate_hz: int) -> Generated:
    path, made_by = folder / clip.file, _command(folder)
    if not path.is_file():
        raise Problem(f"{path} does not exist. Make it again with: {made_by}")
    try:
        held = soundfile.info(path)
        if held.frames != clip.frames or held.channels != 1:  # before its samples are read: a FLAC may hold a day
            raise Problem(
                f"{path} has {held.frames:,} samples and {held.channels} channels, not the {clip.frames:,} of one "
                f"channel that {NAME} names. Make it again with: {made_by}"
            )
        audio, rate = soundfile.read(path, dtype="float32")
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise Problem(f"{path} cannot be read as audio ({error}). Make it again with: {made_by}") from None
    if rate != rate_hz:
        raise Problem(f"{path} has {rate} samples a second; {NAME} says {rate_hz}.")
    mono = np.asarray(audio, np.float32)[clip.primer_frames :]
    if len(mono) < rate_hz // 2:
        raise Problem(f"{path} has {len(mono) / rate_hz:.2f} s of generated sound; half a second is needed.")
    if not np.isfinite(mono).all():
        raise Problem(f"{path} holds samples that are not numbers. Make it again with: {made_by}")
    return Generated(clip.genre, clip.clip, rate_hz, mono)


def _command(folder: Path) -> str:
    return f"{MADE_BY} --steps {folder.name.removeprefix('step-')}"
