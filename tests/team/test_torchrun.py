"""Every stage as several processes gives what one process gives: on one machine, and on two that share the folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.bundle.conftest import finished
from tests.bundle.conftest import study as copied
from tests.clone import in_clone
from tests.conftest import StudyFolder
from tests.hosts import Host, Process, hosts, outputs, torchrun
from tests.processes import hashes

__all__ = ["copied", "finished", "hosts"]

SHARED = ("src.manifest", "src.clips", "src.generate", "src.evaluate")
MADE = ("data/manifest.csv", "data/clips", "generations", "metrics/evaluate.json", "metrics/manifest.json")
WEIGHTS_DIFFER_BY = 1e-5
"""After 30 steps; the weights are around 0.3."""


@pytest.fixture
def study(copied: Path) -> StudyFolder:
    """A copy of the finished study, without what the stages write and remember."""
    for name in ("params", "data/clips"):
        shutil.copytree(copied / name, copied / "trained-together" / name)
    shutil.copy(copied / "params.yaml", copied / "trained-together")
    for name in ("data/clips", "data/library-cache", "generations"):
        shutil.rmtree(copied / name)
    for name in ("dvc.lock", "data/manifest.csv", "metrics/evaluate.json", "metrics/manifest.json"):
        (copied / name).unlink()
    return StudyFolder(copied)


def contents(root: Path) -> dict[str, dict[str, bytes]]:
    """What the stages made."""
    return {name: hashes(root / name) if (root / name).is_dir() else {"": (root / name).read_bytes()} for name in MADE}


def ends(*processes: Process) -> str:
    """What processes that belong together printed; all of them have ended well."""
    printed = outputs(*processes)
    assert [process.returncode for process in processes] == [0] * len(processes), printed
    return "".join(printed)


def test_two_processes_make_what_one_makes(finished: Path, study: StudyFolder) -> None:
    printed = "".join(ends(torchrun(study, stage)) for stage in SHARED)
    assert contents(study.root) == contents(finished)
    assert printed.count("files kept") == printed.count("clips in data/clips") == 1
    assert [printed.count(f"Step {step}: ") for step in (2, 10, 30)] == [1, 1, 1]
    in_clone(study.root, "dvc", "commit", "--force")
    assert (study.root / "dvc.lock").read_bytes() == (finished / "dvc.lock").read_bytes()


def test_two_hosts_with_one_folder_make_what_one_process_makes(
    hosts: tuple[Host, Host], finished: Path, study: StudyFolder
) -> None:
    # torchrun's own store serves the training and what follows in its process; each would want the same port.
    ends(
        *(
            host.torchrun(study, "tests.all_stages", meets_at=hosts[0], TORCH_DISABLE_SHARE_RDZV_TCP_STORE="0")
            for host in hosts
        )
    )
    assert contents(study.root) == contents(finished)
    assert not list(study.root.glob("trained-together/work/train/*/led-elsewhere"))
    for step in (2, 10, 30):
        alone, together = (
            load_file(root / f"checkpoints/step-{step}/weights.safetensors")
            for root in (finished, study.root / "trained-together")
        )
        for name, weights in alone.items():
            np.testing.assert_allclose(together[name], weights, rtol=0, atol=WEIGHTS_DIFFER_BY)


def test_disks_of_their_own_are_refused_in_a_sentence(
    hosts: tuple[Host, Host], study: StudyFolder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = StudyFolder(tmp_path_factory.mktemp("other"))
    shutil.copy(study.root / "params.yaml", other.root)
    processes = [
        host.torchrun(where, "src.generate", meets_at=hosts[0])
        for host, where in zip(hosts, (study, other), strict=True)
    ]
    printed = outputs(*processes)
    assert all("The processes do not work in one folder" in text for text in printed), printed
    assert all(process.returncode for process in processes)
    assert not (study.root / "generations").exists()
    assert not list((study.root / "work").glob(".seen*"))
