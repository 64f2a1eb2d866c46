"""A PostgreSQL (Debian: `apt-get install postgresql`), as docs/team.md starts it: localhost only, data in a folder."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from src.base.errors import Problem

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
"""None: it is not installed."""
LONGEST_START_S = 60.0


def commands(port: int) -> list[str]:
    """The lines of the page: the password, the database's making, its start, and MLflow's database in it."""
    return [
        'export PATH="$PATH:$(ls -d /usr/lib/postgresql/*/bin | tail -1)"',
        "(umask 077; head -c 16 /dev/urandom | base64 > password.txt)",
        "initdb --pgdata database --encoding UTF8 --username mlflow --auth scram-sha-256 --pwfile password.txt",
        f"pg_ctl --pgdata database --log database.txt --options \"-h 127.0.0.1 -p {port} -k ''\" start",
        'export PGPASSWORD="$(cat password.txt)"',
        f"createdb --host 127.0.0.1 --port {port} --username mlflow mlflow",
    ]


class Postgres:
    """A server with a data folder of its own. Use it in a `with` block: both are gone at its end."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.uri = f"postgresql://mlflow@127.0.0.1:{self._port}/mlflow"
        """Without the password: PGPASSWORD has it."""

    def __enter__(self) -> "Postgres":
        if os.geteuid() == 0:  # initdb refuses to be root
            shutil.chown(self._folder, "postgres", "postgres")
        self._run("\n".join(["set -e", *commands(self._port)]))
        return self

    @property
    def password(self) -> str:
        """MLflow's, there."""
        return (self._folder / "password.txt").read_text().strip()

    def __exit__(self, *_error: object) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def kill(self) -> None:
        """SIGKILL to the server; its other processes see that it is gone and end."""
        pid = int((self._folder / "database" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    def start(self) -> None:
        """Start it again after `kill`. Raises `Problem` if it does not come up."""
        until = time.monotonic() + LONGEST_START_S
        while True:  # it refuses while processes of the killed one still have its memory
            try:
                self._run("\n".join([commands(self._port)[0], commands(self._port)[3]]))
                return
            except Problem:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def dump(self) -> str:
        """Everything in MLflow's database, as text."""
        known = [line for line in commands(self._port) if line.startswith("export")]
        return self._run("\n".join([*known, f"pg_dump --host 127.0.0.1 --port {self._port} --username mlflow mlflow"]))

    def _run(self, lines: str) -> str:
        someone: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []}
        printed = self._folder / "printed.txt"
        with printed.open("wb") as output:  # not a pipe: the server would keep it open
            done = subprocess.run(
                ["bash", "-c", lines],
                check=False,
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                stdout=output,
                stderr=subprocess.STDOUT,
                **(someone if os.geteuid() == 0 else {}),
            )
        text = printed.read_text(encoding="utf-8", errors="replace")
        if done.returncode:
            raise Problem(f"{lines.splitlines()[-1]} ended with {done.returncode}: {text[-2000:]}")
        return text
