"""`python -m src`: the commands in the order of the pipeline. `python -m src --version`: which program this is."""

import platform
import sys
from importlib import metadata
from pathlib import Path

import src
from src.base import provenance

VERSION = "1.0.0"
"""As in CITATION.cff and CHANGELOG.md."""


def version() -> str:
    """Version, commit and what the numbers depend on."""
    known = provenance.describe(Path(src.__file__).parents[1])
    commit = known.get("git_commit", "not a git checkout")[:12]
    changed = known.get("git_changed_files", "0")
    changed = f" and {changed} changed files" if changed != "0" else ""
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numba", "mlflow", "dvc"))
    return f"{VERSION} ({commit}{changed}), Python {platform.python_version()}, {packages}"


if __name__ == "__main__":
    print(version() if "--version" in sys.argv[1:] else src.__doc__)
