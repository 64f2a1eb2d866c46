"""Running trainings as the tests see them: their journals, their processes, their deaths."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from src.record import journal
from tests.conftest import PATIENCE_S, ROOT, StudyFolder

SABOTAGE = ROOT / "tests" / "chaos" / "sabotage"


def sabotaged(**orders: object) -> dict[str, str]:
    """Environment of a training in which something goes wrong (sabotage/sitecustomize.py): `sabotaged(slow_s=0.05)`."""
    return {"PYTHONPATH": f"{SABOTAGE}{os.pathsep}{ROOT}"} | {
        f"CHAOS_{name.upper()}": str(value) for name, value in orders.items()
    }


def training_folder(study: StudyFolder) -> Path:
    """The folder of the study's one run."""
    (folder,) = (study.root / "work" / "train").iterdir()
    return folder


def book(study: StudyFolder) -> Path:
    """The journal of the study's one run."""
    return training_folder(study) / journal.NAME


def losses(study: StudyFolder) -> list[float]:
    """The loss of every step, in order."""
    steps = journal.read(book(study)).steps
    return [steps[step].loss for step in sorted(steps)]


def hashes(folder: Path) -> dict[str, bytes]:
    """Relative name → content of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def step_lines(study: StudyFolder) -> int:
    """Steps in the journal at this moment, those done again among them; 0 before it exists."""
    paths = list((study.root / "work" / "train").glob(f"*/{journal.NAME}"))
    return paths[0].read_bytes().count(b'"kind": "step"') if paths else 0


def newest_step(study: StudyFolder) -> int:
    """The step the newest step line of the journal is of; 0 before it exists."""
    paths = list((study.root / "work" / "train").glob(f"*/{journal.NAME}"))
    found = re.findall(rb'"kind": "step".*?"step": (\d+)', paths[0].read_bytes()[-100_000:]) if paths else []
    return int(found[-1]) if found else 0


def wait_until(true: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until `true` returns what is true. AssertionError: the process ended before, or patience did."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if process is not None and process.poll() is not None:
            assert true(), f"it ended before: {process.communicate()[0]}"
            return
        assert time.monotonic() < deadline, "it was waited for in vain"
        time.sleep(0.01)


def wait_for_step(study: StudyFolder, step: int, process: subprocess.Popen[str] | None = None) -> None:
    """Wait until the journal has `step`; a process that can no longer write it is not waited for."""
    journals = study.root / "work" / "train"
    line = f'"step": {step},'.encode()
    wait_until(lambda: any(line in path.read_bytes() for path in journals.glob(f"*/{journal.NAME}")), process)


@contextlib.contextmanager
def held(
    study: StudyFolder, step: int, start: Callable[..., subprocess.Popen[str]] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A training that has done `step` and does no more until the block ends or a signal asks it to stop.

    So a test acts in the middle of a run on any machine, however slow the test and however quick the run.
    start: what starts it, with an environment; `study.start("src.train")` by default.
    """
    gate = study.root / f"gate-{step}"
    process = (start or partial(study.start, "src.train"))(**sabotaged(hold=f"{step}:{gate}"))
    try:
        wait_for_step(study, step, process)
        yield process
    finally:
        gate.touch()


def children(pid: int) -> list[int]:
    """Process numbers of a process's children; none if it is gone."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(part) for part in text.split()]


def command_line(pid: int) -> bytes:
    """Command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def kill(*pids: int, signum: int = signal.SIGKILL) -> None:
    """Send a signal, SIGKILL without another one, to those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def kill_family(pid: int) -> None:
    """SIGKILL a process and its children at once."""
    kill(pid, *children(pid))
