"""A real MLflow server on this machine, and the ways in which it can be gone."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import temporary_study
from src.base.errors import Problem

LONGEST_START_S = 120.0


def command(port: int, backend: str, *, auth: bool = False) -> list[str]:
    """The command line of docs/team.md. backend: where runs and metrics are. auth: who asks must give a password."""
    return [
        *("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *(("--app-name", "basic-auth") if auth else ()),
        *("--serve-artifacts", "--artifacts-destination", "artifacts", "--backend-store-uri", backend),
    ]


class Server:
    """`mlflow server` with a database of its own in `folder`. Use it in a `with` block: it is killed at its end."""

    def __init__(self, folder: Path, backend: str = "", *, auth: bool = False, **environment: str) -> None:
        """backend: address of the database, if it is not to be one in the folder. auth, environment: of the server."""
        self.folder, self._auth, self._environment = folder, auth, environment
        self.database = folder / "server.db"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._backend = backend or f"sqlite:///{self.database}"
        self._running = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._running.close()

    def start(self) -> None:
        """Start it and wait until it answers. Raises `Problem` if it does not."""
        program, *arguments = command(self._port, self._backend, auth=self._auth)
        line = [str(Path(sys.executable).with_name(program)), *arguments]
        # Its job runners serve no training: seven processes that would take the cores from it.
        settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        settings |= self._environment
        log = self.folder / "server.txt"
        output = self._running.enter_context(log.open("ab"))
        self._process = self._running.enter_context(
            temporary_study.in_session(line, cwd=self.folder, env=os.environ | settings, output=output)
        )
        began = time.monotonic()
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() - began > LONGEST_START_S:
                words = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
                raise Problem("The MLflow server did not start: " + "\n".join(words))
            time.sleep(0.2)

    def answers(self) -> bool:
        """Whether it answers within 5 s."""
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @contextmanager
    def up(self) -> Iterator[None]:
        """It works."""
        yield

    @contextmanager
    def killed(self) -> Iterator[None]:
        """SIGKILL, and after the block a new start."""
        self._running.close()
        yield
        self.start()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """SIGSTOP for the block's length: connections are accepted and nothing is answered."""
        assert self._process is not None
        for pid in temporary_study.session(self._process.pid):
            os.kill(pid, signal.SIGSTOP)
        yield
        for pid in temporary_study.session(self._process.pid):
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Another writer holds the database for the block's length."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=60, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")

    @property
    def conditions(self) -> dict[str, Callable[[], contextlib.AbstractContextManager[None]]]:
        """Name → what makes it so for the length of a block."""
        return {"up": self.up, "killed": self.killed, "stopped": self.stopped, "locked": self.locked}
