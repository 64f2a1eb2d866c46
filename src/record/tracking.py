"""What is sent to MLflow: runs, attempts, metrics, files. Checkpoints and the data set: registry.py.

What is logged is a view of the journal and of the stages' outputs; it can be made again from them. Everything that
MLflow, its database or its server can do wrong arrives as `TrackingError`, so that no stage dies of it.
"""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from src.base import provenance
from src.config import Params
from src.record import browsing, metrics, tracking_database
from src.record.guarded import Bounded, Point, guarded, send, without_credentials
from src.record.guarded import TrackingError as TrackingError
from src.record.guarded import now_ms as now_ms
from src.record.registry import Registry
from src.record.tracking_database import ARTIFACTS, EXPERIMENT

DATABASE = Path("mlruns/mlflow.db")
MOST_OF_A_TAG = 8000
"""Characters that MLflow takes."""
NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a description."""
OWN_FINGERPRINT = r"[0-9a-f]{16}"
"""What `train.run.fingerprint` gives; the fingerprint of an imported run is its name, a dash and a digest."""


def address(root: Path = Path()) -> str:
    """Where MLflow is: MLFLOW_TRACKING_URI if it is set, else mlruns/mlflow.db below `root`."""
    path = str((root / DATABASE).resolve())
    if set(path) & set("%?#"):  # 100% music, what? study: they mean something in an address
        path = os.path.relpath(path)
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{path}"


class Store:
    """A connection to MLflow at `address(root)`, or at another address."""

    def __init__(self, root: Path = Path(), uri: str | None = None, *, writes: bool = True) -> None:
        """writes: whether what is missing is made; else it is a `TrackingError`."""
        full = uri or address(root)
        self.uri = without_credentials(full)
        """For messages, memories and comparisons."""
        _quiet()
        local = full.startswith("sqlite:///")
        with guarded("making its database"):
            if local and not writes and not Path(full.removeprefix("sqlite:///")).is_file():
                raise TrackingError(f"There is no database at {self.uri}.")
            if local and writes:
                tracking_database.prepare(Path(full.removeprefix("sqlite:///")), (root / ARTIFACTS).resolve())
                # Plain `mlflow ui` looks for ./mlflow.db and knows no setting in a file.
                link = root / DATABASE.name
                if not link.is_symlink() and not link.exists():
                    with suppress(OSError):  # a folder that may not be written: `make ui` works without the link
                        link.symlink_to(DATABASE)
        with guarded("connecting"):
            self._client: Any = Bounded(lambda: _client(full))
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            if experiment is not None and experiment.lifecycle_stage == "deleted":
                raise TrackingError(
                    f"MLflow's experiment {EXPERIMENT} was deleted. Take it back with: mlflow experiments restore "
                    f"--experiment-id {experiment.experiment_id} (with MLFLOW_TRACKING_URI={self.uri})"
                )
            if experiment is None and not writes:
                raise TrackingError(f"MLflow has no experiment {EXPERIMENT} at {self.uri}.")
            if experiment is None:
                # An experiment of our own: the Default one's artifacts lie where the server was started.
                artifacts = (root / ARTIFACTS).resolve().as_uri() if local else None
                self._client.create_experiment(EXPERIMENT, artifact_location=artifacts)
                experiment = self._client.get_experiment_by_name(EXPERIMENT)
            self._experiment: str = experiment.experiment_id
            for key, value in browsing.experiment_tags(self._experiment).items():
                if writes and experiment.tags.get(key) != value:
                    self._client.set_experiment_tag(self._experiment, key, value)
        self.registry = Registry(self._client, self._experiment)

    @property
    def page(self) -> str:
        """Where its runs are to be looked at: on its server, or with `make ui`."""
        base = self.uri.rstrip("/") if self.uri.startswith("http") else f"http://127.0.0.1:{_port()}"
        return browsing.page(base, self._experiment)

    def run(
        self,
        fingerprint: str,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        start_time_ms: int | None = None,
        journal_id: str | None = None,
    ) -> str:
        """Id of the run of this fingerprint; it is created with its parameters and tags if there is none.

        start_time_ms: when it began, if not now. journal_id: of the journal that the run is a view of; a run of another
        journal is another run, so that two machines at the same study do not write into one. None: the newest run.
        """
        with guarded("opening the run"):
            same_journal = (
                run
                for run in self._runs(fingerprint)
                if journal_id is None or run.data.tags.get("journal", journal_id) == journal_id
            )
            own = {"fingerprint": fingerprint, "part": "study", **tags}
            run = next(same_journal, None) or self._client.create_run(
                self._experiment, start_time=start_time_ms, run_name=name, tags=own
            )
            run_id = str(run.info.run_id)
            if journal_id is not None and "journal" not in run.data.tags:
                self._client.set_tag(run_id, "journal", journal_id)
            flat = flatten(params)
            if flat.keys() - run.data.params.keys():  # it is new, or whoever made it was killed
                from mlflow.entities import Param

                missing = [Param(key, str(flat[key])[:6000]) for key in flat if key not in run.data.params]
                for start in range(0, len(missing), 100):
                    self._client.log_batch(run_id, params=missing[start : start + 100])
            return run_id

    def find(self, fingerprint: str) -> str | None:
        """Id of the newest run of this fingerprint; None if there is none."""
        with guarded("looking for the run"):
            run = next(iter(self._runs(fingerprint)), None)
            return None if run is None else str(run.info.run_id)

    def _runs(self, fingerprint: str) -> Sequence[Any]:
        """The runs of this fingerprint, newest first, attempts not among them."""
        runs: Sequence[Any] = self._client.search_runs(
            [self._experiment], f"tags.fingerprint = '{fingerprint}' and tags.part = 'study'"
        )
        return runs

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        from mlflow.entities import RunTag

        with guarded("writing tags"):
            self._client.log_batch(
                run_id, tags=[RunTag(key, str(value)[:MOST_OF_A_TAG]) for key, value in tags.items()]
            )

    def describe(self, run_id: str, *, results: str | None = None, story: str | None = None) -> None:
        """Set a part of a run's description, Markdown; the other part stays."""
        with guarded("writing a description"):
            before = self._client.get_run(run_id).data.tags.get(NOTE, "")
            after = browsing.description(before, results=results, story=story)
            if after != before:
                self._client.set_tag(run_id, NOTE, after[:MOST_OF_A_TAG])

    def points(self, run_id: str, points: Sequence[Point]) -> None:
        """Log metric values. Sending the same point again changes nothing (MLflow drops exact repeats)."""
        from mlflow.entities import Metric

        with guarded("writing metrics"):
            made = [Metric(metrics.accepted(key), value, at, step) for key, value, at, step in points]
            send(self._client, run_id, made)

    def recorded(self, run_id: str) -> tuple[dict[str, str], set[str]]:
        """Parameters of a run as MLflow has them, and the names of its metrics."""
        with guarded("reading a run"):
            data = self._client.get_run(run_id).data
            return dict(data.params), set(data.metrics)

    def history(self, run_id: str, key: str) -> list[Point]:
        """All values of a metric, in MLflow's order."""
        with guarded("reading metrics"):
            points = self._client.get_metric_history(run_id, metrics.accepted(key))
            return [(key, float(point.value), int(point.timestamp), int(point.step)) for point in points]

    def last_step(self, run_id: str, key: str) -> int:
        """The highest step of a metric that MLflow has; -1 if it has none."""
        with guarded("reading metrics"):
            name = metrics.accepted(key)
            if name not in self._client.get_run(run_id).data.metrics:
                return -1
            return max(int(point.step) for point in self._client.get_metric_history(run_id, name))

    def status(self, run_id: str, status: str, end_time_ms: int | None = None) -> None:
        """Set a run's status: RUNNING, FINISHED, FAILED or KILLED."""
        with guarded("setting a run's status"):
            if status == "RUNNING":
                self._client.update_run(run_id, status=status)
            else:
                self._client.set_terminated(run_id, status=status, end_time=end_time_ms)

    def attempt(self, run_id: str, number: int, start_time_ms: int, tags: Mapping[str, str]) -> str:
        """Id of the nested run that stands for an attempt; created if there is none."""
        with guarded("recording an attempt"):
            nested = self._client.search_runs(
                [self._experiment],
                f"tags.`mlflow.parentRunId` = '{run_id}' and tags.attempt = '{number}' "
                f"and tags.began_ms = '{start_time_ms}'",
            )
            if nested:
                return str(nested[0].info.run_id)
            run = self._client.create_run(
                self._experiment,
                start_time=start_time_ms,
                run_name=f"attempt {number}",
                tags={
                    "mlflow.parentRunId": run_id,
                    "attempt": str(number),
                    "began_ms": str(start_time_ms),
                    "part": "attempt",
                    **tags,
                },
            )
            return str(run.info.run_id)

    def files(self, run_id: str, path: Path, folder: str) -> None:
        """Copy a file, or all files of a folder, to `folder` of the run's artifacts."""
        with guarded("copying files"):
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                self._client.log_artifact(run_id, str(file), folder)


