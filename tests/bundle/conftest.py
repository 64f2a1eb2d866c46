"""A finished study of somebody's own music, whose names are all planted words, and bundles of it."""

import contextlib
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from src.base.errors import Problem
from src.bundle.__main__ import app
from tests.conftest import made_once


def bundle(study: Path, *arguments: str) -> str:
    """Run `python -m src.bundle` in a study, in this process; what it printed. Raises `Problem` as it does."""
    said = io.StringIO()
    with contextlib.chdir(study), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        app(list(arguments), standalone_mode=False)
    return said.getvalue()


def refusal(study: Path, *arguments: str) -> str:
    """The sentence with which a bundle is refused."""
    with pytest.raises(Problem) as problem:
        bundle(study, *arguments)
    assert not (study / "bundle.zip").exists()
    assert [path.name for path in study.glob(".bundle*")] == []
    return str(problem.value)


@pytest.fixture(scope="session")
def finished(planted: Path) -> Path:
    """A clone after `dvc repro` on a planted library. Not to be changed: see `study`."""
    return planted / "study"


@pytest.fixture(scope="session")
def published(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the finished study, unsigned."""
    made_once(tmp_path_factory, "published", lambda _: bundle(finished))
    return finished / "bundle"


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study that a test may change."""
    left = {finished: {"bundle", "bundle.zip"}, finished / ".dvc": {"cache", "tmp"}, finished / "mlruns": {"artifacts"}}

    def ignored(folder: str, names: list[str]) -> set[str]:
        """Bundles too that another process of the test run is making."""
        return left.get(Path(folder), set()) | {name for name in names if name.startswith(".bundle")}

    shutil.copytree(finished, tmp_path / "study", symlinks=True, ignore=ignored)
    return tmp_path / "study"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with private.pem and public.pem, made as docs/publish.md says."""
    folder = tmp_path_factory.mktemp("keys")
    for command in (
        "openssl ecparam -name prime256v1 -genkey -noout -out private.pem",
        "openssl ec -in private.pem -pubout -out public.pem",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder
