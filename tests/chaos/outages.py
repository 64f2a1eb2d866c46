"""What MLflow can do to a training: be killed for a while or for good, never answer, be locked by somebody else."""

import contextlib
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator

from benchmarks.mlflow_server import Server
from tests.chaos.harness import Chaos, Outcome
from tests.processes import sabotaged, step_lines, wait_for_step

ADVICE = "sends the rest"


def server_killed(chaos: Chaos) -> Outcome:
    """A real server dies in the middle of the run and comes back; then it dies for the rest of it."""
    study = chaos.study("server")
    away_s = 60.0 if chaos.thorough else 12.0
    step_s = (away_s + 40) / chaos.scale.steps
    with Server(study.root) as server:
        process = study.start("src.train", **sabotaged(slow_s=step_s), MLFLOW_TRACKING_URI=server.uri)
        wait_for_step(study, int(14 / step_s))  # the first shipment has left
        before = step_lines(study)
        with server.killed():
            time.sleep(away_s)
            meanwhile = step_lines(study) - before
        process.communicate()
        problems = ["the training stood still"] if meanwhile < 0.8 * away_s / step_s else []
        problems += chaos.differences(study, server.database)
    happened = f"for {away_s:.0f} s: {meanwhile} steps done meanwhile, everything sent when it was back"
    return Outcome("MLflow's server killed for a while", happened, problems)


def server_gone(chaos: Chaos) -> Outcome:
    """A real server dies in the middle of the run and does not come back before it is over."""
    study = chaos.study("server-gone")
    step_s = 25 / chaos.scale.steps
    with Server(study.root) as server:
        process = study.start("src.train", **sabotaged(slow_s=step_s), MLFLOW_TRACKING_URI=server.uri)
        wait_for_step(study, int(14 / step_s))
        with server.killed():
            printed, _ = process.communicate()
        problems = [] if ADVICE in printed else ["it did not say what to run"]
        chaos.finish(study, MLFLOW_TRACKING_URI=server.uri)
        problems += chaos.differences(study, server.database)
    return Outcome("MLflow's server killed for good", "everything sent by the next start", problems)


def silent(chaos: Chaos) -> Outcome:
    """MLflow accepts and never answers; later the local database takes everything."""
    study = chaos.study("silent")
    with _black_hole() as address:
        printed = chaos.finish(study, MLFLOW_TRACKING_URI=address)
    problems = [] if ADVICE in printed else ["it did not say what to run"]
    chaos.finish(study)
    problems += chaos.differences(study)
    return Outcome("MLflow accepts and never answers", "for the whole run; everything sent by the next start", problems)


def database_locked(chaos: Chaos) -> Outcome:
    """Another writer holds MLflow's database for the whole run."""
    study = chaos.study("locked")
    chaos.finish(study)  # makes the database; what it says is taken out again
    database = study.root / "mlruns" / "mlflow.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for table in ("metrics", "latest_metrics", "tags", "params", "inputs", "runs"):
            connection.execute(f"DELETE FROM {table}")
        connection.commit()
        for path in (study.root / "work" / "train").iterdir():
            path.rename(study.root / "before")
        connection.execute("BEGIN EXCLUSIVE")
        printed = chaos.finish(study)
        connection.rollback()
    problems = [] if ADVICE in printed else ["it did not say what to run"]
    chaos.finish(study)
    problems += chaos.differences(study)
    return Outcome("MLflow's database locked", "for the whole run; everything sent by the next start", problems)


@contextlib.contextmanager
def _black_hole() -> Iterator[str]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
