"""Every stage as several processes gives what one process gives: on one machine, and on two that share the folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.bundle.conftest import finished as finished  # noqa: PLC0414 (a fixture)
from tests.conftest import StudyFolder
from tests.hosts import Host, Process, hosts, torchrun
from tests.processes import hashes

__all__ = ["finished", "hosts"]

SHARED = ("src.manifest", "src.clips", "src.generate", "src.evaluate")
MADE = ("data/manifest.csv", "data/clips", "generations", "metrics")
"""What these stages write; metrics/ has other stages' files too."""


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> StudyFolder:
    """A copy of the finished study, without what the stages write and remember."""
    root = tmp_path / "study"
    for name in ("params", "checkpoints", "data", "work/train", "metrics"):
        shutil.copytree(finished / name, root / name)
    shutil.copy(finished / "params.yaml", root)
    for name in ("data/manifest.csv", "data/clips", "data/library-cache", "metrics/evaluate.json"):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return StudyFolder(root)


def made(root: Path) -> dict[str, bytes]:
    """Path → content of everything that the stages write."""
    files: dict[str, bytes] = {}
    for name in MADE:
        path = root / name
        files |= {f"{name}/{key}": value for key, value in hashes(path).items()} if path.is_dir() else {}
    return files | {MADE[0]: (root / MADE[0]).read_bytes()}


def end(*processes: Process) -> list[str]:
    """Wait for the end of processes that belong together; what each printed."""
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    return outputs


def test_two_processes_make_what_one_makes(finished: Path, study: StudyFolder) -> None:
    for stage in SHARED:
        process = torchrun(study, stage)
        output = end(process)
        assert process.returncode == 0, output
    assert made(study.root) == made(finished)


def test_two_hosts_with_one_folder_make_what_one_process_makes(
    hosts: tuple[Host, Host], finished: Path, study: StudyFolder
) -> None:
    for stage in SHARED:
        processes = [host.torchrun(study, stage, meets_at=hosts[0]) for host in hosts]
        outputs = end(*processes)
        assert [process.returncode for process in processes] == [0, 0], outputs
    assert made(study.root) == made(finished)
