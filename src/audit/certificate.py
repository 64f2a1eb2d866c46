"""The certificate: every check that can be made, in the order in which a stranger would ask.

In: a study and what the auditor brings. Out: `Check`s as they are made; their table, and as JSON.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from src.audit import likelihood, origin, page, pipeline, seal, sound, story, ties, tracked, training
from src.audit.check import Check, refuted, unknown
from src.audit.origin import Origin
from src.audit.study import Study
from src.audit.unpacking import HostileError
from src.base.errors import Problem
from src.config import Params

ENTRIES = "what is in the bundle"


@dataclass(frozen=True)
class Request:
    """What the auditor asks for."""

    segments: int
    steps: int
    seed: int
    audio_s: float
    key: Path | None = None
    mlflow: str | None = None


def certify(study: Study, request: Request) -> Iterator[Check]:
    """Every check, cheap ones first. A bundle with links or devices in it is not read further."""
    if study.is_bundle:
        try:
            list(study.files())
        except HostileError as hostile:
            yield refuted(ENTRIES, f"{hostile} Nothing else was read.")
            return
    for name, make in evidence(study, request).items():
        yield from made(study, name, make)


def evidence(study: Study, request: Request) -> dict[str, Callable[[], Iterator[Check]]]:
    """Kind of evidence → the checks of it."""
    origins = Origin(study)
    return {
        seal.DIGESTS: lambda: seal.digests(study),
        seal.SIGNATURE: lambda: seal.signature(study, request.key),
        origin.SOURCE: lambda: origin.source(origins),
        origin.FINGERPRINT: lambda: origin.fingerprint(origins),
        origin.CLIPS: lambda: origin.clips(study),
        story.CHAIN: lambda: story.chain(study),
        story.STORY: lambda: story.story(study),
        story.FIGURES: lambda: story.figures(study),
        ties.WHOLE: lambda: ties.checks(study),
        "dvc.lock": lambda: pipeline.checks(origins),
        tracked.STEPS: lambda: tracked.checks(study, request.mlflow),
        page.PAGE: lambda: page.checks(study),
        "generations": lambda: sound.checks(study, request.audio_s, here(study)),
        likelihood.HELD_OUT: lambda: likelihood.checks(study, here(study)),
        training.TRAINED: lambda: training.checks(study, here(study), request.segments, request.steps, request.seed),
    }


def here(study: Study) -> Params:
    """The study's parameters on the device that it was trained on, or on the CPU where there is no such device."""
    from src.wavenet import device

    kind = study.device
    try:
        device.choose(kind)
    except Problem:
        kind = "cpu"
    return study.params.model_copy(update={"study": study.params.study.model_copy(update={"device": kind})})


def made(study: Study, name: str, make: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The checks that one kind of evidence gives; evidence that cannot be read is refuted, and is named."""
    try:
        for check in make():
            yield _without_folder(study, check)
    except Problem as problem:
        gone = "does not exist" in str(problem) or "There is no " in str(problem)
        yield _without_folder(study, unknown(name, str(problem)) if gone else refuted(name, str(problem)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError) as error:
        # Who made the study may have put anything into its files; what no reader of ours expects is no reason to stop.
        yield _without_folder(study, refuted(name, f"It cannot be read ({type(error).__name__}: {str(error)[:300]})."))


def _without_folder(study: Study, check: Check) -> Check:
    """Paths as they are inside the study: an unpacked bundle's folder is nobody's business."""
    return Check(check.name, check.verdict, check.reason.replace(f"{study.root}/", ""))


def summary(checks: Sequence[Check]) -> str:
    """3 verified, 1 refuted, 2 cannot be checked here."""
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in ("verified", "refuted")}
    rest = len(checks) - sum(counts.values())
    return f"{counts['verified']} verified, {counts['refuted']} refuted, {rest} cannot be checked here."


def to_json(checks: Sequence[Check], request: Request, facts: dict[str, str]) -> dict[str, Any]:
    """The certificate for programs."""
    asked = {"segments": request.segments, "steps": request.steps, "seed": request.seed, "audio_s": request.audio_s}
    return {"format": 1, **facts, "asked": asked, "checks": [asdict(check) for check in checks]}
