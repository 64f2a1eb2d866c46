"""Where a result came from: code, inputs, machine and versions, as short strings without anything private."""

import hashlib
import os
import platform
import socket
import subprocess
from importlib import metadata
from pathlib import Path

from src.base import files

PACKAGES = ("torch", "numpy", "numba", "mlflow", "dvc", "soundfile", "soxr")


def describe(root: Path = Path()) -> dict[str, str]:
    """Git commit (and whether files differ from it), hash of dvc.lock, processor, versions; not the name of the host:
    journals get this and are published.

    What is not known is left out; nothing here fails.
    """
    known = identity() | {
        "platform": platform.platform(),
        "processor": processor(),
        "processors": str(os.cpu_count() or 0),
        "python": platform.python_version(),
    }
    commit = git(root, "rev-parse", "HEAD")
    if commit:
        known["git_commit"] = commit
        known["git_changed_files"] = str(len(git(root, "status", "--porcelain", "-uno").splitlines()))
    if (root / "dvc.lock").is_file():
        known["dvc_lock_sha256"] = files.sha256_of(root / "dvc.lock")
    for package in PACKAGES:
        try:
            known[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return known


def identity() -> dict[str, str]:
    """`machine`: digits that stay the same when a machine is renamed and differ between machines. `boot`: digits that
    stay the same until it is started anew; left out where the system does not say.

    Both are hashes: of the system's own id with the processor's name (copies of one disk image share the id), or of the
    host's name where there is no id; and of the kernel's boot id.
    """
    own = _line(Path("/etc/machine-id")) or socket.gethostname()
    known = {"machine": _digits(f"{own} {processor()} {os.cpu_count()}")}
    boot = _line(Path("/proc/sys/kernel/random/boot_id"))
    if boot:
        known["boot"] = _digits(boot)
    return known


def launcher() -> str:
    """Digits for the process that started this one: a supervisor's or a torchrun's attempts have the same."""
    return _digits(f"{identity()} {os.getppid()}")


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""  # not Linux, or a container without it


def _digits(text: str) -> str:
    return hashlib.sha256(f"wavenet-study {text}".encode()).hexdigest()[:12]


def git(root: Path, *arguments: str) -> str:
    """Output of a git command, or "" outside a repository or without git."""
    # git refuses a checkout of another owner (a mounted folder, a container); this one's code is running already.
    trusted = ["git", "-c", f"safe.directory={root.resolve()}"]
    try:
        done = subprocess.run([*trusted, *arguments], cwd=root, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # no /proc on this system
    return platform.processor() or platform.machine()
