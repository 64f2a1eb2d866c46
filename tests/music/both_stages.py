"""Manifest and clips in one process, as one of several processes of `torchrun` (see tests/test_clips.py)."""

from pathlib import Path

from src import clips, manifest
from src.music.library.share import Share
from src.run import console

WORK = Path("work/shared")

if __name__ == "__main__":
    manifest.main(work=WORK)
    # As between two starts of `torchrun`: the first process has written before the next stage begins anywhere.
    Share.of_environment().gather([])
    clips.main(work=WORK)
    console.out.file.flush()
