"""Cut a clip from every kept song, and set some songs aside for validation.

In: data/manifest.csv and the library. Out: data/clips/ (clips.csv and <genre>/<id>.flac, 16 kHz mono) and
metrics/clips.json with counts alone. Command: `python -m src.clips`.
"""

import io
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import soundfile
import typer
from rich.table import Table

from src.errors import Problem
from src.manifest import LIBRARY, library_folder
from src.manifest import OUT as MANIFEST
from src.music import clipset, rows, split, summary
from src.music.clipset import ClipRow
from src.music.cut import Cut, cut
from src.music.decode import Undecodable, open_sound
from src.music.rows import Row
from src.run import config, console, files
from src.run.config import ClipsParams

app = console.command_app(
    "Cut a clip from every kept song of the manifest (16 kHz, mono), and set some songs aside for validation."
)

OUT = Path("data/clips")
METRICS = Path("metrics/clips.json")


@app.command()
def main(
    profile: Annotated[
        str | None, typer.Option(help="Scale of the study: a file in params/ (default: as in params.yaml).")
    ] = None,
    manifest: Annotated[Path, typer.Option(help="Table written by src.manifest.")] = MANIFEST,
    library: Annotated[
        Path | None, typer.Option(help="Folder the table's paths begin at (default: the one data/library.json names).")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder to write the clips to; replaced when the new ones are complete.")
    ] = OUT,
    metrics: Annotated[
        Path | None, typer.Option(help="Counts to write as JSON (default: metrics/clips.json if --out is not given).")
    ] = None,
) -> None:
    """Cut the clips."""
    params = config.load(profile=profile)
    kept = [row for row in rows.read(manifest) if row.status == "kept"]
    folder = library or library_folder(LIBRARY)
    lost: Counter[str] = Counter()
    made: list[ClipRow] = []
    with files.replacing(out) as temporary:
        temporary.mkdir()
        for row in kept:
            try:
                with open_sound(folder / rows.path_of(row.path), row.format or "") as sound:
                    clip = cut(sound, params.profile.clips)
            except Undecodable as error:
                lost[str(error)] += 1
                continue
            made.append(_write(temporary, row, clip, params.profile.clips))
        made = _without_equals(made, lost)
        check(made, params.genres)
        divided, moved = split.divide(made, params.profile.clips.validation_fraction, params.study.seed)
        clipset.write_table(temporary / clipset.TABLE, divided)
    if metrics is not None or out == OUT:
        files.write_json(metrics or METRICS, counts(divided, params.genres, moved, lost))
    report(divided, params.genres, out)


def _write(folder: Path, row: Row, clip: Cut, params: ClipsParams) -> ClipRow:
    digest = clipset.samples_digest(clip.samples)
    name = f"{row.genre}/{digest[:16]}.flac"
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    soundfile.write(buffer, clip.samples, params.rate_hz, format="FLAC", subtype="PCM_16")
    path.write_bytes(buffer.getvalue())
    return ClipRow(name, str(row.genre), "train", len(clip.samples), clip.peak_dbfs, clip.loudness_lufs, digest)


def _without_equals(made: list[ClipRow], lost: Counter[str]) -> list[ClipRow]:
    unique: dict[str, ClipRow] = {}
    for clip in made:
        if clip.sha256 in unique:
            lost["the same clip as another song"] += 1
        unique.setdefault(clip.sha256, clip)
    return sorted(unique.values(), key=lambda clip: (clip.genre, clip.clip))


def check(made: list[ClipRow], genres: tuple[str, ...]) -> None:
    """Raise `Problem` if a genre has no two clips: one to train on and one to validate with."""
    for genre in genres:
        count = sum(clip.genre == genre for clip in made)
        if count < 2:
            raise Problem(
                f"{genre} has {count} usable song{'' if count == 1 else 's'}; it needs two, one for validation. "
                "Add songs, or change `genres` in params.yaml."
            )


def counts(made: list[ClipRow], genres: tuple[str, ...], moved: dict[str, str], lost: Counter[str]) -> dict[str, Any]:
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


def report(made: list[ClipRow], genres: tuple[str, ...], out: Path) -> None:
    """Print the counts by genre."""
    table = Table(title="The clips", title_justify="left")
    for name in ("genre", "train", "validation"):
        table.add_column(name, justify="left" if name == "genre" else "right")
    for genre in genres:
        parts = [clip.split for clip in made if clip.genre == genre]
        table.add_row(genre, f"{parts.count('train'):,}", f"{parts.count('validation'):,}")
    console.show(table)
    console.say(f"{len(made):,} clips in {out}")


if __name__ == "__main__":
    console.run(app)
