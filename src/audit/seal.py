"""Whether a bundle is as it was sealed: digests.json over every file, a signature over that.

In: a bundle, perhaps a public key. Out: checks. A digest proves nothing against its maker, who can compute it anew;
with a signature only the holder of the key can.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from src.audit.check import Check, decided, refuted, unknown, verified
from src.audit.study import Study
from src.base import console, files
from src.base.console import few
from src.bundle import layout
from src.bundle.layout import Digests

DIGESTS, SIGNATURE = "digests of the files", "signature"


def digests(study: Study) -> Iterator[Check]:
    """digests.json against every file."""
    if not study.is_bundle:
        yield unknown(DIGESTS, "this is a checkout; only bundles have digests of all their files.")
        return
    said = layout.read(study.root / layout.DIGESTS, Digests).files
    here = set(study.files()) - layout.NOT_IN_DIGESTS
    changed = []
    with console.progress("hashing", len(here), "files") as meter:
        for name in sorted(here & said.keys()):
            path = study.root / name
            if path.stat().st_size != said[name].bytes or files.sha256_of(path) != said[name].sha256:
                changed.append(name)
            meter.advance()
    wrong = [
        f"{what}: {few(names)}."
        for what, names in (
            ("Changed", changed),
            ("Missing", sorted(said.keys() - here)),
            ("Added", sorted(here - said.keys())),
        )
        if names
    ]
    yield decided(DIGESTS, wrong, f"All {len(here):,} files are as {layout.DIGESTS} says, and no others are there.")


def signature(study: Study, key: Path | None) -> Iterator[Check]:
    """The signature, by the key that the auditor brought."""
    if not study.is_bundle:
        yield unknown(SIGNATURE, "this is a checkout; only bundles are signed.")
        return
    path = study.root / layout.SIGNATURE
    if not path.is_file():
        if key is not None:
            yield refuted(
                SIGNATURE, f"There is none, and {key} was to be the key of one: it was stripped or never made."
            )
        else:
            yield unknown(SIGNATURE, "the bundle is unsigned: whoever changed a file could change its digest as well.")
        return
    if key is None:
        yield unknown(
            SIGNATURE,
            "nobody can say by whom it is signed without their public key (--key), which they give you, no bundle.",
        )
        return
    try:
        from model_signing import hashing, verifying
    except ImportError:
        yield unknown(SIGNATURE, "model-signing is not installed (pip install model-signing).")
        return
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, OSError) as error:
        yield unknown(SIGNATURE, f"{key} is not a public key in PEM ({error}).")
        return
    hashed = hashing.Config()  # type: ignore[no-untyped-call]
    hashed.set_ignored_paths(paths=[Path(layout.SIGNATURE)], ignore_git_paths=False)
    try:
        config.set_hashing_config(hashed).verify(study.root, path)
    except Exception as error:  # noqa: BLE001 - whatever the library refuses a signature with
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        yield refuted(SIGNATURE, f"It is not one of {key} over these files: {said[:300]}.")
        return
    short = hashlib.sha256(key.read_bytes()).hexdigest()[:16]
    yield verified(SIGNATURE, f"Every file was signed by the holder of {key} (SHA-256 of the key's file {short}…).")
