"""Whether the run is the one that these parameters, clips and code make, and which code that was.

In: a study's parameters, digests, source archive. Out: checks. The archive is read as bytes and compared; none of it is
imported. The fingerprint is computed by the code that audits, so the code must mean the same.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from src.audit.check import Check, decided, refuted, unknown, verified
from src.audit.study import Study
from src.base import code, provenance
from src.base.console import few
from src.base.errors import Problem
from src.bundle import layout
from src.train import run

SOURCE, FINGERPRINT, CLIPS = "source archive", "the run's fingerprint", "the clips"
MOST_SOURCE_BYTES = 500_000_000
"""Of all files of the archive."""
MOST_SOURCE_FILES = 20_000


class Origin:
    """The code that a study was made with, as far as it is there."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """Relative path → content: of a bundle its archive, of a checkout src/. Raises `Problem` if it is damaged."""
        if self.study.is_bundle:
            return _archive(self.study.root / layout.SOURCE)
        root = self.study.root
        made = ("__pycache__", ".pyc")  # as .dvcignore names them
        paths = [path for path in (root / "src").rglob("*") if path.is_file() and not str(path).endswith(made[1])]
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths if made[0] not in path.parts}

    @cached_property
    def differing(self) -> list[str]:
        """Modules that decide a step and mean something else in the code that audits."""
        return [
            name
            for name in code.modules(run.DECIDES_A_STEP)
            if not any(self._means_the_same(name, path) for path in _paths(name))
        ]

    def _means_the_same(self, name: str, path: str) -> bool:
        here = code.ROOT / path
        if path not in self.files or not here.is_file():
            return False
        try:
            return code.meaning(self.files[path].decode()) == code.meaning(here.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False  # not Python at all


def source(origin: Origin) -> Iterator[Check]:
    """The archive is what git has of the commit that it says it is of; or at least the code that audits."""
    study = origin.study
    if not study.is_bundle:
        yield unknown(
            SOURCE, "this is a checkout, whose code is beside its results; git says what differs from which commit."
        )
        return
    environment = layout.read(study.root / layout.ENVIRONMENT, layout.Environment)
    commit = environment.commit
    listed = provenance.git(code.ROOT, "ls-tree", "-r", "-z", commit)
    archived = origin.files
    if listed:
        blobs = {row.partition("\t")[2]: row.split()[2] for row in listed.split("\0") if row}
        wrong = sorted(
            name for name in archived.keys() | blobs.keys() if _blob(archived.get(name)) != blobs.get(name, "absent")
        )
        changed = environment.changed_files
        rest = f" When it was bundled, these differed from it: {few(changed)}." if changed else ""
        yield decided(
            SOURCE,
            [f"Of commit {commit[:12]}, these are not what git has: {few(wrong)}."] if wrong else [],
            f"Its {len(archived):,} files are what git has of commit {commit[:12]}.{rest}",
        )
        return
    other = sorted(
        name
        for name, content in archived.items()
        if not (code.ROOT / name).is_file() or (code.ROOT / name).read_bytes() != content
    )
    if other:
        yield unknown(
            SOURCE,
            f"commit {commit[:12]} is not known to the code that audits, and these files differ from it: {few(other)}.",
        )
    else:
        yield verified(SOURCE, f"Its {len(archived):,} files are those of the code that audits.")


def fingerprint(origin: Origin) -> Iterator[Check]:
    """Parameters, clips and code give the fingerprint that every checkpoint carries."""
    study = origin.study
    there = run.fingerprint(study.params, study.clips_digest, study.device)
    if there == study.fingerprint:
        yield verified(
            FINGERPRINT, f"{there} follows from the parameters, the digest of the clips and the code that audits."
        )
    elif origin.differing:
        yield unknown(
            FINGERPRINT,
            f"the code that audits differs in what decides a step ({few(origin.differing)}): "
            "check out the commit of the study.",
        )
    else:
        yield refuted(
            FINGERPRINT,
            f"These parameters and clips make the run {there}, not {study.fingerprint}: a parameter that decides the "
            "training, a genre, the seed or the digest of the clips is another one.",
        )


def clips(study: Study) -> Iterator[Check]:
    """The clips at hand are those of the study; their samples are read."""
    if study.clips is None:
        yield unknown(
            CLIPS, "they are not here: they are private, or were not made again (--clips names their folder)."
        )
        return
    if study.clips.digest != study.clips_digest:
        yield refuted(CLIPS, "The clips at hand are not those that the study names.")
        return
    for index in range(len(study.clips)):
        try:
            study.clips.samples(index)
        except Problem as problem:
            yield refuted(CLIPS, str(problem))
            return
    yield verified(CLIPS, f"{len(study.clips):,} clips at hand, every sample under the digest that the study names.")


def _paths(name: str) -> tuple[str, str]:
    place = name.replace(".", "/")
    return f"{place}.py", f"{place}/__init__.py"


def _blob(content: bytes | None) -> str:
    """Git's name of a file's content."""
    if content is None:
        return "missing"
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def _archive(path: Path) -> dict[str, bytes]:
    """Files of a .tar.gz, read into memory and never written. Raises `Problem` for what an archive of ours has not."""
    found: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                if member.isdir():
                    continue
                if member.issym():  # git may have links among its files; their target is their content
                    found[_named(member.name)] = member.linkname.encode()
                    continue
                total += member.size
                if not member.isfile() or total > MOST_SOURCE_BYTES or len(found) >= MOST_SOURCE_FILES:
                    raise Problem(
                        f"{path} is not an archive of source: {member.name} is a device or it grows too large."
                    )
                opened = archive.extractfile(member)
                found[_named(member.name)] = opened.read() if opened else b""
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as error:
        raise Problem(f"{path} cannot be read as an archive ({error}).") from None
    return found


def _named(name: str) -> str:
    """The path without the archive's own first folder."""
    return layout.inside(name).partition("/")[2]
