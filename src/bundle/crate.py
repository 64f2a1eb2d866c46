"""The bundle as an RO-Crate, which archives (Zenodo) and registries (WorkflowHub) read: ro-crate-metadata.json.

In: the study, the bundle's folder. Out: the crate, of the Process Run Crate profile: what was run, from what, to what.
Its dates are the training's, so that the same study gives the same bytes.
"""

import mimetypes
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from src.base import files
from src.bundle import layout
from src.bundle.layout import Environment
from src.bundle.parts import Study

VERSION = "1.1"
"""Of RO-Crate: the one that the profile builds upon."""
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"

TYPES = {
    ".jsonl": "application/jsonl",
    ".safetensors": "application/octet-stream",
    ".yaml": "application/yaml",
    ".lock": "text/plain",
    ".csv": "text/csv",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".gz": "application/gzip",
}


def write(
    folder: Path, study: Study, environment: Environment, title: str, said: Iterable[str], *, signed: bool
) -> None:
    """Write ro-crate-metadata.json of the files in the folder. said: the comparison's sentences."""
    crate = ROCrate(version=VERSION)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    names = sorted({*names, layout.DIGESTS, layout.PAGE, *([layout.SIGNATURE] if signed else [])} - {layout.CRATE})
    entities = {name: crate.add_file(dest_path=name, properties=_file(folder / name, name)) for name in names}
    _describe(entities)
    source = entities[layout.SOURCE]
    source["name"] = "The program: what git has of the commit"
    source["version"] = environment.commit
    source["programmingLanguage"] = crate.add(_thing(crate, "https://www.python.org/", "ComputerLanguage", "Python"))
    source["url"] = layout.SOURCE
    began, ended = span(study)

    def of(*beginnings: str) -> list[Any]:
        return [entities[name] for name in names if name.startswith(beginnings)]

    attempts = len(study.view.attempts)
    done: list[tuple[str, str, list[Any], list[Any], dict[str, str]]] = [
        (
            "train",
            f"Training of {study.view.newest_step:,} steps in {attempts} attempt{'s' if attempts > 1 else ''}",
            of("params", layout.PRIVATE),
            of("checkpoints/", "work/train/"),
            {"startTime": began, "endTime": ended},
        ),
        ("generate", "Sound made with each compared checkpoint", of("checkpoints/"), of("generations/"), {}),
        (
            "evaluate",
            "Measures of each checkpoint on songs it never heard, and of its sound",
            of("checkpoints/", "generations/"),
            of("metrics/evaluate.json", "metrics/summary.json"),
            {},
        ),
        (
            "compare",
            "The comparison of the checkpoints, as a page",
            of("metrics/evaluate.json", "generations/"),
            of("reports/", "metrics/compare.json", "metrics/plots/"),
            {},
        ),
    ]
    actions = [_action(crate, source, *one) for one in done]
    root = crate.root_dataset
    root["name"] = title
    root["description"] = f"{' '.join(said)} Every file is listed with its SHA-256 in {layout.DIGESTS}; " + (
        f"{layout.SIGNATURE} signs them all." if signed else "unsigned."
    )
    root["datePublished"] = ended
    root["license"] = "No licence is given with this crate; ask whoever published it."
    root["conformsTo"] = crate.add(_thing(crate, PROFILE, "CreativeWork", "Process Run Crate", version="0.5"))
    root["mentions"] = actions
    files.write_json(folder / layout.CRATE, crate.metadata.generate())


def span(study: Study) -> tuple[str, str]:
    """When the training began and ended, as ISO 8601."""
    attempts = study.view.attempts
    first, last = attempts[min(attempts)], attempts[max(attempts)]
    ended_ms = int(last.end["time_ms"]) if last.end else study.view.last_times.get(last.attempt, last.time_ms)
    return _iso(first.time_ms), _iso(ended_ms)


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")


def _file(path: Path, name: str) -> dict[str, Any]:
    known: dict[str, Any] = {
        "name": name,
        "encodingFormat": TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "text/plain",
    }
    if name == layout.SOURCE:
        known["@type"] = ["File", "SoftwareSourceCode"]
    return {**known, "contentSize": str(path.stat().st_size)} if path.is_file() else known


def _describe(entities: dict[str, Any]) -> None:
    """What the files at the top are, for somebody who sees the crate in an archive."""
    for name, text in {
        layout.PAGE: "The page for people: what this is and how to audit it",
        layout.DIGESTS: "SHA-256 and size of every file",
        layout.SIGNATURE: "Signature over every file (OpenSSF model-signing)",
        layout.ENVIRONMENT: "Packages, machine and commit it was made with",
        layout.PRIVATE: "Digests over the music, which is not in the crate",
        "params.yaml": "What was studied",
        "dvc.lock": "The pipeline's record: command, parameters and hashes of each stage",
        "requirements.lock": "Every Python package, its version and the hashes of its files",
    }.items():
        if name in entities:
            entities[name]["description"] = text


def _thing(crate: ROCrate, identifier: str, kind: str, name: str, **more: str) -> ContextEntity:
    return ContextEntity(crate, identifier, properties={"@type": kind, "name": name, **more})


def _action(
    crate: ROCrate, program: Any, name: str, text: str, used: list[Any], made: list[Any], times: dict[str, str]
) -> ContextEntity:
    """One stage as what was done. program: the entity that did it."""
    properties = {"@type": "CreateAction", "name": name, "description": f"{text}: python -m src.{name}", **times}
    action = crate.add(ContextEntity(crate, f"#{name}", properties=properties))
    action["instrument"], action["object"], action["result"] = program, used, made
    action["actionStatus"] = "http://schema.org/CompletedActionStatus"
    return action
