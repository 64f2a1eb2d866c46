"""A finished study of somebody's own music, whose names are all planted words, and bundles of it."""

import contextlib
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from src.base.errors import Problem
from src.bundle.__main__ import app
from tests import clone
from tests.clone import in_clone
from tests.test_privacy import PLANT, plant


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
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone after `dvc repro` on a planted library. Not to be changed: see `study`."""
    folder = tmp_path_factory.mktemp("published")
    plant(folder / f"{PLANT}Library")
    clone.make(folder / "study")
    library = str(folder / f"{PLANT}Library")
    in_clone(folder / "study", "python", "-m", "src.library", MUSIC_LIBRARY=library)
    in_clone(folder / "study", "dvc", "repro", MUSIC_LIBRARY=library)
    return folder / "study"


@pytest.fixture(scope="session")
def published(finished: Path) -> Path:
    """The bundle of the finished study, unsigned."""
    bundle(finished)
    return finished / "bundle"


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study that a test may change."""
    left = {finished: {"bundle", "bundle.zip"}, finished / ".dvc": {"cache", "tmp"}, finished / "mlruns": {"artifacts"}}
    shutil.copytree(
        finished, tmp_path / "study", symlinks=True, ignore=lambda folder, _: left.get(Path(folder), set[str]())
    )
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
