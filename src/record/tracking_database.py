"""MLflow's own database on this machine, mlruns/mlflow.db: made whole, and kept right when the checkout is moved.

In: paths of the database and of the artifacts. Out: a database that MLflow can use. A server (MLFLOW_TRACKING_URI) has
none of this.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from src.base import files
from src.base.errors import Problem

ARTIFACTS = Path("mlruns/artifacts")
EXPERIMENT = "wavenet-study"
_LOCATION = "SELECT artifact_location FROM experiments WHERE name = ?"


def prepare(database: Path, artifacts: Path) -> None:
    """Make the database if there is none, and point it at `artifacts`, the absolute folder of this checkout.

    Raises `Problem` if another process holds its making up or the disk is full, and whatever MLflow raises.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    if database.is_dir():  # MLflow would try for two minutes
        raise Problem(f"{database} is a folder; MLflow's database belongs there. Move it away.")
    if not database.exists():
        _create(database)
    _relocate(database, artifacts)


def is_elsewhere(database: Path, artifacts: Path) -> bool:
    """Whether the addresses in a database are those of a checkout in another place; `prepare` points them here."""
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", timeout=5, uri=True)) as connection:
        try:
            row = connection.execute(_LOCATION, (EXPERIMENT,)).fetchone()
        except sqlite3.Error:
            return False
    return row is not None and _is_other(row[0], artifacts)


def _is_other(address: str, artifacts: Path) -> bool:
    return address != artifacts.as_uri() and address.endswith(f"/{ARTIFACTS}")


def _create(database: Path) -> None:
    """Let MLflow make its tables in a file beside, and put that in place when it is whole.

    MLflow does so in dozens of migrations, and one that was cut off by a kill fails for ever after ("table
    _alembic_tmp_… already exists").
    """
    with files.exclusive(database.with_name(f".{database.name}.lock"), what="The making of MLflow's database"):
        if database.exists():
            return
        for left in database.parent.glob(f".{database.name}.*.tmp*"):  # SQLite's own journals among them
            files.remove(left)
        with files.replacing(database) as temporary:
            from mlflow.tracking import MlflowClient

            MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)


def _relocate(database: Path, artifacts: Path) -> None:
    """Point the addresses of artifacts at this checkout if it was moved: MLflow stores them as absolute ones.

    Only addresses that end in our own folder are touched, and only if they are not this checkout's already.
    """
    # SQL, because MLflow 3.17 offers nothing else: an experiment's `artifact_location` and a run's `artifact_uri` are
    # set at creation, and neither `MlflowClient` (rename_experiment, update_run), nor its REST API, nor `mlflow
    # experiments update` or `mlflow db` can change them afterwards. A relative address is made absolute by MLflow.
    here = artifacts.as_uri()
    with sqlite3.connect(database, timeout=5) as connection:
        try:
            row = connection.execute(_LOCATION, (EXPERIMENT,)).fetchone()
            if row is None or not _is_other(row[0], artifacts):
                return
            before = row[0]
            for table, column in (
                ("experiments", "artifact_location"),
                ("runs", "artifact_uri"),
                ("logged_models", "artifact_location"),
                ("model_versions", "source"),
                ("model_versions", "storage_location"),
            ):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} LIKE ? || '%'",
                    (here, len(before) + 1, before),
                )
        except sqlite3.Error:
            return  # of another MLflow version, locked or damaged: artifacts stay where they were; MLflow will say
