"""The environment as part of the claim: everything that is installed is named with its version and its hashes."""

import re
from importlib import metadata

import pytest

from tests.conftest import ROOT


def locked(name: str) -> dict[str, list[str]]:
    """Package and version → hashes, of a lock file."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return {line.split()[0]: re.findall(r"--hash=sha256:([0-9a-f]{64})(?!\S)", line) for line in lines if line}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-cuda.lock"])
def test_every_package_has_one_version_and_hashes(name: str) -> None:
    for package, hashes in locked(name).items():
        assert re.fullmatch(r"[a-z0-9-]+(\[[a-z,]+\])?==[0-9][^=<>~,]*", package)
        assert hashes


def test_the_lock_has_all_that_was_asked_for() -> None:
    asked = [line.split("#")[0].strip() for name in ("requirements.in", "requirements-no-deps.in")
             for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]  # fmt: skip
    names = {plain(re.split(r"[\[=<>~! ]", line)[0]) for line in asked if line}
    assert names <= {plain(re.split(r"[\[=]", package)[0]) for package in locked("requirements.lock")}


def test_what_is_installed_is_what_is_locked() -> None:
    versions: dict[str, set[str]] = {}
    for package in (*locked("requirements.lock"), *locked("requirements-cuda.lock")):
        name, _, version = package.partition("==")
        versions.setdefault(plain(name.partition("[")[0]), set()).add(version)
    installed = {plain(each.metadata["Name"]): each.version.partition("+")[0] for each in metadata.distributions()}
    assert {name: version for name, version in installed.items() if version not in versions.get(name, {version})} == {}


def test_the_cpu_build_of_torch_is_locked_and_nothing_is_installed_without_hashes() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    cpu = re.search(r"^TORCH_CPU := ([0-9a-f]{64})$", makefile, re.MULTILINE)
    assert cpu is not None
    assert cpu[1] in next(hashes for name, hashes in locked("requirements.lock").items() if name.startswith("torch=="))
    installs = [line for line in makefile.splitlines() if "pip install" in line and "work/lock/" not in line]
    assert installs
    assert all("--require-hashes" in line for line in installs)
