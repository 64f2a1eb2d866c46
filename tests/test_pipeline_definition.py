"""dvc.yaml: every stage depends on the modules that decide its output, and on no other."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

# How a stage talks, restarts and is recorded does not change what it puts out.
WITHOUT_INFLUENCE = {
    "src/errors.py",
    "src/run/background.py",
    "src/run/nested.py",
    "src/run/stop.py",
    "src/run/console.py",
    "src/run/endings.py",
    "src/run/tracking.py",
    "src/run/shipping.py",
    "src/run/supervisor.py",
    "src/run/provenance.py",
    "src/run/layout.py",
    "src/run/files.py",
    "src/run/config.py",  # the values it reads are dependencies themselves (params)
}


def imported(path: Path) -> set[Path]:
    """Modules of ours that a module imports anywhere in it, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            base = node.module if node.level == 0 else ".".join([*relative_base(path, node.level), node.module])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {".".join([*relative_base(path, node.level), alias.name]) for alias in node.names}
    found = set()
    for name in names:
        if name.split(".")[0] != "src":
            continue
        module = ROOT / Path(*name.split("."))
        for candidate in (module.with_suffix(".py"), module / "__init__.py"):
            if candidate.is_file() and candidate.read_text().strip():
                found.add(candidate)
    return found


def relative_base(path: Path, level: int) -> tuple[str, ...]:
    package = path.relative_to(ROOT).parent.parts
    return package[: len(package) - level + 1]


def decisive_modules(stage: str) -> set[str]:
    """Modules that decide a stage's output: what it imports, directly or not, less what has no influence."""
    start = ROOT / "src" / f"{stage}.py"
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        name = str(path.relative_to(ROOT))
        if path in seen or name in WITHOUT_INFLUENCE or name == "src/__init__.py":
            continue
        seen.add(path)
        waiting += imported(path)
    return {str(path.relative_to(ROOT)) for path in seen}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_it_runs(stage: str) -> None:
    declared = {dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")}
    needed = decisive_modules(stage)
    assert sorted(declared) == sorted(needed), f"deps of {stage} should list: " + ", ".join(sorted(needed))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_one_module(stage: str) -> None:
    assert f"python -m src.{stage} " in STAGES[stage]["cmd"]


def test_the_issue_of_private_outputs() -> None:
    """What holds names, titles, paths or the music itself is never pushed."""
    for stage in STAGES.values():
        for out in stage.get("outs", []):
            path, settings = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            if path.startswith("data/"):
                assert settings.get("push") is False, f"{path} must have push: false"
