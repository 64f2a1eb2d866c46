"""Cut a clip from every kept song, and set some songs aside for validation.

In: data/manifest.csv and the library. Out: data/clips/ (clips.csv and <genre>/<id>.flac, 16 kHz mono) and
metrics/clips.json with counts alone. Command: `python -m src.clips`.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from src import config
from src.base import console, files
from src.base.errors import Problem
from src.base.share import Share
from src.clips import clipping, clipset, split
from src.clips.clipping import Made
from src.clips.clipset import ClipRow
from src.config import ClipsParams
from src.manifest import cache, options, rows, summary
from src.manifest.rows import Row

app = console.command_app(
    "Cut a clip from every kept song of the manifest (16 kHz, mono), and set some songs aside for validation."
)

OUT = Path("data/clips")
METRICS = Path("metrics/clips.json")


@app.command()
def main(
    profile: options.Profile = None,
    manifest: Annotated[Path, typer.Option(help="Table written by src.manifest.")] = options.MANIFEST,
    library: options.Library = None,
    out: Annotated[Path, typer.Option(help="Folder to write; replaced when the new clips are complete.")] = OUT,
    metrics: options.Metrics = None,
    work: options.Work = options.WORK,
    workers: options.Workers = None,
    time_limit_s: options.TimeLimit = options.TIME_LIMIT_S,
    fresh: options.Fresh = False,
) -> None:
    """Cut a clip from every kept song (16 kHz, mono), and set some songs aside for validation."""
    params = config.load(profile=profile)
    wanted = params.profile.clips
    kept = [row for row in rows.read(manifest) if row.status == "kept" and row.genre in params.genres]
    folder = options.library_folder(library)
    store = work / "clips"
    share = Share.of_environment()
    with cache.opened(work, folder, writes=share.leads) as known:
        made, count = clipping.make(
            kept, folder, wanted, known, store, time_limit_s=time_limit_s, workers=workers, share=share, fresh=fresh
        )
    if not share.leads:
        return
    chosen, lost = choose(kept, made, wanted)
    check(list(chosen.values()), params.genres, lost)
    divided, moved = split.divide(list(chosen.values()), wanted.validation_fraction, params.study.seed)
    keys = {clip.clip: key for key, clip in chosen.items()}
    with files.replacing(out) as temporary:
        temporary.mkdir()
        for clip in divided:
            clipping.place(clipping.path_in(store, keys[clip.clip]), temporary / clip.clip)
        clipset.write_table(temporary / clipset.TABLE, divided)
    if metrics is not None or out == OUT:
        files.write_json(metrics or METRICS, counts(divided, params.genres, moved, lost))
    report(divided, params.genres, lost)
    console.say(f"{len(divided):,} clips in {out}: {count:,} cut now, the others known from before.")


def choose(
    kept: Sequence[Row], made: dict[str, Made | str], params: ClipsParams
) -> tuple[dict[str, ClipRow], Counter[str]]:
    """(key → clip, one for each different sound, sorted by genre and id; why the other songs gave none)."""
    lost: Counter[str] = Counter()
    found: dict[str, tuple[str, ClipRow]] = {}
    for row in kept:
        key = clipping.key_of(row, params)
        clip = made[key]
        if isinstance(clip, str):
            lost[clip] += 1
            continue
        if clip.sha256 in found:
            # Two songs that are equal for two minutes: to keep both could put one sound on both sides of the split.
            lost["the same clip as another song"] += 1
            continue
        genre = str(row.genre)
        name = f"{genre}/{clip.sha256[:16]}.flac"
        levels = clip.peak_dbfs, clip.loudness_lufs
        found[clip.sha256] = key, ClipRow(name, genre, "train", clip.frames, *levels, clip.sha256)
    ordered = sorted(found.values(), key=lambda item: (item[1].genre, item[1].clip))
    return dict(ordered), lost


def check(made: Sequence[ClipRow], genres: tuple[str, ...], lost: Counter[str]) -> None:
    """Raise `Problem` if a genre has no two clips: one to train on and one to validate with."""
    told = "".join(f" {count} songs gave no clip: {reason}." for reason, count in sorted(lost.items()))
    for genre in genres:
        count = sum(clip.genre == genre for clip in made)
        if count < 2:
            raise Problem(
                f"{genre} has {count} usable song{'' if count == 1 else 's'}; it needs two, one for validation."
                f"{told} "
                "Add songs, or change `genres` in params.yaml."
            )


def counts(
    made: Sequence[ClipRow], genres: tuple[str, ...], moved: dict[str, str], lost: Counter[str]
) -> dict[str, Any]:
    """The content of metrics/clips.json."""
    return {
        "clips": len(made),
        "genres": {
            genre: {
                part: sum(clip.genre == genre and clip.split == part for clip in made)
                for part in ("train", "validation")
            }
            for genre in genres
        },
        "frames": sum(clip.frames for clip in made),
        "moved": dict(sorted(moved.items())),
        "reasons": dict(sorted(lost.items())),
        "digest": summary.digest(f"{clip.genre} {clip.split} {clip.sha256}" for clip in made),
    }


def report(made: Sequence[ClipRow], genres: tuple[str, ...], lost: Counter[str]) -> None:
    """Print the counts by genre."""
    table = Table(title="The clips", title_justify="left")
    for name in ("genre", "train", "validation"):
        table.add_column(name, justify="left" if name == "genre" else "right")
    for genre in genres:
        parts = [clip.split for clip in made if clip.genre == genre]
        table.add_row(genre, f"{parts.count('train'):,}", f"{parts.count('validation'):,}")
    console.show(table)
    for reason, count in sorted(lost.items()):
        console.say(f"{count:>9,} songs gave no clip: {reason}")


if __name__ == "__main__":
    console.run(app)
