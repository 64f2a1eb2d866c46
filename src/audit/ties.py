"""Whether checkpoints, journal and what was made from checkpoints are of one piece.

In: a study's checkpoints, journal, generations and measures. Out: checks. A checkpoint carries a digest over every loss
that led to it; the journal has the digests of every kept checkpoint's files; generations and measures name the
checkpoint that they are of. To change one of them all others must be changed too.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from src.audit.check import Check, decided, unknown
from src.audit.study import Study
from src.base.console import few
from src.base.errors import Problem
from src.evaluate import schema
from src.generate import generations
from src.record import checkpoint, journal
from src.record.checkpoint import About

WHOLE, LOSSES, LINES, MADE = (
    "checkpoints",
    "checkpoints against losses",
    "checkpoints against the journal's lines",
    "what was made from which checkpoint",
)
UPDATES = "updates"
"""Adam's own count of the updates it made."""


def checks(study: Study) -> Iterator[Check]:
    """All of them."""
    abouts: dict[int, About] = {}
    wrong: list[str] = []
    for step, folder in study.checkpoints.items():
        try:
            loaded = checkpoint.load(folder)
            abouts[step] = checkpoint.about(folder)
            wrong += _of_its_step(study, step, abouts[step], loaded.optimizer)
        except Problem as problem:
            wrong.append(str(problem))
    missing = set(study.params.compared_steps) - abouts.keys()
    wrong += [
        f"There is none of step {step:,}, which is compared." for step in sorted(missing - study.checkpoints.keys())
    ]
    steps = few(f"{step:,}" for step in abouts)
    yield decided(WHOLE, wrong, f"Steps {steps}: every byte as written, of this run, of the step that it says.")
    yield _losses(study, abouts)
    yield _lines(study)
    yield from _made(study, abouts)


def _of_its_step(study: Study, step: int, about: About, optimizer: Mapping[str, Any]) -> Iterator[str]:
    if about.step != step:
        yield f"The folder of step {step:,} holds step {about.step:,}."
    if about.fingerprint != study.fingerprint:
        yield f"Step {step:,} belongs to the run {about.fingerprint}, not {study.fingerprint}."
    if about.model != study.params.profile.model or about.genres != study.params.genres:
        yield f"Step {step:,} has another network, or other genres, than the parameters."
    if UPDATES in optimizer and int(optimizer[UPDATES]) != step:
        yield f"The optimizer of step {step:,} has made {int(optimizer[UPDATES]):,} updates: it is of another step."


def _losses(study: Study, abouts: dict[int, About]) -> Check:
    digests = dict(journal.ties(study.view))
    tied = {step: about.losses for step, about in abouts.items() if about.losses is not None}
    wrong = [
        f"Step {step:,} was reached by other losses than the journal has up to it."
        for step, losses in tied.items()
        if digests.get(step) != losses
    ]
    if not tied and not wrong:
        return unknown(LOSSES, "these checkpoints are not tied: they are older than their digest over the losses.")
    shared = {one.details.get("processes", 1) for one in study.view.attempts.values()}
    if wrong and len(shared) > 1 and study.view.replayed:
        return unknown(
            LOSSES, "other numbers of processes did steps again, and the journal has the last digits of the first."
        )
    loose = sorted(abouts.keys() - tied.keys())
    rest = f" Not tied, because older: {few(f'{step:,}' for step in loose)}." if loose else ""
    return decided(
        LOSSES, wrong, f"{len(tied)} carry the digest of exactly the journal's losses up to their step.{rest}"
    )


def _lines(study: Study) -> Check:
    lines = study.view.checkpoints
    both = [step for step in study.checkpoints if step in lines]
    wrong = [
        f"Step {step:,}: {few(changed)} is not what the journal says was written."
        for step in both
        if (changed := _changed(study, step))
    ]
    bare = [step for step in study.compared if step not in lines]
    if lines:
        wrong += [f"Step {step:,} has no line in the journal." for step in bare]
    elif bare:
        return unknown(LINES, "this journal has no lines of checkpoints: it is older than these.")
    return decided(LINES, wrong, f"{len(both)} have the digests that the journal wrote when they were made.")


def _changed(study: Study, step: int) -> list[str]:
    here, said = checkpoint.digests_of(study.checkpoints[step]), study.view.checkpoints[step]
    return sorted(name for name in here.keys() | said.keys() if here.get(name) != said.get(name))


def _made(study: Study, abouts: dict[int, About]) -> Iterator[Check]:
    named: list[tuple[str, int, str | None]] = []
    for step in checkpoint.steps(study.run.generations):
        named.append(
            (f"generations of step {step:,}", step, generations.load(study.run.generation(step)).checkpoint_sha256)
        )
    path = study.run.metrics / "evaluate.json"
    if path.is_file():
        named += [
            (f"measures of step {step:,}", step, digest) for step, digest in schema.read(path).checkpoints.items()
        ]
    wrong = [
        f"The {what} are of another checkpoint than the one that is here."
        for what, step, digest in named
        if digest is not None and (step not in abouts or abouts[step].about_sha256 != digest)
    ]
    known = sum(digest is not None for _, _, digest in named)
    if not known and not wrong:
        yield unknown(MADE, "these generations and measures are older than the digests that name their checkpoint.")
        return
    yield decided(MADE, wrong, f"{known} sets of generations and of measures name the checkpoints that are here.")
