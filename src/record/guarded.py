"""Calls of MLflow that end within a minute, and whose errors are one sentence without anybody's password.

In: a call. Out: its result, or `TrackingError`. MLflow, its stores and its servers may raise, hang and quote addresses.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from src.base.errors import Problem

LONGEST_CALL_S = 60.0
"""One call of MLflow may take no longer, whatever its server does."""
BATCH = 1000
"""Most metrics MLflow takes in one call."""

Point = tuple[str, float, int, int]
"""A metric's value: (key, value, time_ms, step)."""

# A dead server must cost seconds, not minutes; telemetry would call out.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# It prints addresses of runs, and with them whatever stands in MLFLOW_TRACKING_URI.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


class TrackingError(Problem):
    """MLflow could not be reached or did not take what was sent."""


@contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Whatever MLflow and its stores raise becomes a `TrackingError`: they have errors of a dozen libraries."""
    try:
        yield
    except Problem as problem:
        raise TrackingError(without_credentials(str(problem))) from problem
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        said = without_credentials(first)[:300]
        raise TrackingError(f"MLflow could not be used ({doing}): {said.rstrip('.')}.") from error


class Bounded:
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


def without_credentials(text: str) -> str:
    """A text whose addresses name no user and no password, whatever signs these hold."""
    return re.sub(r"(password=)[^&\s'\"]*", r"\1…", re.sub(r"://[^/\s'\"]*@", "://", text))


def send(client: Any, run_id: str, metrics: Sequence[Any]) -> None:
    """Log MLflow's metrics, no more in a call than it takes."""
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
