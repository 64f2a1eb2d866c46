"""Which files are published, and what a bundle must not be made without.

In: params.yaml, dvc.yaml, dvc.lock and the folders that they name. Out: `Study`; `Problem`, in one sentence, if a stage
has not run or the parts are not of one run.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from src import config
from src.base import files
from src.base.errors import Problem
from src.bundle import layout
from src.config import Params, step_name
from src.generate import generations
from src.library import record
from src.manifest import rows
from src.record import checkpoint, journal
from src.record import layout as places

DATA = Path("data")
MANIFEST, CLIPS = rows.PATH, DATA / "clips" / "clips.csv"
DEMO = DATA / "demo-library"
COUNTS = ("manifest.json", "clips.json")
HEARD_SONG = "song-"
"""How the comparison names a held-out song that may be heard."""


@dataclass(frozen=True)
class Study:
    """A finished study."""

    params: Params
    fingerprint: str
    view: journal.View
    steps: tuple[int, ...]
    """Compared ones."""
    more_steps: tuple[int, ...]
    """Other checkpoints of the training that are published, too."""
    library: Path
    """The folder of music."""
    private: layout.Private
    published: tuple[Path, ...]
    """Files, relative to the checkout and sorted."""

    @property
    def training(self) -> Path:
        """The run's folder."""
        return places.TRAINING / self.fingerprint

    @property
    def report(self) -> Path:
        """The comparison's folder."""
        return report_folder(self.steps)


def report_folder(steps: tuple[int, ...]) -> Path:
    """Where `src.compare` puts the comparison of the study's own steps."""
    return Path("reports") / "-".join(["compare", *map(str, steps)])


def gather(*, all_checkpoints: bool) -> Study:
    """Look at the study in the working folder. Raises `Problem` if it is not whole, or not of one run."""
    params = config.load()
    steps = params.compared_steps
    outs = list(_outs(steps))
    _all_there(outs, steps)
    fingerprint = _one_run(steps)
    training = places.TRAINING / fingerprint
    view = journal.read(training / journal.NAME)
    if not view.attempts:
        raise Problem(f"train has not run here: {training / journal.NAME} is not there; run: dvc repro")
    more = [
        step for step in checkpoint.steps(training / "checkpoints") if all_checkpoints or step in params.audit_steps
    ]
    wanted = [
        *(Path(name) for name in layout.MIRRORED if Path(name).exists()),
        *(out for _, out in outs),
        training / journal.NAME,
        training / "times",
        *(training / "checkpoints" / step_name(step) for step in more),
        report_folder(steps),
    ]
    published = tuple(sorted({file for path in wanted for file in _files(path)}))
    private = _private()
    if private.library == "own":
        _no_music(params, steps)
    return Study(params, fingerprint, view, steps, tuple(more), Path(_library()["path"]), private, published)


def _outs(steps: tuple[int, ...]) -> Iterator[tuple[str, Path]]:
    """Stage and path of every output in dvc.yaml but those in data/."""
    path = Path("dvc.yaml")
    try:
        stages = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
        for stage, said in stages.items():
            for item in [*said.get("outs", []), *said.get("metrics", []), *said.get("plots", [])]:
                out = str(next(iter(item)) if isinstance(item, dict) else item)
                for name in [out.replace("${item.step}", str(step)) for step in steps] if "$" in out else [out]:
                    if Path(name).parts[0] != DATA.name:
                        yield str(stage), Path(layout.inside(name))
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Run from the project's root.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Problem(f"{path} does not name stages and their outputs ({error}).") from None


def _all_there(outs: list[tuple[str, Path]], steps: tuple[int, ...]) -> None:
    """Raise `Problem` naming the first stage that has not run, and what is missing of it."""
    outs = [
        ("library", record.RECORD),
        ("manifest", rows.PATH),
        ("clips", CLIPS),
        *outs,
        *(("train", Path("checkpoints") / step_name(step) / checkpoint.ABOUT) for step in steps),
        *(("generate", Path("generations") / step_name(step) / generations.NAME) for step in steps),
        ("compare", report_folder(steps) / "comparison.json"),
        ("dvc repro", Path("dvc.lock")),
    ]
    missing = [(stage, path) for stage, path in outs if not path.exists()]
    if not missing:
        return
    stage = missing[0][0]
    names = ", ".join(str(path) for of, path in missing if of == stage)
    more = sorted({of for of, _ in missing} - {stage})
    beside = f" ({', '.join(more)} neither)" if more else ""
    raise Problem(
        f"{stage} has not run{beside}: {names} {'is' if ', ' not in names else 'are'} not there; run: dvc repro"
    )


