"""What is audited, as its checks read it: a bundle or a checkout, which have the same relative paths.

In: a folder. Out: `Study`, which reads each part when a check first asks for it. Only data is read: YAML without
references, JSON by schemas, weights by safetensors; nothing is imported or executed.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from src import config
from src.audit.unpacking import HostileError
from src.base.errors import Problem
from src.bundle import layout as bundle
from src.clips.clipset import ClipSet
from src.config import Params, step_folder
from src.record import checkpoint, journal, layout
from src.record.journal import View
from src.record.layout import RunFiles
from src.wavenet.device import Kind

CLIPS = Path("data/clips")
MOST_YAML_BYTES = 1_000_000


@dataclass(frozen=True)
class Study:
    """A study to audit."""

    root: Path
    """Absolute: some checks change the working folder."""
    profile: str | None = None
    """Its scale, if not the one of its params.yaml."""
    clips_folder: Path | None = None
    """Where the clips are, if not in the study itself or in data/clips/ of the working folder."""

    @cached_property
    def is_bundle(self) -> bool:
        """Whether it was made by `src.bundle`; else it is a checkout with results."""
        return any((self.root / name).exists() for name in (bundle.DIGESTS, bundle.CRATE, bundle.ENVIRONMENT))

    @cached_property
    def params(self) -> Params:
        """Its parameters. Raises `Problem` if they are missing or wrong."""
        for path in (self.root / "params.yaml", *sorted((self.root / "params").glob("*.yaml"))):
            plain_yaml(path)
        params = config.load(self.root, self.profile)
        with suppress(Problem, KeyError, TypeError):  # of all genres, if no file says which had songs
            counts = read_json(self.root / "metrics/clips.json")["genres"]
            params = params.only(counts) if {*counts} & {*params.genres} else params
        return params

    @cached_property
    def run(self) -> RunFiles:
        """Where its run's files are; raises `Problem` if no checkpoint says which run it is."""
        found = layout.current(self.root)
        if found.training is None:
            raise Problem(f"No checkpoint in {self.root / 'checkpoints'} says which run it belongs to.")
        return found

    @cached_property
    def training(self) -> Path:
        """The run's own folder."""
        assert self.run.training is not None
        return self.run.training

    @cached_property
    def fingerprint(self) -> str:
        """The run it claims to be."""
        return self.training.name

    @cached_property
    def journal(self) -> Path:
        """The run's journal. Raises `Problem` if it is not there."""
        if self.run.journal is None:
            raise Problem(f"There is no journal in {self.training}.")
        return self.run.journal

    @cached_property
    def view(self) -> View:
        """What the journal says. Raises `Problem` if it is damaged."""
        return journal.read(self.journal)

    @cached_property
    def device(self) -> Kind:
        """What it was trained on, as the journal has it."""
        kinds = {str(one.details.get("device", "cpu")).split()[0] for one in self.view.attempts.values()}
        return next((kind for kind in ("cuda", "mps") if kind in kinds), "cpu")

    @cached_property
    def checkpoints(self) -> dict[int, Path]:
        """Step → folder of every checkpoint: those of the study, and others that its training keeps."""
        inner = self.training / "checkpoints"
        kept = {step: step_folder(inner, step) for step in checkpoint.steps(inner)}
        return dict(sorted((kept | {step: self.run.checkpoint(step) for step in self.compared}).items()))

    @cached_property
    def compared(self) -> list[int]:
        """Steps in checkpoints/."""
        return checkpoint.steps(self.run.checkpoints)

    @cached_property
    def clips(self) -> ClipSet | None:
        """The clips it was trained on, or None if they are not here. Raises `Problem` if they are damaged."""
        folders = [self.clips_folder] if self.clips_folder else [self.root / CLIPS, CLIPS]
        folder = next((folder for folder in folders if (folder / "clips.csv").is_file()), None)
        return ClipSet.open(folder.resolve()) if folder else None

    @cached_property
    def clips_home(self) -> Path | None:
        """The folder whose data/clips/ they are; None if they are not here, or lie under another name."""
        folder = self.clips.clips[0].path.parents[1] if self.clips else None
        return folder.parents[1] if folder and folder.parts[-2:] == CLIPS.parts else None

    @cached_property
    def clips_digest(self) -> str:
        """The digest over the clips that the study gives, whether they are here or not."""
        if self.is_bundle:
            return bundle.read(self.root / bundle.PRIVATE, bundle.Private).clips
        content = read_json(self.run.metrics / "clips.json")
        return str(content["digest"])

    def files(self) -> Iterator[str]:
        """Every file of a bundle, as a relative path. Raises `HostileError` for a link or anything else."""
        for folder, folders, names in os.walk(self.root):
            for name in (*folders, *names):
                path = Path(folder) / name
                kind = stat.S_IFMT(path.lstat().st_mode)
                if kind not in (stat.S_IFREG, stat.S_IFDIR):
                    what = "a symbolic link" if kind == stat.S_IFLNK else "a device, a pipe or a socket"
                    raise HostileError(
                        f"{path.relative_to(self.root).as_posix()} is {what}; a bundle has files and folders only."
                    )
            yield from ((Path(folder) / name).relative_to(self.root).as_posix() for name in names)


def plain_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises `Problem` if it is too large or refers to its own parts: it may be a bomb."""
    try:
        if path.stat().st_size > MOST_YAML_BYTES:
            raise Problem(f"{path} has more than {MOST_YAML_BYTES:,} bytes.")
        text = path.read_text(encoding="utf-8")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise Problem(f"{path} refers to its own parts (YAML aliases), which none of ours does.")
        return yaml.safe_load(text)
    except FileNotFoundError:
        raise Problem(f"{path} does not exist.") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(f"{path} is not YAML: {error}") from None


def read_json(path: Path) -> Any:
    """A JSON file of bounded size. Raises `Problem` if it is missing, too large or not JSON."""
    from src.base import files

    if path.is_file() and path.stat().st_size > bundle.MOST_JSON_BYTES:
        raise Problem(f"{path} has more than {bundle.MOST_JSON_BYTES:,} bytes.")
    return files.read_json(path, made_by="dvc repro")
