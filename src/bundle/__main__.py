"""Publish a study: one folder and one .zip that a stranger can audit, with nothing private in it.

In: a finished study (docs/formats.md). Out: bundle/ and bundle.zip. It asks nothing, and the same study gives the same
bytes, but for the signature. Commands:

    python -m src.bundle
    python -m src.bundle --key private.pem
    python -m src.bundle --all-checkpoints --out elsewhere/bundle
"""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from src.base import console, files
from src.base.errors import Problem
from src.bundle import crate, environment, layout, names, pack, page, parts, signing
from src.bundle.layout import FileDigest
from src.bundle.search import Search

LOCK = Path("work/bundle.lock")
FINDINGS = parts.DATA / "bundle-findings.txt"
"""Where the names stand that were found: in data/, which is private."""

app = console.command_app("Publish a study: one folder and one .zip that anyone can audit, without anything private.")


@app.command()
def main(
    output: Annotated[Path, typer.Option("--out", help="Folder to write; the .zip is beside it.")] = Path("bundle"),
    key: Annotated[
        Path | None, typer.Option(help="Private key to sign with (EC P-256, PEM). Default: unsigned.")
    ] = None,
    all_checkpoints: Annotated[
        bool, typer.Option("--all-checkpoints", help="Also those of the training that are not compared.")
    ] = False,
    allow: Annotated[
        Path | None, typer.Option(help="Text file of names that may be published, one a line; keep it in data/.")
    ] = None,
) -> None:
    """Make the bundle of the study in this folder."""
    with files.exclusive(LOCK, what=layout.MADE_BY):
        packed = _is_ours_or_free(output)
        for left in files.leftovers(output):
            files.remove(left)
        study = parts.gather(all_checkpoints=all_checkpoints)
        answers = parts.headlines(study)
        known = environment.describe(Path(), study.view)
        private = Search(_private_names(study, names.allowed(allow)))
        with files.replacing(packed) as zipped, files.replacing(output) as temporary:
            folder = temporary / output.name  # the name that the signature gives to what it signs
            folder.mkdir(parents=True)
            _copy(study.published, folder)
            layout.write(folder / layout.PRIVATE, study.private)
            environment.write(folder, Path(), known)
            said = [text for _, texts in answers for text in texts]
            crate.write(folder, study, known, page.title(study), said, signed=key is not None)
            page.write(folder, study, known, _digests(folder), answers, signed=key is not None)
            layout.write(folder / layout.DIGESTS, layout.Digests(files=_digests(folder)))
            if key is not None:
                signing.sign(folder, key)
            _search(folder, private)
            pack.pack(folder, zipped)
            for item in sorted(folder.iterdir()):
                item.rename(temporary / item.name)
            folder.rmdir()
            packed.unlink(missing_ok=True)  # it must not stand beside another folder if this process dies now
    _say(output, packed, signed=key is not None)


def _is_ours_or_free(output: Path) -> Path:
    """The .zip beside the folder. Raises `Problem` if something that is not a bundle would be replaced."""
    way_out = "Move it away, or name another folder with --out."
    if Path().resolve().is_relative_to(output.resolve()):
        raise Problem(f"{output} is the folder of the study, or has it inside. Name another folder with --out.")
    packed = output.with_name(f"{output.name}.zip")
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise Problem(f"{output} is not a folder. {way_out}")
    if output.is_dir() and any(output.iterdir()):
        if not (output / layout.DIGESTS).is_file():
            raise Problem(f"{output} is a folder with other things in it, and not a bundle. {way_out}")
        layout.read(output / layout.DIGESTS, layout.Digests)
    if packed.is_symlink() or packed.exists():
        if not packed.is_file() or not zipfile.is_zipfile(packed):
            raise Problem(f"{packed} is not a bundle. {way_out}")
        with zipfile.ZipFile(packed) as archive:
            if layout.DIGESTS not in archive.namelist():
                raise Problem(f"{packed} is not a bundle. {way_out}")
    return packed


def _private_names(study: parts.Study, allowed: frozenset[tuple[str, ...]]) -> list[names.Name]:
    rules = study.params.study.genre_rules
    genres = [*rules, *(word for rule in rules.values() for word in (*rule.words, *rule.prefixes))]
    own = study.private.library == "own"
    songs = names.of_library(parts.MANIFEST, parts.CLIPS, genres) if own else []
    found = [*songs, *names.of_machine(Path(), study.library if own else None, study.view)]
    return [name for name in found if name.words not in allowed and names.words_of(name.text) not in allowed]


def _copy(published: Iterable[Path], folder: Path) -> None:
    published = list(published)
    with console.progress("copying", len(published), "files") as meter:
        for path in published:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path)
            meter.advance()


def _digests(folder: Path) -> dict[str, FileDigest]:
    """Path → digest of every file that digests.json lists."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        name: FileDigest(sha256=files.sha256_of(path), bytes=path.stat().st_size)
        for path in found
        if (name := path.relative_to(folder).as_posix()) not in layout.NOT_IN_DIGESTS
    }


def _search(folder: Path, private: Search) -> None:
    """Raise `Problem`, naming file and kind, if a file of the folder has a private name; which one, stands in data/."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    hits: list[tuple[str, names.Name]] = []
    with console.progress("searching for private names", sum(path.stat().st_size for path in found), "bytes") as meter:
        for path in found:
            content = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            source = name == layout.SOURCE
            hits += [hit for hit in private.found(content, name) if hit[1].in_source or not source]
            meter.advance(len(content))
    if not hits:
        FINDINGS.unlink(missing_ok=True)
        return
    lines = sorted({f"{place}\t{name.kind}\t{name.text}" for place, name in hits})
    files.write_text(FINDINGS, "\n".join(lines) + "\n")
    shown = sorted({f"{private.shown(place)} has {name.kind}" for place, name in hits})
    raise Problem(
        f"Not published: {console.few(shown, joint='; ')}. {FINDINGS}, which stays private, says which. "
        "Take it out there, "
        "or put what is no secret into a text file, one name a line, and give it with --allow FILE."
    )


def _say(output: Path, packed: Path, *, signed: bool) -> None:
    listed = layout.read(output / layout.DIGESTS, layout.Digests).files
    total = sum(item.bytes for item in listed.values())
    console.say(f"{len(listed):,} files, {page.size(total)}; nothing private was found in them.")
    console.say(
        f"The bundle: {output / layout.PAGE} and {packed} ({page.size(packed.stat().st_size)}), "
        + ("signed." if signed else "unsigned: sign it with --key FILE (docs/publish.md).")
    )


if __name__ == "__main__":
    console.run(app, interrupted="no bundle was made. The same command makes it from the beginning.")
