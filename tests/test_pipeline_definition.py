"""dvc.yaml: every stage depends on the code that decides its output, and on what it reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from src.base import code

ROOT = Path(__file__).parents[1]
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

ROOMS = [stage for stage in STAGES if stage != "look"]  # which belongs to `library`, and always runs


@pytest.mark.parametrize("stage", ROOMS)
def test_a_stage_depends_on_the_code_it_runs(stage: str) -> None:
    declared = [dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")]
    needed = [name.replace(".", "/") for name in code.modules(f"src.{stage}.__main__")]
    missing = [
        module for module in needed if not any(_covers(dep, module) for dep in declared) and not _is_face(module)
    ]
    unused = [dep for dep in declared if dep != "src/config.py" and not any(_covers(dep, module) for module in needed)]
    assert (missing, unused) == ([], [])


def _covers(dep: str, module: str) -> bool:
    return f"{module}.py" == dep or f"{module}/".startswith(f"{dep}/")


def _is_face(module: str) -> bool:
    """Whether it is a package's `__init__.py` without any code: only a docstring."""
    path = ROOT / module / "__init__.py"
    return path.is_file() and code.meaning(path.read_text()) == code.meaning("")


@pytest.mark.parametrize("stage", ROOMS)
def test_a_stage_is_one_command(stage: str) -> None:
    assert STAGES[stage]["cmd"].startswith(f"./stage {stage} ")


def test_what_dvc_shows_as_figures_is_one_small_file() -> None:
    assert [stage.get("metrics") for stage in STAGES.values() if "metrics" in stage] == [["metrics/summary.json"]]


def test_private_outputs_are_never_pushed() -> None:
    for stage in STAGES.values():
        for out in stage.get("outs", []):
            path, settings = next(iter(out.items())) if isinstance(out, dict) else (out, {})
            if path.startswith("data/"):
                private = settings.get("push") is False or settings.get("cache") is False
                assert private, f"{path} must have push: false"
