"""What is sent to MLflow: runs, attempts, metrics, checkpoints as logged models, playable audio.

What is logged is a view of the journal and of the stages' outputs; it can be made again from them. Everything that
MLflow, its database or its server can do wrong arrives as `TrackingError`, so that no stage dies of it.
"""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from src.base import provenance
from src.base.errors import Problem
from src.config import step_name
from src.record import tracking_database
from src.record.tracking_database import ARTIFACTS, EXPERIMENT

DATABASE = Path("mlruns/mlflow.db")
LONGEST_CALL_S = 60.0
"""One call of MLflow may take no longer, whatever its server does."""
BATCH = 1000
"""Most metrics MLflow takes in one call."""

# A dead server must cost seconds, not minutes; telemetry would call out.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

OWN_FINGERPRINT = r"[0-9a-f]{16}"
"""What `train.run.fingerprint` gives; the fingerprint of an imported run is its name, a dash and a digest."""

Point = tuple[str, float, int, int]
"""A metric's value: (key, value, time_ms, step)."""


class TrackingError(Problem):
    """MLflow could not be reached or did not take what was sent."""


@contextmanager
def _guarded(doing: str) -> Iterator[None]:
    """Whatever MLflow and its stores raise becomes a `TrackingError`: they have errors of a dozen libraries."""
    try:
        yield
    except Problem as problem:
        raise TrackingError(str(problem)) from problem
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TrackingError(f"MLflow could not be used ({doing}): {first[:300]}") from error


class _Bounded:
    """An MLflow client whose every call ends within `LONGEST_CALL_S`.

    A server that answers a byte a second, or asks to come back in an hour, would hold a caller for as long: its own
    time limits are for one read, and no setting bounds a whole call.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._hung = False
        self._client = self._call("connecting", make)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given, **named: self._call(name, lambda: getattr(self._client, name)(*given, **named))

    def _call(self, name: str, action: Callable[[], Any]) -> Any:
        if self._hung:
            raise TimeoutError("it did not answer before")
        done: Future[Any] = Future()

        def work() -> None:
            try:
                done.set_result(action())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
                done.set_exception(error)

        threading.Thread(target=work, name=f"mlflow {name}", daemon=True).start()
        try:
            return done.result(LONGEST_CALL_S)
        except TimeoutError:
            self._hung = not done.done()  # what waits now must not be met again, call by call
            raise TimeoutError(f"no answer to {name} within {LONGEST_CALL_S:g} s") from None


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
        self.uri = uri or address(root)
        _quiet()
        local = self.uri.startswith("sqlite:///")
        with _guarded("making its database"):
            if local and not writes and not Path(self.uri.removeprefix("sqlite:///")).is_file():
                raise TrackingError(f"There is no database at {self.uri}.")
            if local and writes:
                tracking_database.prepare(Path(self.uri.removeprefix("sqlite:///")), (root / ARTIFACTS).resolve())
                # Plain `mlflow ui` looks for ./mlflow.db and knows no setting in a file.
                link = root / DATABASE.name
                if not link.is_symlink() and not link.exists():
                    with suppress(OSError):  # a folder that may not be written: `make ui` works without the link
                        link.symlink_to(DATABASE)
        with _guarded("connecting"):
            self._client: Any = _Bounded(lambda: _client(self.uri))
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            if experiment is not None and experiment.lifecycle_stage == "deleted":
                raise TrackingError(
                    f"MLflow's experiment {EXPERIMENT} was deleted. Take it back with: mlflow experiments restore "
                    f"--experiment-id {experiment.experiment_id} (with MLFLOW_TRACKING_URI={self.uri})"
                )
            if experiment is None and not writes:
                raise TrackingError(f"MLflow has no experiment {EXPERIMENT} at {self.uri}.")
            # An experiment of our own: the Default one's artifacts lie where the server was started.
            artifacts = (root / ARTIFACTS).resolve().as_uri() if local else None
            self._experiment: str = (
                experiment.experiment_id
                if experiment is not None
                else self._client.create_experiment(EXPERIMENT, artifact_location=artifacts)
            )

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
        with _guarded("opening the run"):
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
        with _guarded("looking for the run"):
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

        with _guarded("writing tags"):
            self._client.log_batch(run_id, tags=[RunTag(key, str(value)[:5000]) for key, value in tags.items()])

    def points(self, run_id: str, points: Sequence[Point]) -> None:
        """Log metric values. Sending the same point again changes nothing (MLflow drops exact repeats)."""
        from mlflow.entities import Metric

        with _guarded("writing metrics"):
            self._send(run_id, [Metric(metric_name(key), value, at, step) for key, value, at, step in points])

    def _send(self, run_id: str, metrics: Sequence[Any]) -> None:
        """Log MLflow's metrics, no more in a call than it takes."""
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + BATCH])

    def recorded(self, run_id: str) -> tuple[dict[str, str], set[str]]:
        """Parameters of a run as MLflow has them, and the names of its metrics."""
        with _guarded("reading a run"):
            data = self._client.get_run(run_id).data
            return dict(data.params), set(data.metrics)

    def history(self, run_id: str, key: str) -> list[Point]:
        """All values of a metric, in MLflow's order."""
        with _guarded("reading metrics"):
            points = self._client.get_metric_history(run_id, metric_name(key))
            return [(key, float(point.value), int(point.timestamp), int(point.step)) for point in points]

    def last_step(self, run_id: str, key: str) -> int:
        """The highest step of a metric that MLflow has; -1 if it has none."""
        with _guarded("reading metrics"):
            name = metric_name(key)
            if name not in self._client.get_run(run_id).data.metrics:
                return -1
            return max(int(point.step) for point in self._client.get_metric_history(run_id, name))

    def status(self, run_id: str, status: str, end_time_ms: int | None = None) -> None:
        """Set a run's status: RUNNING, FINISHED, FAILED or KILLED."""
        with _guarded("setting a run's status"):
            if status == "RUNNING":
                self._client.update_run(run_id, status=status)
            else:
                self._client.set_terminated(run_id, status=status, end_time=end_time_ms)

    def attempt(self, run_id: str, number: int, start_time_ms: int, tags: Mapping[str, str]) -> str:
        """Id of the nested run that stands for an attempt; created if there is none."""
        with _guarded("recording an attempt"):
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

    def dataset(self, run_id: str, name: str, digest: str, counts: Mapping[str, int]) -> None:
        """Record the training set by digest and counts, without its content."""
        with _guarded("recording the data set"):
            from mlflow.entities import Dataset, DatasetInput, InputTag

            source = json.dumps({"tags": {"content": "private; see the digest"}})
            profile = json.dumps({key: int(value) for key, value in counts.items()})
            entry = Dataset(name=name, digest=digest[:36], source_type="code", source=source, profile=profile)
            tag = InputTag("mlflow.data.context", "training")
            self._client.log_inputs(run_id, datasets=[DatasetInput(dataset=entry, tags=[tag])])

    def checkpoint(self, run_id: str, name: str, params: Mapping[str, str]) -> str:
        """Id of the logged model that stands for a checkpoint (weights are not copied); created if there is none."""
        with _guarded("recording a checkpoint"):
            models = self._client.search_logged_models(
                [self._experiment], f"name = '{name}' and source_run_id = '{run_id}'", max_results=1
            )
            if models:
                return str(models[0].model_id)
            model = self._client.create_logged_model(
                self._experiment, name=name, source_run_id=run_id, params=dict(params), model_type="wavenet"
            )
            self._client.finalize_logged_model(model.model_id, "READY")
            return str(model.model_id)

    def checkpoint_points(self, run_id: str, model_id: str, points: Sequence[Point]) -> None:
        """Log metric values of a run that belong to one checkpoint; those that are there already are left alone."""
        from mlflow.entities import Metric

        with _guarded("writing a checkpoint's metrics"):
            known = {one.key: one.value for one in self._client.get_logged_model(model_id).metrics or ()}
            fresh = [
                # MLflow refuses another value of the same time: what was measured anew is of now.
                Metric(name, value, now_ms() if name in known else at, step, model_id=model_id)
                for name, value, at, step in ((metric_name(key), *rest) for key, *rest in points)
                if known.get(name) != value
            ]
            self._send(run_id, fresh)

    def files(self, run_id: str, path: Path, folder: str) -> None:
        """Copy a file, or all files of a folder, to `folder` of the run's artifacts."""
        with _guarded("copying files"):
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                self._client.log_artifact(run_id, str(file), folder)


