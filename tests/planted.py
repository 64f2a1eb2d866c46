"""A library whose names and tags are all planted words, to be searched for, and a finished study of it."""

from pathlib import Path

import mutagen
import mutagen.id3

from tests import clone, sounds
from tests.clone import in_clone
from tests.conftest import GENRES

PLANT = "Zyx" + "qv"
"""Begins every planted word; nothing of ours has it, this file in one piece neither."""

STUDIED = tuple(genre for genre in GENRES if genre != "hardcore")
"""One genre of params.yaml has no song: it is left out from end to end."""
PRINTED = "printed.txt"
"""In the folder of the study and its library: all that the stages printed."""

FRAMES = ("TIT2", "TPE1", "TALB", "TCOM", "TENC", "TCOP", "TPUB", "TSRC", "TIT1", "TPE2", "TEXT", "TOPE")
COMMENTS = ("title", "artist", "album", "composer", "copyright", "isrc", "organization", "description", "contact")


def plant(library: Path) -> None:
    """Three songs for each genre but one, whose names and tags all carry the planted word, and skipped files."""
    for number, genre in enumerate(STUDIED):
        for song in range(3):
            folder = library / f"{PLANT}Artist{number}" / f"{PLANT}Album {song}"
            suffix = ("mp3", "flac", "ogg")[song]
            path = sounds.write(
                folder / f"{PLANT}Song {genre} {song}.{suffix}", seed=10 * number + song, duration_s=3.6
            )
            sounds.tag(path, f"{genre} {PLANT}Subgenre", "1999")
            file = mutagen.File(path)
            if isinstance(file.tags, mutagen.id3.ID3):
                for frame in FRAMES:
                    file.tags.add(getattr(mutagen.id3, frame)(encoding=3, text=[f"{PLANT}{frame}"]))
                file.tags.add(mutagen.id3.COMM(encoding=3, lang="eng", desc=f"{PLANT}d", text=[f"{PLANT}Comment"]))
                file.tags.add(mutagen.id3.USLT(encoding=3, lang="eng", desc="", text=f"{PLANT}Lyrics"))
                file.tags.add(mutagen.id3.TXXX(encoding=3, desc=f"{PLANT}Own", text=[f"{PLANT}Value"]))
                file.tags.add(mutagen.id3.WXXX(encoding=3, desc="", url=f"http://{PLANT}.example"))
            else:
                for comment in COMMENTS:
                    file.tags[comment] = [f"{PLANT}{comment}"]
            file.save()
    (library / f"{PLANT}Notes.mp3").write_text(f"{PLANT} is no music")
    (library / f"{PLANT}Broken.flac").write_bytes(b"fLaC" + bytes(200))
    sounds.write(library / f"{PLANT}Short.wav", seed=99, duration_s=0.5)


def make_study(folder: Path) -> None:
    """Make the library and the study of it, a clone after `dvc repro`, in a folder."""
    library = folder / f"{PLANT}Library"
    plant(library)
    clone.make(folder / "study")
    printed = ""
    for command in (("python", "-m", "src.library"), ("dvc", "repro")):
        printed += in_clone(folder / "study", *command, MUSIC_LIBRARY=str(library))
    (folder / PRINTED).write_text(printed)
