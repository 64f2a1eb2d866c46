"""A clone of this working tree, as a stranger has it, at the tiny scale."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import PATIENCE_S, ROOT, change_yaml

STEPS = (2, 10, 30)


def in_clone(folder: Path, *command: str, check: bool = True, **more: str) -> str:
    """Run a command in the clone as a user would, with this environment's programs first on the path."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("MUSIC_LIBRARY", "MLFLOW_TRACKING_URI")
    }
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "COLUMNS": "160"} | more
    environment.pop("PYTHONPATH", None)
    if command[0] == "dvc":  # as in the Makefile: the program names the folder that it was made in
        command = (sys.executable, "-m", *command)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_S,
    )
    assert not check or done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def make(folder: Path) -> None:
    """Copy what git tracks (and what it would) to `folder`, set the tiny profile, commit."""
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True)
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    shutil.copy(ROOT / "tests" / "data" / "tiny.yaml", folder / "params" / "tiny.yaml")
    change_yaml(folder / "params.yaml", profile="tiny", steps=list(STEPS))
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "the study")):
        in_clone(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", *command)
