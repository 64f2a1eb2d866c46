"""Checkpoints that exist whole or not at all, and can never run code.

A checkpoint is a folder `step-20/` of three files: `weights.safetensors`, `optimizer.safetensors` and
`checkpoint.json`, which names the step, the run, the network and the SHA-256 of the other two. It is written under
a temporary name, forced to the disk and renamed, so a folder of that name is complete; a reader that finds one
damaged all the same says so and falls back. Nothing here is unpickled.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from src.base import files
from src.base.errors import Problem
from src.config import GENRE_NAME, step_folder, step_name
from src.wavenet.shape import WaveNetConfig, parameter_shapes

if TYPE_CHECKING:  # torch takes seconds to load, and most readers only ask which steps there are
    import torch

WEIGHTS, OPTIMIZER, ABOUT = NAMES = "weights.safetensors", "optimizer.safetensors", "checkpoint.json"

MOST_ABOUT_BYTES = 1_000_000
"""A description longer than this is not one of ours, and is not parsed."""


class About(BaseModel):
    """What `checkpoint.json` says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    step: int = Field(ge=0)
    """Updates done."""
    fingerprint: str = Field(pattern=r"^[0-9a-z][0-9a-z-]{0,63}$")
    """The run it belongs to."""
    genres: tuple[Annotated[str, Field(pattern=GENRE_NAME)], ...] = Field(strict=False)
    """Genre names; the index of a name is its id. They become names of files."""
    model: WaveNetConfig
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    optimizer_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    losses: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Digest over the loss of every step that led here (`journal.tied`); absent: nothing ties it to a journal."""
    about_sha256: str = ""
    """Digest over all the fields above: with it a generation and an evaluation name the checkpoint."""

    def digest(self) -> str:
        """What `about_sha256` must be."""
        return hashlib.sha256(self.model_dump_json(exclude={"about_sha256"} | self._absent).encode()).hexdigest()

    def content(self) -> bytes:
        """The bytes of checkpoint.json."""
        return (self.model_dump_json(indent=1, exclude=self._absent) + "\n").encode()

    @property
    def _absent(self) -> set[str]:
        """Fields that older checkpoints do not have: their digest must stay what it is."""
        return {"losses"} if self.losses is None else set()


@dataclass(frozen=True)
class Checkpoint:
    """A network and its optimizer after `step` updates."""

    step: int
    fingerprint: str
    genres: tuple[str, ...]
    model: WaveNetConfig
    weights: dict[str, "torch.Tensor"]
    optimizer: dict[str, "torch.Tensor"]
    """Moments of the optimizer; empty if it has none or it was imported without."""
    losses: str | None = None
    """Digest over the losses that led here; None if it is not known."""
    sha256: str | None = None
    """`About.about_sha256`, which stands for all of it; None for one that was not read from a disk."""


class DamagedCheckpointError(Problem):
    """A checkpoint that does not hold what it says."""


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically. The same content gives the same bytes.

    Raises `Problem` if the disk is full; nothing is left behind then.
    """
    with files.replacing(folder) as temporary:
        temporary.mkdir()
        for name, content in contents(checkpoint).items():
            (temporary / name).write_bytes(content)


