"""A study is pushed to a folder, by SSH and to S3, and pulled by somebody who has none of its music."""

import csv
import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundle.conftest import finished  # noqa: F401 - a fixture
from tests.clone import in_clone
from tests.team import servers
from tests.team.servers import Storage
from tests.test_privacy import PLANT

COMMIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam")
RESULTS = ("checkpoints", "generations", "metrics")


@pytest.fixture(scope="module")
def study(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A finished study of somebody's own music, whose results are committed."""
    folder = tmp_path_factory.mktemp("owner") / "study"
    shutil.copytree(finished, folder, symlinks=True, ignore=shutil.ignore_patterns("bundle*", ".bundle*", "artifacts"))
    in_clone(folder, "git", "add", "dvc.lock")
    in_clone(folder, *COMMIT, "the results")
    return folder


@pytest.fixture(scope="module", params=[servers.folder, servers.ssh, servers.s3], ids=["folder", "ssh", "s3"])
def pushed(
    study: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Path, Storage]]:
    """The study and a place that it was pushed to, with DVC's cache of runs; what is not in use is gone from both."""
    with request.param(tmp_path_factory.mktemp("storage")) as storage:
        in_clone(study, "dvc", "remote", "add", "--force", "--default", "store", storage.url)
        in_clone(study, *COMMIT, "where the results are")
        configure(study, storage)
        (study / "generations" / "unused").write_text("of a step that is no longer compared")
        in_clone(study, "dvc", "commit", "--force", "generate", **storage.environment)
        in_clone(study, "dvc", "push", "--run-cache", **storage.environment)
        (study / "generations" / "unused").unlink()
        in_clone(study, "dvc", "commit", "--force", "generate")
        in_clone(study, "dvc", "push", "--run-cache", **storage.environment)
        in_clone(study, "dvc", "gc", "--workspace", "--cloud", "--force", **storage.environment)
        assert in_clone(study, "git", "status", "--porcelain") == ""
        yield study, storage


def configure(checkout: Path, storage: Storage) -> None:
    """Say how the storage is reached, on this machine alone."""
    (checkout / ".dvc" / "config.local").unlink(missing_ok=True)
    for name, value in storage.settings.items():
        in_clone(checkout, "dvc", "remote", "modify", "--local", "store", name, value)


def test_a_stranger_has_the_results_and_nothing_to_do(pushed: tuple[Path, Storage], tmp_path: Path) -> None:
    study, storage = pushed
    clone = tmp_path / "clone"
    in_clone(tmp_path, "git", "clone", "-q", str(study), str(clone))
    (clone / ".venv").symlink_to(sys.prefix)
    configure(clone, storage)
    said = in_clone(clone, "make", "-o", ".venv/made", "pull", **storage.environment)
    for name in ("library.json", "manifest.csv", "clips"):
        assert f"Not published, so not here: data/{name}" in said
    for folder in RESULTS:
        files = [path.relative_to(study) for path in (study / folder).rglob("*") if path.is_file()]
        assert files
        assert all((clone / name).read_bytes() == (study / name).read_bytes() for name in files)
    said = in_clone(clone, "dvc", "repro", "--allow-missing")
    stages = ("library", "manifest", "clips", "train", "generate", "evaluate", "compare")
    assert [stage for stage in stages if f"Stage '{stage}' didn't change, skipping" not in said] == []
    assert in_clone(clone, "git", "status", "--porcelain") == ""
    assert not (clone / "data" / "library.json").exists()


def test_what_is_private_stays(pushed: tuple[Path, Storage]) -> None:
    study, storage = pushed
    content = storage.content()
    assert len(content) > 40
    assert any(name.split("/")[-4:-3] == ["runs"] or "/runs/" in f"/{name}" for name in content)
    with (study / "data" / "clips" / "clips.csv").open(newline="") as file:
        words = {row["sha256"] for row in csv.DictReader(file)}
    with (study / "data" / "manifest.csv").open(newline="") as file:
        words |= {row[name] for row in csv.DictReader(file) for name in ("file_sha256", "audio_sha256") if row[name]}
    assert len(words) > 30
    needles = [PLANT.lower().encode(), *(word.encode() for word in words)]
    hits = [
        name
        for name, each in content.items()
        if any(needle in each.lower() or needle in name.lower().encode() for needle in needles)
    ]
    assert hits == []
    private = {path for path in (study / "data").rglob("*") if path.is_file() and path.name != "looked"}
    assert len(private) > 30
    here = {hashlib.md5(each, usedforsecurity=False).digest() for each in content.values()}
    assert [path for path in private if hashlib.md5(path.read_bytes(), usedforsecurity=False).digest() in here] == []
    assert not any(b"of a step that is no longer compared" in each for each in content.values())
