"""Audit a study: a checkout with results, a bundle of `src.bundle`, or a bundle's zip.

In: a folder or a zip file. Out: a certificate, one line a check: verified, refuted, or why it cannot be checked here.
Exit status 0: nothing is refuted; 1: something is; 2: there is nothing to audit. docs/audit.md says what each check
proves and what it does not.

    python -m src.audit
    python -m src.audit bundle.zip --clips data/clips --key public.pem
"""

import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from src.audit import certificate
from src.audit.certificate import ENTRIES, Request
from src.audit.check import Check, refuted
from src.audit.study import Study
from src.audit.unpacking import HostileError, unpacked
from src.base import console, options, provenance
from src.base.code import ROOT
from src.base.errors import Problem
from src.config import AUDIT_REACH

app = console.command_app("Audit a study: a checkout with results, a bundle, or a bundle's zip.")

REFUTED, NOT_AUDITABLE = 1, 2
"""Exit statuses."""


@app.command()
def main(
    place: Annotated[Path, typer.Argument(metavar="[DIR|ZIP]", help="Checkout or bundle (default: here).")] = Path(),
    segments: Annotated[int, typer.Option(min=0, help="Pieces of the training to do again.")] = 3,
    steps: Annotated[int, typer.Option("--segment-steps", min=1, help="Longest of these, in steps.")] = AUDIT_REACH,
    seed: Annotated[int | None, typer.Option(min=0, help="Draws the pieces (default: a new one, printed).")] = None,
    audio_s: Annotated[float, typer.Option(min=0.01, help="Seconds of every generated clip to make again.")] = 1.0,
    clips: Annotated[
        Path | None, typer.Option(help="Folder of the clips (default: the study's, or data/clips).")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Public key in PEM that the bundle must be signed with.")] = None,
    mlflow: Annotated[str | None, typer.Option(metavar="URI", help="MLflow store to compare with the journal.")] = None,
    profile: options.Profile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Check everything about a study that can be checked here."""
    request = Request(segments, steps, secrets.randbits(48) if seed is None else seed, audio_s, key, mlflow)
    facts = {"place": place.name, "auditing_commit": provenance.git(ROOT, "rev-parse", "HEAD")}
    # With --json nothing but the certificate goes to standard output.
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        checks = audit(place, profile, clips, request, facts)
        console.say(certificate.summary(checks))
    if as_json:
        typer.echo(json.dumps(certificate.to_json(checks, request, facts), indent=1, ensure_ascii=False))
    if any(check.verdict == "refuted" for check in checks):
        raise SystemExit(REFUTED)


def audit(place: Path, profile: str | None, clips: Path | None, request: Request, facts: dict[str, str]) -> list[Check]:
    """Make every check and print it. facts: of the study, to be added to. Ends with 2 if there is nothing to audit."""
    checks: list[Check] = []
    try:
        with opened(place) as root:
            study = Study(root, profile, clips.resolve() if clips else None)
            kind = "bundle" if study.is_bundle else "checkout"
            facts |= {"fingerprint": study.fingerprint, "kind": kind}
            commit = facts["auditing_commit"][:12] or "not known"
            console.say(
                f"The {kind} of run {study.fingerprint}; code that audits: commit {commit}; --seed {request.seed}"
            )
            for check in certificate.certify(study, request):
                checks.append(check)
                show(check)
    except HostileError as hostile:
        checks.append(refuted(ENTRIES, f"{hostile} Nothing was unpacked."))
        show(checks[-1])
    except Problem as problem:
        console.error(problem)
        raise SystemExit(NOT_AUDITABLE) from problem
    return checks


@contextmanager
def opened(place: Path) -> Iterator[Path]:
    """The folder to audit. Raises `Problem` if there is none."""
    if place.is_dir():
        yield place.resolve()
    elif place.is_file():
        with unpacked(place) as folder:
            yield folder.resolve()
    else:
        raise Problem(f"{place} does not exist. Name a checkout, a bundle's folder or its zip.")


def show(check: Check) -> None:
    """Print one line."""
    console.say(f"{check.name}: {check}")


if __name__ == "__main__":
    console.run(app, "nothing was changed.")
