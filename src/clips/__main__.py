"""Cut a clip from every kept song, and set some songs aside for validation.

In: data/manifest.csv and the library. Out: data/clips/ (clips.csv, <genre>/<id>.flac of 16 kHz mono, and
skipped.csv with each song that gave no clip) and metrics/clips.json with counts alone. Command: `python -m src.clips`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from src import config
from src.base import console, csv_table, files, options
from src.base.share import Share
from src.clips import clipping, clipset, selection
from src.clips.clipping import Made
from src.clips.clipset import ClipRow
from src.config import ClipsParams
from src.library import record
from src.manifest import cache, rows
from src.manifest.rows import Row

app = console.command_app(
    "Cut a clip from every kept song of the manifest (16 kHz, mono), and set some songs aside for validation."
)

OUT = Path("data/clips")
SKIPPED = "skipped.csv"
"""In the folder of clips: the kept songs that gave none, with the reason."""
METRICS = Path("metrics/clips.json")


@app.command()
def main(
    profile: options.Profile = None,
    manifest: Annotated[Path, typer.Option(help="Table written by src.manifest.")] = rows.PATH,
    library: options.Library = None,
    out: Annotated[Path, typer.Option(help="Folder to write; replaced when the new clips are complete.")] = OUT,
    metrics: options.Metrics = None,
    work: options.Work = cache.FOLDER,
    workers: options.Workers = None,
    time_limit_s: options.TimeLimit = options.TIME_LIMIT_S,
    fresh: options.Fresh = False,
) -> None:
    """Cut a clip from every kept song (16 kHz, mono), and set some songs aside for validation."""
    params = config.load(profile=profile)
    wanted = params.profile.clips
    kept = [row for row in rows.read(manifest) if row.status == "kept" and row.genre in params.genres]
    folder = record.folder(library)
    record.keep_private()
    store = work / "clips"
    share = Share.of_environment()
    with cache.opened(work, folder, writes=share.leads) as known:
        made, count = clipping.make(
            kept, folder, wanted, known, store, time_limit_s=time_limit_s, workers=workers, share=share, fresh=fresh
        )
    if not share.leads:
        return
    chosen, lost = selection.choose(kept, made, wanted)
    genres, left_out = selection.studied(list(chosen.values()), params.genres, lost)
    studied = [clip for clip in chosen.values() if clip.genre in genres]
    divided, moved = selection.divide(studied, wanted.validation_songs, params.study.seed)
    keys = {clip.clip: key for key, clip in chosen.items()}
    with files.replacing(out) as temporary:
        temporary.mkdir()
        for clip in divided:
            clipping.link_or_copy(clipping.path_in(store, keys[clip.clip]), temporary / clip.clip)
        clipset.write_table(temporary / clipset.TABLE, divided)
        csv_table.write(temporary / SKIPPED, ("path", "reason"), skipped(kept, made, chosen, genres, wanted))
    if metrics is not None or out == OUT:
        files.write_json(metrics or METRICS, counts(divided, genres, moved, lost))
    report(divided, genres, lost)
    if left_out:
        console.warn(left_out)
    if halved := selection.halved(divided, moved):
        console.warn(
            f"clips.validation_songs in params/{params.study.profile}.yaml is {wanted.validation_songs:g}, and no more "
            f"than half of a genre is held out: {halved}. Of one or two held-out songs nothing can be told for a genre "
            "by itself: more songs help."
        )
    console.say(f"{len(divided):,} clips in {out}: {count:,} cut now, the others known from before.")


def skipped(
    kept: Sequence[Row],
    made: Mapping[str, Made | str],
    chosen: Mapping[str, ClipRow],
    genres: Sequence[str],
    params: ClipsParams,
) -> list[tuple[str, str]]:
    """(path as in the manifest, reason) of each kept song that gave no clip of a genre that is studied."""
    rows = []
    for row in kept:
        key = clipping.key_of(row, params)
        if isinstance(reason := made[key], str):
            rows.append((row.path, reason))
        elif key not in chosen:
            rows.append((row.path, selection.SAME))
        elif row.genre not in genres:
            rows.append((row.path, selection.LONE))
    return rows


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
        "digest": rows.digest(f"{clip.genre} {clip.split} {clip.sha256}" for clip in made),
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
        console.say(f"{count:>9,} gave no clip: {reason}")


if __name__ == "__main__":
    console.run(app, shares=True)
