"""Whether the journal is the one that was written, and tells a story that can have happened.

In: a study's journal and metrics/train.json. Out: checks. All of it can be made up consistently by who made it; what
ties it to the weights is in `ties`, and what ties it to the music is `training`.
"""

import math
from collections.abc import Iterator

from src.audit.check import Check, decided, refuted, unknown
from src.audit.study import Study, read_json
from src.base.errors import Problem
from src.record import journal

CHAIN, STORY, FIGURES = "the journal's chain", "the attempts' story", "losses in metrics/train.json"
SAME_LOSS = 1e-4
"""Relative: losses of a step that another number of processes did again (docs/training.md)."""


def chain(study: Study) -> Iterator[Check]:
    """Every line follows from the one before it."""
    lines, chained = 0, True
    try:
        for _, record in journal.records(study.journal):
            chained = chained and "chain" in record
            lines += 1
    except Problem as problem:
        yield refuted(CHAIN, str(problem).partition("). `python")[0] + ").")
        return
    if not chained:
        yield unknown(CHAIN, "the journal is older than its chain, so that a changed line does not show by itself.")
        return
    yield decided(CHAIN, [] if lines else ["It has no line."], f"Each of {lines:,} lines follows from the one before.")


def story(study: Study) -> Iterator[Check]:
    """Attempts and steps fit each other, and what was done again gave the same."""
    view, wrong = study.view, []
    before = 0
    for place, (number, attempt) in enumerate(sorted(view.attempts.items()), 1):
        if number != place:
            wrong.append(f"Attempt {place} is missing.")
        first, last = view.spans.get(number, (attempt.start_step + 1, attempt.start_step))
        if attempt.start_step > before or first != attempt.start_step + 1:
            wrong.append(
                f"Attempt {number} goes on from step {attempt.start_step:,} and does step {first:,} first, "
                f"where the journal knows {before:,} steps."
            )
        claimed = str(attempt.details.get("fingerprint", study.fingerprint))
        if claimed != study.fingerprint:
            wrong.append(f"Attempt {number} is of the run {claimed}, not {study.fingerprint}.")
        before = max(before, last)
    if view.newest_step != view.last_step:
        wrong.append(f"Step {view.last_step + 1:,} is missing.")
    if study.compared and max(study.compared) > view.last_step:
        wrong.append(f"There is a checkpoint of step {max(study.compared):,}; the journal ends at {view.last_step:,}.")
    wrong += [f"Step {step:,} was done again and gave something else." for step in _mismatches(study)]
    restarts = len(view.attempts) - 1
    yield decided(
        STORY,
        wrong,
        f"{view.last_step:,} steps without a gap in {len(view.attempts):,} attempt{'s' if restarts else ''}; "
        + (f"{view.replayed:,} were done again and gave the same." if view.replayed else "none was done again."),
    )


def _mismatches(study: Study) -> list[int]:
    """Steps that were done again with another result, whether the journal says so or not."""
    found = set(study.view.mismatches)
    alone = all(one.details.get("processes", 1) == 1 for one in study.view.attempts.values())
    for _, record in journal.records(study.journal):
        if record["kind"] == "step":
            first = study.view.steps[record["step"]].loss
            if not math.isclose(first, record["loss"], rel_tol=0.0 if alone else SAME_LOSS):
                found.add(int(record["step"]))
    return sorted(found)


def figures(study: Study) -> Iterator[Check]:
    """The medians that the stage wrote are those of the journal."""
    said = read_json(study.run.metrics / "train.json")["median_loss_nats"]
    wrong = []
    for step, loss in said.items():
        known = study.view.median_loss(int(step))
        if known != loss:
            wrong.append(f"Step {int(step):,}: it says {loss!r}; the journal gives {known!r}.")
    yield decided(
        FIGURES, wrong, f"The medians of steps {', '.join(f'{int(step):,}' for step in said)} are the journal's."
    )