def _one_run(steps: tuple[int, ...]) -> str:
    """The fingerprint that checkpoints and generations have. Raises `Problem` if they have several."""
    known = {}
    for step in steps:
        folder = Path("checkpoints") / step_name(step)
        known[str(folder)] = fingerprint = checkpoint.about(folder).fingerprint
        damage = checkpoint.damage(folder, fingerprint)
        if damage is not None:
            raise damage
        folder = Path("generations") / step_name(step)
        known[str(folder)] = generations.load(folder).fingerprint or "an import"
    first, *_ = known.values()
    other = next((name for name, fingerprint in known.items() if fingerprint != first), None)
    if other is not None:
        raise Problem(f"{other} is of the run {known[other]}, and {next(iter(known))} of {first}; run: dvc repro")
    return first


def _private() -> layout.Private:
    """Which music it was. Raises `Problem` if the manifest is not the one that the study is of.

    What is searched for stands in the manifest: of another library's it would find nothing.
    """
    lock = _lock()
    clips, train = lock.get("clips", {}), lock.get("train", {})
    here = hashlib.md5(rows.PATH.read_bytes(), usedforsecurity=False).hexdigest()
    if _md5(clips, "deps", str(rows.PATH)) != here:
        raise Problem(f"{rows.PATH} is not the one that the clips were made from (dvc.lock); run: dvc repro")
    if _md5(clips, "outs", "data/clips") != _md5(train, "deps", "data/clips"):
        raise Problem("dvc.lock says that the training was of other clips than data/clips; run: dvc repro")
    manifest, cut = (files.read_json(Path("metrics") / name, made_by="dvc repro") for name in COUNTS)
    return layout.Private(
        library="demo" if _composed() else "own",
        songs=manifest["kept"],
        manifest=manifest["digest"],
        clips=cut["digest"],
    )


def _lock() -> dict[str, Any]:
    try:
        return dict(yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise Problem(f"dvc.lock cannot be read ({error}); run: dvc repro") from None


def _md5(stage: dict[str, Any], side: str, path: str) -> str | None:
    return next((item.get("md5") for item in stage.get(side, []) if item.get("path") == path), None)


def _library() -> dict[str, Any]:
    known = files.read_json(record.RECORD, made_by=record.MADE_BY)
    if not isinstance(known, dict) or not isinstance(known.get("path"), str):
        raise Problem(f"{record.RECORD} does not say where the library is. Make it again with: {record.MADE_BY}")
    return known


def _composed() -> bool:
    """Whether every song of the manifest is one that this project composed: then its names are no secret."""
    known = _library()
    if known.get("kind") != "demo":
        return False
    listed = rows.read(rows.PATH)
    return all(_is_file_of(DEMO / rows.path_of(row.path), row.size_bytes) for row in listed)


def _is_file_of(path: Path, size_bytes: int | None) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes


def _no_music(params: Params, steps: tuple[int, ...]) -> None:
    """Raise `Problem` if a private song can be heard in what would be published."""
    heard = sorted(report_folder(steps).rglob(f"{HEARD_SONG}*"))
    if heard:
        raise Problem(
            f"{heard[0].parent} has held-out songs that can be heard. Make the comparison again without them: "
            "python -m src.compare --without-songs"
        )
    for step in steps:
        folder = Path("generations") / step_name(step)
        if any(clip.primer_frames for clip in generations.load(folder).clips):
            raise Problem(
                f"The clips in {folder} begin with a stretch of a song of yours (generate.primer_s). Set it to 0 in "
                f"params/{params.study.profile}.yaml and run: dvc repro"
            )


def _files(path: Path) -> Iterator[Path]:
    """A file, or all files of a folder. Hidden ones are left out: they are what other programs left.

    DVC may make outputs as links to its cache, so links to files are files here; links to folders are not followed.
    """
    if path.is_file():
        yield path
    for folder, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        yield from (Path(folder) / name for name in names if not name.startswith("."))


def headlines(study: Study) -> list[tuple[str, list[str]]]:
    """The comparison's questions, each with its sentences. Raises `Problem` if an older version made it."""
    path = study.report / "comparison.json"
    said = files.read_json(path, made_by="python -m src.compare")
    try:
        if tuple(said["steps"]) != study.steps:
            raise ValueError("of other steps")
        return [(str(one["question"]), [str(text) for text in one["sentences"]]) for one in said["answers"]]
    except (KeyError, TypeError, ValueError):
        raise Problem(
            f"{path} is of other steps, or another version made it. Make it again with: python -m src.compare"
        ) from None