def _client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def study_run(
    store: Store,
    fingerprint: str,
    params: Any,
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
    name = f"{params.study.profile} {fingerprint[:8]}"
    tags = {"host": socket.gethostname(), **provenance.describe(root)}
    return store.run(fingerprint, name, shown(params), tags, began_ms, journal_id)


def shown(params: Any) -> dict[str, Any]:
    """The parameters that a study's run has in MLflow."""
    sections = ("model", "train", "clips", "generate")
    return {
        "profile": params.study.profile,
        "seed": params.study.seed,
        "genres": ",".join(params.genres),
        **{section: getattr(params.profile, section).model_dump() for section in sections},
    }


def log_evaluation(
    store: Store, run_id: str, fingerprint: str, step: int, values: Mapping[str, float], time_ms: int
) -> None:
    """Log what was measured of a checkpoint, to the run and to the logged model that stands for the checkpoint.

    values: name → value. time_ms: when the step was trained, so that measuring again does not draw it twice.
    """
    model = store.checkpoint(run_id, step_name(step), {"step": str(step), "fingerprint": fingerprint})
    store.checkpoint_points(run_id, model, [(name, value, time_ms, step) for name, value in sorted(values.items())])


def metric_name(name: str) -> str:
    """A name that MLflow takes: genres may have other signs in theirs (R&B)."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("&", "and").replace("+", "plus"))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _quiet() -> None:
    """Keep MLflow's and alembic's notices about setting up the database out of our output."""
    import logging

    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    for name in ("mlflow", "alembic", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)
