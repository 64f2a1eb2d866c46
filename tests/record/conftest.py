"""An MLflow of one's own for each test: making its database takes seconds, so one is made and copied."""

import shutil
from pathlib import Path

import pytest

from src.record.tracking import Store


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty MLflow."""
    root = tmp_path_factory.mktemp("made")
    Store(root)
    return root


@pytest.fixture
def fresh(made: Path, tmp_path: Path) -> Store:
    """An empty MLflow in the test's folder."""
    shutil.copytree(made / "mlruns", tmp_path / "mlruns")
    return Store(tmp_path)
