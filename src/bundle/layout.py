"""The form of a bundle: the names at its top and a schema for each of its JSON files.

A bundle mirrors the checkout's own relative paths, so that one reader serves both; beside them stand the files named
here. Whoever reads a bundle needs this module alone.
"""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from src.base import files
from src.base.errors import Problem

PAGE = "index.html"
"""For people."""
CRATE = "ro-crate-metadata.json"
"""For programs: an RO-Crate of the Process Run Crate profile."""
DIGESTS = "digests.json"
SIGNATURE = "signature.json"
"""Of OpenSSF model-signing (a Sigstore bundle), over every other file of the bundle; absent: unsigned."""
ENVIRONMENT = "environment.json"
SOURCE = "source.tar.gz"
PRIVATE = "private.json"

NOT_IN_DIGESTS = frozenset({DIGESTS, SIGNATURE})
"""Files that digests.json cannot list: itself, and what is made after it."""

MIRRORED = ("params.yaml", "params", "dvc.yaml", "dvc.lock", "requirements.lock")
"""What a bundle has from the checkout's top besides results."""

MADE_BY = "python -m src.bundle"
MOST_JSON_BYTES = 50_000_000
"""A file longer than this is not one of ours, and is not parsed."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def inside(name: str) -> str:
    """A relative path as digests.json writes it. Raises ValueError if it could lead out of the bundle."""
    path = PurePosixPath(name)
    plain = name and str(path) == name and not path.is_absolute() and ".." not in path.parts and name != "."
    if not plain or "\\" in name or not name.isprintable():
        raise ValueError(f"it is not the path of a file in the bundle: {name!r}")
    return name


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Inside = Annotated[str, Field(max_length=1000), AfterValidator(inside)]
Text = Annotated[str, Field(max_length=20_000)]


class FileDigest(_Model):
    """One file."""

    sha256: Sha256
    bytes: int = Field(ge=0)


class Digests(_Model):
    """What digests.json says: every file of the bundle but itself and the signature."""

    format: Literal[1] = 1
    files: dict[Inside, FileDigest] = Field(max_length=1_000_000)
    """Path relative to the bundle, parts separated by `/` → its digest."""


class Private(_Model):
    """What private.json says: which music it was, as digests over the whole set; never of one song."""

    format: Literal[1] = 1
    library: Literal["demo", "own"]
    """`demo`: composed by this project, so everyone can have the same songs. `own`: somebody's, and not published."""
    songs: int = Field(ge=0)
    """Kept songs."""
    manifest: Sha256
    """Over genre and sound of every kept song, as metrics/manifest.json has it."""
    clips: Sha256
    """Over genre, split and samples of every clip (`ClipSet.digest`); the run's fingerprint follows from it."""


class Machine(_Model):
    """What a part of the training, or the making of the bundle, ran on. No name of a machine or person."""

    platform: Text
    processor: Text
    processors: int = Field(ge=0)
    python: Text
    device: Text | None = None
    """What computed, as the journal has it: `cpu`, or a GPU's name."""
    threads: int | None = None
    commit: Text | None = None
    changed_files: int | None = None
    """Tracked files that differed from the commit."""
    versions: dict[Text, Text]
    """Package → version, of those that decide a number."""


class Trained(_Model):
    """Attempts at the training that ran on the same machine, code and versions."""

    attempts: tuple[int, ...] = Field(strict=False)
    machine: Machine


class Environment(_Model):
    """What environment.json says."""

    format: Literal[1] = 1
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")]
    """What source.tar.gz is the archive of."""
    changed_files: tuple[Inside, ...] = Field(strict=False)
    """Tracked files that differ from the commit, and untracked ones among the code."""
    bundled_on: Machine
    architecture: Text
    torch_build: tuple[Text, ...] = Field(strict=False)
    """Lines of `torch.__config__.show()`."""
    packages: dict[Text, Text]
    """`pip freeze`: every installed package → its version."""
    trained_on: tuple[Trained, ...] = Field(strict=False)
    """From the journal, in the order of the attempts."""

    @property
    def dirty(self) -> bool:
        """Whether the archive is not all of the code that was there."""
        return bool(self.changed_files)


M = TypeVar("M", Digests, Private, Environment)


def read(path: Path, kind: type[M]) -> M:
    """Read one of the bundle's JSON files. Raises `Problem`, naming file and field, if it is missing or damaged."""
    try:
        if path.is_symlink() or not path.is_file():
            raise Problem(f"{path} {'is not a file' if path.exists() else 'does not exist'}. It is part of a bundle.")
        if path.stat().st_size > MOST_JSON_BYTES:
            raise Problem(f"{path} is damaged: it has more than {MOST_JSON_BYTES:,} bytes.")
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        reason = first["msg"].removeprefix("Value error, ")
        raise Problem(f"{path} is damaged ({field}: {reason}).") from None


def write(path: Path, value: Digests | Private | Environment) -> None:
    """Write one of the bundle's JSON files; the same value gives the same bytes."""
    files.write_json(path, value.model_dump(mode="json"))