def contents(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Name → content of the files of a checkpoint."""
    import safetensors.torch

    written = {
        WEIGHTS: safetensors.torch.save(_plain(checkpoint.weights)),
        OPTIMIZER: safetensors.torch.save(_plain(checkpoint.optimizer)),
    }
    unsigned = About(
        step=checkpoint.step,
        fingerprint=checkpoint.fingerprint,
        genres=checkpoint.genres,
        model=checkpoint.model,
        weights_sha256=hashlib.sha256(written[WEIGHTS]).hexdigest(),
        optimizer_sha256=hashlib.sha256(written[OPTIMIZER]).hexdigest(),
        losses=checkpoint.losses,
    )
    signed = unsigned.model_copy(update={"about_sha256": unsigned.digest()})
    return written | {ABOUT: signed.content()}


def about(folder: Path) -> About:
    """Read what a checkpoint says of itself, without its tensors (they are not verified).

    Raises `Problem` if there is none, `DamagedCheckpointError` if its description is not readable.
    """
    path = folder / ABOUT
    if not folder.exists():
        raise _missing(folder)
    content = _content(path, MOST_ABOUT_BYTES)
    try:
        info = About.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DamagedCheckpointError(f"{path} is damaged: {field}: {first['msg']}.") from None
    if info.digest() != info.about_sha256:
        raise DamagedCheckpointError(f"{path} is damaged: its fields do not have the SHA-256 that it gives.")
    if folder.name.startswith("step-") and folder.name not in (step_name(info.step), f"step-{info.step:06d}"):
        raise DamagedCheckpointError(f"{folder} is damaged: it holds step {info.step}.")
    return info


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint and verify every byte of it.

    Raises `Problem` if there is none (naming the steps that exist beside it), `DamagedCheckpointError` if any file is
    missing, cut or changed, or holds other tensors than its network needs.
    """
    import safetensors.torch

    info = about(folder)
    weights, optimizer = (safetensors.torch.load(content) for content in _verified(folder, info))
    return Checkpoint(
        info.step, info.fingerprint, info.genres, info.model, weights, optimizer, info.losses, info.about_sha256
    )


def damage(folder: Path, fingerprint: str, model: WaveNetConfig | None = None) -> Problem | None:
    """What is wrong with a checkpoint of a run, or None if it is there and every byte is as it was written.

    model: the run's network, where it is known; a checkpoint of another one is then wrong, too.
    """
    try:
        info = about(folder)
        _verified(folder, info)
        _belongs(folder, info, fingerprint, model)
    except Problem as problem:
        return problem
    return None


def digests(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Name → SHA-256 of a checkpoint's files, as the journal's `checkpoint` line has them."""
    return {name: hashlib.sha256(contents[name]).hexdigest() for name in sorted(contents)}


def digests_of(folder: Path) -> dict[str, str]:
    """The same of a folder; files that are missing are left out, and others than a checkpoint's are not looked at."""
    return {name: files.sha256_of(folder / name) for name in sorted(NAMES) if (folder / name).is_file()}


def steps(folder: Path) -> list[int]:
    """Steps whose checkpoint folders stand in `folder`, ascending (not verified)."""
    numbers = [path.name.removeprefix("step-") for path in folder.glob("step-*") if path.is_dir()]
    return sorted(int(text) for text in numbers if text.isdigit())


def newest(
    folder: Path, *, at_most: int, fingerprint: str, model: WaveNetConfig | None = None
) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint of a run up to step `at_most`, and a sentence for each one passed over.

    model: as for `damage`.
    """
    passed: list[str] = []
    for step in reversed([step for step in steps(folder) if step <= at_most]):
        candidate = step_folder(folder, step)
        try:
            loaded = load(candidate)
            _belongs(candidate, loaded, fingerprint, model)
            return loaded, passed
        except Problem as problem:
            passed.append(str(problem))
    return None, passed


def _belongs(folder: Path, info: About | Checkpoint, fingerprint: str, model: WaveNetConfig | None) -> None:
    if info.fingerprint != fingerprint:
        raise DamagedCheckpointError(f"{folder} belongs to another run: {info.fingerprint}, not {fingerprint}.")
    if model is not None and info.model != model:
        raise DamagedCheckpointError(f"{folder} is damaged: its network is not the one of its run.")


def _plain(tensors: dict[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _verified(folder: Path, info: About) -> tuple[bytes, bytes]:
    """Content of the weights and of the optimizer's file, if they are what the description and its network say."""
    shapes = parameter_shapes(info.model)
    size = MOST_ABOUT_BYTES + 4 * sum(math.prod(shape) for shape in shapes.values())
    weights = _hashed(folder / WEIGHTS, info.weights_sha256, size)
    optimizer = _hashed(folder / OPTIMIZER, info.optimizer_sha256, 2 * size)  # no optimizer has more than two slots
    tensors = _header(folder / WEIGHTS, weights)
    if tensors != {name: ("F32", shape) for name, shape in shapes.items()}:
        odd = sorted(tensors.keys() ^ shapes.keys()) or sorted(
            name for name in shapes if tensors[name] != ("F32", shapes[name])
        )
        raise DamagedCheckpointError(
            f"{folder / WEIGHTS} is damaged: {odd[0]!r} is not a tensor, or not of the shape, that its network needs."
        )
    for name, (dtype, shape) in _header(folder / OPTIMIZER, optimizer).items():
        # `updates` counts; everything else is a slot of one parameter: `m.skip.bias`.
        wanted = ("I64", ()) if "." not in name else ("F32", shapes.get(name.partition(".")[2]))
        if (dtype, shape) != wanted:
            raise DamagedCheckpointError(
                f"{folder / OPTIMIZER} is damaged: {name!r} does not belong to a parameter of its network."
            )
    return weights, optimizer


def _hashed(path: Path, sha256: str, at_most: int) -> bytes:
    content = _content(path, at_most)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedCheckpointError(f"{path} is damaged: its SHA-256 is not the one {ABOUT} gives.")
    return content


def _content(path: Path, at_most: int) -> bytes:
    """Content of a regular file (or of a link to one, as DVC makes them): a pipe or a device would never end."""
    if not path.is_file():
        state = "is not a file" if path.exists() else "is missing"
        raise DamagedCheckpointError(f"{path} {state}: the checkpoint is damaged.")
    try:
        if path.stat().st_size > at_most:
            raise DamagedCheckpointError(f"{path} is damaged: it has more than {at_most} bytes.")
        return path.read_bytes()
    except OSError as error:
        raise DamagedCheckpointError(f"{path} cannot be read: {error.strerror}.") from None
    except MemoryError:
        raise DamagedCheckpointError(f"{path} cannot be read: it does not fit into memory.") from None


def _header(path: Path, content: bytes) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name → type and shape of the tensors in a safetensors file; their bytes are not interpreted."""
    from safetensors import SafetensorError, deserialize

    try:
        tensors = deserialize(content)  # type: ignore[no-untyped-call]
        return {name: (str(tensor["dtype"]), tuple(tensor["shape"])) for name, tensor in tensors}
    except SafetensorError as error:
        raise DamagedCheckpointError(f"{path} is damaged: {error}.") from None


def _missing(folder: Path) -> Problem:
    beside = ", ".join(str(step) for step in steps(folder.parent)) or "none"
    return Problem(f"There is no checkpoint {folder}. Steps that have one: {beside}. Make it with: dvc repro train")
