"""A study is pushed to a folder, by SSH and to S3, and pulled by somebody who has none of its music."""

import csv
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import sounds
from tests.bundle.conftest import finished  # noqa: F401 - a fixture
from tests.clone import in_clone
from tests.planted import PLANT
from tests.team import servers
from tests.team.page import commands
from tests.team.servers import Storage

RESULTS = ("checkpoints", "generations", "metrics")
LINES = commands("One store for data and results")
AUTHOR = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture(scope="module")
def study(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A finished study of somebody's own music; dvc.lock is not committed yet."""
    folder = tmp_path_factory.mktemp("owner") / "study"

    def ignored(place: str, names: list[str]) -> set[str]:
        """Bundles, which other tests make there."""
        return {name for name in names if "bundle" in name} if Path(place) == finished else set()

    shutil.copytree(finished, folder, symlinks=True, ignore=ignored)
    return folder


@pytest.fixture(scope="module", params=[servers.folder, servers.ssh, servers.s3], ids=["folder", "ssh", "s3"])
def pushed(
    study: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Path, Storage]]:
    """The study and a place that it was pushed to with the page's commands, DVC's cache of runs included."""
    with request.param(tmp_path_factory.mktemp("storage")) as storage:
        (study / ".dvc" / "config.local").unlink(missing_ok=True)
        for line in LINES[:4]:
            for example, real in storage.stands_for.items():
                if example in line:
                    there(study, storage, line.replace(example, real).replace("remote add", "remote add --force"))
        log_in(study, storage)
        for line in LINES[4:8]:
            there(study, storage, line)
        assert in_clone(study, "git", "status", "--porcelain") == ""
        yield study, storage


def there(checkout: Path, storage: Storage, command: str) -> str:
    """Run a command that may need the storage."""
    return in_clone(checkout, "bash", "-c", command, **AUTHOR, **storage.environment)  # type: ignore[arg-type]


def log_in(checkout: Path, storage: Storage) -> None:
    """Say how one gets into the storage, on this machine alone."""
    for name, value in storage.secrets.items():
        in_clone(checkout, "dvc", "remote", "modify", "--local", "store", name, value)


def test_a_stranger_has_the_results_and_nothing_to_do(pushed: tuple[Path, Storage], tmp_path: Path) -> None:
    study, storage = pushed
    clone, enter, pull, reproduce = LINES[8:]
    there(tmp_path, storage, clone.replace("SERVER/study.git", str(study)))
    assert enter == "cd study"
    checkout = tmp_path / "study"
    (checkout / ".venv").symlink_to(sys.prefix)
    log_in(checkout, storage)
    said = there(checkout, storage, pull.replace("make", "make -o .venv/made"))
    for name in ("library.json", "manifest.csv", "clips"):
        assert f"Not published, so not here: data/{name}" in said
    for folder in RESULTS:
        files = [path.relative_to(study) for path in (study / folder).rglob("*") if path.is_file()]
        assert files
        assert all((checkout / name).read_bytes() == (study / name).read_bytes() for name in files)
    said = there(checkout, storage, reproduce)
    stages = ("library", "manifest", "clips", "train", "generate", "evaluate", "compare")
    assert [stage for stage in stages if f"Stage '{stage}' didn't change, skipping" not in said] == []
    assert in_clone(checkout, "git", "status", "--porcelain") == ""
    assert not (checkout / "data" / "library.json").exists()


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


def test_dvc_alone_notices_a_song_that_was_added(study: Path, finished: Path, tmp_path: Path) -> None:  # noqa: F811
    library = tmp_path / "music"
    shutil.copytree(finished.parent / f"{PLANT}Library", library)
    in_clone(study, "dvc", "repro", "manifest", MUSIC_LIBRARY=str(library))
    said = in_clone(study, "dvc", "repro", "manifest")
    assert [stage for stage in ("library", "manifest") if f"Stage '{stage}' didn't change, skipping" not in said] == []
    sounds.tag(sounds.write(library / "another.flac", seed=77, duration_s=3.6), "rock", "1999")
    said = in_clone(study, "dvc", "repro", "manifest")
    assert "Running stage 'manifest'" in said
    assert json.loads((study / "metrics" / "manifest.json").read_text())["genres"]["rock"] == 4
