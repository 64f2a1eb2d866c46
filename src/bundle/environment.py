"""With what a study was made: environment.json and source.tar.gz.

In: the git checkout, the installed packages, the run's journal. Out: `Environment`, and an archive of the commit. No
name of a machine or a person, and no path, is in them.
"""

import gzip
import io
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from src.base import provenance
from src.base.errors import Problem
from src.bundle import layout
from src.bundle.layout import Environment, Machine, Trained
from src.record import journal

CODE = ("src", "params", "params.yaml", "dvc.yaml", "requirements.lock")
"""Where a file that git does not know may decide a number."""

PREFIX = "source/"
"""Every member of source.tar.gz lies below this folder."""


def describe(root: Path, view: journal.View) -> Environment:
    """What environment.json says. Raises `Problem` outside a git checkout or before the first commit."""
    import torch

    known = provenance.describe(root)
    if "git_commit" not in known:
        raise Problem(
            "This folder is not a git checkout with a commit, so nobody could see which code was used. Run first: git "
            'init && git add -A && git commit -m "The study"'
        )
    return Environment(
        commit=known["git_commit"],
        changed_files=changed_files(root),
        bundled_on=_machine(known),
        architecture=platform.machine(),
        torch_build=tuple(line.strip() for line in torch.__config__.show().splitlines() if line.strip()),
        packages=packages(),
        trained_on=tuple(_trained(view)),
    )


def changed_files(root: Path) -> tuple[str, ...]:
    """Tracked files that differ from the commit, and untracked ones where code is; relative paths."""
    changed = provenance.git(root, "diff", "--name-only", "-z", "HEAD").split("\0")
    unknown = provenance.git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *CODE).split("\0")
    return tuple(sorted({name for name in (*changed, *unknown) if name}))


def packages() -> dict[str, str]:
    """Every installed package and its version; where it was installed from may be a path, and is left out."""
    known: dict[str, str] = {}
    for package in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
        known.setdefault(name, package.version)  # the first one on the path is the one that is imported
    return dict(sorted(known.items()))


def archive(root: Path, commit: str) -> bytes:
    """source.tar.gz: what git has of the commit. The same commit gives the same bytes."""
    command = ["git", "-c", f"safe.directory={root.resolve()}", "-c", "tar.umask=0022", "-c", "core.autocrlf=false"]
    try:
        done = subprocess.run(
            [*command, "archive", "--format=tar", f"--prefix={PREFIX}", commit],
            cwd=root,
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip().splitlines()
        raise Problem(f"git could not make an archive of the commit ({said[-1] if said else error}).") from None
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(done.stdout)
    return packed.getvalue()


def _trained(view: journal.View) -> list[Trained]:
    """The journal's attempts, those of one machine, code and set of versions together."""
    groups: dict[str, Trained] = {}
    for number, attempt in sorted(view.attempts.items()):
        machine = _machine({key: str(value) for key, value in attempt.details.items()})
        key = machine.model_dump_json()
        before = groups[key].attempts if key in groups else ()
        groups[key] = Trained(attempts=(*before, number), machine=machine)
    return list(groups.values())


def _machine(known: dict[str, str]) -> Machine:
    """What `provenance.describe` says, or the journal, as far as it says it."""
    return Machine(
        platform=known.get("platform", ""),
        processor=known.get("processor", ""),
        processors=int(known.get("processors", 0)),
        python=known.get("python", ""),
        device=known.get("device"),
        threads=int(known["threads"]) if "threads" in known else None,
        commit=known.get("git_commit"),
        changed_files=int(known["git_changed_files"]) if "git_changed_files" in known else None,
        versions={name: known[name] for name in provenance.PACKAGES if name in known},
    )


def write(folder: Path, root: Path, environment: Environment) -> None:
    """Write environment.json and source.tar.gz to the bundle's folder."""
    layout.write(folder / layout.ENVIRONMENT, environment)
    (folder / layout.SOURCE).write_bytes(archive(root, environment.commit))
