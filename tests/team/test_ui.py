"""`make ui`: MLflow's pages, here alone, until Ctrl-C."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.conftest import PATIENCE_S, ROOT

COMMAND = ["make", "-o", ".venv/made", "ui"]
"""-o: the environment that runs the tests is not made anew."""


def test_the_page_that_it_names_answers_until_ctrl_c(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {"MLFLOW_PORT": str(port), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    process = subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=os.environ | where,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = next(line for line in process.stdout if "http" in line)
    page = said[said.index("http") :].strip()
    assert page.startswith(f"http://127.0.0.1:{port}/")
    try:
        while process.poll() is None:
            try:
                with urllib.request.urlopen(page) as answer:
                    assert b"MLflow" in answer.read()
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        assert process.poll() is None, "it ended by itself"
        again = subprocess.run(COMMAND, cwd=ROOT, env=os.environ | where, capture_output=True, text=True)
        assert f"something listens on port {port} already. Name another" in again.stderr
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
