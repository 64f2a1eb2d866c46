"""MLflow against the journal and the measures, value by value.

In: a store that the auditor names or that lies in the checkout. Out: checks. Nothing is written there.
"""

import math
from collections.abc import Iterable, Iterator

from src.audit.check import Check, decided, unknown
from src.audit.study import Study
from src.evaluate import schema
from src.record import metrics, shipping, tracking
from src.record.guarded import TrackingError
from src.record.tracking import Store
from src.train.run import NOT_IDENTITY

STEPS, MEASURES, PARAMETERS = (
    "MLflow against the journal",
    "MLflow against the measures",
    "MLflow against the parameters",
)


MAY_CHANGE = {f"train.{key}" for key in NOT_IDENTITY}
"""MLflow keeps what they were when the run began."""


def checks(study: Study, uri: str | None) -> Iterator[Check]:
    """Losses and seconds of every step, validations, measures and parameters. uri: None: the checkout's own store."""
    if uri is None and study.is_bundle:
        yield unknown(STEPS, "no store was named (--mlflow URI); a bundle has none.")
        return
    try:
        store = Store(study.root, uri, writes=False)
        run_id = store.find(study.fingerprint)
        if run_id is None:
            yield unknown(STEPS, f"the store has no run {study.fingerprint}.")
            return
        params, known = store.recorded(run_id)
        yield _steps(study, store, run_id, known)
        yield from _measures(study, store, run_id, known)
        yield _parameters(study, params)
    except TrackingError as failure:
        yield unknown(STEPS, f"the store cannot be read: {failure}")


def _there(name: str, known: set[str]) -> str:
    """What a metric is called there: a store of older code has other names."""
    name, older = metrics.accepted(name), metrics.accepted(metrics.older(name))
    return older if name not in known and older in known else name


def _steps(study: Study, store: Store, run_id: str, known: set[str]) -> Check:
    view = study.view
    expected: dict[str, dict[int, float]] = {
        metric: {step: value for step, line in view.steps.items() if (value := getattr(line, key)) is not None}
        for metric, key in shipping.STEP_METRICS.items()
    }
    for step, bits in view.validations.items():
        for genre, value in bits.items():
            expected.setdefault(metrics.validation_bits(genre), {})[step] = value
    wrong = [
        text for key, values in expected.items() for text in _differences(store, run_id, _there(key, known), values)
    ]
    count = sum(map(len, expected.values()))
    return decided(STEPS, wrong, f"Each of {count:,} values of {len(expected)} metrics is the journal's.")


def _differences(store: Store, run_id: str, key: str, expected: dict[int, float]) -> Iterable[str]:
    """What MLflow has otherwise than expected, in words."""
    seen: dict[int, float] = {}
    for _, value, _, step in store.history(run_id, key):
        if not _same(expected.get(step), value):
            yield f"{key} of step {step:,} is {value!r} there and {expected.get(step)!r} here."
        seen[step] = value
    for step in expected.keys() - seen.keys():
        yield f"{key} of step {step:,} is not there."


def _same(one: float | None, other: float) -> bool:
    """A server may keep a double in text: its last bit is not asked for."""
    return one is not None and math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-300)


def _measures(study: Study, store: Store, run_id: str, known: set[str]) -> Iterator[Check]:
    path = study.run.metrics / "evaluate.json"
    if not path.is_file():
        return
    evaluation = schema.read(path)
    expected: dict[str, dict[int, float]] = {}
    for step, by_genre in evaluation.steps.items():
        for genre, row in by_genre.items():
            for name, measure in row.items():
                if measure.value is not None:
                    expected.setdefault(_there(metrics.score(name, genre), known), {})[step] = measure.value
    shared = {name: values for name, values in expected.items() if name in known}
    if not shared:
        yield unknown(MEASURES, "the store has no measures of this run.")
        return
    wrong = [f"{name} is not there." for name in expected.keys() - shared.keys()]
    wrong += [text for name, values in shared.items() for text in _latest(store, run_id, name, values)]
    yield decided(MEASURES, wrong, f"{len(shared):,} measures of each step are those of metrics/evaluate.json.")


def _latest(store: Store, run_id: str, name: str, expected: dict[int, float]) -> Iterable[str]:
    """As `_differences`, of what may have been measured again: the newest value of a step counts."""
    newest: dict[int, tuple[int, float]] = {}
    for _, value, at, step in store.history(run_id, name):
        newest[step] = max(newest.get(step, (at, value)), (at, value), key=lambda pair: pair[0])
    for step, value in expected.items():
        there = newest.get(step, (0, math.nan))[1]
        if not _same(value, there):
            yield f"{name} of step {step:,} is {there!r} there and {value!r} in metrics/evaluate.json."


def _parameters(study: Study, there: dict[str, str]) -> Check:
    here = tracking.flatten(tracking.shown(study.params))
    wrong = [
        f"{key} is {there[key][:100]} there and {str(value)[:100]} here."
        for key, value in here.items()
        if key in there and key not in MAY_CHANGE and there[key] != str(value)[:6000]
    ]
    return decided(PARAMETERS, wrong, f"{len(here.keys() & there.keys()):,} parameters have the same values.")
