"""First stage: compose the demo library, or record which library of your own is studied.

In: MUSIC_LIBRARY from the environment, or the folder it named the last time; without either params.yaml (seed, genres)
and `library` of the profile.
Out: data/library.json, and the composed songs in data/demo-library/ (kept as it is, or empty, with MUSIC_LIBRARY).

    python -m src.library
    python -m src.library --look

With --look, which `dvc repro` runs each time, only the record of your own library is brought up to date, if it is here.
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from src import config
from src.audio.formats import format_of
from src.base import code, console, files, options
from src.base.errors import Problem
from src.base.walk import Seen, walk
from src.library.demo import compose
from src.library.record import MADE_BY, RECORD, keep_private

DEMO = Path("data/demo-library")
LOCK = Path("data/library.lock")
LOOKED = Path("data/looked")
ENVIRONMENT = "MUSIC_LIBRARY"
WAY_OUT = f"Set {ENVIRONMENT} to the folder that holds your songs. To study composed ones: {MADE_BY} --demo"
NOTHING = "no-songs-were-composed"
"""An empty file in the place of the songs: of an empty folder DVC warns each time it looks."""
MAX_JOBS = 8
"""A song being made takes up to 200 MB."""

app = console.command_app("Compose the demo library, or record the folder in MUSIC_LIBRARY.")


@app.command()
def main(
    profile: options.Profile = None,
    demo: Annotated[bool, typer.Option("--demo", help="Study composed songs from now on, not your own.")] = False,
    look: Annotated[bool, typer.Option("--look", help="Only see whether your own library changed.")] = False,
) -> None:
    """Compose the demo library, or record the folder that MUSIC_LIBRARY names or named the last time."""
    keep_private()
    if "DVC_STAGE" in os.environ and Path(".dvc").is_dir():
        _close_dvcs_notes()
    if look:
        look_again()
        return
    own = None
    if demo and ENVIRONMENT in os.environ:
        console.warn(f"{ENVIRONMENT} is set: unset it, or the next run studies your own library again.")
    if not demo:
        own = os.environ[ENVIRONMENT] if ENVIRONMENT in os.environ else _remembered()
    with files.exclusive(LOCK, what=MADE_BY):
        _clear_leftovers()
        if own is None:
            prepare_demo(config.load(profile=profile), min(os.cpu_count() or 1, MAX_JOBS))
        else:
            record_own(own)


def _close_dvcs_notes() -> None:
    """Close what DVC notes in /var/tmp of this checkout's files, each clip's digest too: it lets everybody read it."""
    from dvc.repo import Repo

    with Repo() as repo, contextlib.suppress(OSError):
        Path(repo.site_cache_dir).chmod(0o700)


def look_again() -> None:
    """Record the own library again if it is here, so that DVC sees what changed; write data/looked, always the same.

    Without a library here (a clone, a disk that is away) nothing is known to have changed. Raises `Problem` if
    MUSIC_LIBRARY names a folder that cannot be studied.
    """
    known = _known()
    own = os.environ.get(ENVIRONMENT, known.get("path") if known.get("kind") == "own" else None)
    if own is not None and (ENVIRONMENT in os.environ or Path(str(own)).is_dir()):
        with files.exclusive(LOCK, what=MADE_BY):
            record_own(str(own))
    elif own is not None:
        console.warn("your library of the last time is not here: the study goes on with what was read of it")
    files.write_text(LOOKED, "`dvc repro` has looked whether the library changed.\n")


def _remembered() -> str | None:
    """The own library of the last time, if there was one. Raises `Problem` in a clone of a study of somebody's own."""
    known = _known()
    if known.get("kind") == "own":
        _say_again(f"{ENVIRONMENT} is not set: your library of the last time is studied (the demo: {MADE_BY} --demo)")
        return str(known.get("path"))
    if not RECORD.exists() and _published_own():
        raise Problem(
            "This is a study of music that is not published. Get its results with `make pull` and check them with "
            f"`dvc repro --allow-missing`; with the same music at hand, set {ENVIRONMENT} to its folder. To overwrite "
            f"it by a study of composed songs: {MADE_BY} --demo"
        )
    return None


def _say_again(text: str) -> None:
    """Say that all is as before, unless DVC runs the stage: `make repro` has just said it."""
    if "DVC_STAGE" not in os.environ:
        console.say(text)


