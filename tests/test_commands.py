"""`python -m src`: what a person sees first."""

import re
import subprocess
import sys

import pytest

import src
from src.__main__ import version
from tests.conftest import ROOT


@pytest.mark.parametrize(("option", "expected"), [([], "python -m src.<stage>"), (["--version"], "torch 2.")])
def test_the_program_says_what_it_is(option: list[str], expected: str) -> None:
    done = subprocess.run([sys.executable, "-m", "src", *option], cwd=ROOT, capture_output=True, text=True, check=True)
    assert expected in done.stdout


def test_every_command_is_listed() -> None:
    commands = {path.parent.name for path in (ROOT / "src").glob("*/__main__.py")}
    commands |= {path.stem for path in (ROOT / "src").glob("[a-z]*.py") if "console.run(app" in path.read_text()}
    assert commands >= {"train", "status", "doctor", "preview"}
    assert commands <= set(re.findall(r"[a-z]+", src.__doc__ or ""))


def test_a_version_names_commit_and_packages() -> None:
    assert re.match(
        r"\d+\.\d+\.\d+ \([^)]+\), Python 3\.11\.\d+, torch 2\S+, numba \S+, mlflow \S+, dvc \S+$", version()
    )
