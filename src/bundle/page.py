"""The page for people at the top of a bundle: what it is, what is in it, how to audit it.

In: the study and the bundle's files. Out: index.html, one file without scripts that loads nothing.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment as Templates
from jinja2 import FileSystemLoader, StrictUndefined
from markupsafe import Markup

from src.base.console import listed
from src.bundle import crate, layout
from src.bundle.layout import Environment, FileDigest
from src.bundle.parts import Study
from src.config import step_name
from src.record import layout as places

TEMPLATES = Path(__file__).parent / "templates"

CHECK_FILES = (
    'python3 -c \'import hashlib, json, pathlib; listed = json.load(open("digests.json"))["files"]; '
    "print([name for name in listed if hashlib.sha256(pathlib.Path(name).read_bytes()).hexdigest() "
    '!= listed[name]["sha256"]] or "every file is as listed")\''
)
CHECK_SIGNATURE = "model_signing verify key . --signature signature.json --public_key ../public.pem"
AUDIT = (
    "mkdir ../audit && tar xzf source.tar.gz -C ../audit && make -C ../audit/source .venv/made\n"
    '(bundle="$PWD"; cd ../audit/source && .venv/bin/python -m src.audit "$bundle"{key})'
)
KEY = ' --key "$bundle"/../public.pem'


def title(study: Study) -> str:
    """What the bundle is called."""
    return f"A WaveNet on {'composed' if study.private.library == 'demo' else 'private'} music, to be audited"


def write(
    folder: Path,
    study: Study,
    environment: Environment,
    digests: Mapping[str, FileDigest],
    answers: Sequence[tuple[str, Sequence[str]]],
    *,
    signed: bool,
) -> None:
    """Write index.html. digests: of all files that are there before it."""
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    templates = Templates(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = templates.get_template("page.html.j2").render(
        css=Markup(css),
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        title=title(study),
        signed=signed,
        demo=study.private.library == "demo",
        songs=study.private.songs,
        answers=answers,
        report=f"{study.report.as_posix()}/index.html",
        parts=[_row(*part, digests) for part in _parts(study)],
        files=len(digests),
        size=size(sum(item.bytes for item in digests.values())),
        parameters=list(_flat(_parameters(study))),
        made=list(_made(study, environment)),
        check_files=CHECK_FILES,
        check_signature=CHECK_SIGNATURE,
        audit=AUDIT.format(key=KEY if signed else ""),
        layout=layout,
    )
    (folder / layout.PAGE).write_text(text, encoding="utf-8")


def size(count: int) -> str:
    """Bytes as a person reads them."""
    for unit, bytes_each in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= bytes_each:
            return f"{count / bytes_each:.1f} {unit}"
    return f"{count} bytes"


def folder_digest(digests: Mapping[str, FileDigest], folder: str) -> str:
    """The SHA-256 of what `sha256sum` says of the folder's files, in the order of their paths."""
    lines = "".join(
        f"{item.sha256}  {name}\n" for name, item in sorted(digests.items()) if name.startswith(f"{folder}/")
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def _parts(study: Study) -> list[tuple[str, str]]:
    """Every file and folder of the table, with what it is."""
    steps = study.steps
    more = f"{study.training.as_posix()}/checkpoints"
    return [
        (study.report.as_posix(), "The comparison: the page with sound"),
        *((f"checkpoints/{step_name(step)}", f"The network after {step:,} steps") for step in steps),
        *([(more, f"{len(study.more_steps)} more checkpoints of the training")] if study.more_steps else []),
        *((f"generations/{step_name(step)}", f"Sound made at step {step:,}") for step in steps),
        ("metrics", "What was measured, and counts of the music"),
        (f"{study.training.as_posix()}/journal.jsonl", "Every step and every attempt of the training, linked"),
        (f"{study.training.as_posix()}/times", "How long generating took"),
        ("params.yaml", "What was studied"),
        ("params", "At which scale"),
        ("dvc.yaml", "The pipeline"),
        ("dvc.lock", "Its record: hashes of what went into and came out of each stage"),
        ("requirements.lock", "The packages, with versions and hashes"),
        (layout.ENVIRONMENT, "The machines and the packages that were there"),
        (layout.SOURCE, "The program: what git has of the commit"),
        (layout.PRIVATE, "Digests over the music, which is not here"),
        (layout.CRATE, "The same for programs (RO-Crate)"),
    ]


def _row(name: str, what: str, digests: Mapping[str, FileDigest]) -> dict[str, Any]:
    if name in digests:
        item = digests[name]
        return {"name": name, "what": what, "files": "", "size": size(item.bytes), "sha256": item.sha256, "link": name}
    inside = {path: item for path, item in digests.items() if path.startswith(f"{name}/")}
    return {
        "name": f"{name}/",
        "what": what,
        "files": f"{len(inside):,} files",
        "size": size(sum(item.bytes for item in inside.values())),
        "sha256": folder_digest(digests, name),
        "link": f"{name}/index.html" if f"{name}/index.html" in inside else None,
    }


def _parameters(study: Study) -> dict[str, Any]:
    """The parameters that decide the result, as params.yaml and the profile have them."""
    profile = study.params.profile
    sections = ("clips", "model", "train", "generate", "evaluate")
    return {
        "profile": study.params.study.profile,
        "seed": study.params.study.seed,
        "device": study.params.study.device,
        "genres": listed(list(places.studied(places.current(), study.params).genres)),
        "steps": listed([f"{step:,}" for step in study.steps]),
        **{section: getattr(profile, section).model_dump() for section in sections},
    }


def _flat(values: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            shown = (
                ", ".join(map(str, value)) if isinstance(value, list | tuple) else "none" if value is None else value
            )
            yield f"{before}{key}", str(shown)


def _made(study: Study, environment: Environment) -> Iterable[tuple[str, str]]:
    """How, when and with what it was made."""
    began, ended = (text.replace("T", " ").removesuffix("+00:00") for text in crate.span(study))
    attempts = len(study.view.attempts)
    yield "run", study.fingerprint
    yield "trained", f"{began} to {ended} (UTC), in {attempts} attempt{'s' if attempts > 1 else ''}"
    again = study.view.replayed
    yield "steps", f"{study.view.newest_step:,}" + (f", and {again:,} done again after interruptions" if again else "")
    for group in environment.trained_on:
        machine = group.machine
        which = f"attempts {_ranges(group.attempts)}" if len(environment.trained_on) > 1 else "trained on"
        threads = f", {machine.threads} threads" if machine.threads else ""
        files = f"{machine.changed_files} file{'s' if machine.changed_files != 1 else ''}"
        changed = f" with {files} changed" if machine.changed_files else ""
        commit = f", commit {machine.commit[:12]}{changed}" if machine.commit else ""
        torch = f", torch {machine.versions['torch']}" if "torch" in machine.versions else ""
        yield (
            which,
            f"{machine.processor} × {machine.processors}, {machine.device}{threads}, {machine.platform}{torch}{commit}",
        )
    yield "program", f"commit {environment.commit}"
    if environment.changed_files:
        yield (
            "changed since",
            f"{listed(list(environment.changed_files))}: {layout.SOURCE} has them as they were committed",
        )


def _ranges(numbers: Sequence[int]) -> str:
    """1, 2, 3, 7 → 1 to 3 and 7."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return listed([f"{span[0]} to {span[-1]}" if len(span) > 1 else str(span[0]) for span in spans])
