"""Whether the outputs are those that dvc.lock records, made with these parameters from these inputs.

In: dvc.yaml, dvc.lock, the files that they name, the study's source. Out: checks. DVC's MD5 is weak against who makes
two files on purpose; it ties the stages to each other, and SHA-256 stands in the other checks.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from src.audit.check import Check, decided, unknown
from src.audit.origin import Origin
from src.audit.study import Study, plain_yaml
from src.base.errors import Problem
from src.bundle.layout import inside

OUTPUTS, INPUTS, PARAMETERS = "dvc.lock against outputs", "dvc.lock against sources", "dvc.lock against parameters"

Item = Mapping[str, Any]
"""An output or a dependency: path, md5."""


def checks(origin: Origin) -> Iterator[Check]:
    """All of them."""
    study = origin.study
    stages = _stages(study)
    outs: dict[str, str] = {}
    wrong, seen, absent = [], 0, 0
    for stage, said in stages.items():
        for item in said.get("outs", []):
            path, md5 = inside(str(item["path"])), str(item["md5"])
            outs[path] = md5
            here = _md5(study.root / path)
            if here is None:
                absent += 1
            elif here != md5:
                wrong.append(f"{path} is not what the stage {stage} wrote.")
            else:
                seen += 1
    for stage, said in stages.items():
        for item in said.get("deps", []):
            path, md5 = str(item["path"]), str(item["md5"])
            if outs.get(path, md5) != md5:
                wrong.append(f"The stage {stage} was run on another {path} than the one that is recorded.")
    rest = f" {absent:,} more are not here, such as the private ones." if absent else ""
    yield decided(
        OUTPUTS,
        wrong,
        f"{seen:,} outputs have the recorded MD5, and each stage used what the ones before it left.{rest}",
    )
    yield _sources(origin, stages)
    yield decided(PARAMETERS, list(_parameters(study, stages)), f"All {len(stages):,} stages ran with these values.")


def _stages(study: Study) -> dict[str, dict[str, Any]]:
    """The recorded stages that dvc.yaml still has: DVC keeps what older ones left."""
    try:
        declared = plain_yaml(study.root / "dvc.yaml")["stages"]
        recorded = plain_yaml(study.root / "dvc.lock")["stages"]
        names = [f"{name}@{step}" for name in declared for step in study.params.compared_steps] + list(declared)
        return {name: dict(recorded[name]) for name in names if name in recorded}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Problem(f"dvc.lock does not list stages as DVC writes them ({error!r}).") from None


def _sources(origin: Origin, stages: Mapping[str, Mapping[str, Any]]) -> Check:
    """Each stage's code is the code of the study."""
    wrong, seen = [], set()
    for stage, said in stages.items():
        for item in said.get("deps", []):
            path = str(item["path"])
            if path.startswith("src/"):
                seen.add(path)
                if _md5_of(origin.files, path) != item["md5"]:
                    wrong.append(f"{path} is not what the stage {stage} ran with.")
    if not origin.files:
        return unknown(INPUTS, "the code is not beside the results.")
    return decided(
        INPUTS, list(dict.fromkeys(wrong)), f"{len(seen):,} rooms and modules of the code are what the stages ran with."
    )


def _parameters(study: Study, stages: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for stage, said in stages.items():
        for file, values in dict(said.get("params", {})).items():
            if not re.fullmatch(r"params(/[\w-]+)?\.yaml", str(file)):
                yield f"The stage {stage} read {str(file)[:100]!r}, which is no file of parameters."
                continue
            here = plain_yaml(study.root / str(file))
            for key, value in values.items():
                if here.get(key) != value:
                    yield f"{file}: {_difference(str(key), value, here.get(key))} (stage {stage})."


def _difference(key: str, before: Any, now: Any) -> str:
    """Where two values differ first: train.learning_rate was 0.008 and is 0.004."""
    if isinstance(before, dict) and isinstance(now, dict):
        inner = next(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        return _difference(f"{key}.{inner}", before.get(inner), now.get(inner))
    return f"{key} was {str(before)[:200]} and is {str(now)[:200]}"


def _md5(path: Path) -> str | None:
    """DVC's MD5 of a file or a folder; None if there is none."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if not path.is_dir():
        return None
    rows = [(file.relative_to(path).as_posix(), str(_md5(file))) for file in path.rglob("*") if file.is_file()]
    return _of_folder(rows)


def _md5_of(files: Mapping[str, bytes], path: str) -> str | None:
    """The same of files that are in memory."""
    if path in files:
        return hashlib.md5(files[path], usedforsecurity=False).hexdigest()
    inner = f"{path}/"
    rows = [(name.removeprefix(inner), str(_md5_of(files, name))) for name in files if name.startswith(inner)]
    return _of_folder(rows) if rows else None


def _of_folder(rows: list[tuple[str, str]]) -> str:
    """DVC's MD5 over the names and the MD5s of a folder's files."""
    listed = [{"md5": md5, "relpath": name} for name, md5 in sorted(rows)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
