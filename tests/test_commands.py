"""`python -m src`: what a person sees first; and every command that a page names can be given so."""

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

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


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").rglob("*.md")])
ENDS = r"[^`|&;#()\n]*"
"""A command ends where its quotation, its line or its cell does."""


def options_of(module: str, words: Sequence[str] = ()) -> set[str]:
    """The options of `python -m module`, of the subcommand that the words begin with where it has some."""
    name = f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module
    command: Any = typer.main.get_command(importlib.import_module(name).app)
    command = getattr(command, "commands", {}).get(words[0], command) if words else command
    named = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    return {"--help"} | {option for option in named if option.startswith("--")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_commands_and_options_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for module, rest in re.findall(rf"python -m (src\.[a-z][a-z_.]*|benchmarks|tests\.chaos)({ENDS})", text):
        words = shlex.split(rest)
        wrong = {word.partition("=")[0] for word in words if word.startswith("--")} - options_of(module, words)
        assert not wrong, f"python -m {module}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_targets_that_the_makefile_has(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(named) <= targets