def _published_own() -> bool:
    """Whether dvc.lock says that no songs were composed for the study."""
    try:
        stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
        return any(out["path"] == str(DEMO) and out.get("nfiles") in (0, 1) for out in stages["library"]["outs"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return False  # no study was published here, or nobody can tell


def prepare_demo(params: config.Params, jobs: int) -> None:
    """Compose data/demo-library unless it is there, whole and of these parameters; write data/library.json.

    Raises `Problem` for a genre that cannot be composed.
    """
    recipe = recipe_of(params)
    known = _known()
    if known.get("recipe") == recipe and DEMO.is_dir() and known == _demo_record(recipe):
        _say_again(f"The demo library is there and whole: {known['files']} files in {DEMO}")
        return
    console.say(f"Composing a demo library of {len(params.genres)} genres in {DEMO}")
    with files.replacing(DEMO) as folder:
        library = params.profile.library
        count = compose.compose(folder, library, params.genres, params.study.seed, jobs)
    files.write_json(RECORD, _demo_record(recipe))
    console.say(f"Composed {count} files")


def record_own(name: str) -> None:
    """Check the user's library and write data/library.json; an unchanged library leaves the file as it is.

    Raises `Problem` if the folder is absent, unreadable or without music.
    """
    root = _checked_folder(name)
    digest, count, music, hidden = hashlib.sha256(), 0, False, 0
    for seen in walk(root):
        if seen.reason:
            # Left out of the state: whether it is readable does not change what is studied until it is.
            hidden += 1
            continue
        count += 1
        digest.update(_line(seen.path, str(seen.size_bytes), str(seen.mtime_ns)))
        music = music or _holds_music(root, seen)
    if hidden:
        console.warn(f"{hidden} names in the library are left out or cannot be read; the manifest will list them")
    if not music:
        raise Problem(f"There is no music among the {count} files in the folder that {ENVIRONMENT} names. {WAY_OUT}")
    record = {"kind": "own", "path": str(root), "files": count, "state": digest.hexdigest(), "recipe": None}
    DEMO.mkdir(parents=True, exist_ok=True)
    if not any(DEMO.iterdir()):
        (DEMO / NOTHING).touch()
    known = _known()
    # The folder's name may be private; what is printed ends up in logs.
    if record == known:
        _say_again(f"Your library has {count:,} files: unchanged.")
        return
    files.write_json(RECORD, record)
    console.say(f"Your library has {count:,} files: {_change(known, record)}.")


def _change(known: dict[str, Any], record: dict[str, Any]) -> str:
    """How a library is another one than the one that was known."""
    if (known.get("kind"), known.get("path")) != (record["kind"], record["path"]):
        return "recorded"
    more = record["files"] - int(known["files"])
    what = f"{abs(more):,} {'more' if more > 0 else 'fewer'} than" if more else "some of them others than"
    return f"{what} when they were last read. If other clips come of it, a new training begins"


def recipe_of(params: config.Params) -> str:
    """Digest of all that decides what is composed: parameters, seed, genres and the composer's code."""
    library = params.profile.library
    asked = repr((library.songs_per_genre, float(library.duration_s), params.genres, params.study.seed))
    return hashlib.sha256(f"{asked} {code.digest('src.library.demo.compose')}".encode()).hexdigest()


def _demo_record(recipe: str) -> dict[str, Any]:
    """What library.json says of the composed folder as it lies there: content in place of times, so clones agree."""
    digest, count = hashlib.sha256(), 0
    for seen in walk(DEMO):
        content = seen.reason or files.sha256_of(DEMO / os.fsdecode(seen.path))
        digest.update(_line(seen.path, str(seen.size_bytes), content))
        count += 1
    return {"kind": "demo", "path": str(DEMO), "files": count, "state": digest.hexdigest(), "recipe": recipe}


def _line(path: bytes, *rest: str) -> bytes:
    return b"\0".join([path, *(text.encode() for text in rest)]) + b"\n"


def _known() -> dict[str, Any]:
    """The present library.json; an absent or damaged one counts as empty, since this command makes it anew."""
    try:
        record = files.read_json(RECORD, made_by=MADE_BY)
    except Problem:
        return {}
    return record if isinstance(record, dict) else {}


def _checked_folder(name: str) -> Path:
    if not name:
        raise Problem(f"{ENVIRONMENT} is set but empty. {WAY_OUT}")
    named = f"The folder that {ENVIRONMENT} names"  # not by its name, which may be private
    root = Path(name).expanduser().absolute()
    try:
        str(root).encode("utf-8")
    except UnicodeEncodeError:
        raise Problem(f"{named} has a path that is not UTF-8. Name a link to that folder instead.") from None
    try:
        with os.scandir(root) as listing:
            next(listing, None)
    except FileNotFoundError:
        raise Problem(f"{named} does not exist. {WAY_OUT}") from None
    except NotADirectoryError:
        raise Problem(f"{named} is not a folder. {WAY_OUT}") from None
    except OSError as error:
        raise Problem(f"{named} cannot be read: {error.strerror}. {WAY_OUT}") from error
    return root


def _holds_music(root: Path, seen: Seen) -> bool:
    try:
        with (root / os.fsdecode(seen.path)).open("rb") as file:
            return format_of(file)[0] is not None
    except OSError:
        # The manifest reads every file and records why this one cannot be.
        return False


def _clear_leftovers() -> None:
    """Remove what a killed composition left; the lock says that no other one is at work."""
    for left in files.leftovers(DEMO):
        files.remove(left)


if __name__ == "__main__":
    console.run(app)