def _client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def study_run(
    store: Store,
    fingerprint: str,
    params: Params,
    began_ms: int | None = None,
    journal_id: str | None = None,
    root: Path = Path(),
) -> str:
    """Id of the run of a training (see `Store.run`), with provenance as tags.

    params: of the study's own training, which the run gets if it has none yet. An imported run was trained with others:
    it is only looked up, and `TrackingError` is raised if its import was not sent yet.
    began_ms: when its training began, if not now.
    """
    if not re.fullmatch(OWN_FINGERPRINT, fingerprint):
        imported = store.find(fingerprint)
        if imported is None:
            raise TrackingError(f"MLflow has no run {fingerprint}: `python -m src.legacy DIR` sends it.")
        return imported
    name = browsing.run_name(params, fingerprint, root)
    return store.run(fingerprint, name, shown(params), provenance.describe(root), began_ms, journal_id)


def shown(params: Params) -> dict[str, Any]:
    """The parameters that a study's run has in MLflow."""
    sections = ("model", "train", "clips", "generate")
    return {
        "profile": params.study.profile,
        "seed": params.study.seed,
        "genres": ",".join(params.genres),
        "layers": len(params.profile.model.dilations),
        **{section: getattr(params.profile, section).model_dump() for section in sections},
    }


def log_evaluation(
    store: Store, run_id: str, fingerprint: str, step: int, values: Mapping[str, float], time_ms: int
) -> None:
    """Log what was measured of a checkpoint, to the run and to the logged model that stands for the checkpoint.

    values: name → value. time_ms: when the step was trained, so that measuring again does not draw it twice.
    """
    model = store.registry.checkpoint(run_id, step, fingerprint)
    store.registry.points(run_id, model, [(name, value, time_ms, step) for name, value in sorted(values.items())])


def announce() -> None:
    """Say where the runs are to be looked at. Raises SystemExit if `make ui` should serve them and cannot listen."""
    store = Store()
    if not store.uri.startswith("http"):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", _port())) == 0:
                way_out = "Name another: MLFLOW_PORT=5001 make ui"
                raise SystemExit(f"error: something listens on port {_port()} already. {way_out}")
    print("The runs, in 10 to 20 seconds:", store.page)


def _port() -> int:
    """Where `make ui` listens; MLflow reads the same variable."""
    return int(os.environ.get("MLFLOW_PORT", "5000"))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _quiet() -> None:
    """Keep MLflow's and alembic's notices about setting up the database out of our output."""
    import logging

    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    for name in ("mlflow", "alembic", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)
