"""Where a result came from: the commit is known whoever owns the checkout."""

import os
import subprocess
from pathlib import Path

import pytest

from src.base import provenance


def committed(root: Path) -> str:
    """A repository with one commit; its hash."""
    (root / "file").write_text("text")
    named = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    for command in (["init", "-q"], ["add", "file"], [*named, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_and_the_number_of_changed_files(tmp_path: Path) -> None:
    commit = committed(tmp_path)
    (tmp_path / "file").write_text("other")
    known = provenance.describe(tmp_path)
    assert (known["git_commit"], known["git_changed_files"]) == (commit, "1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another owner")
def test_the_commit_of_another_owner_s_checkout_is_known(tmp_path: Path) -> None:
    commit = committed(tmp_path)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 12345, 12345)
    refused = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, check=False)
    assert refused.returncode != 0  # this is what git does by itself
    assert provenance.describe(tmp_path)["git_commit"] == commit


def test_outside_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert "git_commit" not in provenance.describe(tmp_path)
