"""A stage run in this process: the same command line without a second for a new interpreter."""

import contextlib
import importlib
import io
import subprocess

from src.base.errors import Problem
from tests.conftest import StudyFolder


def run(study: StudyFolder, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """As `study.run`; a stage that has workers has one unless the arguments say otherwise."""
    alone = module in ("src.manifest", "src.clips") and "--workers" not in arguments
    options = [*arguments, "--workers", "1"] if alone else list(arguments)
    said = io.StringIO()
    status = 0
    with contextlib.chdir(study.root), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            importlib.import_module(f"{module}.__main__").app(options, standalone_mode=False)
        except Problem as problem:
            status = 1
            said.write(f"error: {problem}\n")
    return subprocess.CompletedProcess(options, status, said.getvalue())
